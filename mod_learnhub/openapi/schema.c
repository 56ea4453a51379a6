/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/schema.h"

#include <apr_strings.h>
#include <string.h>

#include "openapi/example.h"
#include "openapi/put.h"
#include "openapi/type.h"
#include "util/text.h"

/* ---- values ---- */

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
    /* null under one of two names is the same as absent. */
    if ((field->flags & (LH_NULL | LH_CLEARABLE)) || field->alias) {
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
        lh_put_int(json, "minLength", field->min);
    }
    if (field->max) {
        lh_put_int(json, "maxLength", field->max);
    }
    if (field->flags & LH_SECRET) {
        lh_put_text(json, "format", "password");
    }
}

static void write_range(lh_json *json, const lh_field *field)
{
    int limited = field->min || field->max || field->type == LH_NUMBER;

    if (limited) {
        lh_put_int(json, "minimum", field->min);
    }
    if (limited && field->max != APR_INT64_MAX && !(field->flags & LH_CLAMP)) {
        lh_put_int(json, "maximum", field->max);
    }
}

static void write_strings(lh_json *json, const lh_field *field)
{
    lh_json_key(json, "items");
    lh_json_open(json, '{');
    lh_type_name(json, "string", 0);
    lh_json_close(json, '}');
    if (field->min) {
        lh_put_int(json, "minItems", field->min);
    }
    if (field->max) {
        lh_put_int(json, "maxItems", field->max);
    }
}

#define LESS_THAN_A_DAY(hours) "^(?!0?0:00:00)((" hours "|2[0-3]):[0-5][0-9]:[0-5][0-9]|24:00:00)$"
#define PHONE_MARKS "[ .()-]*"

/* The pattern of a type of which requests may have other values than responses; NULL: none. */
static const char *own_pattern(const lh_field *field)
{
    if (field->type == LH_DURATION) {
        return field->flags & LH_COERCE ? LESS_THAN_A_DAY("[01]?[0-9]") : LESS_THAN_A_DAY("[01][0-9]");
    }
    return field->type == LH_PHONE ? "^" PHONE_MARKS "\\+" PHONE_MARKS "[1-9](" PHONE_MARKS "[0-9]){7,14}" PHONE_MARKS
                                     "$"
                                   : NULL;
}

/* The members of the schema for the field's own type. */
static void write_own(lh_json *json, const lh_field *field, int null)
{
    const char *pattern = own_pattern(field);

    if (pattern) {
        lh_type_name(json, "string", null);
        lh_put_text(json, "pattern", pattern);
        return;
    }
    lh_type_write(json, field->type, null);
    switch (field->type) {
    case LH_STRING:
        if (field->enum_values) {
            lh_type_words(json, field->enum_values, null, 0);
        }
        else {
            write_string_limits(json, field);
        }
        break;
    case LH_EMAIL: lh_put_int(json, "maxLength", 254); break;
    case LH_INTEGER:
    case LH_NUMBER: write_range(json, field); break;
    case LH_STRINGS: write_strings(json, field); break;
    default: break;
    }
}

#define BOOLEAN_TEXT "^([Tt][Rr][Uu][Ee]|[Ff][Aa][Ll][Ss][Ee]|0|1)$"

static void write_alternatives(lh_json *json, const lh_field *field, unsigned also)
{
    if (also & WORDS) {
        lh_json_open(json, '{');
        lh_type_name(json, "string", 0);
        lh_type_words(json, field->enum_values, 0, 0);
        lh_json_close(json, '}');
    }
    if (also & NUMBER_TEXT) {
        lh_type_alternative(json, "string", "pattern", field->type == LH_BOOLEAN ? BOOLEAN_TEXT : "^-?[0-9]+$");
    }
    if (also & BIT) {
        lh_json_open(json, '{');
        lh_type_name(json, "integer", 0);
        lh_put_int(json, "minimum", 0);
        lh_put_int(json, "maximum", 1);
        lh_json_close(json, '}');
    }
    if (also & INTEGER) {
        lh_type_alternative(json, "integer", NULL, NULL);
    }
    if (also & ONE_TEXT) {
        lh_type_alternative(json, "string", NULL, NULL);
    }
    if (also & EMPTY_TEXT) {
        lh_type_alternative(json, "string", "const", "");
    }
    if (also & NULL_VALUE) {
        lh_type_alternative(json, "null", NULL, NULL);
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

    if (also == (NOT_ITSELF | NULL_VALUE)) {
        lh_type_name(json, "null", 0);
    }
    else if (others) {
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
        lh_put_text(json, "description", text);
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

/* Of the fields that are required, those with another name are not in `required`, but in `anyOf`. */
static void write_required(lh_json *json, const lh_field *fields, const char *prefix, unsigned media)
{
    const lh_field *field;
    int any = 0;

    for (field = lh_type_next(fields, prefix); field; field = lh_type_next(field + 1, prefix)) {
        if (!(field->flags & LH_REQUIRED) || lh_type_head(field, prefix) || (field->alias && media == LH_JSON)) {
            continue;
        }
        if (!any) {
            lh_put_array(json, "required");
        }
        any = 1;
        lh_json_text(json, field->name + strlen(prefix));
    }
    if (any) {
        lh_json_close(json, ']');
    }
}

static void write_required_name(lh_json *json, const char *name)
{
    lh_json_open(json, '{');
    lh_put_array(json, "required");
    lh_json_text(json, name);
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

/* One of the fields in `either`, and one of the two names of each required field that has two. */
static void write_alternatives_of_names(lh_json *json, const lh_field *fields, const char *either)
{
    const char *word;
    apr_size_t length;
    int any = 0;

    if (either) {
        lh_put_array(json, "anyOf");
        while ((word = lh_text_word(&either, &length))) {
            write_required_name(json, apr_pstrmemdup(json->out.pool, word, length));
        }
        lh_json_close(json, ']');
    }
    for (; fields->name; fields++) {
        if (!fields->alias || !(fields->flags & LH_REQUIRED)) {
            continue;
        }
        if (!any) {
            lh_put_array(json, "allOf");
        }
        any = 1;
        lh_json_open(json, '{');
        lh_put_array(json, "anyOf");
        write_required_name(json, fields->name);
        write_required_name(json, fields->alias);
        lh_json_close(json, ']');
        lh_json_close(json, '}');
    }
    if (any) {
        lh_json_close(json, ']');
    }
}

static void write_object(lh_json *json, const lh_field *fields, const char *prefix, unsigned media);

static void write_property(lh_json *json, const lh_field *fields, const lh_field *field, const char *prefix,
                           unsigned media)
{
    apr_pool_t *p = json->out.pool;

    lh_put_object(json, lh_type_key(p, field, prefix));
    if (lh_type_head(field, prefix)) {
        lh_type_name(json, "object", 0);
    }
    else {
        write_members(json, field, media);
    }
    if (lh_type_head(field, prefix) || field->type == LH_GROUP) {
        write_object(json, fields, lh_type_prefix(p, field, prefix), media);
    }
    lh_json_close(json, '}');
    if (field->alias && media == LH_JSON) {
        lh_json_key(json, field->alias);
        lh_schema_field(json, field, media);
    }
}

/* `properties` and `required` of an object. */
static void write_object(lh_json *json, const lh_field *fields, const char *prefix, unsigned media)
{
    const lh_field *field;

    lh_put_object(json, "properties");
    for (field = lh_type_next(fields, prefix); field; field = lh_type_next(field + 1, prefix)) {
        if (!lh_type_is_repeated(fields, field, prefix)) {
            write_property(json, fields, field, prefix, media);
        }
    }
    lh_json_close(json, '}');
    write_required(json, fields, prefix, media);
}

void lh_schema_body(lh_json *json, const lh_route *route, unsigned media)
{
    lh_json_open(json, '{');
    lh_type_name(json, "object", 0);
    write_object(json, route->body, "", media);
    if (media == LH_JSON) {
        write_alternatives_of_names(json, route->body, route->either);
    }
    lh_json_close(json, '}');
}

/* ---- examples ---- */

/* Files are not part of an example. */
static int is_left_out(const lh_field *field)
{
    return field->type == LH_PHOTO || (field->example && !*field->example);
}

static void write_example(lh_json *json, const lh_field *fields, const char *prefix)
{
    apr_pool_t *p = json->out.pool;
    const lh_field *field;

    lh_json_open(json, '{');
    for (field = lh_type_next(fields, prefix); field; field = lh_type_next(field + 1, prefix)) {
        if (is_left_out(field) || lh_type_is_repeated(fields, field, prefix)) {
            continue;
        }
        lh_json_key(json, lh_type_key(p, field, prefix));
        if (lh_type_head(field, prefix) || field->type == LH_GROUP) {
            write_example(json, fields, lh_type_prefix(p, field, prefix));
        }
        else {
            lh_example_value(json, field, LH_SECONDS_Z);
        }
    }
    lh_json_close(json, '}');
}

void lh_schema_example(lh_json *json, const lh_field *fields)
{
    write_example(json, fields, "");
}
