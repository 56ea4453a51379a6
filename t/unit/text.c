/* SPDX-License-Identifier: Apache-2.0 */
/* The forms of text: UTF-8, percent-encoding, white space, e-mail addresses, ids, integers and times. */
#include "text.h"

#include <apr_strings.h>

#include "tap.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_utf8(void)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc2\x80",
                                       "\xc3\xa9",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc3",     "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xe2\x82", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xff",         "a\xc3(",   "\xe2\x28\xa1"};
    apr_size_t i;

    for (i = 0; i < COUNT(good); i++) {
        ok(lh_utf8_valid(good[i], strlen(good[i])), "good UTF-8 %d", (int)i);
    }
    for (i = 0; i < COUNT(bad); i++) {
        ok(!lh_utf8_valid(bad[i], strlen(bad[i])), "bad UTF-8 %d", (int)i);
    }
    ok(!lh_utf8_valid("a\0b", 3), "a zero byte is no text");
    is_int((long long)lh_utf8_length("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"), 4, "characters, not bytes");
}

static void test_decode(void)
{
    static const char *const cases[][2] = {
        {"a+b", "a b"}, {"a%2Bb", "a+b"}, {"%c3%A9", "\xc3\xa9"}, {"", ""},           {"%", NULL}, {"%4", NULL},
        {"%4g", NULL},  {"%00", NULL},    {"%ff", NULL},          {"100%25", "100%"}, {"%%", NULL}};
    apr_size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        is_str(lh_text_decode(tap_pool, cases[i][0], strlen(cases[i][0])), cases[i][1], cases[i][0]);
    }
}

static void test_trim(void)
{
    static const char *const cases[][2] = {{"a", "a"},
                                           {"  a b\t\n", "a b"},
                                           {"", ""},
                                           {" \xc2\xa0 ", ""},
                                           {"\xe3\x80\x80x\xe2\x80\x83", "x"},
                                           {"\xc3\xa9 ", "\xc3\xa9"}};
    apr_size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        is_str(lh_text_trim(apr_pstrdup(tap_pool, cases[i][0])), cases[i][1], "trimmed");
    }
    ok(lh_text_listed("a bc d", "bc", 2) && lh_text_listed("a bc d", "d", 1), "a word of the list");
    ok(!lh_text_listed("a bc d", "b", 1) && !lh_text_listed("a bc d", "a bc", 4) && !lh_text_listed("", "a", 1),
       "no word");
}

static void test_forms(void)
{
    static const char *const mails[] = {"a@b.de", "first.last+tag@sub.example.com", "o'brien@example.org",
                                        "\xc3\xa9@b.de"};
    static const char *const no_mails[] = {"",         "a",        "a@",      "@b.de",   "a@b",     "a@@b.de",
                                           "a b@c.de", "a@b.de.",  "a@.de",   ".a@b.de", "a.@b.de", "a..b@c.de",
                                           "a@-b.de",  "<a@b.de>", "a@b..de", "a\n@b.de"};
    apr_size_t i;

    for (i = 0; i < COUNT(mails); i++) {
        ok(lh_text_is_email(mails[i]), "an address: %s", mails[i]);
    }
    for (i = 0; i < COUNT(no_mails); i++) {
        ok(!lh_text_is_email(no_mails[i]), "no address %d", (int)i);
    }
    ok(lh_text_is_object_id("507f1f77bcf86cd799439011") && !lh_text_is_object_id("507f1f77bcf86cd79943901") &&
           !lh_text_is_object_id("507f1f77bcf86cd7994390111") && !lh_text_is_object_id("507f1f77bcf86cd79943901g"),
       "24 hex digits");
    ok(lh_text_is_uuid("2f1e4d5c-0000-4aaa-8bbb-ffffffffffff") &&
           !lh_text_is_uuid("2f1e4d5c00004aaa8bbbffffffffffff") &&
           !lh_text_is_uuid("2f1e4d5c-0000-4aaa-8bbb-fffffffffff"),
       "uuid");
}

static void test_integers(void)
{
    apr_int64_t value = 0;

    ok(lh_text_integer("42", &value) && value == 42, "42");
    ok(lh_text_integer("-7", &value) && value == -7, "-7");
    ok(lh_text_integer("9223372036854775807", &value) && value == APR_INT64_MAX, "the largest");
    ok(!lh_text_integer("9223372036854775808", &value), "one more");
    ok(!lh_text_integer("", &value) && !lh_text_integer("-", &value) && !lh_text_integer("+1", &value) &&
           !lh_text_integer(" 1", &value) && !lh_text_integer("1.0", &value) && !lh_text_integer("1x", &value) &&
           !lh_text_integer("0x1", &value),
       "no integers");
}

static const struct {
    const char *text;
    apr_int64_t seconds, micros;
} times[] = {{"1970-01-01", 0, 0},
             {"1970-01-01T00:00:01Z", 1, 0},
             {"1970-01-01 00:01", 60, 0},
             {"1969-12-31T23:59:59.5Z", -1, 500000},
             {"2024-02-29T12:00:00+02:00", 1709200800, 0},
             {"2024-02-29T12:00:00-0230", 1709217000, 0},
             {"2024-01-15T14:00:00.123456789Z", 1705327200, 123456},
             {"2024-01-15t14:00:00z", 1705327200, 0},
             {"2024-01-15T14:00:00+00", 1705327200, 0},
             {"0001-01-01", -62135596800, 0},
             {"9999-12-31T23:59:59.999999Z", 253402300799, 999999},
             {"2000-02-29", 951782400, 0}};

static const char *const no_times[] = {"",
                                       "now",
                                       "2024",
                                       "2024-1-1",
                                       "2024-13-01",
                                       "2024-02-30",
                                       "1900-02-29",
                                       "2023-02-29",
                                       "0000-01-01",
                                       "2024-01-15T24:00:00Z",
                                       "2024-01-15T10:60:00Z",
                                       "2024-01-15T10:00:60Z",
                                       "2024-01-15T10:00:00.Z",
                                       "2024-01-15T10:00:00+25:00",
                                       "2024-01-15T10:00:00+2",
                                       "2024-01-15T10:00:00 Z",
                                       "2024-01-15T",
                                       "2024-01-15T10",
                                       "2024-01-15x",
                                       "0001-01-01T00:00:00+01:00",
                                       "9999-12-31T23:59:59-01:00"};

static void test_times(void)
{
    apr_int64_t micros;
    apr_size_t i;

    for (i = 0; i < COUNT(times); i++) {
        ok(lh_text_time(times[i].text, &micros) && micros == times[i].seconds * APR_USEC_PER_SEC + times[i].micros,
           "%s", times[i].text);
    }
    for (i = 0; i < COUNT(no_times); i++) {
        ok(!lh_text_time(no_times[i], &micros), "no time: %s", no_times[i]);
    }
}

int main(void)
{
    tap_begin();
    test_utf8();
    test_decode();
    test_trim();
    test_forms();
    test_integers();
    test_times();
    return tap_end();
}
