/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of every type, and what is true for each value that lh_field_check() accepts. */
#ifndef LH_FUZZ_FIELDS_H
#define LH_FUZZ_FIELDS_H

#include <apr_strings.h>
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "http/fields.h"
#include "util/text.h"

#define NOW ((apr_int64_t)1700000000 * APR_USEC_PER_SEC)

/* clang-format off */
static const lh_field fields[] = {
    {.name = "title",    .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 20},
    {.name = "person",   .type = LH_STRING, .flags = LH_NAME, .max = 30},
    {.name = "text",     .type = LH_STRING, .flags = LH_NULL, .max = 1000},
    {.name = "secret",   .type = LH_STRING, .flags = LH_SECRET},
    {.name = "level",    .type = LH_STRING, .enum_values = "easy medium hard", .default_value = "easy"},
    {.name = "team",     .type = LH_STRING, .flags = LH_COERCE, .min = 1, .max = 9},
    {.name = "email",    .type = LH_EMAIL},
    {.name = "count",    .type = LH_INTEGER, .min = -5, .max = 100},
    {.name = "all",      .type = LH_INTEGER, .flags = LH_COERCE, .enum_values = "all"},
    {.name = "limit",    .type = LH_INTEGER, .flags = LH_CLAMP, .min = 1, .max = 100},
    {.name = "on",       .type = LH_BOOLEAN, .flags = LH_COERCE},
    {.name = "at",       .type = LH_TIME, .flags = LH_NULL},
    {.name = "past",     .type = LH_TIME, .flags = LH_PAST},
    {.name = "day",      .type = LH_DATE, .flags = LH_CLEARABLE, .enum_values = "1w 2w"},
    {.name = "took",     .type = LH_DURATION, .flags = LH_COERCE},
    {.name = "oid",      .type = LH_OBJECT_ID},
    {.name = "tags",     .type = LH_STRINGS, .flags = LH_COERCE, .min = 1, .max = 5},
    {.name = "list",     .type = LH_STRINGS},
    {.name = "diagram",  .type = LH_OBJECT},
    {.name = "later",    .type = LH_OBJECT, .flags = LH_DEFERRED | LH_NULL},
    {.name = "a",        .type = LH_GROUP},
    {.name = "a.b",      .type = LH_STRING},
    {.name = "phone",    .type = LH_PHONE, .flags = LH_CLEARABLE},
    {.name = "uuid",     .alias = "id", .type = LH_UUID},
    {.name = "rate",     .type = LH_NUMBER, .min = -3, .max = 100},
    {.name = "color",    .type = LH_COLOR},
    {.name = "photo",    .type = LH_PHOTO, .flags = LH_CLEARABLE},
};
/* clang-format on */

#define FIELDS (int)(sizeof(fields) / sizeof(fields[0]))

static inline int is_listed(const lh_field *field, const char *value)
{
    return field->enum_values && lh_text_listed(field->enum_values, value, strlen(value));
}

static inline void require_strings(const lh_field *field, const char *value)
{
    json_t *array = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
    size_t i;

    if (*value != '[') { /* with LH_COERCE, one string becomes its JSON text */
        array = json_loads(value, JSON_DECODE_ANY, NULL);
        REQUIRE(field->flags & LH_COERCE && json_is_string(array));
    }
    else {
        REQUIRE(json_is_array(array) && (!field->max || (apr_int64_t)json_array_size(array) <= field->max));
        for (i = 0; i < json_array_size(array); i++) {
            REQUIRE(json_is_string(json_array_get(array, i)));
        }
    }
    json_decref(array);
}

static inline void require_string(const lh_field *field, const char *value)
{
    apr_int64_t length = (apr_int64_t)lh_utf8_length(value);
    const char *s;

    REQUIRE(is_listed(field, value) || (length >= field->min && (!field->max || length <= field->max)));
    for (s = value; *s && !(field->flags & LH_SECRET); s++) {
        REQUIRE((unsigned char)*s >= ' ' || (strchr("\t\r\n", *s) && !(field->flags & (LH_TRIM | LH_NAME))));
    }
}

/* What is true for a value that is not empty. */
static inline void require_value(const lh_field *field, const char *value)
{
    apr_int64_t number;

    switch (field->type) {
    case LH_STRING: require_string(field, value); break;
    case LH_INTEGER:
        REQUIRE(is_listed(field, value) || (lh_text_integer(value, &number) && (!field->max || number >= field->min) &&
                                            (!field->max || number <= field->max)));
        break;
    case LH_BOOLEAN: REQUIRE(!strcmp(value, "true") || !strcmp(value, "false")); break;
    case LH_TIME: REQUIRE(lh_text_time(value, &number) && value[strlen(value) - 1] == 'Z'); break;
    case LH_DATE: REQUIRE(is_listed(field, value) || (lh_text_time(value, &number) && strlen(value) == 10)); break;
    case LH_DURATION: REQUIRE(lh_text_integer(value, &number) && number > 0 && number <= 86400); break;
    case LH_NUMBER:
        REQUIRE(lh_text_hundredths(value, &number) && number >= field->min * 100 && number <= field->max * 100);
        break;
    case LH_STRINGS: require_strings(field, value); break;
    case LH_PHONE: REQUIRE(*value == '+' && strlen(value) <= 16 && strspn(value + 1, "0123456789") >= 8); break;
    case LH_EMAIL: REQUIRE(strlen(value) <= 254 && strpbrk(value, " \r\n") == NULL); break;
    default: break;
    }
}

/* Checks the input against its field; returns the value, or NULL. */
static inline const char *require_field(apr_pool_t *p, const lh_field *field, const lh_input *input, int untyped)
{
    const unsigned unlike = 1u << LH_STRINGS | 1u << LH_OBJECT | 1u << LH_GROUP | 1u << LH_PHOTO | 1u << LH_DURATION;
    const char *value, *again, *why = lh_field_check(p, field, input, untyped, NOW, &value);
    lh_input same = {LH_INPUT_STRING, value, 0};

    if (why) { /* a time keeps its value although it has passed: see check_time() */
        REQUIRE((!value || field->type == LH_TIME) && lh_utf8_valid(why, strlen(why)) && strlen(why) < 500);
        return NULL;
    }
    if (!value || !*value) {
        return value;
    }
    REQUIRE(field->type == LH_OBJECT || lh_utf8_valid(value, strlen(value))); /* objects are validated later */
    require_value(field, value);
    if (!(unlike & 1u << field->type)) { /* the value is valid input as well, and does not change */
        REQUIRE(!lh_field_check(p, field, &same, 1, NOW, &again) && !strcmp(value, again));
    }
    return value;
}

#endif
