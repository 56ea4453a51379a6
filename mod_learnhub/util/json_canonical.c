/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_canonical.h"

#include <stdlib.h>
#include <string.h>

#include "util/json.h"
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
#define ORDER_MAX 32       /* members of an object whose order is remembered */

/* A member that has been read: its decoded name, and the part of the canonical form with "name":value. */
typedef struct member {
    const char *name;
    apr_size_t length;
    apr_size_t from, to;
} member;

/*
 * Most of a text is canonical already. The bytes from `run` to `s` belong to the canonical form as they are; they are
 * not copied before something that follows them is left out, respelled or sorted.
 */
typedef struct reader {
    apr_pool_t *pool;
    const char *text, *end;
    const char *s;   /* the text that has not been read yet */
    const char *run; /* the text that has not been copied yet */
    const char *why; /* the first error, or NULL */
    lh_json out;     /* the canonical form up to `run`; without a buffer while nothing is copied */
    int depth;
    int validate;                  /* no canonical form is wanted: nothing is copied */
    member *members;               /* of all objects that are open, the innermost last */
    int count, capacity;           /* of members */
    char *scratch;                 /* for sorting, as large as the text; NULL until it is needed */
    int order[ORDER_MAX], ordered; /* the order of the object that was sorted last, and the number of its members */
} reader;

/* Sets the error, unless there is one. Returns 0. */
static int fail(reader *in, const char *why)
{
    if (!in->why) {
        in->why = why;
    }
    return 0;
}

/* The length of the canonical form of what has been read. */
static inline apr_size_t position(const reader *in)
{
    return in->out.out.length + (apr_size_t)(in->s - in->run);
}

/* The canonical form, for writing. It is not longer than the text. */
static lh_json *output(reader *in)
{
    if (!in->out.out.data) {
        lh_json_init(&in->out, in->pool, (apr_size_t)(in->end - in->text) + 1);
    }
    return &in->out;
}

/* Copies the run. The next one starts at `next`; the text before that is left out. */
static void end_run(reader *in, const char *next)
{
    if (!in->validate && in->s > in->run) {
        lh_json_raw(output(in), in->run, (apr_size_t)(in->s - in->run));
    }
    in->run = in->s = next;
}

static void skip_space(reader *in)
{
    const char *next = lh_scan_space(in->s, in->end);

    if (next > in->s) {
        end_run(in, next);
    }
}

/* Skips white space, then `c` if it follows. Returns 1 if it did follow. */
static inline int consume(reader *in, char c)
{
    if (in->s == in->end || *in->s != c) {
        skip_space(in);
        if (in->s == in->end || *in->s != c) {
            return 0;
        }
    }
    in->s++;
    return 1;
}

/* Reads the rest of a string that starts at `start` and contains escapes. Decoding never makes it longer. */
static const char *read_escaped_string(reader *in, const char *start, apr_size_t *length)
{
    const char *end = lh_scan_string(start - 1, in->end), *s = in->s;
    char *text = apr_palloc(in->pool, (apr_size_t)(end - start) + 1), *out = text + (s - start);
    unsigned c;

    memcpy(text, start, (apr_size_t)(s - start));
    while (s < in->end && *s != '"') {
        if ((unsigned char)*s < ' ') {
            fail(in, "a string contains a control character that is not escaped");
            return NULL;
        }
        if (*s != '\\') {
            *out++ = *s++;
            continue;
        }
        s++;
        c = lh_scan_escape(&s, in->end);
        if (!c) {
            fail(in, "a string contains an invalid escape, an incomplete surrogate pair or \\u0000");
            return NULL;
        }
        out = lh_utf8_put(out, c);
    }
    *length = (apr_size_t)(out - text);
    in->s = s;
    return text;
}

/* Appends a decoded string to the canonical form, in place of the text from `start`, its quotation mark, to in->s. */
static void respell(reader *in, const char *start, const char *text, apr_size_t length)
{
    const char *next = in->s;

    in->s = start;
    end_run(in, next);
    if (!in->validate) {
        lh_json_string(output(in), text, length);
    }
}

/* Reads a string after its opening quotation mark, and sets *length. Returns the decoded string; NULL on error. */
static const char *read_string(reader *in, apr_size_t *length)
{
    const char *start = in->s, *text = start;

    in->s = lh_text_skip_valid(start, in->end);
    *length = (apr_size_t)(in->s - start);
    if (in->s < in->end && *in->s != '"') {
        text = read_escaped_string(in, start, length);
    }
    if (!text) {
        return NULL;
    }
    if (in->s == in->end) {
        fail(in, "a string is not closed");
        return NULL;
    }
    in->s++;
    if (text != start) {
        if (!lh_utf8_valid(text, *length)) {
            fail(in, "a string is not valid UTF-8");
            return NULL;
        }
        respell(in, start - 1, text, *length);
    }
    return text;
}

static inline apr_size_t skip_digits(reader *in)
{
    const char *start = in->s;

    while (in->s < in->end && (unsigned char)(*in->s - '0') < 10) {
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

/* ---- values: the functions return 1, or 0 when there is an error ---- */

static int read_value(reader *in);

static int compare_members(const void *a, const void *b)
{
    const member *x = a, *y = b;
    int order;

    if (x->length && y->length && *x->name != *y->name) {
        return (unsigned char)*x->name < (unsigned char)*y->name ? -1 : 1;
    }
    order = memcmp(x->name, y->name, x->length < y->length ? x->length : y->length);

    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static int grow_members(reader *in)
{
    member *more;

    if (in->count >= MEMBERS_MAX) {
        return fail(in, "an object has too many members");
    }
    more = apr_palloc(in->pool, sizeof(*more) * (apr_size_t)in->capacity * 2);
    memcpy(more, in->members, sizeof(*more) * (apr_size_t)in->count);
    in->members = more;
    in->capacity *= 2;
    return 1;
}

/* Reads a member and appends it to in->members. */
static int read_member(reader *in)
{
    int index = in->count;
    member read = {NULL, 0, 0, 0};

    if (!consume(in, '"')) {
        return fail(in, "a member has no name");
    }
    read.from = position(in) - 1;
    read.name = read_string(in, &read.length);
    if (!read.name || !consume(in, ':')) {
        return fail(in, "a colon is missing after a name");
    }
    if ((index == in->capacity || index == MEMBERS_MAX) && !grow_members(in)) {
        return 0;
    }
    in->members[in->count++] = read;
    if (!read_value(in)) {
        return 0;
    }
    in->members[index].to = position(in);
    return 1;
}

/* Most objects of a diagram have the same names in the same order. Sorts the members from index `first` on in the order
 * of the object before; returns 0 and changes nothing if they are not sorted then. */
static int repeat_order(reader *in, int first)
{
    int count = in->count - first, i;
    member sorted[ORDER_MAX];

    if (count != in->ordered) {
        return 0;
    }
    for (i = 0; i < count; i++) {
        sorted[i] = in->members[first + in->order[i]];
        if (i > 0 && compare_members(&sorted[i - 1], &sorted[i]) >= 0) {
            return 0;
        }
    }
    memcpy(in->members + first, sorted, sizeof(*sorted) * (apr_size_t)count);
    return 1;
}

/* Sorts the members from index `first` on. Returns 0 when a name occurs twice. */
static int order_members(reader *in, int first)
{
    int count = in->count - first, i, k;
    member *members = in->members + first, before[ORDER_MAX];

    if (repeat_order(in, first)) {
        return 1;
    }
    in->ordered = 0;
    if (count <= ORDER_MAX) {
        memcpy(before, members, sizeof(*before) * (apr_size_t)count);
        in->ordered = count;
    }
    qsort(members, (apr_size_t)count, sizeof(*members), compare_members);
    for (i = 0; i < in->ordered; i++) {
        for (k = 0; before[k].name != members[i].name; k++) {
        }
        in->order[i] = k;
    }
    for (i = 1; i < count; i++) {
        if (!compare_members(&members[i - 1], &members[i])) {
            return fail(in, "a name occurs twice in an object");
        }
    }
    return 1;
}

/* Sorts the members from index `first` on, which the canonical form contains from `start` on. */
static int sort_members(reader *in, int first, apr_size_t start)
{
    apr_size_t length;
    char *to;
    int i;

    end_run(in, in->s);
    if (!order_members(in, first)) {
        return 0;
    }
    if (in->validate) {
        return 1;
    }
    if (!in->scratch) {
        in->scratch = apr_palloc(in->pool, (apr_size_t)(in->end - in->text));
    }
    to = in->out.out.data + start;
    memcpy(in->scratch, to, in->out.out.length - start);
    for (i = first; i < in->count; i++) {
        const member *moved = &in->members[i];

        if (i > first) {
            *to++ = ',';
        }
        length = moved->to - moved->from;
        memcpy(to, in->scratch + (moved->from - start), length);
        to += length;
    }
    return 1;
}

/* Reads an object after its opening brace. */
static int read_members(reader *in)
{
    apr_size_t start;
    int first = in->count, sorted = 1;

    skip_space(in);
    start = position(in);
    do {
        if (!read_member(in)) {
            return 0;
        }
        sorted = sorted && (in->count == first + 1 ||
                            compare_members(&in->members[in->count - 2], &in->members[in->count - 1]) < 0);
    } while (consume(in, ','));
    if (!sorted && !sort_members(in, first, start)) {
        return 0;
    }
    in->count = first;
    return 1;
}

/* Reads an array after its opening bracket. */
static int read_entries(reader *in)
{
    do {
        if (!read_value(in)) {
            return 0;
        }
    } while (consume(in, ','));
    return 1;
}

static int read_items(reader *in)
{
    int is_object = *in->s++ == '{';
    char close = is_object ? '}' : ']';

    if (++in->depth > LH_CANONICAL_DEPTH) {
        return fail(in, "it is nested too deeply");
    }
    if (!consume(in, close)) {
        if (!(is_object ? read_members(in) : read_entries(in))) {
            return 0;
        }
        if (!consume(in, close)) {
            return fail(in, "a closing bracket or a comma is missing");
        }
    }
    in->depth--;
    return 1;
}

static int read_value(reader *in)
{
    apr_size_t length;

    skip_space(in);
    if (in->s == in->end) {
        return fail(in, "it ends unexpectedly");
    }
    switch (*in->s) {
    case '{':
    case '[': return read_items(in);
    case '"': in->s++; return read_string(in, &length) != NULL;
    case 't':
    case 'f':
    case 'n': return read_literal(in) || fail(in, "it contains an invalid value");
    default: return read_number(in) || fail(in, "it contains an invalid value");
    }
}

const char *lh_canonical_form(apr_pool_t *p, const char *text, apr_size_t length, lh_slice *form)
{
    reader in = {
        .pool = p, .text = text, .s = text, .end = text + length, .run = text, .capacity = 64, .validate = !form};

    in.members = apr_palloc(p, sizeof(*in.members) * (apr_size_t)in.capacity);
    if (read_value(&in) && lh_scan_space(in.s, in.end) < in.end) {
        fail(&in, "there is text after its end");
    }
    if (form && !in.why) {
        form->data = in.run;
        form->length = (apr_size_t)(in.s - in.run);
        if (in.out.out.data) {
            end_run(&in, in.s);
            form->data = in.out.out.data;
            form->length = in.out.out.length;
        }
    }
    return in.why;
}
