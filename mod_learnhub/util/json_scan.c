/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_scan.h"

#include <string.h>

#include "util/word.h"

const char *lh_scan_space(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\n' || *s == '\r' || *s == '\t')) {
        s++;
    }
    return s;
}

const char *lh_scan_string(const char *s, const char *end)
{
    for (s++; s < end && *s != '"'; s++) {
        s += *s == '\\';
    }
    return s < end ? s + 1 : end;
}

/* ---- objects and arrays ---- */

/* What has been read of an object or array. */
typedef struct nesting {
    int depth;
    apr_uint64_t in_string; /* all bits are set within a string */
    apr_uint64_t escaped;   /* 1 when the next byte is escaped by a backslash */
} nesting;

#ifdef LH_BLOCK
/* The bytes that are escaped. Backslashes outside strings are invalid JSON, so it does not matter that they count. */
static apr_uint64_t find_escaped(nesting *in, apr_uint64_t backslashes)
{
    apr_uint64_t escaped = in->escaped;

    backslashes &= ~escaped;
    in->escaped = 0;
    while (backslashes) {
        apr_uint64_t first = backslashes & (0 - backslashes);

        escaped |= first << 1;
        in->escaped = first >> 63;
        backslashes &= ~(first | first << 1);
    }
    return escaped;
}

/* Each bit becomes the parity of itself and all lower ones. */
static apr_uint64_t sum_bits(apr_uint64_t bits)
{
    int shift;

    for (shift = 1; shift < 64; shift *= 2) {
        bits ^= bits << shift;
    }
    return bits;
}

/* Reads 64 bytes. Returns the number of bytes up to the end of the object or array, or 0 when it does not end there. */
static int skip_block(nesting *in, const char *s)
{
    lh_block_marks marks = lh_block_mark(s);
    apr_uint64_t inside, brackets;

    if (marks.backslashes | in->escaped) {
        marks.quotes &= ~find_escaped(in, marks.backslashes);
    }
    inside = sum_bits(marks.quotes) ^ in->in_string;
    in->in_string = 0 - (inside >> 63);
    for (brackets = (marks.opening | marks.closing) & ~inside; brackets; brackets &= brackets - 1) {
        if (marks.opening & brackets & (0 - brackets)) {
            in->depth++;
        }
        else if (--in->depth == 0) {
            return __builtin_ctzll(brackets) + 1;
        }
    }
    return 0;
}
#endif

/* Returns the end of the object or array whose opening bracket is at `s`, or `end`. */
static const char *skip_items(const char *s, const char *end)
{
    nesting in = {0, 0, 0};

#ifdef LH_BLOCK
    for (; end - s >= 64; s += 64) {
        int length = skip_block(&in, s);

        if (length) {
            return s + length;
        }
    }
#endif
    for (; s < end; s++) {
        if (in.in_string) {
            in.in_string = *s != '"' || in.escaped;
            in.escaped = *s == '\\' && !in.escaped;
        }
        else if (*s == '"') {
            in.in_string = 1;
        }
        else if (*s == '{' || *s == '[') {
            in.depth++;
        }
        else if ((*s == '}' || *s == ']') && --in.depth == 0) {
            return s + 1;
        }
    }
    return end;
}

/* Returns the end of the value that starts at `s`, with the white space after it. */
static const char *skip_value(const char *s, const char *end)
{
    while (s < end && *s != ',' && *s != '}' && *s != ']') {
        s = *s == '"' ? lh_scan_string(s, end) : *s == '{' || *s == '[' ? skip_items(s, end) : s + 1;
    }
    return s;
}

/* ---- items ---- */

lh_scan lh_scan_open(lh_slice text)
{
    lh_scan scan = {text.data, text.data, 0};

    if (text.data) {
        scan.end = text.data + text.length;
        scan.s = lh_scan_space(text.data, scan.end);
        scan.array = scan.s < scan.end && *scan.s == '[';
        if (scan.s < scan.end && *scan.s != '[' && *scan.s != '{') {
            scan.s = scan.end;
        }
    }
    return scan;
}

int lh_scan_next(lh_scan *scan, lh_scan_item *item)
{
    const char *end = scan->end, *s = scan->s, *value;

    if (s >= end || !strchr("{[,", *s) || !*s) {
        return 0;
    }
    s = lh_scan_space(s + 1, end); /* after the opening bracket or a comma */
    item->key.data = NULL;
    item->key.length = 0;
    if (!scan->array) {
        if (s == end || *s != '"') {
            return 0;
        }
        item->key.data = s + 1;
        s = lh_scan_string(s, end);
        if (s == item->key.data || s[-1] != '"') {
            return 0; /* the text ends in the key */
        }
        item->key.length = (apr_size_t)(s - item->key.data) - 1;
        s = lh_scan_space(s, end);
        s = lh_scan_space(s + (s < end), end); /* after the colon */
    }
    value = s;
    scan->s = skip_value(s, end);
    for (s = scan->s; s > value && lh_scan_space(s - 1, s) == s; s--) {
    }
    item->value.data = value;
    item->value.length = (apr_size_t)(s - value);
    return item->key.data || s > value;
}

static int is_closing(const char *s, const char *end)
{
    return s < end && (*s == '}' || *s == ']');
}

/* A comma precedes a further value, an opening bracket a first one. */
apr_size_t lh_scan_count(const char *text, apr_size_t length, int *depth)
{
    const char *s, *end = text + length;
    apr_size_t count = 1;
    int open = 0;

    *depth = 0;
    for (s = text; s < end; s++) {
        switch (*s) {
        case '"': s = lh_scan_string(s, end) - 1; break;
        case ',': count++; break;
        case '}':
        case ']': open--; break;
        case '{':
        case '[':
            count += !is_closing(lh_scan_space(s + 1, end), end);
            open++;
            *depth = open > *depth ? open : *depth;
            break;
        default: break;
        }
    }
    return count;
}

int lh_slice_is(lh_slice slice, const char *text)
{
    return slice.data && slice.length == strlen(text) && !memcmp(slice.data, text, slice.length);
}

/* ---- escapes ---- */

/* Four hex digits, or -1. */
static int read_hex(const char **s, const char *end)
{
    int value = 0, i;

    if (end - *s < 4) {
        return -1;
    }
    for (i = 0; i < 4; i++) {
        char c = *(*s)++;
        int digit = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* Reads the hex digits after `\u` and, if they are the first half of a surrogate pair, the escape of the second half.
 * Returns the character, or 0 if an escape is malformed, a half is missing, or the character is zero. */
static unsigned read_code_point(const char **s, const char *end)
{
    int high = read_hex(s, end), low;

    if (high < 0xD800 || high > 0xDFFF) {
        return high > 0 ? (unsigned)high : 0;
    }
    if (high > 0xDBFF || end - *s < 2 || (*s)[0] != '\\' || (*s)[1] != 'u') {
        return 0;
    }
    *s += 2;
    low = read_hex(s, end);
    return low >= 0xDC00 && low <= 0xDFFF ? 0x10000u + ((unsigned)(high - 0xD800) << 10) + (unsigned)(low - 0xDC00) : 0;
}

unsigned lh_scan_escape(const char **s, const char *end)
{
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *place;

    if (*s < end && **s == 'u') {
        ++*s;
        return read_code_point(s, end);
    }
    place = *s < end && **s ? strchr(letters, **s) : NULL;
    if (!place) {
        return 0;
    }
    ++*s;
    return (unsigned char)values[place - letters];
}
