/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* Writes the comma between two entries or members: none at the start or after a bracket, a colon or a comma. */
static inline void put_comma(lh_json *json)
{
    switch (json->last) {
    case '\0':
    case '{':
    case '[':
    case ':':
    case ',': return;
    default: lh_buffer_append(&json->out, ",", 1);
    }
}

static void put_value(lh_json *json, const char *bytes, apr_size_t length)
{
    put_comma(json);
    lh_json_raw(json, bytes, length);
}

void lh_json_init(lh_json *json, apr_pool_t *pool, apr_size_t capacity)
{
    lh_buffer_init(&json->out, pool, capacity);
    json->last = '\0';
}

void lh_json_init_stream(lh_json *json, apr_pool_t *pool, apr_size_t capacity, lh_buffer_flush *flush, void *context)
{
    lh_buffer_init_stream(&json->out, pool, capacity, flush, context);
    json->last = '\0';
}

const char *lh_json_result(lh_json *json)
{
    return lh_buffer_text(&json->out);
}

/* ---- structure ---- */

void lh_json_raw(lh_json *json, const char *bytes, apr_size_t length)
{
    if (length > 0) {
        lh_buffer_append(&json->out, bytes, length);
        json->last = bytes[length - 1];
    }
}

void lh_json_open(lh_json *json, char bracket)
{
    put_value(json, &bracket, 1);
}

void lh_json_close(lh_json *json, char bracket)
{
    lh_json_raw(json, &bracket, 1);
}

void lh_json_key(lh_json *json, const char *key)
{
    lh_json_string(json, key, strlen(key));
    lh_json_raw(json, ":", 1);
}

void lh_json_bool(lh_json *json, int value)
{
    put_value(json, value ? "true" : "false", value ? 4 : 5);
}

void lh_json_null(lh_json *json)
{
    put_value(json, "null", 4);
}

void lh_json_verbatim(lh_json *json, const char *text, apr_size_t length)
{
    put_value(json, text, length);
}

/* ---- strings ---- */

/* Most bytes need no escape: they are copied in runs. */

static void put_escape(lh_json *json, unsigned char c)
{
    static const char digits[] = "0123456789abcdef", letters[] = "btn?fr"; /* for the bytes 8 to 13 */
    char hex[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]}, pair[] = {'\\', (char)c};

    if (c >= 0x80) {
        lh_buffer_append(&json->out, "\xEF\xBF\xBD", 3);
    }
    else if (c == '"' || c == '\\') {
        lh_buffer_append(&json->out, pair, sizeof(pair));
    }
    else if (c >= '\b' && c <= '\r' && c != '\v') {
        pair[1] = letters[c - '\b'];
        lh_buffer_append(&json->out, pair, sizeof(pair));
    }
    else {
        lh_buffer_append(&json->out, hex, sizeof(hex));
    }
}

void lh_json_string(lh_json *json, const char *text, apr_size_t length)
{
    const char *end = text + length, *run;

    put_comma(json);
    lh_buffer_append(&json->out, "\"", 1);
    for (;;) {
        run = text;
        text = lh_text_skip_valid(text, end);
        lh_buffer_append(&json->out, run, (apr_size_t)(text - run));
        if (text == end) {
            break;
        }
        put_escape(json, (unsigned char)*text++);
    }
    lh_json_raw(json, "\"", 1);
}

void lh_json_text(lh_json *json, const char *text)
{
    if (text) {
        lh_json_string(json, text, strlen(text));
    }
    else {
        lh_json_null(json);
    }
}

/* ---- numbers ---- */

void lh_json_int(lh_json *json, apr_int64_t value)
{
    char text[20], *end = text + sizeof(text), *s = end;
    apr_uint64_t rest = value < 0 ? 0 - (apr_uint64_t)value : (apr_uint64_t)value;

    do {
        *--s = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        *--s = '-';
    }
    put_value(json, s, (apr_size_t)(end - s));
}

#define EXACT_DIGITS 1e15 /* integers between -1e15 and 1e15 are written without an exponent */

void lh_json_number(lh_json *json, double value)
{
    char text[32], *comma;
    int precision, length;

    if (!isfinite(value)) {
        lh_json_null(json);
        return;
    }
    if (value > -EXACT_DIGITS && value < EXACT_DIGITS && value == (double)(apr_int64_t)value &&
        !(value == 0 && signbit(value))) {
        lh_json_int(json, (apr_int64_t)value);
        return;
    }
    for (precision = 15; precision <= 17; precision++) {
        length = snprintf(text, sizeof(text), "%.*g", precision, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    comma = strchr(text, ',');
    if (comma) {
        *comma = '.'; /* the decimal comma of a locale that another module has set */
    }
    put_value(json, text, (apr_size_t)length);
}

/* ---- times ---- */

static char *put_digits(char *out, int value, int count)
{
    int i;

    for (i = count - 1; i >= 0; i--, value /= 10) {
        out[i] = (char)('0' + value % 10);
    }
    return out + count;
}

#define DAY_SECONDS 86400
#define FIRST_SECOND (-62135596800) /* 0001-01-01T00:00:00Z */
#define LAST_SECOND 253402300799    /* 9999-12-31T23:59:59Z */

/*
 * Writes YYYY-MM-DD for a number of days since 1970-01-01, in the proleptic Gregorian calendar. The calculation uses
 * years that start in March, so that the leap day is the last day of its year, and eras of 400 years (146097 days).
 * 719468 days lie between 0000-03-01 and 1970-01-01.
 */
static char *put_date(char *out, int days)
{
    int since = days + 719468; /* 0000-03-01; not negative, as the year is at least 1 */
    int era = since / 146097, day_of_era = since % 146097;
    int year = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    int month_from_march = (5 * day_of_year + 2) / 153; /* 0: March */
    int month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;

    out = put_digits(out, era * 400 + year + (month <= 2), 4);
    *out++ = '-';
    out = put_digits(out, month, 2);
    *out++ = '-';
    return put_digits(out, day_of_year - (153 * month_from_march + 2) / 5 + 1, 2);
}

static char *put_clock(char *out, int seconds)
{
    out = put_digits(out, seconds / 3600, 2);
    *out++ = ':';
    out = put_digits(out, seconds / 60 % 60, 2);
    *out++ = ':';
    return put_digits(out, seconds % 60, 2);
}

void lh_json_time(lh_json *json, apr_int64_t unix_micros, lh_time_format format)
{
    static const unsigned char digits[] = {[LH_SECONDS_Z] = 0, [LH_SECONDS] = 0, [LH_MILLIS_Z] = 3, [LH_MICROS_Z] = 6};
    int micros = (int)(unix_micros % APR_USEC_PER_SEC), fraction = digits[format];
    apr_int64_t seconds = unix_micros / APR_USEC_PER_SEC, days;
    char text[32], *s = text;

    if (micros < 0) { /* before 1970: division rounds towards zero, but the fraction must be positive */
        micros += APR_USEC_PER_SEC;
        seconds--;
    }
    if (seconds < FIRST_SECOND || seconds > LAST_SECOND) {
        lh_json_null(json);
        return;
    }
    days = (seconds - FIRST_SECOND) / DAY_SECONDS + FIRST_SECOND / DAY_SECONDS;
    *s++ = '"';
    s = put_date(s, (int)days);
    *s++ = 'T';
    s = put_clock(s, (int)(seconds - days * DAY_SECONDS));
    if (fraction == 3 || (fraction == 6 && micros > 0)) {
        *s++ = '.';
        s = put_digits(s, fraction == 3 ? micros / 1000 : micros, fraction);
    }
    if (format != LH_SECONDS) {
        *s++ = 'Z';
    }
    *s++ = '"';
    put_value(json, text, (apr_size_t)(s - text));
}
