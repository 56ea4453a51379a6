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

/* A string without its quotation marks, decoded. */
typedef struct string {
    const char *text;
    apr_size_t length;
    int plain; /* as it was sent: it has no escapes, needs none, and is between its quotation marks */
} string;

typedef struct node {
    string key;  /* of a member; text NULL: none */
    string text; /* of a string; of a number or literal (true, false, null) as it was sent */
    char kind;   /* '{' '[' '"', or 'v' for a number or literal */
    int count;   /* of members or entries */
    struct node *first, *next;
} node;

typedef struct reader {
    apr_pool_t *pool;
    const char *s, *end; /* the text that has not been read yet */
    const char *why;     /* the first error, or NULL */
    int depth;
} reader;

static node *read_value(reader *in);

static void *fail(reader *in, const char *why)
{
    if (!in->why) {
        in->why = why;
    }
    return NULL;
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
            return fail(in, "a string contains a control character that is not escaped");
        }
        if (*in->s != '\\') {
            *out++ = *in->s++;
            continue;
        }
        in->s++;
        c = lh_scan_escape(&in->s, in->end);
        if (!c) {
            return fail(in, "a string contains an invalid escape, an incomplete surrogate pair or \\u0000");
        }
        out = lh_utf8_put(out, c);
    }
    *length = (apr_size_t)(out - text);
    return text;
}

/* Reads a string after its opening quotation mark; its text is NULL on error. */
static string read_string(reader *in)
{
    const char *start = in->s;
    string read = {start, 0, 1};

    in->s = lh_text_skip_plain(in->s, in->end);
    read.length = (apr_size_t)(in->s - start);
    if (in->s < in->end && *in->s != '"') {
        read.plain = 0;
        read.text = read_escaped_string(in, start, &read.length);
    }
    if (read.text && in->s == in->end) {
        read.text = fail(in, "a string is not closed");
    }
    in->s++;
    if (read.text && !read.plain && !lh_utf8_valid(read.text, read.length)) {
        read.text = fail(in, "a string is not valid UTF-8");
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

/* Reads the members of an object or the entries of an array, after the opening bracket. */
static node *read_items(reader *in, node *parent)
{
    int is_object = parent->kind == '{';
    char close = is_object ? '}' : ']';
    node **last = &parent->first, *child;

    if (consume(in, close)) {
        return parent;
    }
    do {
        string key = {0};

        if (is_object) {
            if (!consume(in, '"')) {
                return fail(in, "a member has no name");
            }
            key = read_string(in);
            if (!key.text || !consume(in, ':')) {
                return fail(in, "a colon is missing after a name");
            }
        }
        child = read_value(in);
        if (!child) {
            return NULL;
        }
        child->key = key;
        *last = child;
        last = &child->next;
        parent->count++;
    } while (consume(in, ','));
    return consume(in, close) ? parent : fail(in, "a closing bracket or a comma is missing");
}

static node *read_value(reader *in)
{
    node *value = apr_pcalloc(in->pool, sizeof(*value));
    node *ok = value;

    in->s = lh_scan_space(in->s, in->end);
    if (in->s == in->end) {
        return fail(in, "it ends unexpectedly");
    }
    value->kind = *in->s;
    value->text.text = in->s;
    if (*in->s == '{' || *in->s == '[') {
        in->s++;
        if (++in->depth > LH_CANONICAL_DEPTH) {
            return fail(in, "it is nested too deeply");
        }
        ok = read_items(in, value);
        in->depth--;
        return ok;
    }
    if (*in->s == '"') {
        in->s++;
        value->text = read_string(in);
        return value->text.text ? value : NULL;
    }
    if (!(*in->s == '-' || (*in->s >= '0' && *in->s <= '9') ? read_number(in) : read_literal(in))) {
        return fail(in, "it contains an invalid value");
    }
    value->kind = 'v';
    value->text.length = (apr_size_t)(in->s - value->text.text);
    return value;
}

/* ---- the canonical form ---- */

static int compare_keys(const void *a, const void *b)
{
    const string *x = &(*(const node *const *)a)->key, *y = &(*(const node *const *)b)->key;
    int order = memcmp(x->text, y->text, x->length < y->length ? x->length : y->length);

    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static const char *sort_members(apr_pool_t *p, node *object)
{
    const node **members = apr_palloc(p, sizeof(*members) * (apr_size_t)(object->count + 1));
    node *child, **last = &object->first;
    int count = 0, i;

    for (child = object->first; child; child = child->next) {
        members[count++] = child;
    }
    qsort(members, (apr_size_t)count, sizeof(*members), compare_keys);
    for (i = 0; i < count; i++) {
        if (i > 0 && !compare_keys(&members[i - 1], &members[i])) {
            return "a name occurs twice in an object";
        }
        *last = (node *)members[i];
        last = &(*last)->next;
    }
    *last = NULL;
    return NULL;
}

/* Sorts the members of all objects in a value. */
static const char *sort_value(apr_pool_t *p, node *value)
{
    const char *why = value->kind == '{' && value->count > 1 ? sort_members(p, value) : NULL;
    node *child;

    for (child = value->first; child && !why; child = child->next) {
        why = sort_value(p, child);
    }
    return why;
}

static void write_string(lh_json *out, const string *written)
{
    if (written->plain) {
        lh_json_verbatim(out, written->text - 1, written->length + 2);
    }
    else {
        lh_json_string(out, written->text, written->length);
    }
}

static void write_value(lh_json *out, const node *value)
{
    const node *child;

    if (value->key.text) {
        write_string(out, &value->key);
        lh_json_raw(out, ":", 1);
    }
    switch (value->kind) {
    case '"': write_string(out, &value->text); break;
    case 'v': lh_json_verbatim(out, value->text.text, value->text.length); break;
    default:
        lh_json_open(out, value->kind);
        for (child = value->first; child; child = child->next) {
            write_value(out, child);
        }
        lh_json_close(out, value->kind == '{' ? '}' : ']');
    }
}

const char *lh_canonical_write(apr_pool_t *p, const char *text, apr_size_t length, lh_json *out)
{
    reader in = {.pool = p, .s = text, .end = text + length};
    node *value = read_value(&in);
    const char *why;

    if (!value) {
        return in.why;
    }
    in.s = lh_scan_space(in.s, in.end);
    if (in.s < in.end) {
        return "there is text after its end";
    }
    why = sort_value(p, value);
    if (!why && out) {
        write_value(out, value);
    }
    return why;
}
