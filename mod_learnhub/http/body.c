/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include <apr_strings.h>
#include <string.h>

#include "core/server_state.h"
#include "http/error.h"
#include "http/fields.h"
#include "http/multipart.h"
#include "http/receive.h"
#include "http/route.h"
#include "util/json.h"
#include "util/json_canonical.h"
#include "util/json_value.h"
#include "util/photo.h"
#include "util/text.h"

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

/* The last one of this name counts; an empty one counts as not input. */
static lh_input input_in_pairs(const apr_array_header_t *pairs, const char *name)
{
    lh_input input = {LH_INPUT_ABSENT, NULL, 0};
    int i;

    for (i = pairs->nelts - 1; i >= 0; i--) {
        const pair *one = &APR_ARRAY_IDX(pairs, i, pair);
        if (!strcmp(one->name, name)) {
            if (*one->value) {
                input.kind = LH_INPUT_STRING;
                input.text = one->value;
            }
            break;
        }
    }
    return input;
}

/* ---- JSON ---- */

/* The value of a dotted name; what is no object has no parts, and its own LH_GROUP says so. */
static const lh_json_value *value_in_json(apr_pool_t *p, const lh_json_value *object, const char *name)
{
    const char *dot;

    for (; (dot = strchr(name, '.')); name = dot + 1) {
        object = lh_json_value_get(object, apr_pstrmemdup(p, name, (apr_size_t)(dot - name)));
    }
    return lh_json_value_get(object, name);
}

/* An array of strings as our own JSON text; any other array is LH_INPUT_OTHER. */
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

#define EXACT 9007199254740992.0 /* 2^53: up to there a real holds every integer */

/* `reals`: integers come as reals, too. */
static void read_number(apr_pool_t *p, const lh_json_value *real, int reals, lh_input *input)
{
    double value = lh_json_value_real(real);
    lh_json out;

    lh_json_init(&out, p, 32);
    lh_json_number(&out, value);
    input->kind = LH_INPUT_NUMBER;
    input->text = lh_json_result(&out);
    if (reals && value >= -EXACT && value <= EXACT && value == (double)(apr_int64_t)value) {
        input->kind = LH_INPUT_INTEGER;
        input->number = (apr_int64_t)value;
    }
}

static lh_input input_in_json(apr_pool_t *p, const lh_json_parsed *json, const char *name)
{
    static const lh_input_kind kinds[] = {LH_INPUT_ABSENT, LH_INPUT_NULL,   LH_INPUT_BOOLEAN, LH_INPUT_INTEGER,
                                          LH_INPUT_NUMBER, LH_INPUT_STRING, LH_INPUT_OTHER,   LH_INPUT_OBJECT};
    const lh_json_value *value = value_in_json(p, json->root, name);
    lh_input input = {kinds[lh_json_value_kind(value)], lh_json_value_string(value, NULL),
                      lh_json_value_integer(value)};

    if (lh_json_value_kind(value) == LH_JSON_ARRAY) {
        read_strings(p, value, &input);
    }
    if (lh_json_value_kind(value) == LH_JSON_REAL) {
        read_number(p, value, json->only_reals, &input);
    }
    return input;
}

/* ---- multipart ---- */

/* A file field that was left empty comes as a file without a name and without content. */
static lh_input input_in_parts(apr_pool_t *p, const apr_array_header_t *parts, const char *name)
{
    lh_input input = {LH_INPUT_ABSENT, NULL, 0};
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const lh_part *part = &APR_ARRAY_IDX(parts, i, lh_part);
        if (strcmp(part->name, name)) {
            continue;
        }
        if (!part->filename) {
            input.kind = LH_INPUT_STRING;
            input.text = apr_pstrmemdup(p, part->data, part->length);
        }
        else if (*part->filename || part->length) {
            input.kind = LH_INPUT_FILE;
            input.text = part->data;
            input.number = (apr_int64_t)part->length;
        }
    }
    return input;
}

/* ---- checking ---- */

static lh_error *whole_body(lh_call *call, const char *text)
{
    return lh_error_field(call->r->pool, NULL, "body", NULL, text);
}

/* Checks one field and keeps its value; returns the error so far. */
static lh_error *take(lh_call *call, lh_error *errors, const char *place, const lh_field *field, lh_input input,
                      int untyped, int slot)
{
    apr_pool_t *p = call->r->pool;
    const char *wrong = lh_field_check(p, field, &input, untyped, apr_time_now(), &call->values[slot]);

    return wrong ? lh_error_field(p, errors, place, field->name, wrong) : errors;
}

static lh_error *check_pairs(lh_call *call, const char *text)
{
    const lh_compiled_route *route = call->route;
    const apr_array_header_t *pairs = read_pairs(call->r->pool, text);
    lh_error *error = NULL;
    int i;

    if (!pairs) {
        return whole_body(call, "The form has a broken percent-escape or is not UTF-8.");
    }
    for (i = 0; i < route->body_count; i++) {
        const lh_field *field = &route->def->body[i];
        error = take(call, error, "body", field, input_in_pairs(pairs, field->name), 1, route->body_slot + i);
    }
    return error;
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
 * Takes the objects that are kept as they were input out of the text, and leaves {} in their places: `objects` gets
 * them by the index of their fields. What is left, and the objects, are JSON together or not at all.
 */
static const char *take_objects(lh_call *call, const char *text, apr_size_t *length, const char **objects)
{
    const lh_compiled_route *route = call->route;
    int i;

    for (i = 0; i < route->body_count; i++) {
        const lh_field *field = &route->def->body[i];
        apr_size_t size = 0;
        const char *value = field->type == LH_OBJECT ? lh_canonical_member(text, *length, field->name, &size) : NULL;

        objects[i] = NULL;
        if (value && *value == '{' && !memchr(value, '\0', size)) {
            objects[i] = apr_pstrmemdup(call->r->pool, value, size);
            text = without(call->r->pool, text, length, value, size);
        }
    }
    return text;
}

/* What is no JSON inside of an object that was taken out; the row's handler looks into the LH_DEFERRED ones. */
static lh_error *check_objects(lh_call *call, lh_error *error, const char *const *objects)
{
    const lh_compiled_route *route = call->route;
    int i;

    for (i = 0; i < route->body_count; i++) {
        if (objects[i] && (error || !(route->def->body[i].flags & LH_DEFERRED))) {
            const char *wrong = lh_canonical_write(call->r->pool, objects[i], strlen(objects[i]), NULL);
            if (wrong) {
                return whole_body(call, apr_psprintf(call->r->pool, "The body is not valid JSON: %s: %s.",
                                                     route->def->body[i].name, wrong));
            }
        }
    }
    return error;
}

static lh_error *check_json(lh_call *call, const char *text, apr_size_t length)
{
    const lh_compiled_route *route = call->route;
    const char **objects = apr_palloc(call->r->pool, sizeof(*objects) * (apr_size_t)route->body_count);
    lh_json_parsed json = {lh_json_value_empty(call->r->pool), 0, NULL};
    lh_error *errors = NULL;
    int i;

    text = take_objects(call, text, &length, objects);
    if (length) {
        json = lh_json_value_parse(call->r->pool, text, length);
    }
    if (!json.root) {
        return whole_body(call, apr_psprintf(call->r->pool, "The body is not valid JSON: %s.", json.why));
    }
    if ((route->def->flags & LH_UNWRAP_ARRAY) && lh_json_value_count(json.root) == 1) {
        json.root = lh_json_value_at(json.root, 0);
    }
    if (lh_json_value_kind(json.root) != LH_JSON_OBJECT) {
        return whole_body(call, "The body must be a JSON object.");
    }
    for (i = 0; i < route->body_count; i++) {
        const lh_field *field = &route->def->body[i];
        lh_input input = input_in_json(call->r->pool, &json, field->name);

        if (objects[i]) {
            input.kind = LH_INPUT_OBJECT;
            input.text = objects[i];
        }
        errors = take(call, errors, "body", field, input, 0, route->body_slot + i);
    }
    return check_objects(call, errors, objects);
}

/* A photo beyond the limit is refused whatever else is wrong; the room for other parts is not the photo's. */
static lh_error *check_photo(lh_call *call, const lh_field *field, const lh_input *input)
{
    apr_pool_t *p = call->r->pool;
    apr_int64_t limit = call->server->config.max_photo;

    if (field->type != LH_PHOTO || input->kind != LH_INPUT_FILE) {
        return NULL;
    }
    if (input->number > limit) {
        return lh_error_make(p, HTTP_REQUEST_ENTITY_TOO_LARGE,
                             apr_psprintf(p, "A photo may have at most %" APR_INT64_T_FMT " bytes.", limit));
    }
    lh_bind(call, apr_pstrcat(p, field->name, "_type", NULL), lh_photo_type(input->text, (apr_size_t)input->number));
    return NULL;
}

static lh_error *check_parts(lh_call *call, const char *body, apr_size_t length)
{
    const lh_compiled_route *route = call->route;
    lh_error *error = NULL, *too_large = NULL;
    apr_array_header_t *parts;
    const char *why =
        lh_multipart_parse(call->r->pool, apr_table_get(call->r->headers_in, "Content-Type"), body, length, &parts);
    int i;

    if (why) {
        return whole_body(call, why);
    }
    for (i = 0; i < route->body_count && !too_large; i++) {
        const lh_field *field = &route->def->body[i];
        lh_input input = input_in_parts(call->r->pool, parts, field->name);

        too_large = check_photo(call, field, &input);
        error = too_large ? too_large : take(call, error, "body", field, input, 1, route->body_slot + i);
    }
    return error;
}

static lh_error *read_fields(lh_call *call)
{
    unsigned accepts = call->route->def->accepts ? call->route->def->accepts : LH_JSON, type;
    const char *text = "";
    apr_size_t length = 0;
    lh_error *error;

    if (!call->route->body_count) {
        return NULL;
    }
    type = lh_receive_type(call->r);
    if (!(type & accepts)) {
        /* A route of forms only says which fields it wants, as FastAPI does. */
        return !(accepts & LH_JSON) ? check_pairs(call, "")
                                    : lh_error_of_status(call->r->pool, HTTP_UNSUPPORTED_MEDIA_TYPE);
    }
    error = lh_receive_body(call, &text, &length);
    if (error) {
        return error;
    }
    if (type == LH_JSON) {
        return check_json(call, text, length);
    }
    if (type == LH_MULTIPART) {
        return check_parts(call, text, length);
    }
    return strlen(text) == length ? check_pairs(call, text) : whole_body(call, "The form has a zero byte.");
}

lh_error *lh_body_read(lh_call *call)
{
    lh_error *error = read_fields(call);

    if (call->route->def->check && (!error || (error->first && error->first->field))) {
        error = call->route->def->check(call, error);
    }
    return error;
}

static void note_filter(lh_call *call, int query_index)
{
    int i;

    for (i = 0; i < call->route->filter_count; i++) {
        if (call->route->filters[i] == query_index) {
            call->filters |= 1u << i;
        }
    }
}

lh_error *lh_body_query(lh_call *call)
{
    const lh_compiled_route *route = call->route;
    const apr_array_header_t *pairs;
    lh_error *error = NULL;
    int i;

    if (!route->query_count) {
        return NULL;
    }
    pairs = read_pairs(call->r->pool, call->r->args ? call->r->args : "");
    if (!pairs) {
        return lh_error_field(call->r->pool, NULL, "query", NULL,
                              "The query has a broken percent-escape or is not UTF-8.");
    }
    for (i = 0; i < route->query_count; i++) {
        lh_input input = input_in_pairs(pairs, route->query[i]->name);

        error = take(call, error, "query", route->query[i], input, 1, route->query_slot + i);
        if (input.kind != LH_INPUT_ABSENT) {
            note_filter(call, i);
            call->paged |= route->paged && i >= route->query_count - 2;
        }
    }
    return error;
}
