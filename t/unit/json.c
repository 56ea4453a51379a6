/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: escapes, UTF-8, commas, numbers, times, growing and flushed buffers. */
#include "util/json.h"

#include "tap.h"

#include <apr_strings.h>
#include <math.h>
#include <stdint.h>

static const char *written(lh_json *json)
{
    return apr_pstrdup(tap_pool, lh_json_result(json));
}

static lh_json fresh(void)
{
    lh_json json;

    lh_json_init(&json, tap_pool, 0);
    return json;
}

/* ---- strings ---- */

static const char *string_of(const char *text, apr_size_t length)
{
    lh_json json = fresh();

    lh_json_string(&json, text, length);
    return written(&json);
}

static const char *expected_escape(int c)
{
    switch (c) {
    case '\b': return "\\b";
    case '\t': return "\\t";
    case '\n': return "\\n";
    case '\f': return "\\f";
    case '\r': return "\\r";
    case '"': return "\\\"";
    case '\\': return "\\\\";
    default: return c < 0x20 ? apr_psprintf(tap_pool, "\\u%04x", c) : apr_psprintf(tap_pool, "%c", c);
    }
}

/* Every ASCII byte at every position within the eight bytes that are searched at once. */
static void test_ascii(void)
{
    int c, at, wrong;

    for (c = 0; c < 0x80; c++) {
        for (at = wrong = 0; at < 20; at++) {
            char text[20];
            const char *expected;

            memset(text, 'x', sizeof(text));
            text[at] = (char)c;
            expected = apr_psprintf(tap_pool, "\"%.*s%s%.*s\"", at, "xxxxxxxxxxxxxxxxxxxx", expected_escape(c), 19 - at,
                                    "xxxxxxxxxxxxxxxxxxxx");
            wrong += strcmp(string_of(text, sizeof(text)), expected) != 0;
        }
        is_int(wrong, 0, apr_psprintf(tap_pool, "strings: byte 0x%02x at any position", c));
    }
}

#define BAD "\xEF\xBF\xBD"

static const struct utf8_case {
    const char *name, *text, *expected;
} utf8_cases[] = {
    {"two bytes", "na\xC3\xAFve", "na\xC3\xAFve"},
    {"first of two bytes", "\xC2\x80", "\xC2\x80"},
    {"last of two bytes", "\xDF\xBF", "\xDF\xBF"},
    {"first of three bytes", "\xE0\xA0\x80", "\xE0\xA0\x80"},
    {"last before the surrogates", "\xED\x9F\xBF", "\xED\x9F\xBF"},
    {"first after the surrogates", "\xEE\x80\x80", "\xEE\x80\x80"},
    {"last of three bytes", "\xEF\xBF\xBF", "\xEF\xBF\xBF"},
    {"U+2028 is not escaped", "\xE2\x80\xA8", "\xE2\x80\xA8"},
    {"first of four bytes", "\xF0\x90\x80\x80", "\xF0\x90\x80\x80"},
    {"last of four bytes", "\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
    {"emoji between text", "go \xF0\x9F\x9A\x80 go", "go \xF0\x9F\x9A\x80 go"},
    {"DEL is not escaped", "\x7F", "\x7F"},
    {"a slash is not escaped", "</a>", "</a>"},
    {"lone continuation", "a\x80z", "a" BAD "z"},
    {"two lone continuations", "\xBF\x80", BAD BAD},
    {"overlong slash, 2 bytes", "\xC0\xAF", BAD BAD},
    {"overlong zero", "\xC0\x80", BAD BAD},
    {"overlong DEL", "\xC1\xBF", BAD BAD},
    {"overlong slash, 3 bytes", "\xE0\x80\xAF", BAD BAD BAD},
    {"last overlong of 3 bytes", "\xE0\x9F\xBF", BAD BAD BAD},
    {"overlong slash, 4 bytes", "\xF0\x80\x80\xAF", BAD BAD BAD BAD},
    {"last overlong of 4 bytes", "\xF0\x8F\xBF\xBF", BAD BAD BAD BAD},
    {"first surrogate", "\xED\xA0\x80", BAD BAD BAD},
    {"last surrogate", "\xED\xBF\xBF", BAD BAD BAD},
    {"a surrogate pair (CESU-8)", "\xED\xA0\xBD\xED\xB8\x80", BAD BAD BAD BAD BAD BAD},
    {"above U+10FFFF", "\xF4\x90\x80\x80", BAD BAD BAD BAD},
    {"lead F5", "\xF5\x80\x80\x80", BAD BAD BAD BAD},
    {"FE and FF", "\xFE\xFF", BAD BAD},
    {"2 bytes cut at the end", "ab\xC3", "ab" BAD},
    {"3 bytes cut at the end", "ab\xE2\x82", "ab" BAD BAD},
    {"4 bytes cut at the end", "ab\xF0\x9F\x9A", "ab" BAD BAD BAD},
    {"2 bytes cut by text", "\xC3(", BAD "("},
    {"3 bytes cut by a quote", "\xE2\x82\"", BAD BAD "\\\""},
    {"4 bytes cut by another character", "\xF0\x9F\xC3\xA9", BAD BAD "\xC3\xA9"},
    {"bad byte, good character, control", "\xFF\xE2\x82\xAC\n", BAD "\xE2\x82\xAC\\n"},
};

static void test_utf8(void)
{
    size_t i;
    int at, wrong;

    for (i = 0; i < sizeof(utf8_cases) / sizeof(utf8_cases[0]); i++) {
        const struct utf8_case *c = &utf8_cases[i];

        for (at = wrong = 0; at < 17; at++) {
            const char *text = apr_psprintf(tap_pool, "%.*s%s", at, "yyyyyyyyyyyyyyyyy", c->text);
            const char *expected = apr_psprintf(tap_pool, "\"%.*s%s\"", at, "yyyyyyyyyyyyyyyyy", c->expected);

            wrong += strcmp(string_of(text, strlen(text)), expected) != 0;
        }
        is_int(wrong, 0, apr_psprintf(tap_pool, "strings: UTF-8: %s", c->name));
    }
    is_str(string_of("\xE2\x82\xAC", 2), "\"" BAD BAD "\"", "strings: bytes after the length are ignored");
    is_str(string_of("a\0b", 3), "\"a\\u0000b\"", "strings: a zero byte inside");
    is_str(string_of("", 0), "\"\"", "strings: an empty string");
}

/* ---- structure ---- */

/* All kinds of values, in every position where a comma may be needed. */
static void write_sample(lh_json *json)
{
    int i;

    lh_json_open(json, '{');
    lh_json_key(json, "id");
    lh_json_int(json, -42);
    lh_json_key(json, "ti\"tle");
    lh_json_text(json, "a \"quoted\"\ttext, with \xC3\xA9 and \xF0\x9F\x9A\x80, then \xFF");
    lh_json_key(json, "none");
    lh_json_text(json, NULL);
    lh_json_key(json, "empty");
    lh_json_open(json, '[');
    lh_json_close(json, ']');
    lh_json_key(json, "list");
    lh_json_open(json, '[');
    for (i = 0; i < 3; i++) {
        lh_json_open(json, '{');
        lh_json_close(json, '}');
        lh_json_bool(json, i);
        lh_json_null(json);
        lh_json_number(json, i + 0.5);
        lh_json_verbatim(json, "{\"a\": [1] }", 11);
        lh_json_time(json, 1705328999123456, LH_MICROS_Z);
    }
    lh_json_close(json, ']');
    lh_json_raw(json, ",\"raw\":", 7);
    lh_json_open(json, '{');
    lh_json_key(json, "x");
    lh_json_text(json, "[{,:");
    lh_json_key(json, "y");
    lh_json_text(json, "");
    lh_json_raw(json, ",", 1);
    lh_json_key(json, "z");
    lh_json_null(json);
    lh_json_close(json, '}');
    lh_json_close(json, '}');
}

#define ITEM(bool, number) "{}," bool ",null," number ",{\"a\": [1] },\"2024-01-15T14:29:59.123456Z\""

static const char sample[] =
    "{\"id\":-42,\"ti\\\"tle\":\"a \\\"quoted\\\"\\ttext, with \xC3\xA9 and \xF0\x9F\x9A\x80, then " BAD
    "\",\"none\":null,\"empty\":[],\"list\":[" ITEM("false", "0.5") "," ITEM("true", "1.5") "," ITEM(
        "true", "2.5") "],\"raw\":{\"x\":\"[{,:\",\"y\":\"\",\"z\":null}}";

typedef struct catcher {
    char data[65536];
    apr_size_t length, largest;
    int calls, fail_at; /* fail_at: the number of the call that fails; 0: none */
} catcher;

static catcher caught;

static apr_status_t catch_bytes(void *context, const char *data, apr_size_t length)
{
    catcher *into = context;

    into->calls++;
    if (into->calls == into->fail_at) {
        return APR_EPIPE;
    }
    memcpy(into->data + into->length, data, length);
    into->length += length;
    into->largest = length > into->largest ? length : into->largest;
    return APR_SUCCESS;
}

static void test_capacities(void)
{
    apr_size_t capacity;
    lh_json json;
    int grown = 0, flushed = 0, bounded = 0;

    for (capacity = 1; capacity <= 64; capacity++) {
        lh_json_init(&json, tap_pool, capacity);
        write_sample(&json);
        grown += !strcmp(written(&json), sample);
        memset(&caught, 0, sizeof(caught));
        lh_json_init_stream(&json, tap_pool, capacity, catch_bytes, &caught);
        write_sample(&json);
        flushed += lh_buffer_finish(&json.out) == APR_SUCCESS && caught.length == strlen(sample) &&
                   !memcmp(caught.data, sample, caught.length);
        bounded += caught.largest <= capacity && json.out.capacity == capacity;
    }
    is_int(grown, 64, "buffers: a growing buffer has the same contents for initial sizes from 1 to 64");
    is_int(flushed, 64, "buffers: a stream has the same contents for capacities from 1 to 64");
    is_int(bounded, 64, "buffers: no flush is larger than the capacity");
    json = fresh();
    write_sample(&json);
    is_str(written(&json), sample, "buffers: the contents are as expected");
    is_int((long long)json.out.length, (long long)strlen(sample), "buffers: reading the text adds nothing to it");
    is_str(written(&json), sample, "buffers: the text can be read again");
}

static void test_stream(void)
{
    char *big = apr_palloc(tap_pool, 50000);
    lh_json json;

    memset(big, 'b', 50000);
    memset(&caught, 0, sizeof(caught));
    lh_json_init_stream(&json, tap_pool, 4096, catch_bytes, &caught);
    lh_json_string(&json, big, 50000);
    is_int(caught.calls, 12, "stream: a long string is flushed in parts");
    is_int(lh_buffer_finish(&json.out), APR_SUCCESS, "stream: the flush of the rest succeeds");
    is_int((long long)caught.length, 50002, "stream: all bytes are flushed");

    memset(&caught, 0, sizeof(caught));
    lh_json_init_stream(&json, tap_pool, 8, catch_bytes, &caught);
    lh_json_raw(&json, "12345678", 8);
    is_int(caught.calls, 1, "stream: a full buffer is flushed immediately");
    lh_buffer_finish(&json.out);
    is_int(caught.calls, 1, "stream: an empty buffer is not flushed at the end");

    memset(&caught, 0, sizeof(caught));
    caught.fail_at = 3;
    lh_json_init_stream(&json, tap_pool, 16, catch_bytes, &caught);
    write_sample(&json);
    write_sample(&json);
    is_int(lh_buffer_finish(&json.out), APR_EPIPE, "stream: the status of a failed flush is returned");
    is_int(caught.calls, 3, "stream: no flush follows a failed one");
    is_int((long long)caught.length, 32, "stream: the bytes before a failed flush were flushed");
}

/* ---- numbers ---- */

static const char *int_of(apr_int64_t value)
{
    lh_json json = fresh();

    lh_json_int(&json, value);
    return written(&json);
}

static const char *number_of(double value)
{
    lh_json json = fresh();

    lh_json_number(&json, value);
    return written(&json);
}

static double double_of(uint64_t bits)
{
    double value;

    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void test_round_trip(void)
{
    uint64_t state = 88172645463325252u; /* xorshift64: the same numbers in every run */
    int i, wrong = 0, rounds = tap_quick() ? 4000 : 200000;

    for (i = 0; i < rounds; i++) {
        double value, back;
        lh_json json;
        char text[64];

        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        value = i % 2 ? double_of(state) : (double)(int64_t)(state % 2000000001) / 1000 - 1000000;
        if (!isfinite(value)) {
            continue;
        }
        lh_json_init_stream(&json, tap_pool, 1, catch_bytes, &caught);
        caught.length = 0;
        json.out.data = text;
        json.out.capacity = sizeof(text);
        lh_json_number(&json, value);
        text[json.out.length] = '\0';
        back = strtod(text, NULL);
        wrong += memcmp(&back, &value, sizeof(value)) != 0;
        if (i % 1000 == 999) {
            apr_pool_clear(tap_pool);
        }
    }
    ok(wrong == 0, "numbers: %d doubles read back to the same bits", rounds);
}

static void test_numbers(void)
{
    is_str(int_of(0), "0", "numbers: 0");
    is_str(int_of(-1), "-1", "numbers: -1");
    is_str(int_of(INT64_MAX), "9223372036854775807", "numbers: the largest integer");
    is_str(int_of(INT64_MIN), "-9223372036854775808", "numbers: the smallest integer");
    is_str(number_of(0), "0", "numbers: 0.0");
    is_str(number_of(-0.0), "-0", "numbers: -0.0");
    is_str(number_of(0.1), "0.1", "numbers: 0.1");
    is_str(number_of(0.1 + 0.2), "0.30000000000000004", "numbers: 0.1 + 0.2");
    is_str(number_of(1.0 / 3), "0.3333333333333333", "numbers: 1/3 needs 16 digits");
    is_str(number_of(12), "12", "numbers: 12.0");
    is_str(number_of(-37.5), "-37.5", "numbers: -37.5");
    is_str(number_of(999999999999999), "999999999999999", "numbers: 15 digits");
    is_str(number_of(1e15), "1e+15", "numbers: 1e15");
    is_str(number_of(9007199254740993.0), "9007199254740992", "numbers: 2^53");
    is_str(number_of(1e300), "1e+300", "numbers: 1e300");
    is_str(number_of(1.7976931348623157e308), "1.7976931348623157e+308", "numbers: the largest double");
    is_str(number_of(-2.2250738585072014e-308), "-2.2250738585072014e-308", "numbers: the smallest normal double");
    ok(strtod(number_of(5e-324), NULL) == 5e-324, "numbers: the smallest double");
    is_str(number_of(NAN), "null", "numbers: NaN");
    is_str(number_of(INFINITY), "null", "numbers: infinity");
    is_str(number_of(-INFINITY), "null", "numbers: minus infinity");
    test_round_trip();
}

/* ---- times ---- */

#define SECOND ((apr_int64_t)1000000)

static const struct time_case {
    apr_int64_t micros;
    const char *seconds, *millis, *micro; /* without quotes and Z; NULL: null */
} time_cases[] = {
    {0, "1970-01-01T00:00:00", ".000", ""},
    {1, "1970-01-01T00:00:00", ".000", ".000001"},
    {999999, "1970-01-01T00:00:00", ".999", ".999999"},
    {-1, "1969-12-31T23:59:59", ".999", ".999999"},
    {-500000, "1969-12-31T23:59:59", ".500", ".500000"},
    {-1000000, "1969-12-31T23:59:59", ".000", ""},
    {-1000001, "1969-12-31T23:59:58", ".999", ".999999"},
    {-86400 * SECOND, "1969-12-31T00:00:00", ".000", ""},
    {1705314600 * SECOND, "2024-01-15T10:30:00", ".000", ""},
    {1757265029 * SECOND + 123449, "2025-09-07T17:10:29", ".123", ".123449"},
    {1757265029 * SECOND + 120000, "2025-09-07T17:10:29", ".120", ".120000"},
    {951782400 * SECOND, "2000-02-29T00:00:00", ".000", ""},
    {951868799 * SECOND, "2000-02-29T23:59:59", ".000", ""},
    {951868800 * SECOND, "2000-03-01T00:00:00", ".000", ""},
    {1709164800 * SECOND, "2024-02-29T00:00:00", ".000", ""},
    {1735689599 * SECOND, "2024-12-31T23:59:59", ".000", ""},
    {1740787200 * SECOND, "2025-03-01T00:00:00", ".000", ""},
    {4107542399 * SECOND, "2100-02-28T23:59:59", ".000", ""},
    {4107542400 * SECOND, "2100-03-01T00:00:00", ".000", ""},
    {-2203891200 * SECOND, "1900-03-01T00:00:00", ".000", ""},
    {-2203891201 * SECOND, "1900-02-28T23:59:59", ".000", ""},
    {-62135596800 * SECOND, "0001-01-01T00:00:00", ".000", ""},
    {-62135596800 * SECOND + 1, "0001-01-01T00:00:00", ".000", ".000001"},
    {-62135596800 * SECOND - 1, NULL, NULL, NULL},
    {253402300799 * SECOND + 999999, "9999-12-31T23:59:59", ".999", ".999999"},
    {253402300800 * SECOND, NULL, NULL, NULL},
    {INT64_MAX, NULL, NULL, NULL},
    {INT64_MIN, NULL, NULL, NULL},
};

static const char *time_of(apr_int64_t micros, lh_time_format format)
{
    lh_json json = fresh();

    lh_json_time(&json, micros, format);
    return written(&json);
}

static const char *quoted(const char *seconds, const char *fraction, const char *zone)
{
    return seconds ? apr_pstrcat(tap_pool, "\"", seconds, fraction, zone, "\"", NULL) : "null";
}

static void test_times(void)
{
    size_t i;

    for (i = 0; i < sizeof(time_cases) / sizeof(time_cases[0]); i++) {
        const struct time_case *c = &time_cases[i];
        const char *name = apr_psprintf(tap_pool, "times: %" APR_INT64_T_FMT " microseconds since 1970", c->micros);

        is_str(time_of(c->micros, LH_SECONDS), quoted(c->seconds, "", ""), name);
        is_str(time_of(c->micros, LH_SECONDS_Z), quoted(c->seconds, "", "Z"), name);
        is_str(time_of(c->micros, LH_MILLIS_Z), quoted(c->seconds, c->millis, "Z"), name);
        is_str(time_of(c->micros, LH_MICROS_Z), quoted(c->seconds, c->micro, "Z"), name);
    }
}

/* Every day of the years 1 to 9999 (in small: of one cycle of 400 years), compared with a date that is advanced day by day. */
static void test_calendar(void)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    apr_int64_t seconds = -62135596800;
    int year = 1, month = 1, day = 1, wrong = 0, last = tap_quick() ? 400 : 9999;
    char expected[64], text[64];
    lh_json json;

    for (; year <= last; seconds += 86400) {
        int leap = month == 2 && ((year % 4 == 0 && year % 100 != 0) || year % 400 == 0);

        lh_json_init(&json, tap_pool, 1);
        json.out.data = text;
        json.out.capacity = sizeof(text);
        lh_json_time(&json, seconds * SECOND, LH_SECONDS_Z);
        sprintf(expected, "\"%04d-%02d-%02dT00:00:00Z\"", year, month, day);
        wrong += json.out.length != 22 || memcmp(text, expected, 22) != 0;
        if (++day > lengths[month - 1] + leap) {
            day = 1;
            year += month == 12;
            month = month % 12 + 1;
        }
        if (seconds % (86400 * 1000) == 0) {
            apr_pool_clear(tap_pool);
        }
    }
    ok(wrong == 0, "calendar: every day from 0001-01-01 to %04d-12-31", last);
    is_int(seconds, last == 400 ? -49512816000 : 253402300800, "calendar: all of them have been written");
}

int main(void)
{
    tap_begin();
    test_ascii();
    test_utf8();
    test_capacities();
    test_stream();
    test_numbers();
    test_times();
    test_calendar();
    return tap_end();
}
