/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/type.h"

#include <apr_strings.h>
#include <string.h>

#include "openapi/put.h"
#include "util/text.h"

static const struct {
    const char *type, *format, *pattern;
} types[] = {
    [LH_STRING] = {"string", NULL, NULL},
    [LH_EMAIL] = {"string", "email", NULL},
    [LH_INTEGER] = {"integer", "int64", NULL},
    [LH_BOOLEAN] = {"boolean", NULL, NULL},
    [LH_TIME] = {"string", "date-time", NULL},
    [LH_DATE] = {"string", "date", NULL},
    [LH_DURATION] = {"string", NULL, "^[0-9]{2}:[0-5][0-9]:[0-5][0-9]$"},
    [LH_OBJECT_ID] = {"string", NULL, "^[0-9a-fA-F]{24}$"},
    [LH_STRINGS] = {"array", NULL, NULL},
    [LH_OBJECT] = {"object", NULL, NULL},
    [LH_GROUP] = {"object", NULL, NULL},
    [LH_PHONE] = {"string", NULL, "^\\+[1-9][0-9]{7,14}$"},
    [LH_PHOTO] = {"string", "binary", NULL},
    [LH_UUID] = {"string", "uuid", NULL},
    [LH_NUMBER] = {"number", NULL, NULL},
    [LH_COLOR] = {"string", NULL, "^#[0-9a-fA-F]{6}$"},
    [LH_LIST] = {"array", NULL, NULL},
};

void lh_type_name(lh_json *json, const char *type, int null)
{
    if (!null) {
        lh_put_text(json, "type", type);
        return;
    }
    lh_put_array(json, "type");
    lh_json_text(json, type);
    lh_json_text(json, "null");
    lh_json_close(json, ']');
}

void lh_type_write(lh_json *json, lh_type type, int null)
{
    lh_type_name(json, types[type].type, null);
    if (types[type].format) {
        lh_put_text(json, "format", types[type].format);
    }
    if (types[type].pattern) {
        lh_put_text(json, "pattern", types[type].pattern);
    }
}

void lh_type_words(lh_json *json, const char *words, int null, int numbers)
{
    const char *word;
    apr_size_t length;

    lh_put_array(json, "enum");
    while ((word = lh_text_word(&words, &length))) {
        if (numbers) {
            lh_json_verbatim(json, word, length);
        }
        else {
            lh_json_string(json, word, length);
        }
    }
    if (null) {
        lh_json_null(json);
    }
    lh_json_close(json, ']');
}

void lh_type_alternative(lh_json *json, const char *type, const char *key, const char *value)
{
    lh_json_open(json, '{');
    lh_type_name(json, type, 0);
    if (key) {
        lh_put_text(json, key, value);
    }
    lh_json_close(json, '}');
}

/* ---- nested objects ---- */

const lh_field *lh_type_next(const lh_field *field, const char *prefix)
{
    while (field && field->name && strncmp(field->name, prefix, strlen(prefix)) != 0) {
        field++;
    }
    return field && field->name ? field : NULL;
}

apr_size_t lh_type_head(const lh_field *field, const char *prefix)
{
    const char *name = field->name + strlen(prefix), *dot = strchr(name, '.');

    return dot ? (apr_size_t)(dot - name) : 0;
}

int lh_type_is_repeated(const lh_field *fields, const lh_field *field, const char *prefix)
{
    apr_size_t length = strlen(prefix) + lh_type_head(field, prefix);

    for (; length && fields != field; fields++) {
        if (!strncmp(fields->name, field->name, length) && (fields->name[length] == '.' || !fields->name[length])) {
            return 1;
        }
    }
    return 0;
}

const char *lh_type_key(apr_pool_t *p, const lh_field *field, const char *prefix)
{
    apr_size_t head = lh_type_head(field, prefix);

    return head ? apr_pstrmemdup(p, field->name + strlen(prefix), head) : field->name + strlen(prefix);
}

const char *lh_type_prefix(apr_pool_t *p, const lh_field *field, const char *prefix)
{
    return apr_pstrcat(p, prefix, lh_type_key(p, field, prefix), ".", NULL);
}
