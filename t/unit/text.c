/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, percent-encoding, white space, lists, and the formats of addresses, ids, numbers and times. */
#include "util/text.h"

#include "tap.h"

#include <apr_strings.h>

#define EACH(i, table)                                                                                                 \
    i = 0;                                                                                                             \
    i < sizeof(table) / sizeof((table)[0]);                                                                            \
    i++

/* ---- UTF-8 ---- */

/* Table 3-7 of the Unicode standard: the range of the second byte depends on the first. */
static int well_formed(unsigned first, unsigned second)
{
    return (first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF) ||
           (first == 0xE0 && second >= 0xA0 && second <= 0xBF) || (first == 0xED && second >= 0x80 && second <= 0x9F) ||
           (first >= 0xE1 && first <= 0xEF && first != 0xED && second >= 0x80 && second <= 0xBF) ||
           (first == 0xF0 && second >= 0x90 && second <= 0xBF) || (first == 0xF4 && second >= 0x80 && second <= 0x8F) ||
           (first >= 0xF1 && first <= 0xF3 && second >= 0x80 && second <= 0xBF);
}

static void test_utf8(void)
{
    unsigned first, second, wrong = 0;

    for (first = 0x80; first <= 0xFF; first++) {
        apr_size_t length = first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
        for (second = 0; second <= 0xFF; second++) {
            char text[4] = {(char)first, (char)second, (char)0x80, (char)0x80};
            wrong += lh_utf8_valid(text, length) != well_formed(first, second);
        }
    }
    is_int(wrong, 0, "UTF-8: every pair of first and second byte");
    ok(lh_utf8_valid("", 0), "UTF-8: an empty text is valid");
    ok(lh_utf8_valid("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82z", 11), "UTF-8: characters of 1 to 4 bytes are valid");
    ok(!lh_utf8_valid("a\0b", 3), "UTF-8: a zero byte is invalid");
    ok(!lh_utf8_valid("a\xE2\x82", 3), "UTF-8: a truncated character is invalid");
    ok(!lh_utf8_valid("\xE2\x82\xAC", 2), "UTF-8: bytes after the length are ignored");
    is_int((int)lh_utf8_character((const unsigned char *)"\xE2\x82\xAC", 2), 0,
           "UTF-8: a character longer than the bytes left is invalid");
    ok(!lh_utf8_valid("\xE2\x82\x41", 3), "UTF-8: a character with an invalid third byte is invalid");
    ok(!lh_utf8_valid("\xF0\x9F\x99\x41", 4), "UTF-8: a character with an invalid fourth byte is invalid");
    ok(!lh_utf8_valid("\xC0\x80", 2), "UTF-8: an overlong zero byte is invalid");
    is_int((int)lh_utf8_length("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x99\x82z"), 5, "UTF-8: the length is in characters");
}

/* ---- decoding ---- */

static const struct coded {
    const char *text, *decoded;
} coded[] = {{"", ""},       {"plain", "plain"},     {"a+b%20c", "a b c"}, {"%2B%2b", "++"},
             {"%25", "%"},   {"%C3%A9", "\xC3\xA9"}, {"%", NULL},          {"%4", NULL},
             {"a%zz", NULL}, {"%+1", NULL},          {"%00", NULL},        {"a%00b", NULL},
             {"%FF", NULL},  {"%C3", NULL},          {"%ED%A0%80", NULL},  {"%252F", "%2F"}};

static void test_decode(void)
{
    apr_size_t i;

    for (EACH(i, coded)) {
        is_str(lh_text_decode(tap_pool, coded[i].text, strlen(coded[i].text)), coded[i].decoded,
               apr_psprintf(tap_pool, "percent-decoding of \"%s\"", coded[i].text));
    }
    is_str(lh_text_decode(tap_pool, "a%20b", 3), NULL,
           "percent-decoding: an escape truncated by the length is an error");
    is_str(lh_text_decode(tap_pool, "a=b&c", 3), "a=b", "percent-decoding: bytes after the length are ignored");
}

/* ---- white space and lists ---- */

static const struct trimmed {
    const char *text, *expected;
} trimmed[] = {{"", ""},
               {"a", "a"},
               {" \t\r\n\v\f", ""},
               {"  a b  ", "a b"},
               {"\xC2\xA0\xE3\x80\x80\xE2\x80\x83"
                "a\xE2\x80\x8B\xC2\xA0",
                "a"},
               {"a \xC3\xA9 ", "a \xC3\xA9"},
               {"\xE2\x80\x8C"
                "a",
                "\xE2\x80\x8C"
                "a"},
               {"\xE2\x80\xA6", "\xE2\x80\xA6"}};

static void test_words(void)
{
    apr_size_t i;

    for (EACH(i, trimmed)) {
        is_str(lh_text_trim(apr_pstrdup(tap_pool, trimmed[i].text)), trimmed[i].expected,
               apr_psprintf(tap_pool, "trimming to \"%s\"", trimmed[i].expected));
    }
    ok(lh_text_listed("easy medium hard", "easy", 4) && lh_text_listed("easy medium hard", "hard", 4),
       "list: the first and the last word are found");
    ok(!lh_text_listed("easy medium hard", "eas", 3), "list: a prefix of a word is not found");
    ok(!lh_text_listed("easy medium hard", "easy medium", 11), "list: two words are not found as one");
    ok(!lh_text_listed("easy medium hard", "", 0) && !lh_text_listed("", "", 0), "list: an empty word is not found");
    ok(!lh_text_listed("easy medium hard", "Easy", 4), "list: another case is not found");
    is_int(lh_text_index("easy medium hard", "HARD"), 2, "list: the index of a word ignores case");
    is_int(lh_text_index("easy medium hard", "har"), -1, "list: a prefix of a word has no index");
    is_int(lh_text_index("easy medium hard", "harder"), -1, "list: a longer word has no index");
}

/* ---- addresses and ids ---- */

static const char *const addresses[] = {"a@b.c", "Ada.Lovelace+tag@sub.example.com", "o'hara@example.com",
                                        "\xC3\xA9@ex\xC3\xA4mple.com"};
static const char *const no_addresses[] = {"",
                                           "a",
                                           "a@",
                                           "@b.c",
                                           "a@b",
                                           "a@@b.c",
                                           "a@b@c.d",
                                           "a b@c.d",
                                           "a@b c.d",
                                           "a@.b.c",
                                           "a@b.c.",
                                           "a@b..c",
                                           ".a@b.c",
                                           "a.@b.c",
                                           "a..b@c.d",
                                           "a@-b.c",
                                           "a@b.c-",
                                           "a@b.c\n",
                                           "a\r\n@b.c",
                                           "<a@b.c>",
                                           "a@b.c,d@e.f",
                                           "a;b@c.d",
                                           "a@[127.0.0.1]",
                                           "a\x7F@b.c",
                                           "\"a\"@b.c",
                                           "a.b.c",
                                           "a\\b@c.d",
                                           "a:b@c.d",
                                           "a\xC2\xA0@b.c",
                                           "a\xE2\x80\x83@b.c",
                                           "a@b\xE3\x80\x80.c",
                                           "a\xC2\x85@b.c",
                                           "a\xE2\x80\x8D@b.c",
                                           "\xE2\x80\xAE"
                                           "a@b.c",
                                           "a@b.c\xEF\xBB\xBF"};

/* The first and the last character of the ranges, and their neighbours. */
static const struct {
    const char *text;
    int invisible;
} visibility[] = {
    {"", 0},
    {"Ada King", 0},
    {"a\x1F", 1},
    {"a\x7F", 1},
    {"\xC2\x80", 1}, /* U+0080 */
    {"\xC2\x9F", 1}, /* U+009F */
    {"\xC2\xA0", 0}, /* U+00A0, a space that is shown */
    {"a\xC2\xAD"
     "b",
     1},                 /* U+00AD */
    {"\xD8\x9C", 1},     /* U+061C */
    {"\xD8\x9D", 0},     /* U+061D */
    {"\xE1\xA0\x8E", 1}, /* U+180E */
    {"\xE2\x80\x8A", 0}, /* U+200A */
    {"\xE2\x80\x8B", 1}, /* U+200B */
    {"\xE2\x80\x8F", 1}, /* U+200F */
    {"\xE2\x80\x90", 0}, /* U+2010, a hyphen */
    {"O\xE2\x80\x99"
     "Brien",
     0},                 /* U+2019 */
    {"\xE2\x80\xA8", 1}, /* U+2028 */
    {"\xE2\x80\xAE", 1}, /* U+202E */
    {"\xE2\x80\xAF", 0}, /* U+202F */
    {"\xE2\x81\x9F", 0}, /* U+205F */
    {"\xE2\x81\xA0", 1}, /* U+2060 */
    {"\xE2\x81\xAF", 1}, /* U+206F */
    {"\xE2\x81\xB0", 0}, /* U+2070 */
    {"\xEF\xB8\x8F", 1}, /* U+FE0F */
    {"\xEF\xB8\x90", 0}, /* U+FE10 */
    {"\xEF\xBB\xBF", 1}, /* U+FEFF */
    {"\xE5\xBC\xA0\xE4\xBC\x9F", 0},
    {"\xF0\x9F\x9A\x80", 0},  /* U+1F680 */
    {"\xF3\xA0\x80\x80", 1},  /* U+E0000 */
    {"x\xF3\xA0\x81\xBF", 1}, /* U+E007F */
};

static void test_addresses(void)
{
    char *local = apr_pcalloc(tap_pool, 300), *domain = apr_pcalloc(tap_pool, 300);
    apr_size_t i;

    for (EACH(i, addresses)) {
        ok(lh_text_is_email(addresses[i]), "e-mail address: %s", addresses[i]);
    }
    for (EACH(i, no_addresses)) {
        ok(!lh_text_is_email(no_addresses[i]), "no e-mail address: case %d", (int)i);
    }
    for (EACH(i, visibility)) {
        is_int(lh_text_has_invisible(visibility[i].text), visibility[i].invisible,
               apr_psprintf(tap_pool, "invisible characters: case %d", (int)i));
    }
    memset(local, 'a', 64);
    ok(lh_text_is_email(apr_pstrcat(tap_pool, local, "@b.c", NULL)),
       "e-mail address: a local part of 64 bytes is valid");
    ok(!lh_text_is_email(apr_pstrcat(tap_pool, local, "a@b.c", NULL)),
       "e-mail address: a local part of 65 bytes is invalid");
    memset(domain, 'b', 250);
    ok(lh_text_is_email(apr_pstrcat(tap_pool, "a@", domain, ".c", NULL)), "e-mail address: 254 bytes are valid");
    ok(!lh_text_is_email(apr_pstrcat(tap_pool, "aa@", domain, ".c", NULL)), "e-mail address: 255 bytes are invalid");
}

static void test_ids(void)
{
    ok(lh_text_is_object_id("0123456789abcdefABCDEF01"), "object id: 24 digits in both cases");
    ok(!lh_text_is_object_id("0123456789abcdefABCDEF0") && !lh_text_is_object_id("0123456789abcdefABCDEF012"),
       "object id: 23 and 25 digits are invalid");
    ok(!lh_text_is_object_id("0123456789abcdefABCDEF0g"), "object id: the letter g is invalid");
    ok(lh_text_is_uuid("01234567-89ab-cdef-0123-456789ABCDEF"), "UUID: 36 characters in both cases");
    ok(!lh_text_is_uuid("0123456789abcdef0123456789abcdef") &&
           !lh_text_is_uuid("01234567-89ab-cdef-0123-456789abcde") &&
           !lh_text_is_uuid("01234567-89ab-cdef-0123-456789abcdef0") && !lh_text_is_uuid(""),
       "UUID: without hyphens, too short, too long or empty is invalid");
}

/* ---- numbers ---- */

static const struct number {
    const char *text;
    int good;
    apr_int64_t value;
} numbers[] = {{"0", 1, 0},
               {"-0", 1, 0},
               {"42", 1, 42},
               {"007", 1, 7},
               {"-1", 1, -1},
               {"9223372036854775807", 1, APR_INT64_MAX},
               {"-9223372036854775808", 1, APR_INT64_MIN},
               {"9223372036854775808", 0, 0},
               {"-9223372036854775809", 0, 0},
               {"", 0, 0},
               {"-", 0, 0},
               {"+1", 0, 0},
               {" 1", 0, 0},
               {"1 ", 0, 0},
               {"--1", 0, 0},
               {"1.0", 0, 0},
               {"1e3", 0, 0},
               {"0x10", 0, 0},
               {"\xD9\xA1", 0, 0}};

static const struct {
    const char *text;
    int good;
    apr_int64_t value;
} hundredths[] = {
    {"0", 1, 0},
    {"7", 1, 700},
    {"-7", 1, -700},
    {"0.1", 1, 10},
    {"0.29", 1, 29},
    {"-0.01", 1, -1},
    {"100.0", 1, 10000},
    {"12.", 0, 0},
    {".5", 0, 0},
    {"", 0, 0},
    {"-", 0, 0},
    {"0.125", 0, 0},
    {"1e2", 0, 0},
    {"1.2.3", 0, 0},
    {"1,5", 0, 0},
    {" 1", 0, 0},
    {"99999999999999999999", 0, 0},
};

static void test_hundredths(void)
{
    apr_size_t i;

    for (EACH(i, hundredths)) {
        apr_int64_t value = 0;
        int good = lh_text_hundredths(hundredths[i].text, &value);

        ok(!good == !hundredths[i].good && (!good || value == hundredths[i].value), "hundredths of \"%s\"",
           hundredths[i].text);
    }
}

static void test_integers(void)
{
    apr_size_t i;

    for (EACH(i, numbers)) {
        apr_int64_t value = 0;
        int good = lh_text_integer(numbers[i].text, &value);

        ok(!good == !numbers[i].good && (!good || value == numbers[i].value), "integer \"%s\"", numbers[i].text);
    }
}

/* ---- times ---- */

/* The seconds are those of `date -u -d TEXT +%s`. */
static const struct moment {
    const char *text;
    apr_int64_t micros;
} moments[] = {{"1970-01-01", 0},
               {"1970-01-01T00:00:00Z", 0},
               {"1969-12-31T23:59:59.999999Z", -1},
               {"2024-01-15T10:30", 1705314600000000},
               {"2024-01-15 10:30:00", 1705314600000000},
               {"2024-01-15t10:30:00z", 1705314600000000},
               {"2024-01-15T10:30:00+02:00", 1705307400000000},
               {"2024-01-15T10:30:00-0530", 1705334400000000},
               {"2024-01-15T10:30:00+02", 1705307400000000},
               {"2024-01-15T10:30:00-00:00", 1705314600000000},
               {"2024-01-15T10:30:00.5Z", 1705314600500000},
               {"2024-01-15T10:30:00.123456789Z", 1705314600123456},
               {"2024-02-29", 1709164800000000},
               {"2000-02-29", 951782400000000},
               {"0001-01-01", -62135596800000000},
               {"9999-12-31T23:59:59.999999Z", 253402300799999999}};
static const char *const no_times[] = {"",
                                       "2024",
                                       "2024-01",
                                       "24-01-15",
                                       "2024-1-15",
                                       "2024-13-01",
                                       "2024-00-01",
                                       "2024-01-00",
                                       "2024-01-32",
                                       "2023-02-29",
                                       "1900-02-29",
                                       "2024-04-31",
                                       "0000-01-01",
                                       "2024-01-15T",
                                       "2024-01-15T10",
                                       "2024-01-15T24:00",
                                       "2024-01-15T10:60",
                                       "2024-01-15T10:30:60",
                                       "2024-01-15T10:30:",
                                       "2024-01-15T10:30.5",
                                       "2024-01-15T10:30.0Z",
                                       "2024-01-15T10:30:00.",
                                       "2024-01-15T10:30:00.Z",
                                       "2024-01-15T10:30:00,5",
                                       "2024-01-15T10:30:00+",
                                       "2024-01-15T10:30:00+2",
                                       "2024-01-15T10:30:00+02:",
                                       "2024-01-15T10:30:00+24:00",
                                       "2024-01-15T10:30:00+02:60",
                                       "2024-01-15T10:30:00 UTC",
                                       "2024-01-15T10:30:00ZZ",
                                       "2024-01-15  10:30",
                                       "2024-01-15 ",
                                       " 2024-01-15",
                                       "0001-01-01T00:00:00+00:01",
                                       "9999-12-31T23:59:59-00:01",
                                       "12024-01-15",
                                       "now",
                                       "infinity"};

static void test_times(void)
{
    apr_int64_t micros;
    apr_size_t i;

    for (EACH(i, moments)) {
        micros = 42;
        is_int(lh_text_time(moments[i].text, &micros) ? micros : 42, moments[i].micros,
               apr_psprintf(tap_pool, "time: \"%s\"", moments[i].text));
    }
    for (EACH(i, no_times)) {
        ok(!lh_text_time(no_times[i], &micros), "no time: \"%s\"", no_times[i]);
    }
}

int main(void)
{
    tap_begin();
    test_utf8();
    test_decode();
    test_words();
    test_addresses();
    test_ids();
    test_integers();
    test_hundredths();
    test_times();
    return tap_end();
}
