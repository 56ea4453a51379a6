/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <apr_strings.h>
#include <jansson.h>
#include <string.h>

#include "canon.h"
#include "fields.h"
#include "multipart.h"
#include "photo.h"
#include "read.h"
#include "text.h"

/* ---- pairs: name=value&... of a query or a form ---- */

typedef struct pair {
    const char *name, *value;
} pair;

/* The decoded pairs; NULL when an escape is broken or something is no UTF-8. */
static apr_array_header_t *read_pairs(apr_pool_t *p, const char *text)
{
    apr_array_header_t *pairs = apr_array_make(p, 8, sizeof(pair));

    for (; *text; text += *text == '&') {
        apr_size_t length = strcspn(text, "&"), name = strcspn(text, "=&");
        const char *value = text + name + (text[name] == '=');
        pair *next = apr_array_push(pairs);

        next->name = lh_text_decode(p, text, name);
        next->value = lh_text_decode(p, value, (apr_size_t)(text + length - value));
        if (!next->name || !next->value) {
            return NULL;
        }
        text += length;
    }
    return pairs;
}

/* The last one of this name counts; an empty one counts as not sent. */
static lh_sent sent_in_pairs(const apr_array_header_t *pairs, const char *name)
{
    lh_sent sent = {LH_SENT_NOTHING, NULL, 0};
    int i;

    for (i = pairs->nelts - 1; i >= 0; i--) {
        const pair *one = &APR_ARRAY_IDX(pairs, i, pair);
        if (!strcmp(one->name, name)) {
            if (*one->value) {
                sent.kind = LH_SENT_TEXT;
                sent.text = one->value;
            }
            break;
        }
    }
    return sent;
}

/* ---- JSON ---- */

static apr_status_t free_json(void *json)
{
    json_decref(json);
    return APR_SUCCESS;
}

/* The value of a dotted name; what is no object has no parts, and its own LH_GROUP says so. */
static const json_t *value_in_json(apr_pool_t *p, const json_t *object, const char *name)
{
    const char *dot;

    for (; (dot = strchr(name, '.')); name = dot + 1) {
        object = json_object_get(object, apr_pstrmemdup(p, name, (apr_size_t)(dot - name)));
    }
    return json_object_get(object, name);
}

/* An array of strings as our own JSON text; any other array is LH_SENT_OTHER. */
static void sent_texts(apr_pool_t *p, const json_t *array, lh_sent *sent)
{
    lh_json out;
    apr_size_t i;

    lh_json_init(&out, p, 256);
    lh_json_open(&out, '[');
    for (i = 0; i < json_array_size(array); i++) {
        const json_t *entry = json_array_get(array, i);
        if (!json_is_string(entry)) {
            return;
        }
        lh_json_string(&out, json_string_value(entry), json_string_length(entry));
    }
    lh_json_close(&out, ']');
    sent->kind = LH_SENT_TEXTS;
    sent->text = apr_pstrmemdup(p, out.data, out.length);
    sent->number = (apr_int64_t)i;
}

#define EXACT 9007199254740992.0 /* 2^53: up to there a real holds every integer */

/* `reals`: integers come as reals, too. */
static void sent_number(apr_pool_t *p, const json_t *real, int reals, lh_sent *sent)
{
    double value = json_real_value(real);
    lh_json out;

    lh_json_init(&out, p, 32);
    lh_json_number(&out, value);
    sent->kind = LH_SENT_NUMBER;
    sent->text = apr_pstrmemdup(p, out.data, out.length);
    if (reals && value >= -EXACT && value <= EXACT && value == (double)(apr_int64_t)value) {
        sent->kind = LH_SENT_INTEGER;
        sent->number = (apr_int64_t)value;
    }
}

static lh_sent sent_in_json(apr_pool_t *p, const json_t *object, const char *name, int reals)
{
    lh_sent sent = {LH_SENT_OTHER, NULL, 0};
    const json_t *value = value_in_json(p, object, name);

    if (!value) {
        sent.kind = LH_SENT_NOTHING;
    }
    else if (json_is_null(value)) {
        sent.kind = LH_SENT_NULL;
    }
    else if (json_is_string(value)) {
        sent.kind = LH_SENT_TEXT;
        sent.text = json_string_value(value);
    }
    else if (json_is_integer(value)) {
        sent.kind = LH_SENT_INTEGER;
        sent.number = json_integer_value(value);
    }
    else if (json_is_boolean(value)) {
        sent.kind = LH_SENT_BOOLEAN;
        sent.number = json_is_true(value);
    }
    else if (json_is_array(value)) {
        sent_texts(p, value, &sent);
    }
    else if (json_is_object(value)) {
        sent.kind = LH_SENT_OBJECT;
    }
    else if (json_is_real(value)) {
        sent_number(p, value, reals, &sent);
    }
    return sent;
}

/* The parser's sentence without what it quotes of the body. */
static const char *json_sentence(apr_pool_t *p, const json_error_t *error)
{
    const char *near = strstr(error->text, " near "), *option = strstr(error->text, " without JSON_");
    const char *end = option && (!near || option < near) ? option : near;
    int length = (int)(end ? (apr_size_t)(end - error->text) : strlen(error->text));

    return apr_psprintf(p, "The body is not valid JSON: line %d, column %d: %.*s.", error->line, error->column, length,
                        error->text);
}

/* An integer that is too large is the fault of its field, where the row has one: then all numbers come as reals. */
static json_t *load_json(const char *text, apr_size_t length, int *reals, json_error_t *error)
{
    json_t *json = json_loadb(text, length, JSON_REJECT_DUPLICATES, error);

    *reals = !json && json_error_code(error) == json_error_numeric_overflow;
    return *reals ? json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, error) : json;
}

/* ---- multipart ---- */

/* A file field that was left empty comes as a file without a name and without content. */
static lh_sent sent_in_parts(apr_pool_t *p, const apr_array_header_t *parts, const char *name)
{
    lh_sent sent = {LH_SENT_NOTHING, NULL, 0};
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const lh_part *part = &APR_ARRAY_IDX(parts, i, lh_part);
        if (strcmp(part->name, name)) {
            continue;
        }
        if (!part->filename) {
            sent.kind = LH_SENT_TEXT;
            sent.text = apr_pstrmemdup(p, part->data, part->length);
        }
        else if (*part->filename || part->length) {
            sent.kind = LH_SENT_FILE;
            sent.text = part->data;
            sent.number = (apr_int64_t)part->length;
        }
    }
    return sent;
}

/* ---- checking ---- */

static lh_problem *whole_body(lh_call *call, const char *text)
{
    return lh_problem_field(call->r->pool, NULL, "body", NULL, text);
}

/* Checks one field and keeps its value; returns the problem so far. */
static lh_problem *take(lh_call *call, lh_problem *so_far, const char *place, const lh_field *field, lh_sent sent,
                        int untyped, int slot)
{
    apr_pool_t *p = call->r->pool;
    const char *wrong = lh_field_check(p, field, &sent, untyped, apr_time_now(), &call->values[slot]);

    return wrong ? lh_problem_field(p, so_far, place, field->name, wrong) : so_far;
}

static lh_problem *check_pairs(lh_call *call, const char *text)
{
    const lh_operation *op = call->op;
    const apr_array_header_t *pairs = read_pairs(call->r->pool, text);
    lh_problem *problem = NULL;
    int i;

    if (!pairs) {
        return whole_body(call, "The form has a broken percent-escape or is not UTF-8.");
    }
    for (i = 0; i < op->body_count; i++) {
        const lh_field *field = &op->row->body[i];
        problem = take(call, problem, "body", field, sent_in_pairs(pairs, field->name), 1, op->body_slot + i);
    }
    return problem;
}

/* `text` with {} in the place of `size` bytes at `value`. */
static const char *without(apr_pool_t *p, const char *text, apr_size_t *length, const char *value, apr_size_t size)
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

/*
 * Takes the objects that are kept as they were sent out of the text, and leaves {} in their places: `objects` gets
 * them by the index of their fields. What is left, and the objects, are JSON together or not at all.
 */
static const char *take_objects(lh_call *call, const char *text, apr_size_t *length, const char **objects)
{
    const lh_operation *op = call->op;
    int i;

    for (i = 0; i < op->body_count; i++) {
        const lh_field *field = &op->row->body[i];
        apr_size_t size = 0;
        const char *value = field->type == LH_OBJECT ? lh_canon_member(text, *length, field->name, &size) : NULL;

        objects[i] = NULL;
        if (value && *value == '{' && !memchr(value, '\0', size)) {
            objects[i] = apr_pstrmemdup(call->r->pool, value, size);
            text = without(call->r->pool, text, length, value, size);
        }
    }
    return text;
}

/* What is no JSON inside of an object that was taken out; the row's handler looks into the LH_UNREAD ones. */
static lh_problem *check_objects(lh_call *call, lh_problem *problem, const char *const *objects)
{
    const lh_operation *op = call->op;
    int i;

    for (i = 0; i < op->body_count; i++) {
        if (objects[i] && (problem || !(op->row->body[i].flags & LH_UNREAD))) {
            const char *wrong = lh_canon_write(call->r->pool, objects[i], strlen(objects[i]), NULL);
            if (wrong) {
                return whole_body(call, apr_psprintf(call->r->pool, "The body is not valid JSON: %s: %s.",
                                                     op->row->body[i].name, wrong));
            }
        }
    }
    return problem;
}

static lh_problem *check_json(lh_call *call, const char *text, apr_size_t length)
{
    const lh_operation *op = call->op;
    const char **objects = apr_palloc(call->r->pool, sizeof(*objects) * (apr_size_t)op->body_count);
    lh_problem *problem = NULL;
    json_error_t error;
    json_t *json;
    int reals = 0, i;

    text = take_objects(call, text, &length, objects);
    json = length ? load_json(text, length, &reals, &error) : json_object();
    if (!json) {
        return whole_body(call, json_sentence(call->r->pool, &error));
    }
    apr_pool_cleanup_register(call->r->pool, json, free_json, apr_pool_cleanup_null);
    if ((op->row->flags & LH_UNWRAPS) && json_array_size(json) == 1) {
        json = json_array_get(json, 0);
    }
    if (!json_is_object(json)) {
        return whole_body(call, "The body must be a JSON object.");
    }
    for (i = 0; i < op->body_count; i++) {
        const lh_field *field = &op->row->body[i];
        lh_sent sent = sent_in_json(call->r->pool, json, field->name, reals);

        if (objects[i]) {
            sent.kind = LH_SENT_OBJECT;
            sent.text = objects[i];
        }
        problem = take(call, problem, "body", field, sent, 0, op->body_slot + i);
    }
    return check_objects(call, problem, objects);
}

/* A photo beyond the limit is refused whatever else is wrong; the room for other parts is not the photo's. */
static lh_problem *check_photo(lh_call *call, const lh_field *field, const lh_sent *sent)
{
    apr_pool_t *p = call->r->pool;
    apr_int64_t limit = call->server->config.max_photo;

    if (field->type != LH_PHOTO || sent->kind != LH_SENT_FILE) {
        return NULL;
    }
    if (sent->number > limit) {
        return lh_problem_make(p, HTTP_REQUEST_ENTITY_TOO_LARGE,
                               apr_psprintf(p, "A photo may have at most %" APR_INT64_T_FMT " bytes.", limit));
    }
    lh_bind(call, apr_pstrcat(p, field->name, "_type", NULL), lh_photo_type(sent->text, (apr_size_t)sent->number));
    return NULL;
}

static lh_problem *check_parts(lh_call *call, const char *body, apr_size_t length)
{
    const lh_operation *op = call->op;
    lh_problem *problem = NULL, *too_large = NULL;
    apr_array_header_t *parts;
    const char *why =
        lh_multipart_parse(call->r->pool, apr_table_get(call->r->headers_in, "Content-Type"), body, length, &parts);
    int i;

    if (why) {
        return whole_body(call, why);
    }
    for (i = 0; i < op->body_count && !too_large; i++) {
        const lh_field *field = &op->row->body[i];
        lh_sent sent = sent_in_parts(call->r->pool, parts, field->name);

        too_large = check_photo(call, field, &sent);
        problem = too_large ? too_large : take(call, problem, "body", field, sent, 1, op->body_slot + i);
    }
    return problem;
}

static lh_problem *read_fields(lh_call *call)
{
    unsigned accepts = call->op->row->accepts ? call->op->row->accepts : LH_JSON, type;
    const char *text = "";
    apr_size_t length = 0;
    lh_problem *problem;

    if (!call->op->body_count) {
        return NULL;
    }
    type = lh_read_type(call->r);
    if (!(type & accepts)) {
        /* A route of forms only says which fields it wants, as FastAPI does. */
        return !(accepts & LH_JSON) ? check_pairs(call, "")
                                    : lh_problem_of_status(call->r->pool, HTTP_UNSUPPORTED_MEDIA_TYPE);
    }
    problem = lh_read_all(call, &text, &length);
    if (problem) {
        return problem;
    }
    if (type == LH_JSON) {
        return check_json(call, text, length);
    }
    if (type == LH_MULTIPART) {
        return check_parts(call, text, length);
    }
    return strlen(text) == length ? check_pairs(call, text) : whole_body(call, "The form has a zero byte.");
}

lh_problem *lh_body_read(lh_call *call)
{
    lh_problem *problem = read_fields(call);

    if (call->op->row->check && (!problem || (problem->faults && problem->faults->field))) {
        problem = call->op->row->check(call, problem);
    }
    return problem;
}

static void note_filter(lh_call *call, int query_index)
{
    int i;

    for (i = 0; i < call->op->filter_count; i++) {
        if (call->op->filters[i] == query_index) {
            call->filters |= 1u << i;
        }
    }
}

lh_problem *lh_body_query(lh_call *call)
{
    const lh_operation *op = call->op;
    const apr_array_header_t *pairs;
    lh_problem *problem = NULL;
    int i;

    if (!op->query_count) {
        return NULL;
    }
    pairs = read_pairs(call->r->pool, call->r->args ? call->r->args : "");
    if (!pairs) {
        return lh_problem_field(call->r->pool, NULL, "query", NULL,
                                "The query has a broken percent-escape or is not UTF-8.");
    }
    for (i = 0; i < op->query_count; i++) {
        lh_sent sent = sent_in_pairs(pairs, op->query[i]->name);

        problem = take(call, problem, "query", op->query[i], sent, 1, op->query_slot + i);
        if (sent.kind != LH_SENT_NOTHING) {
            note_filter(call, i);
            call->paged |= op->query[i] == &lh_route_paging[0] || op->query[i] == &lh_route_paging[1];
        }
    }
    return problem;
}
