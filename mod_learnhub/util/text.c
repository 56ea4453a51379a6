/* SPDX-License-Identifier: Apache-2.0 */
#include "util/text.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/word.h"

apr_size_t lh_utf8_character(const unsigned char *s, apr_size_t left)
{
    unsigned char low = 0x80, high = 0xBF;
    apr_size_t n, i;

    if (s[0] < 0x80) {
        return s[0] != 0;
    }
    n = s[0] < 0xC2 ? 0 : s[0] < 0xE0 ? 2 : s[0] < 0xF0 ? 3 : s[0] < 0xF5 ? 4 : 0;
    if (n == 0 || n > left) {
        return 0;
    }
    low = s[0] == 0xE0 ? 0xA0 : s[0] == 0xF0 ? 0x90 : low;
    high = s[0] == 0xED ? 0x9F : s[0] == 0xF4 ? 0x8F : high;
    if (s[1] < low || s[1] > high) {
        return 0;
    }
    for (i = 2; i < n; i++) {
        if ((s[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return n;
}

char *lh_utf8_put(char *out, unsigned c)
{
    static const unsigned limits[] = {0x80, 0x800, 0x10000}, marks[] = {0, 0xC0, 0xE0, 0xF0};
    int more = 0, i;

    while (more < 3 && c >= limits[more]) {
        more++;
    }
    *out++ = (char)(marks[more] | c >> 6 * more);
    for (i = more - 1; i >= 0; i--) {
        *out++ = (char)(0x80 | (c >> 6 * i & 0x3F));
    }
    return out;
}

int lh_utf8_valid(const char *text, apr_size_t length)
{
    const char *s = text, *end = text + length;
    apr_size_t n;

    while ((s = lh_text_skip_plain(s, end)) < end) {
        n = lh_utf8_character((const unsigned char *)s, (apr_size_t)(end - s));
        if (n == 0) {
            return 0;
        }
        s += n;
    }
    return 1;
}

static inline int is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

const char *lh_text_skip_plain(const char *s, const char *end)
{
#ifdef LH_BLOCK
    for (; end - s >= LH_BLOCK; s += LH_BLOCK) {
        unsigned special = lh_block_special(lh_block_read(s));

        if (special) {
            return s + __builtin_ctz(special);
        }
    }
#endif
    for (; end - s >= (ptrdiff_t)sizeof(apr_uint64_t); s += sizeof(apr_uint64_t)) {
        apr_uint64_t word = lh_word_read(s);
        apr_uint64_t flags =
            (word & LH_WORD_EACH(0x80)) | LH_WORD_BELOW(word, 0x20) | LH_WORD_IS(word, '"') | LH_WORD_IS(word, '\\');

        if (flags) {
            return s + lh_word_first(flags);
        }
    }
    while (s < end && is_plain((unsigned char)*s)) {
        s++;
    }
    return s;
}

const char *lh_text_skip_valid(const char *s, const char *end)
{
    apr_size_t bytes = 1;

    while (bytes > 0 && (s = lh_text_skip_plain(s, end)) < end) {
        bytes = (unsigned char)*s < 0x80 ? 0 : lh_utf8_character((const unsigned char *)s, (apr_size_t)(end - s));
        s += bytes;
    }
    return s;
}

apr_size_t lh_utf8_length(const char *text)
{
    apr_size_t n = 0;

    for (; *text; text++) {
        n += ((unsigned char)*text & 0xC0) != 0x80;
    }
    return n;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

char *lh_text_decode(apr_pool_t *p, const char *text, apr_size_t length)
{
    char *decoded = apr_palloc(p, length + 1), *out = decoded;
    apr_size_t i;

    for (i = 0; i < length; i++) {
        if (text[i] != '%') {
            *out++ = text[i] == '+' ? ' ' : text[i];
        }
        else if (length - i < 3 || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0) {
            return NULL;
        }
        else {
            *out++ = (char)(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2]));
            i += 2;
        }
    }
    *out = '\0';
    return lh_utf8_valid(decoded, (apr_size_t)(out - decoded)) ? decoded : NULL;
}

/* The length in bytes of the white space character at `s`; 0 when there is none. */
static apr_size_t space_length(const unsigned char *s)
{
    if (*s == ' ' || (*s >= '\t' && *s <= '\r')) {
        return 1;
    }
    if (s[0] == 0xC2 && s[1] == 0xA0) {
        return 2;
    }
    return (s[0] == 0xE2 && s[1] == 0x80 && s[2] >= 0x80 && s[2] <= 0x8B) ||
                   (s[0] == 0xE3 && s[1] == 0x80 && s[2] == 0x80)
               ? 3
               : 0;
}

char *lh_text_trim(char *text)
{
    char *s, *end;
    apr_size_t n;

    while ((n = space_length((unsigned char *)text)) > 0) {
        text += n;
    }
    for (s = end = text; *s; s += n ? n : 1) {
        n = space_length((unsigned char *)s);
        if (n == 0) {
            end = s + 1;
        }
    }
    *end = '\0';
    return text;
}

const char *lh_text_word(const char **list, apr_size_t *length)
{
    const char *word = *list ? *list + strspn(*list, " ") : "";

    *length = strcspn(word, " ");
    *list = word + *length;
    return *length ? word : NULL;
}

int lh_text_listed(const char *list, const char *word, apr_size_t length)
{
    const char *entry;
    apr_size_t size;

    while ((entry = lh_text_word(&list, &size))) {
        if (size == length && !memcmp(entry, word, length)) {
            return 1;
        }
    }
    return 0;
}

int lh_text_index(const char *list, const char *word)
{
    const char *entry;
    apr_size_t length;
    int i;

    for (i = 0; (entry = lh_text_word(&list, &length)); i++) {
        if (strlen(word) == length && !strncasecmp(entry, word, length)) {
            return i;
        }
    }
    return -1;
}

/* The character at `s`; any value if it is not well-formed UTF-8. */
static unsigned character_at(const unsigned char *s)
{
    unsigned c = *s < 0x80 ? *s : *s < 0xE0 ? *s & 0x1F : *s < 0xF0 ? *s & 0x0F : *s & 0x07;

    while ((*++s & 0xC0) == 0x80) {
        c = c << 6 | (*s & 0x3F);
    }
    return c;
}

typedef struct range {
    unsigned first, last;
} range;

/* In ascending order: C0, DEL and C1; soft hyphen; format characters, fillers and variation selectors; line and
 * paragraph separators; interlinear annotations; musical format characters; tags. */
static const range invisible[] = {{0x00, 0x1F},     {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},
                                  {0x61C, 0x61C},   {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},
                                  {0x200B, 0x200F}, {0x2028, 0x202E},   {0x2060, 0x206F},   {0x2800, 0x2800},
                                  {0x3164, 0x3164}, {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},
                                  {0xFFF9, 0xFFFB}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};

static int in_ranges(const range *ranges, apr_size_t count, unsigned c)
{
    apr_size_t i;

    for (i = 0; i < count && c > ranges[i].last; i++) {
    }
    return i < count && c >= ranges[i].first;
}

int lh_text_has_invisible(const char *text)
{
    const unsigned char *s;

    for (s = (const unsigned char *)text; *s; s++) {
        if ((*s & 0xC0) != 0x80 && in_ranges(invisible, sizeof(invisible) / sizeof(invisible[0]), character_at(s))) {
            return 1;
        }
    }
    return 0;
}

/* 1 when the text contains a white space character of Unicode. */
static int has_space(const char *text)
{
    static const range spaces[] = {{'\t', '\r'},     {' ', ' '},       {0x85, 0x85},     {0xA0, 0xA0},
                                   {0x1680, 0x1680}, {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                   {0x205F, 0x205F}, {0x3000, 0x3000}};
    const unsigned char *s;

    for (s = (const unsigned char *)text; *s; s++) {
        if ((*s & 0xC0) != 0x80 && in_ranges(spaces, sizeof(spaces) / sizeof(spaces[0]), character_at(s))) {
            return 1;
        }
    }
    return 0;
}

int lh_text_is_email(const char *text)
{
    const char *at = strchr(text, '@'), *s;
    apr_size_t length = strlen(text);

    if (!at || at == text || at - text > 64 || strchr(at + 1, '@') || length > 254) {
        return 0;
    }
    for (s = text; *s; s++) {
        if (strchr("()<>[]:;,\\\"", *s)) {
            return 0;
        }
    }
    if (has_space(text) || lh_text_has_invisible(text)) {
        return 0;
    }
    return text[0] != '.' && at[-1] != '.' && !strstr(text, "..") && strchr(at, '.') && at[1] != '.' && at[1] != '-' &&
           text[length - 1] != '.' && text[length - 1] != '-';
}

static apr_size_t hex_run(const char *s)
{
    apr_size_t n = 0;

    while (hex_digit(s[n]) >= 0) {
        n++;
    }
    return n;
}

int lh_text_is_object_id(const char *text)
{
    return hex_run(text) == 24 && text[24] == '\0';
}

int lh_text_is_uuid(const char *text)
{
    static const unsigned char groups[] = {8, 4, 4, 4, 12};
    int i;

    for (i = 0; i < 5; i++) {
        if (hex_run(text) != groups[i] || text[groups[i]] != (i < 4 ? '-' : '\0')) {
            return 0;
        }
        text += groups[i] + 1;
    }
    return 1;
}

int lh_text_integer(const char *text, apr_int64_t *value)
{
    const char *digits = text + (*text == '-');
    char *end;

    if (!isdigit((unsigned char)*digits)) {
        return 0;
    }
    errno = 0;
    *value = strtoll(text, &end, 10);
    return *end == '\0' && errno == 0;
}

int lh_text_hundredths(const char *text, apr_int64_t *value)
{
    const char *point = text + (*text == '-'), *end = point;
    int sign = *text == '-' ? -1 : 1, i;

    for (*value = 0; isdigit((unsigned char)*end) && *value < APR_INT64_MAX / 10000; end++) {
        *value = *value * 10 + (*end - '0');
    }
    if (end == point) {
        return 0;
    }
    point = end;
    end += *point == '.';
    for (i = 0; i < 2; i++) {
        *value = *value * 10 + (*point == '.' && isdigit((unsigned char)*end) ? *end++ - '0' : 0);
    }
    *value *= sign;
    return *end == '\0' && (*point != '.' || end > point + 1);
}

/* The parse functions below advance *s past what they parse, and return 0 when the text has another form. */

/* Exactly `count` digits. */
static int parse_digits(const char **s, int count, int *value)
{
    for (*value = 0; count > 0; count--, (*s)++) {
        if (!isdigit((unsigned char)**s)) {
            return 0;
        }
        *value = *value * 10 + (**s - '0');
    }
    return 1;
}

/*
 * Days from 1970-01-01 to a date of the proleptic Gregorian calendar in the years 1 to 9999. The calculation uses years
 * that start in March, so that the leap day is the last day of its year, and eras of 400 years (146097 days). 719468
 * days lie between 0000-03-01 and 1970-01-01.
 */
static apr_int64_t days_of(int year, int month, int day)
{
    int from_march = month > 2 ? year : year - 1, era = from_march / 400, year_of_era = from_march % 400;
    int day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;

    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

static int parse_date(const char **s, apr_int64_t *days)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day, leap;

    if (!parse_digits(s, 4, &year) || *(*s)++ != '-' || !parse_digits(s, 2, &month) || *(*s)++ != '-' ||
        !parse_digits(s, 2, &day)) {
        return 0;
    }
    leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || month < 1 || month > 12 || day < 1 || day > lengths[month - 1] + (month == 2 && leap)) {
        return 0;
    }
    *days = days_of(year, month, day);
    return 1;
}

/* HH:MM[:SS[.f...]] in microseconds. */
static int parse_clock(const char **s, apr_int64_t *micros)
{
    int hour, minute, second = 0, seconds;
    apr_int64_t unit = APR_USEC_PER_SEC / 10;

    if (!parse_digits(s, 2, &hour) || *(*s)++ != ':' || !parse_digits(s, 2, &minute)) {
        return 0;
    }
    seconds = **s == ':';
    *s += seconds;
    if (seconds && !parse_digits(s, 2, &second)) {
        return 0;
    }
    *micros = ((hour * 60 + minute) * 60 + second) * (apr_int64_t)APR_USEC_PER_SEC;
    if (seconds && **s == '.' && isdigit((unsigned char)(*s)[1])) {
        for ((*s)++; isdigit((unsigned char)**s); (*s)++, unit /= 10) {
            *micros += (**s - '0') * unit;
        }
    }
    return hour < 24 && minute < 60 && second < 60;
}

/* No offset (UTC), Z or +HH[[:]MM], in microseconds east of UTC. */
static int parse_offset(const char **s, apr_int64_t *micros)
{
    int hour, minute = 0, sign = **s == '-' ? -1 : 1, colon;

    *micros = 0;
    if (**s == 'Z' || **s == 'z') {
        (*s)++;
        return 1;
    }
    if (**s != '+' && **s != '-') {
        return 1;
    }
    (*s)++;
    if (!parse_digits(s, 2, &hour)) {
        return 0;
    }
    colon = **s == ':';
    *s += colon;
    if ((colon || **s) && !parse_digits(s, 2, &minute)) {
        return 0;
    }
    *micros = sign * (hour * 60 + minute) * 60 * (apr_int64_t)APR_USEC_PER_SEC;
    return hour < 24 && minute < 60;
}

/* The limits in UTC: 0001-01-01T00:00:00Z and 9999-12-31T23:59:59.999999Z. */
#define FIRST_MOMENT (-62135596800 * (apr_int64_t)APR_USEC_PER_SEC)
#define LAST_MOMENT (253402300800 * (apr_int64_t)APR_USEC_PER_SEC - 1)

int lh_text_time(const char *text, apr_int64_t *micros)
{
    apr_int64_t days, time = 0, east = 0;

    if (!parse_date(&text, &days)) {
        return 0;
    }
    if (*text == 'T' || *text == 't' || *text == ' ') {
        text++;
        if (!parse_clock(&text, &time) || !parse_offset(&text, &east)) {
            return 0;
        }
    }
    *micros = days * 86400 * (apr_int64_t)APR_USEC_PER_SEC + time - east;
    return *text == '\0' && *micros >= FIRST_MOMENT && *micros <= LAST_MOMENT;
}

int lh_text_duration(const char *text)
{
    static const char form[] = "dd:dd:dd";
    int digits[8], i;

    for (i = 0; i < 8; i++) {
        int digit = text[i] >= '0' && text[i] <= '9';
        if (form[i] == 'd' ? !digit : text[i] != ':') {
            return -1;
        }
        digits[i] = text[i] - '0';
    }
    return text[8] || digits[3] > 5 || digits[6] > 5
               ? -1
               : ((digits[0] * 10 + digits[1]) * 60 + digits[3] * 10 + digits[4]) * 60 + digits[6] * 10 + digits[7];
}
