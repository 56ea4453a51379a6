/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/schema.h"

#include <apr_strings.h>
#include <string.h>

#include "util/json.h"
#include "util/text.h"

static void write_pair(lh_json *json, const char *key, const char *text)
{
    lh_json_key(json, key);
    lh_json_text(json, text);
}

static void write_number(lh_json *json, const char *key, apr_int64_t number)
{
    lh_json_key(json, key);
    lh_json_int(json, number);
}

/* ---- nested objects: dotted names ---- */

apr_size_t lh_schema_head(const char *name)
{
    const char *dot = strchr(name, '.');

    return dot ? (apr_size_t)(dot - name) : 0;
}

const lh_field *lh_schema_next(const lh_field *field, const char *prefix)
{
    while (field && field->name && strncmp(field->name, prefix, strlen(prefix)) != 0) {
        field++;
    }
    return field && field->name ? field : NULL;
}

int lh_schema_is_open(const lh_field *fields, const lh_field *field, const char *prefix)
{
    apr_size_t length = strlen(prefix) + lh_schema_head(field->name + strlen(prefix));

    for (; fields != field; fields++) {
        if (!strncmp(fields->name, field->name, length) && (fields->name[length] == '.' || !fields->name[length])) {
            return 1;
        }
    }
    return 0;
}

/* "user." for "user.id" in the prefix "". */
static const char *object_prefix(apr_pool_t *p, const lh_field *field, const char *prefix)
{
    apr_size_t length = strlen(prefix);

    return apr_pstrcat(p, apr_pstrmemdup(p, field->name, length + lh_schema_head(field->name + length)), ".", NULL);
}

/* ---- values of requests ---- */

/* The words of a list as array members. */
static void write_words(lh_json *json, const char *words)
{
    const char *word;
    apr_size_t length;

    while ((word = lh_text_word(&words, &length))) {
        lh_json_string(json, word, length);
    }
}

static void write_enum(lh_json *json, const char *words, int null)
{
    lh_json_key(json, "enum");
    lh_json_open(json, '[');
    write_words(json, words);
    if (null) {
        lh_json_null(json);
    }
    lh_json_close(json, ']');
}

static void write_type(lh_json *json, const char *type, int null)
{
    lh_json_key(json, "type");
    if (null) {
        lh_json_open(json, '[');
        lh_json_text(json, type);
        lh_json_text(json, "null");
        lh_json_close(json, ']');
    }
    else {
        lh_json_text(json, type);
    }
}

/* What is common to requests and responses: type, and format or pattern. LH_OBJECT and LH_LIST have items as well. */
static const struct {
    const char *type, *format, *pattern;
} types[] = {
    [LH_STRING] = {"string", NULL, NULL},
    [LH_EMAIL] = {"string", "email", NULL},
    [LH_INTEGER] = {"integer", "int64", NULL},
    [LH_BOOLEAN] = {"boolean", NULL, NULL},
    [LH_TIME] = {"string", "date-time", NULL},
    [LH_DATE] = {"string", "date", NULL},
    [LH_DURATION] = {"string", NULL, "^[0-9]{2,}:[0-5][0-9]:[0-5][0-9]$"},
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

static void write_form(lh_json *json, lh_type type, int null)
{
    write_type(json, types[type].type, null);
    if (types[type].format) {
        write_pair(json, "format", types[type].format);
    }
    if (types[type].pattern) {
        write_pair(json, "pattern", types[type].pattern);
    }
}

/* Further values that a field accepts besides those of its type. */
enum {
    NULL_VALUE = 1,
    EMPTY_TEXT = 2,
    WORDS = 4,       /* enum_values of another type than LH_STRING */
    NUMBER_TEXT = 8, /* an integer or a boolean as text */
    BIT = 16,        /* 0 and 1 for a boolean */
    INTEGER = 32,    /* for a string */
    ONE_TEXT = 64,   /* instead of an array of strings */
    NOT_ITSELF = 128 /* a file cannot be sent in JSON */
};

static unsigned coerced(lh_type type)
{
    return type == LH_INTEGER   ? NUMBER_TEXT
           : type == LH_BOOLEAN ? NUMBER_TEXT | BIT
           : type == LH_STRING  ? INTEGER
           : type == LH_STRINGS ? ONE_TEXT
                                : 0;
}

static int accepts_empty_text(const lh_field *field)
{
    return field->type == LH_STRING && !field->enum_values && !field->min;
}

static unsigned alternatives(const lh_field *field, unsigned media)
{
    unsigned found = field->type != LH_STRING && field->enum_values ? WORDS : 0;

    if (media != LH_JSON) {
        return found;
    }
    if (field->flags & (LH_NULL | LH_CLEARABLE)) {
        found |= NULL_VALUE;
    }
    if (((field->flags & LH_EMPTY) || ((field->flags & LH_CLEARABLE) && field->type != LH_PHOTO)) &&
        !accepts_empty_text(field)) {
        found |= EMPTY_TEXT;
    }
    if (field->type == LH_PHOTO) {
        found |= NOT_ITSELF;
    }
    return field->flags & LH_COERCE ? found | coerced(field->type) : found;
}

static void write_string_limits(lh_json *json, const lh_field *field)
{
    if (field->min) {
        write_number(json, "minLength", field->min);
    }
    if (field->max) {
        write_number(json, "maxLength", field->max);
    }
    if (field->flags & LH_SECRET) {
        write_pair(json, "format", "password");
    }
}

static void write_range(lh_json *json, const lh_field *field)
{
    int limited = field->min || field->max || field->type == LH_NUMBER;

    if (limited) {
        write_number(json, "minimum", field->min);
    }
    if (limited && field->max != APR_INT64_MAX && !(field->flags & LH_CLAMP)) {
        write_number(json, "maximum", field->max);
    }
}

static void write_strings(lh_json *json, const lh_field *field)
{
    lh_json_key(json, "items");
    lh_json_open(json, '{');
    write_type(json, "string", 0);
    lh_json_close(json, '}');
    if (field->min) {
        write_number(json, "minItems", field->min);
    }
    if (field->max) {
        write_number(json, "maxItems", field->max);
    }
}

/* The members of the schema for the field's own type. */
static void write_own(lh_json *json, const lh_field *field, int null)
{
    write_form(json, field->type, null);
    switch (field->type) {
    case LH_STRING:
        if (field->enum_values) {
            write_enum(json, field->enum_values, null);
        }
        else {
            write_string_limits(json, field);
        }
        break;
    case LH_EMAIL: write_number(json, "maxLength", 254); break;
    case LH_INTEGER:
    case LH_NUMBER: write_range(json, field); break;
    case LH_STRINGS: write_strings(json, field); break;
    default: break;
    }
}

static void write_alternative(lh_json *json, const char *type, const char *key, const char *value)
{
    lh_json_open(json, '{');
    write_type(json, type, 0);
    if (key) {
        write_pair(json, key, value);
    }
    lh_json_close(json, '}');
}

#define BOOLEAN_TEXT "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)$"

static void write_alternatives(lh_json *json, const lh_field *field, unsigned also)
{
    if (also & WORDS) {
        lh_json_open(json, '{');
        write_type(json, "string", 0);
        write_enum(json, field->enum_values, 0);
        lh_json_close(json, '}');
    }
    if (also & NUMBER_TEXT) {
        write_alternative(json, "string", "pattern", field->type == LH_BOOLEAN ? BOOLEAN_TEXT : "^-?[0-9]+$");
    }
    if (also & BIT) {
        lh_json_open(json, '{');
        write_type(json, "integer", 0);
        write_number(json, "minimum", 0);
        write_number(json, "maximum", 1);
        lh_json_close(json, '}');
    }
    if (also & INTEGER) {
        write_alternative(json, "integer", NULL, NULL);
    }
    if (also & ONE_TEXT) {
        write_alternative(json, "string", NULL, NULL);
    }
    if (also & EMPTY_TEXT) {
        write_alternative(json, "string", "const", "");
    }
    if (also & NULL_VALUE) {
        write_alternative(json, "null", NULL, NULL);
    }
}

static const char *add_sentence(apr_pool_t *p, const char *text, const char *sentence)
{
    return *text ? apr_pstrcat(p, text, " ", sentence, NULL) : sentence;
}

static const char *description(apr_pool_t *p, const lh_field *field, unsigned media)
{
    const char *text = field->note ? field->note : "";

    if (field->flags & LH_FUTURE) {
        text = add_sentence(p, text, "Must be in the future.");
    }
    if (field->flags & LH_PAST) {
        text = add_sentence(p, text, "May not be in the future.");
    }
    if (field->type == LH_TIME) {
        text = add_sentence(p, text, "UTC if it has no offset.");
    }
    if (field->type == LH_NUMBER) {
        text = add_sentence(p, text, "At most two decimals.");
    }
    if (field->flags & LH_CLEARABLE) {
        text = add_sentence(
            p, text, media == LH_JSON ? "null removes the stored value." : "An empty value removes the stored one.");
    }
    if (field->alias && media == LH_JSON) {
        text = add_sentence(p, text, apr_psprintf(p, "Another name for it is `%s`.", field->alias));
    }
    return text;
}

static void write_default(lh_json *json, const lh_field *field)
{
    lh_json_key(json, "default");
    if (field->type == LH_INTEGER || field->type == LH_NUMBER || field->type == LH_BOOLEAN) {
        lh_json_verbatim(json, field->default_value, strlen(field->default_value));
    }
    else {
        lh_json_text(json, field->default_value);
    }
}

/* The members of the schema of a field. */
static void write_members(lh_json *json, const lh_field *field, unsigned media)
{
    unsigned also = alternatives(field, media), others = also & ~(unsigned)NULL_VALUE;
    const char *text = description(json->out.pool, field, media);

    if (others) {
        lh_json_key(json, "anyOf");
        lh_json_open(json, '[');
        if (!(also & NOT_ITSELF)) {
            lh_json_open(json, '{');
            write_own(json, field, 0);
            lh_json_close(json, '}');
        }
        write_alternatives(json, field, also);
        lh_json_close(json, ']');
    }
    else {
        write_own(json, field, also != 0);
    }
    if (*text) {
        write_pair(json, "description", text);
    }
    if (field->default_value) {
        write_default(json, field);
    }
}

void lh_schema_field(lh_json *json, const lh_field *field, unsigned media)
{
    lh_json_open(json, '{');
    write_members(json, field, media);
    lh_json_close(json, '}');
}

/* ---- bodies ---- */

static int is_direct(const lh_field *field, const char *prefix)
{
    return !lh_schema_head(field->name + strlen(prefix));
}

/* The required names of the object; a name with an alias is required by `anyOf`. */
static void write_required(lh_json *json, const lh_field *fields, const char *prefix, unsigned media)
{
    const lh_field *field;
    int any = 0;

    for (field = lh_schema_next(fields, prefix); field; field = lh_schema_next(field + 1, prefix)) {
        if ((field->flags & LH_REQUIRED) && is_direct(field, prefix) && !(field->alias && media == LH_JSON)) {
            if (!any) {
                lh_json_key(json, "required");
                lh_json_open(json, '[');
            }
            lh_json_text(json, field->name + strlen(prefix));
            any = 1;
        }
    }
    if (any) {
        lh_json_close(json, ']');
    }
}

static void write_either(lh_json *json, const char *name)
{
    lh_json_open(json, '{');
    lh_json_key(json, "required");
    lh_json_open(json, '[');
    lh_json_text(json, name);
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

/* Of the required fields with an alias, one of the two names. */
static void write_required_aliases(lh_json *json, const lh_field *fields)
{
    for (; fields && fields->name; fields++) {
        if (fields->alias && (fields->flags & LH_REQUIRED)) {
            lh_json_key(json, "anyOf");
            lh_json_open(json, '[');
            write_either(json, fields->name);
            write_either(json, fields->alias);
            lh_json_close(json, ']');
            return;
        }
    }
}

static void write_body(lh_json *json, const lh_field *fields, const char *prefix, unsigned media);

static void write_property(lh_json *json, const lh_field *fields, const lh_field *field, const char *prefix,
                           unsigned media)
{
    const char *name = field->name + strlen(prefix);

    lh_json_key(json, name);
    lh_json_open(json, '{');
    write_members(json, field, media);
    if (field->type == LH_GROUP) {
        write_body(json, fields, apr_pstrcat(json->out.pool, field->name, ".", NULL), media);
    }
    lh_json_close(json, '}');
    if (field->alias && media == LH_JSON) {
        lh_json_key(json, field->alias);
        lh_schema_field(json, field, media);
    }
}

/* `properties` and `required` of the object. */
static void write_body(lh_json *json, const lh_field *fields, const char *prefix, unsigned media)
{
    const lh_field *field;

    lh_json_key(json, "properties");
    lh_json_open(json, '{');
    for (field = lh_schema_next(fields, prefix); field; field = lh_schema_next(field + 1, prefix)) {
        if (is_direct(field, prefix)) {
            write_property(json, fields, field, prefix, media);
        }
        else if (!lh_schema_is_open(fields, field, prefix)) {
            const char *inner = object_prefix(json->out.pool, field, prefix);

            lh_json_key(json,
                        apr_pstrmemdup(json->out.pool, inner + strlen(prefix), strlen(inner) - strlen(prefix) - 1));
            lh_json_open(json, '{');
            write_type(json, "object", 0);
            write_body(json, fields, inner, media);
            lh_json_close(json, '}');
        }
    }
    lh_json_close(json, '}');
    write_required(json, fields, prefix, media);
}

void lh_schema_body(lh_json *json, const lh_field *fields, unsigned media)
{
    lh_json_open(json, '{');
    write_type(json, "object", 0);
    write_body(json, fields, "", media);
    if (media == LH_JSON) {
        write_required_aliases(json, fields);
    }
    lh_json_close(json, '}');
}

/* ---- responses ---- */

static void write_object(lh_json *json, const lh_field *keys, const char *prefix, lh_time_format times, int null);

static void write_value(lh_json *json, const lh_field *key, lh_time_format times)
{
    int null = (key->flags & LH_NULL) != 0;

    if (key->items && key->type == LH_OBJECT) {
        write_object(json, key->items, "", times, null);
    }
    else if (key->items) {
        write_type(json, "array", null);
        lh_json_key(json, "items");
        lh_json_open(json, '{');
        write_object(json, key->items, "", times, 0);
        lh_json_close(json, '}');
    }
    else if (key->type == LH_TIME && times == LH_SECONDS) {
        write_type(json, "string", null);
        write_pair(json, "pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$");
    }
    else if (key->type == LH_STRINGS && (key->flags & LH_COERCE)) {
        lh_json_key(json, "anyOf");
        lh_json_open(json, '[');
        lh_json_open(json, '{');
        write_own(json, key, null);
        lh_json_close(json, '}');
        write_alternative(json, "string", NULL, NULL);
        lh_json_close(json, ']');
    }
    else {
        write_own(json, key, null);
    }
    if (key->note) {
        write_pair(json, "description", key->note);
    }
}

static void write_keys(lh_json *json, const lh_field *keys, const char *prefix, lh_time_format times)
{
    apr_pool_t *p = json->out.pool;
    const lh_field *key;

    for (key = lh_schema_next(keys, prefix); key; key = lh_schema_next(key + 1, prefix)) {
        if (is_direct(key, prefix)) {
            lh_json_key(json, key->name + strlen(prefix));
            lh_json_open(json, '{');
            write_value(json, key, times);
            lh_json_close(json, '}');
        }
        else if (!lh_schema_is_open(keys, key, prefix)) {
            const char *inner = object_prefix(p, key, prefix);

            lh_json_key(json, apr_pstrmemdup(p, inner + strlen(prefix), strlen(inner) - strlen(prefix) - 1));
            lh_json_open(json, '{');
            write_object(json, keys, inner, times, 0);
            lh_json_close(json, '}');
        }
    }
}

/* The members of the schema of the object `prefix`, or of the whole object if that is "". */
static void write_object(lh_json *json, const lh_field *keys, const char *prefix, lh_time_format times, int null)
{
    apr_pool_t *p = json->out.pool;
    const lh_field *key;

    write_type(json, "object", null);
    lh_json_key(json, "properties");
    lh_json_open(json, '{');
    write_keys(json, keys, prefix, times);
    lh_json_close(json, '}');
    lh_json_key(json, "required");
    lh_json_open(json, '[');
    for (key = lh_schema_next(keys, prefix); key; key = lh_schema_next(key + 1, prefix)) {
        const char *name = key->name + strlen(prefix);

        if (is_direct(key, prefix)) {
            lh_json_text(json, name);
        }
        else if (!lh_schema_is_open(keys, key, prefix)) {
            lh_json_text(json, apr_pstrmemdup(p, name, lh_schema_head(name)));
        }
    }
    lh_json_close(json, ']');
}

void lh_schema_object(lh_json *json, const lh_field *keys, lh_time_format times)
{
    lh_json_open(json, '{');
    write_object(json, keys, "", times, 0);
    lh_json_close(json, '}');
}
