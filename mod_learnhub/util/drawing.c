/* SPDX-License-Identifier: Apache-2.0 */
#include "util/drawing.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

#include "util/json_scan.h"
#include "util/text.h"
#include "util/words.h"

/* Values of an element, node or edge as raw JSON. */
typedef struct element {
    lh_slice id, text;
    lh_slice unwrapped; /* the text without the line breaks that an editor has added */
    lh_slice container; /* of a text: the element that it is the label of */
    lh_slice bound;     /* the first text that belongs to the element */
    lh_slice from, to;  /* of an arrow or edge */
    int deleted;
} element;

typedef struct reader {
    apr_pool_t *pool;
    lh_drawing *drawing;
    lh_words *words;
    apr_hash_t *labels; /* by the id of the element that has the label */
    apr_hash_t *bound;  /* element -> lh_slice, the id of its text */
    element *ends;      /* of the connections that are kept, by index */
} reader;

/* ---- labels ---- */

/* Decodes a string in quotes into one line: white space and control characters become single spaces. Returns NULL for
 * other values and for strings without a visible character. */
static const char *decode(apr_pool_t *p, lh_slice string)
{
    char label[LH_DRAWING_CHARACTERS * 4 + 1], *out = label;
    const char *s, *end;
    int count = 0;

    if (!string.data || string.length < 2 || *string.data != '"') {
        return NULL;
    }
    s = string.data + 1;
    end = string.data + string.length;
    while (s < end && *s != '"' && count < LH_DRAWING_CHARACTERS) {
        apr_size_t n = lh_utf8_character((const unsigned char *)s, (apr_size_t)(end - s));
        unsigned c = 0xFFFD; /* for everything that is malformed */

        if (*s == '\\') {
            s++;
            c = lh_scan_escape(&s, end);
            c = c ? c : 0xFFFD;
        }
        else {
            c = n == 1 ? (unsigned char)*s : c;
            s += n ? n : 1;
        }
        if (c <= ' ') {
            if (out > label && out[-1] != ' ') {
                *out++ = ' ';
                count++;
            }
            continue;
        }
        if (n > 1) {
            memcpy(out, s - n, n);
            out += n;
        }
        else {
            out = lh_utf8_put(out, c);
        }
        count++;
    }
    out -= out > label && out[-1] == ' ';
    return out > label ? apr_pstrmemdup(p, label, (apr_size_t)(out - label)) : NULL;
}

/* Keeps the label of an element; returns it. */
static const char *keep_label(reader *in, const element *e)
{
    lh_slice owner = e->container.data ? e->container : e->id, text = e->unwrapped.data ? e->unwrapped : e->text;
    lh_drawing *drawing = in->drawing;
    const char *label = drawing->label_count < LH_DRAWING_LABELS ? decode(in->pool, text) : NULL;

    if (label) {
        drawing->labels[drawing->label_count++] = label;
        lh_words_add(in->words, label);
        if (owner.data) {
            apr_hash_set(in->labels, owner.data, (apr_ssize_t)owner.length, label);
        }
    }
    return label;
}

/* ---- elements ---- */

/* The members of an element that are read, and where their values are stored. `inner`: the value is an object, and its
 * member `inner` is stored. */
static const struct member {
    const char *name, *inner;
    apr_size_t offset;
} members[] = {{"id", NULL, offsetof(element, id)},
               {"text", NULL, offsetof(element, text)},
               {"originalText", NULL, offsetof(element, unwrapped)},
               {"label", NULL, offsetof(element, text)},
               {"label", "text", offsetof(element, text)},
               {"name", NULL, offsetof(element, text)},
               {"data", "label", offsetof(element, text)},
               {"containerId", NULL, offsetof(element, container)},
               {"startBinding", "elementId", offsetof(element, from)},
               {"endBinding", "elementId", offsetof(element, to)},
               {"start", "id", offsetof(element, from)},
               {"end", "id", offsetof(element, to)},
               {"source", NULL, offsetof(element, from)},
               {"target", NULL, offsetof(element, to)}};

static lh_slice get(lh_slice object, const char *name)
{
    lh_scan scan = lh_scan_open(object);
    lh_slice none = {NULL, 0};
    lh_scan_item item;

    while (!scan.array && lh_scan_next(&scan, &item)) {
        if (lh_slice_is(item.key, name)) {
            return item.value;
        }
    }
    return none;
}

/* The id of the first text in [{"id": ..., "type": "text"}, ...]. */
static lh_slice find_bound_text(lh_slice bound)
{
    lh_scan scan = lh_scan_open(bound);
    lh_slice none = {NULL, 0};
    lh_scan_item item;

    while (scan.array && lh_scan_next(&scan, &item)) {
        if (lh_slice_is(get(item.value, "type"), "\"text\"")) {
            return get(item.value, "id");
        }
    }
    return none;
}

/* 1 for a string that is not empty, and for a number. */
static int is_scalar(lh_slice value)
{
    return value.length && (*value.data == '"' ? value.length > 2 : *value.data >= '-' && *value.data <= '9');
}

static void read_member(element *e, const lh_scan_item *item)
{
    apr_size_t i;

    for (i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        lh_slice *place = (lh_slice *)(void *)((char *)e + members[i].offset), value = item->value;

        if (!place->data && lh_slice_is(item->key, members[i].name)) {
            value = members[i].inner ? get(value, members[i].inner) : value;
            *place = is_scalar(value) ? value : *place;
        }
    }
    if (lh_slice_is(item->key, "boundElements")) {
        e->bound = find_bound_text(item->value);
    }
    if (lh_slice_is(item->key, "isDeleted") || lh_slice_is(item->key, "hidden")) {
        e->deleted |= lh_slice_is(item->value, "true");
    }
}

static void keep_connection(reader *in, const element *e, const char *label)
{
    lh_drawing *drawing = in->drawing;

    if ((e->from.data || e->to.data) && drawing->connection_count < LH_DRAWING_CONNECTIONS) {
        drawing->connections[drawing->connection_count].label = label;
        in->ends[drawing->connection_count++] = *e;
    }
}

/* Reads an array of elements, nodes or edges. Returns how many of its objects are not deleted. */
static int read_elements(reader *in, lh_slice array)
{
    lh_scan scan = lh_scan_open(array), object;
    lh_scan_item item, member;
    int count = 0;

    while (scan.array && lh_scan_next(&scan, &item)) {
        element e = {0};

        if (*item.value.data != '{') {
            continue;
        }
        object = lh_scan_open(item.value);
        while (lh_scan_next(&object, &member)) {
            read_member(&e, &member);
        }
        if (e.deleted) {
            continue;
        }
        count++;
        if (e.id.data && e.bound.data && apr_hash_count(in->bound) < LH_DRAWING_LABELS) {
            apr_hash_set(in->bound, e.id.data, (apr_ssize_t)e.id.length,
                         apr_pmemdup(in->pool, &e.bound, sizeof(e.bound)));
        }
        keep_connection(in, &e, keep_label(in, &e));
    }
    return count;
}

/* ---- the drawing ---- */

/* The label of the element with an id, or of the text that belongs to it. */
static const char *label_of(const reader *in, lh_slice id)
{
    const char *label = id.data ? apr_hash_get(in->labels, id.data, (apr_ssize_t)id.length) : NULL;
    const lh_slice *text = id.data ? apr_hash_get(in->bound, id.data, (apr_ssize_t)id.length) : NULL;

    return !label && text ? apr_hash_get(in->labels, text->data, (apr_ssize_t)text->length) : label;
}

/* Sets the labels of all connections and removes those without one. */
static void resolve_connections(reader *in)
{
    lh_drawing *drawing = in->drawing;
    int count = 0, i;

    for (i = 0; i < drawing->connection_count; i++) {
        lh_drawing_connection *connection = &drawing->connections[count];

        connection->label = drawing->connections[i].label;
        connection->label = connection->label ? connection->label : label_of(in, in->ends[i].id);
        connection->from = label_of(in, in->ends[i].from);
        connection->to = label_of(in, in->ends[i].to);
        count += connection->from || connection->to || connection->label;
    }
    drawing->connection_count = count;
}

const lh_drawing *lh_drawing_read(apr_pool_t *p, const char *text, apr_size_t length)
{
    lh_drawing *drawing = apr_pcalloc(p, sizeof(*drawing));
    reader in = {p, drawing, lh_words_create(p), apr_hash_make(p), apr_hash_make(p), NULL};
    lh_slice whole = {text, length};
    lh_scan scan = lh_scan_open(whole);
    lh_scan_item item;

    drawing->words = in.words;
    drawing->labels = apr_palloc(p, sizeof(*drawing->labels) * LH_DRAWING_LABELS);
    drawing->connections = apr_pcalloc(p, sizeof(*drawing->connections) * LH_DRAWING_CONNECTIONS);
    in.ends = apr_palloc(p, sizeof(*in.ends) * LH_DRAWING_CONNECTIONS);
    while (!scan.array && lh_scan_next(&scan, &item)) {
        int shapes = lh_slice_is(item.key, "elements") || lh_slice_is(item.key, "nodes");

        if (item.value.length && *item.value.data == '[' && (shapes || lh_slice_is(item.key, "edges"))) {
            int count = read_elements(&in, item.value);

            drawing->scene |= shapes;
            drawing->shapes += shapes ? count : 0;
        }
    }
    resolve_connections(&in);
    return drawing;
}

int lh_drawing_names(const lh_drawing *drawing, const char *text)
{
    return lh_words_share(drawing->words, text);
}
