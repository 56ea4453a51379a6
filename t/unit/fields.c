/* SPDX-License-Identifier: Apache-2.0 */
/* Validation of one value by its field: typed input, as in JSON, and untyped input, as in queries and forms. */
#include "http/fields.h"

#include <apr_strings.h>

#include "tap.h"

#define NOW ((apr_int64_t)1700000000 * APR_USEC_PER_SEC)

/* clang-format off */
#define ABSENT {LH_INPUT_ABSENT, NULL, 0}
#define NIL {LH_INPUT_NULL, NULL, 0}
#define STRING(t) {LH_INPUT_STRING, t, 0}
#define INT(n) {LH_INPUT_INTEGER, NULL, n}
#define BOOL(n) {LH_INPUT_BOOLEAN, NULL, n}
#define NUMBER(t) {LH_INPUT_NUMBER, t, 0}
#define STRINGS(t, n) {LH_INPUT_STRINGS, t, n}
#define OBJECT(t) {LH_INPUT_OBJECT, t, 0}
#define FILE_OF(bytes) {LH_INPUT_FILE, bytes, sizeof(bytes) - 1}
#define CONFLICT {LH_INPUT_CONFLICT, NULL, 0}
#define OTHER {LH_INPUT_OTHER, NULL, 0}
/* clang-format on */

#define GIF "GIF89a\1\0\1\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\1\xAB\0;"

static const lh_field title = {.name = "title", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 3};
static const lh_field person = {.name = "person", .type = LH_STRING, .flags = LH_NAME};
static const lh_field prose = {.name = "prose", .type = LH_STRING, .min = 1, .max = 10};
static const lh_field secret = {.name = "secret", .type = LH_STRING, .flags = LH_SECRET};
static const lh_field nullable = {.name = "nullable", .type = LH_STRING, .flags = LH_NULL};
static const lh_field emptiable = {
    .name = "emptiable", .type = LH_STRING, .flags = LH_EMPTY, .min = 1, .enum_values = "a b", .default_value = "b"};
static const lh_field choice = {
    .name = "choice", .type = LH_STRING, .enum_values = "easy hard", .default_value = "easy"};
static const lh_field number = {.name = "number", .type = LH_INTEGER, .min = 2, .max = 20};
static const lh_field coerced = {.name = "coerced", .type = LH_INTEGER, .flags = LH_COERCE, .min = 1, .max = 9};
static const lh_field clamped = {.name = "clamped", .type = LH_INTEGER, .flags = LH_CLAMP, .min = 1, .max = 100};
static const lh_field flag = {.name = "flag", .type = LH_BOOLEAN};
static const lh_field coerced_flag = {.name = "coerced_flag", .type = LH_BOOLEAN, .flags = LH_COERCE};
static const lh_field future = {.name = "future", .type = LH_TIME, .flags = LH_FUTURE};
static const lh_field email = {.name = "email", .type = LH_EMAIL};
static const lh_field phone = {.name = "phone", .type = LH_PHONE, .flags = LH_CLEARABLE};
static const lh_field plain_phone = {.name = "plain_phone", .type = LH_PHONE};
static const lh_field photo = {.name = "photo", .type = LH_PHOTO, .flags = LH_CLEARABLE};
static const lh_field plain_photo = {.name = "plain_photo", .type = LH_PHOTO};
static const lh_field oid = {.name = "oid", .type = LH_OBJECT_ID};
static const lh_field past = {.name = "past", .type = LH_TIME, .flags = LH_PAST};
static const lh_field day = {.name = "day", .type = LH_DATE, .flags = LH_CLEARABLE, .enum_values = "1w 2w"};
static const lh_field past_day = {.name = "past_day", .type = LH_DATE, .flags = LH_PAST}; /* NOW is on 2023-11-14 */
static const lh_field plain_day = {.name = "plain_day", .type = LH_DATE};
static const lh_field counted = {.name = "counted", .type = LH_INTEGER, .max = APR_INT64_MAX, .enum_values = "all"};
static const lh_field duration = {.name = "duration", .type = LH_DURATION};
static const lh_field short_duration = {.name = "duration", .type = LH_DURATION, .flags = LH_COERCE};
static const lh_field coerced_strings = {.name = "coerced_strings", .type = LH_STRINGS, .flags = LH_COERCE};
static const lh_field strings = {.name = "strings", .type = LH_STRINGS, .min = 1, .max = 2};
static const lh_field nullable_strings = {.name = "nullable_strings", .type = LH_STRINGS, .flags = LH_NULL};
static const lh_field group = {.name = "group", .type = LH_GROUP};
static const lh_field object = {.name = "object", .type = LH_OBJECT};
static const lh_field aliased = {.name = "aliased", .alias = "other", .type = LH_UUID, .flags = LH_NULL};
static const lh_field uuid = {.name = "uuid", .type = LH_UUID};
static const lh_field color = {.name = "color", .type = LH_COLOR};
static const lh_field rate = {.name = "rate", .type = LH_NUMBER, .max = 100};
static const lh_field coerced_string = {
    .name = "coerced_string", .type = LH_STRING, .flags = LH_COERCE, .min = 1, .max = 3};

static const struct {
    const lh_field *field;
    lh_input input;
    int untyped;
    const char *value;
    const char *sentence; /* a part of the error; NULL: the input is valid */
} cases[] = {
    {&title, STRING(" ab "), 0, "ab", NULL},
    {&title, STRING("\xc3\xa9\xc3\xa9\xc3\xa9"), 0, "\xc3\xa9\xc3\xa9\xc3\xa9", NULL},
    {&title,
     STRING("a\xe2\x80\x8d"
            "b"),
     0,
     "a\xe2\x80\x8d"
     "b",
     NULL},
    {&title, STRING("a\xe2\x80\xae"), 0, NULL, "control characters"},
    {&person, STRING(" Ada King "), 0, "Ada King", NULL},
    {&person,
     STRING("a\xe2\x80\x8d"
            "b"),
     0, NULL, "invisible characters"},
    {&person,
     STRING("a\xc2\xad"
            "b"),
     0, NULL, "invisible characters"},
    {&person, STRING("a\x7F"), 0, NULL, "control characters"},
    {&title, STRING("abcd"), 0, NULL, "1 to 3 characters"},
    {&title, STRING("  "), 0, NULL, "1 to 3 characters"},
    {&title, ABSENT, 0, NULL, "required"},
    {&title, NIL, 0, NULL, "may not be null"},
    {&title, INT(5), 0, NULL, "a string"},
    {&title, OTHER, 0, NULL, "a string"},
    {&prose, STRING("a\t\r\n\xc2\x80z"), 0, "a\t\r\n\xc2\x80z", NULL},
    {&prose, STRING("a\001"), 0, NULL, "other than tabs and line breaks"},
    {&prose, STRING("\037"), 1, NULL, "other than tabs and line breaks"},
    {&prose, STRING("a\x7f"), 0, NULL, "other than tabs and line breaks"},
    {&prose, STRING("a\b"), 0, NULL, "other than tabs and line breaks"},
    {&prose, STRING("a\f"), 0, NULL, "other than tabs and line breaks"},
    {&secret, STRING("a\001"), 0, "a\001", NULL},
    {&nullable, NIL, 0, NULL, NULL},
    {&nullable, ABSENT, 0, NULL, NULL},
    {&nullable, STRING(""), 0, "", NULL},
    {&emptiable, STRING(""), 0, "b", NULL},
    {&emptiable, STRING("a"), 0, "a", NULL},
    {&emptiable, STRING(" "), 0, NULL, "one of: a, b."},
    {&emptiable, NIL, 0, NULL, "may not be null"},
    {&choice, STRING(""), 0, NULL, "one of: easy, hard."},
    {&choice, STRING("hard"), 0, "hard", NULL},
    {&choice, ABSENT, 0, "easy", NULL},
    {&choice, STRING("har"), 0, NULL, "one of: easy, hard."},
    {&choice, STRING("easy hard"), 0, NULL, "one of"},
    {&number, INT(2), 0, "2", NULL},
    {&number, INT(20), 0, "20", NULL},
    {&number, INT(21), 0, NULL, "from 2 to 20"},
    {&number, STRING("5"), 0, NULL, "from 2 to 20"},
    {&number, STRING("5"), 1, "5", NULL},
    {&number, STRING("5.0"), 1, NULL, "from 2 to 20"},
    {&number, BOOL(1), 0, NULL, "from 2 to 20"},
    {&number, OTHER, 0, NULL, "from 2 to 20"},
    {&coerced, STRING("4"), 0, "4", NULL},
    {&coerced, STRING("four"), 0, NULL, "from 1 to 9"},
    {&clamped, INT(500), 0, "100", NULL},
    {&clamped, INT(0), 0, NULL, "of at least 1"},
    {&flag, BOOL(1), 0, "true", NULL},
    {&flag, BOOL(0), 0, "false", NULL},
    {&flag, STRING("true"), 0, NULL, "true or false"},
    {&flag, INT(1), 0, NULL, "true or false"},
    {&flag, STRING("True"), 1, "true", NULL},
    {&coerced_flag, STRING("True"), 0, "true", NULL},
    {&coerced_flag, STRING("0"), 0, "false", NULL},
    {&coerced_flag, INT(1), 0, "true", NULL},
    {&coerced_flag, INT(2), 0, NULL, "true or false"},
    {&coerced_flag, STRING("yes"), 0, NULL, "true or false"},
    {&future, STRING("2030-01-01T01:00:00+01:00"), 0, "2030-01-01T00:00:00Z", NULL},
    {&future, STRING("2020-01-01"), 0, "2020-01-01T00:00:00Z", "in the future"},
    {&future, STRING("soon"), 0, NULL, "ISO 8601"},
    {&future, INT(5), 0, NULL, "ISO 8601"},
    {&email, STRING(" a@b.de "), 0, "a@b.de", NULL},
    {&email, STRING("a"), 0, NULL, "e-mail"},
    {&email, STRING("a\xe2\x80\x8d@b.de"), 0, NULL, "e-mail"},
    {&email,
     STRING("a\xc2\xa0"
            "b@b.de"),
     0, NULL, "e-mail"},
    {&email, INT(1), 0, NULL, "e-mail"},
    {&oid, STRING("507f1f77bcf86cd799439011"), 0, "507f1f77bcf86cd799439011", NULL},
    {&oid, STRING("507"), 0, NULL, "24 hex"},
    {&past, STRING("2020-01-01"), 0, "2020-01-01T00:00:00Z", NULL},
    {&past, STRING("2030-01-01"), 0, "2030-01-01T00:00:00Z", "may not be in the future"},
    {&day, STRING("2024-02-29"), 0, "2024-02-29", NULL},
    {&day, STRING("2024-02-29T23:30:00-01:00"), 0, "2024-03-01", NULL},
    {&day, STRING("2024-02-29 10:00"), 1, "2024-02-29", NULL},
    {&day, STRING("0001-01-01"), 0, "0001-01-01", NULL},
    {&day, STRING("1w"), 0, "1w", NULL},
    {&day, STRING("2w"), 1, "2w", NULL},
    {&day, STRING("1w 2w"), 0, NULL, "2024-01-15, or one of: 1w, 2w."},
    {&day, STRING("3w"), 0, NULL, "2024-01-15, or one of: 1w, 2w."},
    {&day, STRING("2023-02-29"), 0, NULL, "a date"},
    {&day, STRING(""), 0, "", NULL},
    {&day, NIL, 0, "", NULL},
    {&day, ABSENT, 0, NULL, NULL},
    {&day, INT(20240229), 0, NULL, "a date"},
    {&past_day, STRING("0001-01-01"), 0, "0001-01-01", NULL},
    {&past_day, STRING("2023-11-14"), 0, "2023-11-14", NULL},
    {&past_day, STRING("2023-11-15"), 0, "2023-11-15", NULL},
    {&past_day, STRING("2023-11-15T23:59:59.999999Z"), 0, "2023-11-15", NULL},
    {&past_day, STRING("2023-11-16"), 0, NULL, "tomorrow (UTC)"},
    {&past_day, STRING("2023-11-15T23:59:59-00:01"), 0, NULL, "tomorrow (UTC)"},
    {&plain_day, STRING("2040-01-01"), 0, "2040-01-01", NULL},
    {&plain_day, STRING("1w"), 0, NULL, "2024-01-15."},
    {&plain_day, STRING(""), 0, NULL, "a date"},
    {&counted, STRING("all"), 1, "all", NULL},
    {&counted, STRING("12"), 1, "12", NULL},
    {&counted, STRING("ALL"), 1, NULL, "of at least 0, or one of: all."},
    {&counted, STRING(""), 1, NULL, "of at least 0, or one of: all."},
    {&duration, STRING("01:30:00"), 0, "5400", NULL},
    {&duration, STRING("24:00:00"), 0, "86400", NULL},
    {&duration, STRING("00:00:01"), 0, "1", NULL},
    {&duration, STRING("24:00:01"), 0, NULL, "HH:MM:SS"},
    {&duration, STRING("00:00:00"), 0, NULL, "HH:MM:SS"},
    {&duration, STRING("1:30:00"), 0, NULL, "HH:MM:SS"},
    {&short_duration, STRING("1:30:00"), 0, "5400", NULL},
    {&short_duration, STRING("01:30:00"), 0, "5400", NULL},
    {&short_duration, STRING("0:00:00"), 0, NULL, "HH:MM:SS"},
    {&short_duration, STRING("1:3:00"), 0, NULL, "HH:MM:SS"},
    {&short_duration, STRING("-:30:00"), 0, NULL, "HH:MM:SS"},
    {&short_duration, STRING(":30:00"), 0, NULL, "HH:MM:SS"},
    {&short_duration, STRING(""), 0, NULL, "HH:MM:SS"},
    {&duration, STRING("01:60:00"), 0, NULL, "HH:MM:SS"},
    {&duration, STRING("01:00:60"), 0, NULL, "HH:MM:SS"},
    {&duration, STRING("01:00:00.5"), 0, NULL, "HH:MM:SS"},
    {&duration, STRING("-1:00:00"), 0, NULL, "HH:MM:SS"},
    {&duration, STRING(""), 0, NULL, "HH:MM:SS"},
    {&duration, INT(90), 0, NULL, "HH:MM:SS"},
    {&coerced_strings, STRING("C, \"Go\""), 0, "\"C, \\\"Go\\\"\"", NULL},
    {&coerced_strings, STRINGS("[\"C\"]", 1), 0, "[\"C\"]", NULL},
    {&coerced_strings, OTHER, 0, NULL, "a string or an array"},
    {&strings, STRINGS("[\"a\\t\\n\\r\\\\u\\\"\"]", 1), 0, "[\"a\\t\\n\\r\\\\u\\\"\"]", NULL},
    {&strings, STRINGS("[\"a\",\"\\u0001\"]", 2), 0, NULL, "other than tabs and line breaks"},
    {&strings, STRINGS("[\"\\b\"]", 1), 0, NULL, "other than tabs and line breaks"},
    {&strings, STRINGS("[\"\\f\"]", 1), 0, NULL, "other than tabs and line breaks"},
    {&strings, STRINGS("[\"\x7f\"]", 1), 0, NULL, "other than tabs and line breaks"},
    {&coerced_strings, STRING("a\001"), 0, NULL, "other than tabs and line breaks"},
    {&strings, STRINGS("[\"a\"]", 1), 0, "[\"a\"]", NULL},
    {&strings, STRINGS("[\"a\",\"b\",\"c\"]", 3), 0, NULL, "1 to 2 entries"},
    {&strings, STRINGS("[]", 0), 0, NULL, "1 to 2 entries"},
    {&nullable_strings, STRINGS("[]", 0), 0, "[]", NULL},
    {&nullable_strings, NIL, 0, NULL, NULL},
    {&nullable_strings, STRING("a"), 0, NULL, "array of strings"},
    {&nullable_strings, OTHER, 0, NULL, "array of strings"},
    {&nullable_strings, OBJECT("{}"), 0, NULL, "array of strings"},
    {&object, OBJECT("{\"a\":1.50}"), 0, "{\"a\":1.50}", NULL},
    {&object, OBJECT(NULL), 0, NULL, "without escapes"},
    {&group, OBJECT(NULL), 0, "true", NULL},
    {&group, STRING("x"), 0, NULL, "an object"},
    {&group, ABSENT, 0, NULL, NULL},
    {&object, STRINGS("[]", 0), 0, NULL, "an object"},
    {&object, STRING("{}"), 0, NULL, "an object"},
    {&object, NIL, 0, NULL, "may not be null"},
    {&aliased, CONFLICT, 0, NULL, "This and other are the same field"},
    {&phone, STRING("+12345678"), 0, "+12345678", NULL},
    {&phone, STRING(" +123456789012345 "), 1, "+123456789012345", NULL},
    {&phone, STRING("+1234567"), 0, NULL, "phone number"},
    {&phone, STRING("+1234567890123456"), 0, NULL, "phone number"},
    {&phone, STRING("+02345678"), 0, NULL, "phone number"},
    {&phone, STRING("12345678"), 0, NULL, "phone number"},
    {&phone, STRING("+1(919) 555-9999"), 0, "+19195559999", NULL},
    {&phone, STRING("(+49) 151.123-456.78 "), 1, "+4915112345678", NULL},
    {&phone, STRING("+49 (0)151 12345678"), 0, "+49015112345678", NULL},
    {&phone, STRING("+1-2-3-4-5-6-7-8-9-0-1-2-3-4-5 ().-"), 0, "+123456789012345", NULL},
    {&phone, STRING("+1 234 567"), 0, NULL, "phone number"},
    {&phone, STRING("+123456789012345-6"), 0, NULL, "phone number"},
    {&phone, STRING("+123456789012345 x"), 0, NULL, "phone number"},
    {&phone, STRING("+(0)2345678"), 0, NULL, "phone number"},
    {&phone, STRING("+1234/5678"), 0, NULL, "phone number"},
    {&phone, STRING("+1234\t5678"), 0, NULL, "phone number"},
    {&phone, STRING("++12345678"), 0, NULL, "phone number"},
    {&phone, STRING("(919) 555-9999"), 0, NULL, "phone number"},
    {&phone, STRING("-"), 0, NULL, "phone number"},
    {&phone, STRING("+12345678x"), 0, NULL, "phone number"},
    {&phone, STRING("+"), 0, NULL, "phone number"},
    {&phone, INT(12345678), 0, NULL, "phone number"},
    {&phone, STRING(""), 1, "", NULL},
    {&phone, NIL, 0, "", NULL},
    {&phone, ABSENT, 0, NULL, NULL},
    {&plain_phone, NIL, 0, NULL, "may not be null"},
    {&plain_phone, STRING(""), 0, NULL, "phone number"},
    {&photo, FILE_OF(GIF), 1, "474946383961010001000000002c0000000001000100000201ab003b", NULL},
    {&photo, FILE_OF("GIF89a"), 1, NULL, "JPEG, PNG, WebP or GIF"},
    {&photo, FILE_OF(""), 1, NULL, "JPEG, PNG, WebP or GIF"},
    {&photo, STRING("photo.png"), 1, NULL, "multipart/form-data; null"},
    {&photo, BOOL(1), 0, NULL, "multipart/form-data; null"},
    {&photo, STRING(""), 1, "", NULL},
    {&photo, STRING(""), 0, NULL, "multipart/form-data; null"},
    {&photo, NIL, 0, "", NULL},
    {&photo, ABSENT, 1, NULL, NULL},
    {&plain_photo, STRING("photo.png"), 0, NULL, "multipart/form-data."},
    {&plain_photo, NIL, 0, NULL, "may not be null"},
    {&title, FILE_OF(GIF), 1, NULL, "a string"},
    {&flag, FILE_OF("true"), 1, NULL, "true or false"},
    {&number, FILE_OF("5"), 1, NULL, "from 2 to 20"},
    {&uuid, STRING("123e4567-e89b-12d3-a456-426614174000"), 0, "123e4567-e89b-12d3-a456-426614174000", NULL},
    {&uuid, STRING("123e4567e89b12d3a456426614174000"), 0, NULL, "UUID"},
    {&uuid, INT(5), 0, NULL, "UUID"},
    {&color, STRING("#4187A2"), 0, "#4187A2", NULL},
    {&color, STRING("#4187a"), 0, NULL, "#4187a2"},
    {&color, STRING("4187a2"), 0, NULL, "#4187a2"},
    {&color, STRING("#4187ag"), 0, NULL, "#4187a2"},
    {&color, INT(4187), 0, NULL, "#4187a2"},
    {&rate, INT(0), 0, "0", NULL},
    {&rate, INT(100), 0, "100", NULL},
    {&rate, INT(101), 0, NULL, "from 0 to 100 with at most two decimals"},
    {&rate, INT(-1), 0, NULL, "from 0 to 100"},
    {&rate, NUMBER("0.1"), 0, "0.1", NULL},
    {&rate, NUMBER("99.99"), 0, "99.99", NULL},
    {&rate, NUMBER("0.125"), 0, NULL, "two decimals"},
    {&rate, NUMBER("100.01"), 0, NULL, "from 0 to 100"},
    {&rate, NUMBER("-0.01"), 0, NULL, "from 0 to 100"},
    {&rate, NUMBER("1e-05"), 0, NULL, "two decimals"},
    {&rate, NUMBER("1e+20"), 0, NULL, "from 0 to 100"},
    {&rate, STRING("0.5"), 0, NULL, "a number"},
    {&rate, STRING("0.5"), 1, "0.5", NULL},
    {&rate, BOOL(1), 0, NULL, "a number"},
    {&rate, OTHER, 0, NULL, "a number"},
    {&number, NUMBER("5.5"), 0, NULL, "from 2 to 20"},
    {&coerced_string, INT(42), 0, "42", NULL},
    {&coerced_string, INT(4200), 0, NULL, "1 to 3 characters"},
    {&coerced_string, BOOL(1), 0, NULL, "a string"},
};

/* The kind of an input, and its text or number. */
static const char *describe(const lh_input *input, int untyped)
{
    static const char *const kinds[] = {
        [LH_INPUT_ABSENT] = "absent",   [LH_INPUT_NULL] = "null",       [LH_INPUT_STRING] = "string",
        [LH_INPUT_INTEGER] = "integer", [LH_INPUT_BOOLEAN] = "boolean", [LH_INPUT_STRINGS] = "array",
        [LH_INPUT_OBJECT] = "object",   [LH_INPUT_FILE] = "file",       [LH_INPUT_NUMBER] = "number",
        [LH_INPUT_OTHER] = "other"};
    int numeric = input->kind == LH_INPUT_INTEGER || input->kind == LH_INPUT_BOOLEAN || input->kind == LH_INPUT_FILE;
    const char *text = numeric       ? apr_psprintf(tap_pool, " %d", (int)input->number)
                       : input->text ? apr_psprintf(tap_pool, " \"%s\"", input->text)
                                     : "";

    return apr_psprintf(tap_pool, "%s%s%s", untyped ? "untyped " : "", kinds[input->kind], text);
}

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *value = "untouched";
        const char *why = lh_field_check(tap_pool, cases[i].field, &cases[i].input, cases[i].untyped, NOW, &value);
        const char *name =
            apr_psprintf(tap_pool, "field %s, %s", cases[i].field->name, describe(&cases[i].input, cases[i].untyped));

        ok(cases[i].sentence ? why && strstr(why, cases[i].sentence) : !why, "%s: %s", name, why ? why : "valid");
        is_str(value, cases[i].value, apr_pstrcat(tap_pool, name, ": value", NULL));
    }
    return tap_end();
}
