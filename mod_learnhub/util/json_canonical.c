/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_canonical.h"

#include <stdlib.h>
#include <string.h>

#include "util/json_scan.h"
#include "util/text.h"

/* ---- the raw text of a member ---- */

const char *lh_canonical_member(const char *text, apr_size_t length, const char *name, apr_size_t *value_length)
{
    lh_slice whole = {text, length};
    lh_scan scan = lh_scan_open(whole);
    lh_scan_item item;

    while (!scan.array && lh_scan_next(&scan, &item)) {
        if (lh_slice_is(item.key, name)) {
            *value_length = item.value.length;
            return item.value.data;
        }
    }
    return NULL;
}

/* ---- reading ---- */

#define MEMBERS_MAX 250000 /* of all objects that contain each other */

/* A string without its quotation marks, decoded. */
typedef struct string {
    const char *text;
    apr_size_t length;
    int plain; /* as it was sent: it has no escapes, needs none, and is between its quotation marks */
} string;

/* A member that has been written: its name, and the part of the output with "name":value. */
typedef struct member {
    const char *name;
    apr_size_t length;
    apr_size_t from, to;
} member;

typedef struct reader {
    apr_pool_t *pool;
    const char *s, *end; /* the text that has not been read yet */
    const char *why;     /* the first error, or NULL */
    int depth;
    lh_json *out;
    member *members;     /* of all objects that are open, the innermost last */
    int count, capacity; /* of members */
    char *scratch;       /* for sorting, as large as the text; NULL until it is needed */
    apr_size_t size;     /* of the text; the canonical form is not larger */
} reader;

/* Sets the error, unless there is one. Returns 0. */
static int fail(reader *in, const char *why)
{
    if (!in->why) {
        in->why = why;
    }
    return 0;
}

/* Skips white space, then `c` if it follows. Returns 1 if it did follow. */
static int consume(reader *in, char c)
{
    in->s = lh_scan_space(in->s, in->end);
    if (in->s < in->end && *in->s == c) {
        in->s++;
        return 1;
    }
    return 0;
}

/* Reads the rest of a string that starts at `start` and contains escapes. Decoding never makes it longer. */
static const char *read_escaped_string(reader *in, const char *start, apr_size_t *length)
{
    const char *end = lh_scan_string(start - 1, in->end);
    char *text = apr_palloc(in->pool, (apr_size_t)(end - start) + 1), *out = text + (in->s - start);
    unsigned c;

    memcpy(text, start, (apr_size_t)(in->s - start));
    while (in->s < in->end && *in->s != '"') {
        if ((unsigned char)*in->s < ' ') {
            fail(in, "a string contains a control character that is not escaped");
            return NULL;
        }
        if (*in->s != '\\') {
            *out++ = *in->s++;
            continue;
        }
        in->s++;
        c = lh_scan_escape(&in->s, in->end);
        if (!c) {
            fail(in, "a string contains an invalid escape, an incomplete surrogate pair or \\u0000");
            return NULL;
        }
        out = lh_utf8_put(out, c);
    }
    *length = (apr_size_t)(out - text);
    return text;
}

/* Reads a string after its opening quotation mark; its text is NULL on error. */
static string read_string(reader *in)
{
    const char *start = in->s, *why = NULL;
    string read = {start, 0, 1};

    in->s = lh_text_skip_plain(in->s, in->end);
    read.length = (apr_size_t)(in->s - start);
    if (in->s < in->end && *in->s != '"') {
        read.plain = 0;
        read.text = read_escaped_string(in, start, &read.length);
    }
    if (read.text && in->s == in->end) {
        why = "a string is not closed";
    }
    else if (read.text && !read.plain && !lh_utf8_valid(read.text, read.length)) {
        why = "a string is not valid UTF-8";
    }
    in->s++;
    if (why) {
        fail(in, why);
        read.text = NULL;
    }
    return read;
}

static apr_size_t skip_digits(reader *in)
{
    const char *start = in->s;

    while (in->s < in->end && *in->s >= '0' && *in->s <= '9') {
        in->s++;
    }
    return (apr_size_t)(in->s - start);
}

static int read_number(reader *in)
{
    const char *start;
    apr_size_t digits;

    in->s += *in->s == '-';
    start = in->s;
    digits = skip_digits(in);
    if (digits == 0 || (digits > 1 && *start == '0')) {
        return 0;
    }
    if (in->s < in->end && *in->s == '.') {
        in->s++;
        if (!skip_digits(in)) {
            return 0;
        }
    }
    if (in->s < in->end && (*in->s == 'e' || *in->s == 'E')) {
        in->s++;
        in->s += in->s < in->end && (*in->s == '+' || *in->s == '-');
        if (!skip_digits(in)) {
            return 0;
        }
    }
    return 1;
}

static int read_literal(reader *in)
{
    static const char *const literals[] = {"true", "false", "null"};
    int i;

    for (i = 0; i < 3; i++) {
        apr_size_t length = strlen(literals[i]);
        if ((apr_size_t)(in->end - in->s) >= length && !memcmp(in->s, literals[i], length)) {
            in->s += length;
            return 1;
        }
    }
    return 0;
}

/* ---- writing: the functions return 1, or 0 when there is an error ---- */

static int write_value(reader *in);

static void put(reader *in, const char *bytes)
{
    lh_json_raw(in->out, bytes, 1);
}

static void write_string(reader *in, const string *text)
{
    if (text->plain) {
        lh_json_raw(in->out, text->text - 1, text->length + 2);
    }
    else {
        lh_json_string(in->out, text->text, text->length);
    }
}

static int compare_members(const void *a, const void *b)
{
    const member *x = a, *y = b;
    int order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);

    return order ? order : (x->length > y->length) - (x->length < y->length);
}

/* Appends an open member that starts at the end of the output. */
static int push_member(reader *in, const string *name)
{
    if (in->count == MEMBERS_MAX) {
        return fail(in, "an object has too many members");
    }
    if (in->count == in->capacity) {
        member *more = apr_palloc(in->pool, sizeof(*more) * (apr_size_t)in->capacity * 2);

        memcpy(more, in->members, sizeof(*more) * (apr_size_t)in->count);
        in->members = more;
        in->capacity *= 2;
    }
    in->members[in->count++] = (member){name->text, name->length, in->out->out.length, 0};
    return 1;
}

static int write_member(reader *in)
{
    string name = {0};
    int index = in->count;

    if (!consume(in, '"')) {
        return fail(in, "a member has no name");
    }
    name = read_string(in);
    if (!name.text || !consume(in, ':')) {
        return fail(in, "a colon is missing after a name");
    }
    if (!push_member(in, &name)) {
        return 0;
    }
    write_string(in, &name);
    put(in, ":");
    if (!write_value(in)) {
        return 0;
    }
    in->members[index].to = in->out->out.length;
    return 1;
}

/* Sorts the members from index `first` on, which the output contains from `start` on. */
static int sort_members(reader *in, int first, apr_size_t start)
{
    char *to = in->out->out.data + start;
    int i;

    qsort(in->members + first, (apr_size_t)(in->count - first), sizeof(*in->members), compare_members);
    if (!in->scratch) {
        in->scratch = apr_palloc(in->pool, in->size);
    }
    memcpy(in->scratch, to, in->out->out.length - start);
    for (i = first; i < in->count; i++) {
        const member *moved = &in->members[i];

        if (i > first) {
            *to++ = ',';
            if (!compare_members(moved - 1, moved)) {
                return fail(in, "a name occurs twice in an object");
            }
        }
        memcpy(to, in->scratch + (moved->from - start), moved->to - moved->from);
        to += moved->to - moved->from;
    }
    return 1;
}

/* 1 when each name is greater than the one before it. */
static int is_sorted(const reader *in, int first)
{
    int i;

    for (i = first + 1; i < in->count; i++) {
        if (compare_members(&in->members[i - 1], &in->members[i]) >= 0) {
            return 0;
        }
    }
    return 1;
}

/* Writes an object whose opening brace has been read and written. */
static int write_members(reader *in)
{
    apr_size_t start = in->out->out.length;
    int first = in->count, ok;

    do {
        if (in->count > first) {
            put(in, ",");
        }
        if (!write_member(in)) {
            return 0;
        }
    } while (consume(in, ','));
    ok = is_sorted(in, first) || sort_members(in, first, start);
    in->count = first;
    return ok;
}

/* Writes an array whose opening bracket has been read and written. */
static int write_entries(reader *in)
{
    int more;

    do {
        if (!write_value(in)) {
            return 0;
        }
        more = consume(in, ',');
        if (more) {
            put(in, ",");
        }
    } while (more);
    return 1;
}

static int write_items(reader *in)
{
    int is_object = *in->s++ == '{';
    char close = is_object ? '}' : ']';

    if (++in->depth > LH_CANONICAL_DEPTH) {
        return fail(in, "it is nested too deeply");
    }
    put(in, is_object ? "{" : "[");
    if (!consume(in, close)) {
        if (!(is_object ? write_members(in) : write_entries(in))) {
            return 0;
        }
        if (!consume(in, close)) {
            return fail(in, "a closing bracket or a comma is missing");
        }
    }
    put(in, is_object ? "}" : "]");
    in->depth--;
    return 1;
}

static int write_value(reader *in)
{
    const char *start = in->s = lh_scan_space(in->s, in->end);
    string text;

    if (in->s == in->end) {
        return fail(in, "it ends unexpectedly");
    }
    if (*in->s == '{' || *in->s == '[') {
        return write_items(in);
    }
    if (*in->s == '"') {
        in->s++;
        text = read_string(in);
        if (text.text) {
            write_string(in, &text);
        }
        return text.text != NULL;
    }
    if (!(*in->s == '-' || (*in->s >= '0' && *in->s <= '9') ? read_number(in) : read_literal(in))) {
        return fail(in, "it contains an invalid value");
    }
    lh_json_raw(in->out, start, (apr_size_t)(in->s - start));
    return 1;
}

const char *lh_canonical_write(apr_pool_t *p, const char *text, apr_size_t length, lh_json *out)
{
    reader in = {.pool = p, .s = text, .end = text + length, .out = out, .capacity = 64, .size = length};
    lh_json unused;

    if (!out) {
        lh_json_init(&unused, p, length + 1);
        in.out = &unused;
    }
    in.members = apr_palloc(p, sizeof(*in.members) * (apr_size_t)in.capacity);
    if (write_value(&in) && lh_scan_space(in.s, in.end) < in.end) {
        fail(&in, "there is text after its end");
    }
    return in.why;
}
