/* SPDX-License-Identifier: Apache-2.0 */
/* One value against its field: the same rules for JSON, where types count, and for text, where they cannot. */
#include "http/fields.h"

#include <apr_strings.h>

#include "tap.h"

#define NOW ((apr_int64_t)1700000000 * APR_USEC_PER_SEC)
#define NOTHING                                                                                                        \
    {                                                                                                                  \
        LH_INPUT_ABSENT, NULL, 0                                                                                       \
    }
#define NIL                                                                                                            \
    {                                                                                                                  \
        LH_INPUT_NULL, NULL, 0                                                                                         \
    }
#define TEXT(t)                                                                                                        \
    {                                                                                                                  \
        LH_INPUT_STRING, t, 0                                                                                          \
    }
#define INT(n)                                                                                                         \
    {                                                                                                                  \
        LH_INPUT_INTEGER, NULL, n                                                                                      \
    }
#define BOOL(n)                                                                                                        \
    {                                                                                                                  \
        LH_INPUT_BOOLEAN, NULL, n                                                                                      \
    }
#define FILE_OF(bytes)                                                                                                 \
    {                                                                                                                  \
        LH_INPUT_FILE, bytes, sizeof(bytes) - 1                                                                        \
    }
#define GIF "GIF89a\1\0\1\0\0\0\0\x2C\xAB"
#define NUMBER(t)                                                                                                      \
    {                                                                                                                  \
        LH_INPUT_NUMBER, t, 0                                                                                          \
    }
#define OTHER                                                                                                          \
    {                                                                                                                  \
        LH_INPUT_OTHER, NULL, 0                                                                                        \
    }

#define TEXTS(t, n)                                                                                                    \
    {                                                                                                                  \
        LH_INPUT_STRINGS, t, n                                                                                         \
    }
#define OBJECT(t)                                                                                                      \
    {                                                                                                                  \
        LH_INPUT_OBJECT, t, 0                                                                                          \
    }

static const lh_field title = {.name = "t", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 3};
static const lh_field free_text = {.name = "t", .type = LH_STRING, .flags = LH_NULL};
static const lh_field word = {.name = "t", .type = LH_STRING, .enum_values = "easy hard", .default_value = "easy"};
static const lh_field number = {.name = "t", .type = LH_INTEGER, .min = 2, .max = 20};
static const lh_field loose = {.name = "t", .type = LH_INTEGER, .flags = LH_COERCE, .min = 1, .max = 9};
static const lh_field clamped = {.name = "t", .type = LH_INTEGER, .flags = LH_CLAMP, .min = 1, .max = 100};
static const lh_field flag = {.name = "t", .type = LH_BOOLEAN};
static const lh_field loose_flag = {.name = "t", .type = LH_BOOLEAN, .flags = LH_COERCE};
static const lh_field moment = {.name = "t", .type = LH_TIME, .flags = LH_FUTURE};
static const lh_field mail = {.name = "t", .type = LH_EMAIL};
static const lh_field phone = {.name = "t", .type = LH_PHONE, .flags = LH_CLEARABLE};
static const lh_field fixed_phone = {.name = "t", .type = LH_PHONE};
static const lh_field photo = {.name = "t", .type = LH_PHOTO, .flags = LH_CLEARABLE};
static const lh_field fixed_photo = {.name = "t", .type = LH_PHOTO};
static const lh_field oid = {.name = "t", .type = LH_OBJECT_ID};
static const lh_field happened = {.name = "t", .type = LH_TIME, .flags = LH_PAST};
static const lh_field duration = {.name = "t", .type = LH_DURATION};
static const lh_field skills = {.name = "t", .type = LH_STRINGS, .flags = LH_COERCE};
static const lh_field texts = {.name = "t", .type = LH_STRINGS, .min = 1, .max = 2};
static const lh_field any_texts = {.name = "t", .type = LH_STRINGS, .flags = LH_NULL};
static const lh_field group = {.name = "t", .type = LH_GROUP};
static const lh_field object = {.name = "t", .type = LH_OBJECT};

static const lh_field uuid = {.name = "t", .type = LH_UUID};
static const lh_field color = {.name = "t", .type = LH_COLOR};
static const lh_field rate = {.name = "t", .type = LH_NUMBER, .max = 100};
static const lh_field loose_text = {.name = "t", .type = LH_STRING, .flags = LH_COERCE, .min = 1, .max = 3};

static const struct {
    const lh_field *field;
    lh_input sent;
    int untyped;
    const char *value, *sentence; /* a part of it */
} cases[] = {
    {&title, TEXT(" ab "), 0, "ab", NULL},
    {&title, TEXT("\xc3\xa9\xc3\xa9\xc3\xa9"), 0, "\xc3\xa9\xc3\xa9\xc3\xa9", NULL},
    {&title, TEXT("abcd"), 0, NULL, "1 to 3 characters"},
    {&title, TEXT("  "), 0, NULL, "1 to 3 characters"},
    {&title, NOTHING, 0, NULL, "required"},
    {&title, NIL, 0, NULL, "may not be null"},
    {&title, INT(5), 0, NULL, "a text"},
    {&title, OTHER, 0, NULL, "a text"},
    {&free_text, NIL, 0, NULL, NULL},
    {&free_text, NOTHING, 0, NULL, NULL},
    {&free_text, TEXT(""), 0, "", NULL},
    {&word, TEXT("hard"), 0, "hard", NULL},
    {&word, NOTHING, 0, "easy", NULL},
    {&word, TEXT("har"), 0, NULL, "one of: easy, hard."},
    {&word, TEXT("easy hard"), 0, NULL, "one of"},
    {&number, INT(2), 0, "2", NULL},
    {&number, INT(20), 0, "20", NULL},
    {&number, INT(21), 0, NULL, "from 2 to 20"},
    {&number, TEXT("5"), 0, NULL, "from 2 to 20"},
    {&number, TEXT("5"), 1, "5", NULL},
    {&number, TEXT("5.0"), 1, NULL, "from 2 to 20"},
    {&number, BOOL(1), 0, NULL, "from 2 to 20"},
    {&number, OTHER, 0, NULL, "from 2 to 20"},
    {&loose, TEXT("4"), 0, "4", NULL},
    {&loose, TEXT("four"), 0, NULL, "from 1 to 9"},
    {&clamped, INT(500), 0, "100", NULL},
    {&clamped, INT(0), 0, NULL, "from 1 on"},
    {&flag, BOOL(1), 0, "true", NULL},
    {&flag, BOOL(0), 0, "false", NULL},
    {&flag, TEXT("true"), 0, NULL, "true or false"},
    {&flag, INT(1), 0, NULL, "true or false"},
    {&flag, TEXT("True"), 1, "true", NULL},
    {&loose_flag, TEXT("True"), 0, "true", NULL},
    {&loose_flag, TEXT("0"), 0, "false", NULL},
    {&loose_flag, INT(1), 0, "true", NULL},
    {&loose_flag, INT(2), 0, NULL, "true or false"},
    {&loose_flag, TEXT("yes"), 0, NULL, "true or false"},
    {&moment, TEXT("2030-01-01T01:00:00+01:00"), 0, "2030-01-01T00:00:00Z", NULL},
    {&moment, TEXT("2020-01-01"), 0, NULL, "in the future"},
    {&moment, TEXT("soon"), 0, NULL, "ISO 8601"},
    {&moment, INT(5), 0, NULL, "ISO 8601"},
    {&mail, TEXT(" a@b.de "), 0, "a@b.de", NULL},
    {&mail, TEXT("a"), 0, NULL, "e-mail"},
    {&mail, INT(1), 0, NULL, "e-mail"},
    {&oid, TEXT("507f1f77bcf86cd799439011"), 0, "507f1f77bcf86cd799439011", NULL},
    {&oid, TEXT("507"), 0, NULL, "24 hex"},
    {&happened, TEXT("2020-01-01"), 0, "2020-01-01T00:00:00Z", NULL},
    {&happened, TEXT("2030-01-01"), 0, NULL, "may not lie in the future"},
    {&duration, TEXT("01:30:00"), 0, "5400", NULL},
    {&duration, TEXT("24:00:00"), 0, "86400", NULL},
    {&duration, TEXT("00:00:01"), 0, "1", NULL},
    {&duration, TEXT("24:00:01"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT("00:00:00"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT("1:30:00"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT("01:60:00"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT("01:00:60"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT("01:00:00.5"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT("-1:00:00"), 0, NULL, "HH:MM:SS"},
    {&duration, TEXT(""), 0, NULL, "HH:MM:SS"},
    {&duration, INT(90), 0, NULL, "HH:MM:SS"},
    {&skills, TEXT("C, \"Go\""), 0, "\"C, \\\"Go\\\"\"", NULL},
    {&skills, TEXTS("[\"C\"]", 1), 0, "[\"C\"]", NULL},
    {&skills, OTHER, 0, NULL, "a text or an array"},
    {&texts, TEXTS("[\"a\"]", 1), 0, "[\"a\"]", NULL},
    {&texts, TEXTS("[\"a\",\"b\",\"c\"]", 3), 0, NULL, "1 to 2 entries"},
    {&texts, TEXTS("[]", 0), 0, NULL, "1 to 2 entries"},
    {&any_texts, TEXTS("[]", 0), 0, "[]", NULL},
    {&any_texts, NIL, 0, NULL, NULL},
    {&any_texts, TEXT("a"), 0, NULL, "array of texts"},
    {&any_texts, OTHER, 0, NULL, "array of texts"},
    {&any_texts, OBJECT("{}"), 0, NULL, "array of texts"},
    {&object, OBJECT("{\"a\":1.50}"), 0, "{\"a\":1.50}", NULL},
    {&object, OBJECT(NULL), 0, NULL, "without escapes"},
    {&group, OBJECT(NULL), 0, "true", NULL},
    {&group, TEXT("x"), 0, NULL, "an object"},
    {&group, NOTHING, 0, NULL, NULL},
    {&object, TEXTS("[]", 0), 0, NULL, "an object"},
    {&object, TEXT("{}"), 0, NULL, "an object"},
    {&object, NIL, 0, NULL, "may not be null"},
    {&phone, TEXT("+12345678"), 0, "+12345678", NULL},
    {&phone, TEXT(" +123456789012345 "), 1, "+123456789012345", NULL},
    {&phone, TEXT("+1234567"), 0, NULL, "phone number"},
    {&phone, TEXT("+1234567890123456"), 0, NULL, "phone number"},
    {&phone, TEXT("+02345678"), 0, NULL, "phone number"},
    {&phone, TEXT("12345678"), 0, NULL, "phone number"},
    {&phone, TEXT("+1234 5678"), 0, NULL, "phone number"},
    {&phone, TEXT("+12345678x"), 0, NULL, "phone number"},
    {&phone, TEXT("+"), 0, NULL, "phone number"},
    {&phone, INT(12345678), 0, NULL, "phone number"},
    {&phone, TEXT(""), 1, "", NULL},
    {&phone, NIL, 0, "", NULL},
    {&phone, NOTHING, 0, NULL, NULL},
    {&fixed_phone, NIL, 0, NULL, "may not be null"},
    {&fixed_phone, TEXT(""), 0, NULL, "phone number"},
    {&photo, FILE_OF(GIF), 1, "474946383961010001000000002cab", NULL},
    {&photo, FILE_OF("GIF89a"), 1, NULL, "JPEG, PNG, WebP or GIF"},
    {&photo, FILE_OF(""), 1, NULL, "JPEG, PNG, WebP or GIF"},
    {&photo, TEXT("photo.png"), 1, NULL, "multipart/form-data; null"},
    {&photo, BOOL(1), 0, NULL, "multipart/form-data; null"},
    {&photo, TEXT(""), 1, "", NULL},
    {&photo, TEXT(""), 0, NULL, "multipart/form-data; null"},
    {&photo, NIL, 0, "", NULL},
    {&photo, NOTHING, 1, NULL, NULL},
    {&fixed_photo, TEXT("photo.png"), 0, NULL, "multipart/form-data."},
    {&fixed_photo, NIL, 0, NULL, "may not be null"},
    {&title, FILE_OF(GIF), 1, NULL, "a text"},
    {&flag, FILE_OF("true"), 1, NULL, "true or false"},
    {&number, FILE_OF("5"), 1, NULL, "from 2 to 20"},
    {&uuid, TEXT("123e4567-e89b-12d3-a456-426614174000"), 0, "123e4567-e89b-12d3-a456-426614174000", NULL},
    {&uuid, TEXT("123e4567e89b12d3a456426614174000"), 0, NULL, "UUID"},
    {&uuid, INT(5), 0, NULL, "UUID"},
    {&color, TEXT("#4187A2"), 0, "#4187A2", NULL},
    {&color, TEXT("#4187a"), 0, NULL, "#4187a2"},
    {&color, TEXT("4187a2"), 0, NULL, "#4187a2"},
    {&color, TEXT("#4187ag"), 0, NULL, "#4187a2"},
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
    {&rate, TEXT("0.5"), 0, NULL, "a number"},
    {&rate, TEXT("0.5"), 1, "0.5", NULL},
    {&rate, BOOL(1), 0, NULL, "a number"},
    {&rate, OTHER, 0, NULL, "a number"},
    {&number, NUMBER("5.5"), 0, NULL, "from 2 to 20"},
    {&loose_text, INT(42), 0, "42", NULL},
    {&loose_text, INT(4200), 0, NULL, "1 to 3 characters"},
    {&loose_text, BOOL(1), 0, NULL, "a text"},
};

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *value = "untouched";
        const char *wrong = lh_field_check(tap_pool, cases[i].field, &cases[i].sent, cases[i].untyped, NOW, &value);

        ok(cases[i].sentence ? wrong && strstr(wrong, cases[i].sentence) : !wrong, "case %d: %s", (int)i,
           wrong ? wrong : "fine");
        is_str(value, cases[i].value, apr_psprintf(tap_pool, "case %d: its value", (int)i));
    }
    return tap_end();
}
