/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/example.h"

#include <apr_strings.h>
#include <string.h>

#include "openapi/schema.h"
#include "util/json.h"
#include "util/text.h"

/* ---- values ---- */

/* Values of strings by the last part of their names; others get `by_type`. */
static const struct {
    const char *name, *value;
} by_name[] = {
    {"first_name", "Ada"},
    {"last_name", "King"},
    {"username", "ada"},
    {"email", "ada@example.com"},
    {"password", "correct horse"},
    {"confirm_password", "correct horse"},
    {"re_password", "correct horse"},
    {"current_password", "correct horse"},
    {"new_password", "another horse"},
    {"re_new_password", "another horse"},
    {"message", "How do I store the likes?"},
    {"token_type", "bearer"},
};

static const struct {
    const char *text; /* JSON */
} by_type[] = {
    [LH_STRING] = {"\"text\""},
    [LH_EMAIL] = {"\"ada@example.com\""},
    [LH_INTEGER] = {"1"},
    [LH_BOOLEAN] = {"true"},
    [LH_TIME] = {"\"2030-01-20T16:00:00Z\""},
    [LH_DATE] = {"\"2030-01-20\""},
    [LH_DURATION] = {"\"01:30:00\""},
    [LH_OBJECT_ID] = {"\"6b01d45538cde486e0000015\""},
    [LH_STRINGS] = {"[\"text\"]"},
    [LH_OBJECT] = {"{}"},
    [LH_GROUP] = {"{}"},
    [LH_PHONE] = {"\"+12345678987\""},
    [LH_PHOTO] = {"\"\""},
    [LH_UUID] = {"\"123e4567-e89b-12d3-a456-426614174000\""},
    [LH_NUMBER] = {"1.5"},
    [LH_COLOR] = {"\"#4187a2\""},
    [LH_LIST] = {"[]"},
};

#define TIME_MICROS (APR_INT64_C(1705327200) * APR_USEC_PER_SEC) /* 2024-01-15T14:00:00Z */

static const char *named_value(const char *name)
{
    const char *dot = strrchr(name, '.');
    apr_size_t i;

    for (i = 0; i < sizeof(by_name) / sizeof(by_name[0]); i++) {
        if (!strcmp(by_name[i].name, dot ? dot + 1 : name)) {
            return by_name[i].value;
        }
    }
    return NULL;
}

static int is_text(lh_type type)
{
    return type == LH_STRING || type == LH_EMAIL;
}

static void write_value(lh_json *json, const lh_field *field)
{
    const char *words = field->enum_values, *word, *value = is_text(field->type) ? named_value(field->name) : NULL;
    apr_size_t length = 0;

    word = field->type == LH_STRING ? lh_text_word(&words, &length) : NULL;
    if (word) {
        lh_json_string(json, word, length);
    }
    else if (value) {
        lh_json_text(json, value);
    }
    else if (field->type == LH_INTEGER && (field->default_value || field->min > 1)) {
        lh_json_int(json, field->default_value ? apr_atoi64(field->default_value) : field->min);
    }
    else {
        lh_json_verbatim(json, by_type[field->type].text, strlen(by_type[field->type].text));
    }
}

/* ---- bodies ---- */

/* 1 when the field is left out: files are not part of an example. */
static int is_left_out(const lh_field *field)
{
    return field->type == LH_PHOTO;
}

static void write_input(lh_json *json, const lh_field *field)
{
    if ((field->flags & LH_PAST) && field->type == LH_TIME) {
        lh_json_time(json, TIME_MICROS, LH_SECONDS_Z);
    }
    else if ((field->flags & LH_PAST) && field->type == LH_DATE) {
        lh_json_text(json, "2024-01-15");
    }
    else {
        write_value(json, field);
    }
}

static void write_members(lh_json *json, const lh_field *fields, const char *prefix)
{
    apr_pool_t *p = json->out.pool;
    apr_size_t length = strlen(prefix);
    const lh_field *field;

    for (field = lh_schema_next(fields, prefix); field; field = lh_schema_next(field + 1, prefix)) {
        apr_size_t head = lh_schema_head(field->name + length);

        if (is_left_out(field) || (head && lh_schema_is_open(fields, field, prefix))) {
            continue;
        }
        lh_json_key(json, head ? apr_pstrmemdup(p, field->name + length, head) : field->name + length);
        if (head || field->type == LH_GROUP) {
            lh_json_open(json, '{');
            write_members(
                json, fields,
                apr_pstrcat(p, head ? apr_pstrmemdup(p, field->name, length + head) : field->name, ".", NULL));
            lh_json_close(json, '}');
        }
        else {
            write_input(json, field);
        }
    }
}

void lh_example_body(lh_json *json, const lh_field *fields, unsigned media)
{
    (void)media;
    lh_json_open(json, '{');
    write_members(json, fields, "");
    lh_json_close(json, '}');
}

/* ---- responses ---- */

static void write_keys(lh_json *json, const lh_field *keys, const char *prefix, lh_time_format times)
{
    apr_pool_t *p = json->out.pool;
    apr_size_t length = strlen(prefix);
    const lh_field *key;

    for (key = lh_schema_next(keys, prefix); key; key = lh_schema_next(key + 1, prefix)) {
        apr_size_t head = lh_schema_head(key->name + length);

        if (head && lh_schema_is_open(keys, key, prefix)) {
            continue;
        }
        lh_json_key(json, head ? apr_pstrmemdup(p, key->name + length, head) : key->name + length);
        if (head) {
            lh_json_open(json, '{');
            write_keys(json, keys, apr_pstrcat(p, apr_pstrmemdup(p, key->name, length + head), ".", NULL), times);
            lh_json_close(json, '}');
        }
        else if (key->items) {
            if (key->type != LH_OBJECT) {
                lh_json_open(json, '[');
            }
            lh_example_object(json, key->items, times);
            if (key->type != LH_OBJECT) {
                lh_json_close(json, ']');
            }
        }
        else if (key->type == LH_TIME) {
            lh_json_time(json, TIME_MICROS, times);
        }
        else {
            write_value(json, key);
        }
    }
}

void lh_example_object(lh_json *json, const lh_field *keys, lh_time_format times)
{
    lh_json_open(json, '{');
    write_keys(json, keys, "", times);
    lh_json_close(json, '}');
}
