/* SPDX-License-Identifier: Apache-2.0 */
#include "body.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <jansson.h>
#include <string.h>

#include "fields.h"
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

/* The value of a dotted name; *wrong is set where something on the way to it is no object. */
static const json_t *value_in_json(apr_pool_t *p, const json_t *object, const char *name, int *wrong)
{
    const char *dot;

    for (; (dot = strchr(name, '.')); name = dot + 1) {
        object = json_object_get(object, apr_pstrmemdup(p, name, (apr_size_t)(dot - name)));
        if (!object || json_is_null(object)) {
            return NULL;
        }
        *wrong = !json_is_object(object);
    }
    return json_object_get(object, name);
}

static void sent_number(apr_pool_t *p, const json_t *real, lh_sent *sent)
{
    lh_json out;

    lh_json_init(&out, p, 32);
    lh_json_number(&out, json_real_value(real));
    sent->kind = LH_SENT_NUMBER;
    sent->text = apr_pstrmemdup(p, out.data, out.length);
}

static lh_sent sent_in_json(apr_pool_t *p, const json_t *object, const char *name)
{
    lh_sent sent = {LH_SENT_OTHER, NULL, 0};
    int wrong = 0;
    const json_t *value = value_in_json(p, object, name, &wrong);

    if (!value) {
        sent.kind = wrong ? LH_SENT_OTHER : LH_SENT_NOTHING;
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
    else if (json_is_real(value)) {
        sent_number(p, value, &sent);
    }
    return sent;
}

/* The parser's sentence without what it quotes of the body. */
static const char *json_sentence(apr_pool_t *p, const json_error_t *error)
{
    const char *near = strstr(error->text, " near ");
    const char *option = strstr(error->text, " without JSON_"), *end = near ? near : option;
    int length = (int)(end ? (apr_size_t)(end - error->text) : strlen(error->text));

    return apr_psprintf(p, "The body is not valid JSON: line %d, column %d: %.*s.", error->line, error->column, length,
                        error->text);
}

/* ---- reading ---- */

static lh_problem *whole_body(lh_call *call, const char *text)
{
    return lh_problem_field(call->r->pool, NULL, "body", NULL, text);
}

/* A body that cannot be read: broken chunks, too slow, gone. Some of it httpd's filters have answered themselves. */
static lh_problem *read_problem(lh_call *call, apr_status_t rv)
{
    int status = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
    lh_problem *problem = lh_problem_of_status(call->r->pool, status == AP_FILTER_ERROR ? HTTP_BAD_REQUEST : status);

    problem->answered = status == AP_FILTER_ERROR;
    call->r->connection->keepalive = AP_CONN_CLOSE;
    return problem;
}

static apr_int64_t announced_length(const request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "Content-Length");

    return header ? apr_atoi64(header) : -1;
}

static lh_problem *too_large(lh_call *call)
{
    call->r->connection->keepalive = AP_CONN_CLOSE; /* the rest is not read */
    return lh_problem_make(call->r->pool, HTTP_REQUEST_ENTITY_TOO_LARGE,
                           apr_psprintf(call->r->pool, "The request body may have at most %" APR_INT64_T_FMT " bytes.",
                                        (apr_int64_t)call->server->config.max_body));
}

lh_problem *lh_body_announced(lh_call *call)
{
    return announced_length(call->r) > call->server->config.max_body ? too_large(call) : NULL;
}

/* Appends a brigade's bytes; false when they exceed the limit. */
static int append(lh_json *buffer, apr_bucket_brigade *bb, apr_int64_t limit, apr_status_t *rv, int *end)
{
    apr_bucket *bucket;

    for (bucket = APR_BRIGADE_FIRST(bb); bucket != APR_BRIGADE_SENTINEL(bb); bucket = APR_BUCKET_NEXT(bucket)) {
        const char *data;
        apr_size_t length;

        if (APR_BUCKET_IS_EOS(bucket)) {
            *end = 1;
            break;
        }
        if (APR_BUCKET_IS_METADATA(bucket)) {
            continue;
        }
        *rv = apr_bucket_read(bucket, &data, &length, APR_BLOCK_READ);
        if (*rv != APR_SUCCESS || (apr_int64_t)(buffer->length + length) > limit) {
            return *rv != APR_SUCCESS;
        }
        lh_json_raw(buffer, data, length);
    }
    return 1;
}

/* The whole body, ended by a zero byte, within the limit. */
static lh_problem *read_all(lh_call *call, const char **text, apr_size_t *length)
{
    request_rec *r = call->r;
    apr_int64_t announced = announced_length(r), limit = call->server->config.max_body;
    apr_bucket_brigade *bb;
    apr_status_t rv = APR_SUCCESS;
    lh_json buffer;
    int end = 0, fits = 1;

    lh_json_init(&buffer, r->pool, announced >= 0 && announced < 65536 ? (apr_size_t)announced + 1 : 65536);
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (fits && !end && rv == APR_SUCCESS) {
        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ, 65536);
        if (rv == APR_SUCCESS) {
            fits = append(&buffer, bb, limit, &rv, &end);
        }
        apr_brigade_cleanup(bb);
    }
    if (!fits) {
        return too_large(call);
    }
    if (rv != APR_SUCCESS) {
        return read_problem(call, rv);
    }
    lh_json_raw(&buffer, "", 1);
    *text = buffer.data;
    *length = buffer.length - 1;
    return NULL;
}

/* LH_JSON or LH_FORM; 0 for another media type, and for a charset that is not UTF-8. */
static unsigned media_type(const request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "Content-Type"), *charset;
    char *type, *end;

    if (!header || !*header) {
        return LH_JSON;
    }
    type = apr_pstrdup(r->pool, header);
    end = type + strcspn(type, "; \t");
    charset = ap_strcasestr(header, "charset=");
    if (charset && strncasecmp(charset + 8, "utf-8", 5) && strncasecmp(charset + 8, "\"utf-8\"", 7)) {
        return 0;
    }
    *end = '\0';
    return !strcasecmp(type, "application/json")                    ? LH_JSON
           : !strcasecmp(type, "application/x-www-form-urlencoded") ? LH_FORM
                                                                    : 0;
}

/* ---- checking ---- */

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

static lh_problem *check_json(lh_call *call, const char *text, apr_size_t length)
{
    const lh_operation *op = call->op;
    lh_problem *problem = NULL;
    json_error_t error;
    json_t *json = length ? json_loadb(text, length, JSON_REJECT_DUPLICATES, &error) : json_object();
    int i;

    if (!json) {
        return whole_body(call, json_sentence(call->r->pool, &error));
    }
    apr_pool_cleanup_register(call->r->pool, json, free_json, apr_pool_cleanup_null);
    if (!json_is_object(json)) {
        return whole_body(call, "The body must be a JSON object.");
    }
    for (i = 0; i < op->body_count; i++) {
        const lh_field *field = &op->row->body[i];
        problem =
            take(call, problem, "body", field, sent_in_json(call->r->pool, json, field->name), 0, op->body_slot + i);
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
    type = media_type(call->r);
    if (!(type & accepts)) {
        /* A route of forms only says which fields it wants, as FastAPI does. */
        return accepts == LH_FORM ? check_pairs(call, "")
                                  : lh_problem_of_status(call->r->pool, HTTP_UNSUPPORTED_MEDIA_TYPE);
    }
    problem = read_all(call, &text, &length);
    if (problem) {
        return problem;
    }
    if (type == LH_JSON) {
        return check_json(call, text, length);
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
