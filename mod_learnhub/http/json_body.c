/* SPDX-License-Identifier: Apache-2.0 */
#include "http/json_body.h"

#include <apr_strings.h>
#include <stddef.h>
#include <string.h>

#include "util/json.h"
#include "util/json_canonical.h"
#include "util/json_scan.h"
#include "util/json_value.h"
#include "util/memory.h"

#define VALUE_BYTES 200 /* of memory that jansson allocates for a value, approximately */

struct lh_json_body {
    apr_pool_t *pool;
    const lh_field *fields;
    int count;
    lh_json_parsed json;
    lh_json_value *document; /* contains json.root; NULL: freed */
    apr_size_t values;       /* of the document */
    const char **objects;    /* by field: the text of an object that was cut out, or NULL */
};

/* ---- objects that are stored as they were sent ---- */

/* Returns a copy of `text` in which {} replaces the `size` bytes at `value`; *length is updated. */
static char *cut_out(apr_pool_t *p, const char *text, apr_size_t *length, const char *value, apr_size_t size)
{
    apr_size_t before = (apr_size_t)(value - text), after = *length - before - size;
    char *rest = apr_palloc(p, before + after + 3);

    memcpy(rest, text, before);
    memcpy(rest + before, "{}", 2);
    memcpy(rest + before + 2, value + size, after);
    *length = before + after + 2;
    rest[*length] = '\0';
    return rest;
}

/* Sets body->objects to the objects of LH_OBJECT fields, which remain where they are, and returns the rest of the text.
 * The text is valid JSON if and only if the rest and all objects are. */
static const char *cut_out_objects(lh_json_body *body, char *text, apr_size_t *length)
{
    int i;

    for (i = 0; i < body->count; i++) {
        const lh_field *field = &body->fields[i];
        apr_size_t size = 0;
        const char *value = field->type == LH_OBJECT ? lh_canonical_member(text, *length, field->name, &size) : NULL;

        if (value && *value == '{') {
            char *rest = cut_out(body->pool, text, length, value, size);

            body->objects[i] = value;
            text[(value - text) + (ptrdiff_t)size] = '\0';
            text = rest;
        }
    }
    return text;
}

const char *lh_json_body_check_objects(const lh_json_body *body, int deferred)
{
    int i;

    for (i = 0; i < body->count; i++) {
        const lh_field *field = &body->fields[i];
        const char *why = NULL;

        if (body->objects[i] && (deferred || !(field->flags & LH_DEFERRED))) {
            why = lh_canonical_form(body->pool, body->objects[i], strlen(body->objects[i]), NULL);
        }
        if (why) {
            return apr_psprintf(body->pool, "The body is not valid JSON: %s: %s.", field->name, why);
        }
    }
    return NULL;
}

/* ---- parsing ---- */

/* A parser allocates up to 230 bytes for each value, a hundred times its text, so they are counted before. */
static const char *check_size(lh_json_body *body, const char *text, apr_size_t length)
{
    int depth;

    body->values = lh_scan_count(text, length, &depth);
    return depth > LH_CANONICAL_DEPTH
               ? "The body is not valid JSON: it is nested more than " APR_STRINGIFY(LH_CANONICAL_DEPTH) " levels deep."
           : body->values > LH_JSON_BODY_VALUES
               ? "The body has too many values: it may have at most " APR_STRINGIFY(LH_JSON_BODY_VALUES) "."
               : NULL;
}

static const char *parse_document(lh_json_body *body, const char *text, apr_size_t length)
{
    const char *why = length ? check_size(body, text, length) : NULL;

    if (why) {
        return why;
    }
    if (length) {
        body->json = lh_json_value_parse(body->pool, text, length);
    }
    else {
        body->json.root = lh_json_value_empty(body->pool);
    }
    body->document = body->json.root;
    if (!body->document) {
        lh_memory_freed(body->values * VALUE_BYTES); /* what was built before the error */
        return apr_psprintf(body->pool, "The body is not valid JSON: %s.", body->json.why);
    }
    return NULL;
}

lh_json_body *lh_json_body_parse(apr_pool_t *p, const lh_field *fields, int count, int unwrap_array, char *text,
                                 apr_size_t length, const char **why)
{
    lh_json_body *body = apr_pcalloc(p, sizeof(*body));
    const char *rest;

    if (memchr(text, '\0', length)) {
        *why = "The body is not valid JSON: it contains a zero byte.";
        return NULL;
    }
    body->pool = p;
    body->fields = fields;
    body->count = count;
    body->objects = apr_pcalloc(p, sizeof(*body->objects) * (apr_size_t)count);
    rest = cut_out_objects(body, text, &length);
    *why = parse_document(body, rest, length);
    if (*why) {
        return NULL;
    }
    if (unwrap_array && lh_json_value_count(body->json.root) == 1) {
        body->json.root = lh_json_value_at(body->json.root, 0);
    }
    if (lh_json_value_kind(body->json.root) != LH_JSON_OBJECT) {
        *why = "The body must be a JSON object.";
        lh_json_body_free(body);
        return NULL;
    }
    return body;
}

void lh_json_body_free(lh_json_body *body)
{
    if (body->document) {
        lh_json_value_free(body->pool, body->document);
        lh_memory_freed(body->values * VALUE_BYTES);
    }
    body->document = body->json.root = NULL;
}

/* ---- values ---- */

/* The value of a dotted name. A parent that is not an object has no members; its own LH_GROUP field rejects it. */
static const lh_json_value *find_value(const lh_json_body *body, const char *name)
{
    const lh_json_value *object = body->json.root;
    const char *dot;

    for (; (dot = strchr(name, '.')); name = dot + 1) {
        object = lh_json_value_get(object, apr_pstrmemdup(body->pool, name, (apr_size_t)(dot - name)));
    }
    return lh_json_value_get(object, name);
}

static int is_sent(const lh_json_value *value)
{
    return value && lh_json_value_kind(value) != LH_JSON_NULL;
}

/* 1 when both are the same string, ignoring letter case, or the same number. */
static int is_same(const lh_json_value *a, const lh_json_value *b)
{
    const char *text = lh_json_value_string(a, NULL), *other = lh_json_value_string(b, NULL);
    lh_json_kind kind = lh_json_value_kind(a);

    if (text && other) {
        return !strcasecmp(text, other);
    }
    return kind == lh_json_value_kind(b) && (kind == LH_JSON_INTEGER || kind == LH_JSON_REAL) &&
           lh_json_value_integer(a) == lh_json_value_integer(b) && lh_json_value_real(a) == lh_json_value_real(b);
}

/* The value of the field, or of its alias if the field is absent or null. Sets *conflict to 1 when both were sent with
 * different values. */
static const lh_json_value *find_field(const lh_json_body *body, const lh_field *field, int *conflict)
{
    const lh_json_value *value = find_value(body, field->name);
    const lh_json_value *other = field->alias ? find_value(body, field->alias) : NULL;

    *conflict = is_sent(value) && is_sent(other) && !is_same(value, other);
    return !is_sent(value) && is_sent(other) ? other : value;
}

/* Sets `input` to an array of strings as JSON text. Leaves it unchanged (LH_INPUT_OTHER) for any other array. */
static void read_strings(apr_pool_t *p, const lh_json_value *array, lh_input *input)
{
    lh_json out;
    apr_size_t i;

    lh_json_init(&out, p, 256);
    lh_json_open(&out, '[');
    for (i = 0; i < lh_json_value_count(array); i++) {
        apr_size_t length;
        const char *text = lh_json_value_string(lh_json_value_at(array, i), &length);
        if (!text) {
            return;
        }
        lh_json_string(&out, text, length);
    }
    lh_json_close(&out, ']');
    input->kind = LH_INPUT_STRINGS;
    input->text = lh_json_result(&out);
    input->number = (apr_int64_t)i;
}

#define MAX_EXACT 9007199254740992.0 /* 2^53: doubles up to here represent every integer */

/* `only_reals`: integers were parsed as reals as well (see lh_json_parsed). */
static void read_real(apr_pool_t *p, const lh_json_value *real, int only_reals, lh_input *input)
{
    double value = lh_json_value_real(real);
    lh_json out;

    lh_json_init(&out, p, 32);
    lh_json_number(&out, value);
    input->kind = LH_INPUT_NUMBER;
    input->text = lh_json_result(&out);
    if (only_reals && value >= -MAX_EXACT && value <= MAX_EXACT && value == (double)(apr_int64_t)value) {
        input->kind = LH_INPUT_INTEGER;
        input->number = (apr_int64_t)value;
    }
}

lh_input lh_json_body_input(const lh_json_body *body, int index)
{
    static const lh_input_kind kinds[] = {
        [LH_JSON_ABSENT] = LH_INPUT_ABSENT,   [LH_JSON_NULL] = LH_INPUT_NULL,    [LH_JSON_BOOLEAN] = LH_INPUT_BOOLEAN,
        [LH_JSON_INTEGER] = LH_INPUT_INTEGER, [LH_JSON_REAL] = LH_INPUT_NUMBER,  [LH_JSON_STRING] = LH_INPUT_STRING,
        [LH_JSON_ARRAY] = LH_INPUT_OTHER,     [LH_JSON_OBJECT] = LH_INPUT_OBJECT};
    int conflict;
    const lh_json_value *value = find_field(body, &body->fields[index], &conflict);
    lh_json_kind kind = lh_json_value_kind(value);
    apr_size_t length;
    const char *text = lh_json_value_string(value, &length);
    lh_input input = {kinds[kind], text ? apr_pstrmemdup(body->pool, text, length) : NULL,
                      lh_json_value_integer(value)};

    if (kind == LH_JSON_ARRAY) {
        read_strings(body->pool, value, &input);
    }
    if (kind == LH_JSON_REAL) {
        read_real(body->pool, value, body->json.only_reals, &input);
    }
    if (body->objects[index]) {
        input.kind = LH_INPUT_OBJECT;
        input.text = body->objects[index];
    }
    if (conflict) {
        input.kind = LH_INPUT_CONFLICT;
    }
    return input;
}
