/* SPDX-License-Identifier: Apache-2.0 */
#include "pages/field_text.h"

#include <apr_strings.h>

#include "util/text.h"

static const char *const types[] = {
    [LH_STRING] = "string",
    [LH_EMAIL] = "e-mail address",
    [LH_INTEGER] = "integer",
    [LH_BOOLEAN] = "boolean",
    [LH_TIME] = "time (ISO 8601)",
    [LH_DATE] = "date (YYYY-MM-DD)",
    [LH_DURATION] = "duration (HH:MM:SS)",
    [LH_OBJECT_ID] = "id of 24 hex digits",
    [LH_STRINGS] = "array of strings",
    [LH_OBJECT] = "object",
    [LH_GROUP] = "object",
    [LH_PHONE] = "phone number (E.164)",
    [LH_PHOTO] = "picture (JPEG, PNG, WebP or GIF)",
    [LH_UUID] = "UUID",
    [LH_NUMBER] = "number with at most two decimals",
    [LH_COLOR] = "color (#rrggbb)",
    [LH_LIST] = "array of objects",
};

/* Words of a list, separated by commas. */
static const char *enumerate(apr_pool_t *p, const char *words)
{
    const char *text = "", *word;
    apr_size_t length;

    while ((word = lh_text_word(&words, &length)) != NULL) {
        text = apr_pstrcat(p, text, *text ? ", " : "", apr_pstrmemdup(p, word, length), NULL);
    }
    return text;
}

static const char *unit_of(const lh_field *field)
{
    return field->type == LH_STRING ? " characters" : field->type == LH_STRINGS ? " entries" : "";
}

/* The limits of a field, or NULL. */
static const char *limits(apr_pool_t *p, const lh_field *field)
{
    int counted = field->type == LH_STRING || field->type == LH_STRINGS;

    if (!counted && field->type != LH_INTEGER && field->type != LH_NUMBER) {
        return NULL;
    }
    if (field->min == 0 && field->max == 0 && field->type != LH_NUMBER) {
        return NULL;
    }
    if (field->max == APR_INT64_MAX || (counted && field->max == 0)) {
        return apr_psprintf(p, "at least %" APR_INT64_T_FMT "%s", field->min, unit_of(field));
    }
    if (counted && field->min == 0) {
        return apr_psprintf(p, "at most %" APR_INT64_T_FMT "%s", field->max, unit_of(field));
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT " to %" APR_INT64_T_FMT "%s", field->min, field->max, unit_of(field));
}

static const char *add(apr_pool_t *p, const char *text, const char *more)
{
    return more ? apr_pstrcat(p, text, ", ", more, NULL) : text;
}

static const char *quoted(apr_pool_t *p, const char *label, const char *value)
{
    return value ? apr_pstrcat(p, label, value, NULL) : NULL;
}

const char *lh_field_text_input(apr_pool_t *p, const lh_field *field)
{
    static const struct {
        unsigned flag;
        const char *text;
    } flags[] = {{LH_NULL, "or null"},
                 {LH_CLEARABLE, "null or \"\" removes the value"},
                 {LH_FUTURE, "in the future"},
                 {LH_PAST, "not in the future"},
                 {LH_COERCE, "also in other notations"}};
    const char *text = types[field->type], *words = field->enum_values ? enumerate(p, field->enum_values) : NULL;
    apr_size_t i;

    text = add(p, text, field->flags & LH_REQUIRED ? "required" : NULL);
    if (field->type == LH_STRING && words) {
        text = add(p, text, quoted(p, "one of ", words));
    }
    else {
        text = add(p, text, limits(p, field));
        text = add(p, text, quoted(p, "or one of ", words));
    }
    for (i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        text = add(p, text, field->flags & flags[i].flag ? flags[i].text : NULL);
    }
    return add(p, text, quoted(p, "default ", field->default_value));
}

const char *lh_field_text_output(apr_pool_t *p, const lh_field *field)
{
    const char *text = types[field->type];

    if (field->enum_values) {
        text = add(p, text, quoted(p, "one of ", enumerate(p, field->enum_values)));
    }
    return field->flags & LH_NULL ? apr_pstrcat(p, text, " or null", NULL) : text;
}
