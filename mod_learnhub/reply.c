/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

#include "rows.h"
#include "run.h"
#include "text.h"

/* ---- members a handler puts in front ---- */

void lh_answer_json(lh_call *call, const char *key, const char *value)
{
    lh_member *member = apr_pcalloc(call->r->pool, sizeof(*member));

    member->key = key;
    member->json = value;
    if (call->front_last) {
        call->front_last->next = member;
    }
    else {
        call->front = member;
    }
    call->front_last = member;
}

void lh_answer_text(lh_call *call, const char *key, const char *value)
{
    lh_json json;

    lh_json_init(&json, call->r->pool, 64);
    lh_json_text(&json, value);
    lh_answer_json(call, key, apr_pstrmemdup(call->r->pool, json.data, json.length));
}

void lh_answer_int(lh_call *call, const char *key, apr_int64_t value)
{
    lh_answer_json(call, key, apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value));
}

void lh_answer_status(lh_call *call, int status)
{
    call->status = status;
}

static void write_front(lh_json *json, const lh_call *call)
{
    const lh_member *member;

    for (member = call->front; member; member = member->next) {
        lh_json_key(json, member->key);
        lh_json_verbatim(json, member->json, strlen(member->json));
    }
}

/* ---- rows ---- */

static lh_plan *plan_of(const lh_call *call)
{
    int count = lh_result_columns(call->last), i;
    lh_column *columns = apr_palloc(call->r->pool, sizeof(*columns) * (apr_size_t)(count + 1));

    for (i = 0; i < count; i++) {
        columns[i].name = lh_result_name(call->last, i);
        columns[i].type = lh_result_type(call->last, i);
    }
    return lh_rows_plan(call->r->pool, columns, count, call->op->row->times ? *call->op->row->times : call->api->times);
}

static void write_row(lh_json *json, const lh_call *call, const lh_plan *plan, lh_cell_value *cells, int row)
{
    int i;

    for (i = 0; i < lh_result_columns(call->last); i++) {
        cells[i].data = lh_result_cell(call->last, row, i, &cells[i].length);
    }
    lh_rows_members(json, plan, cells);
}

static void write_one(lh_json *json, const lh_call *call)
{
    lh_json_open(json, '{');
    write_front(json, call);
    if (lh_rows(call)) {
        write_row(json, call, plan_of(call),
                  apr_palloc(call->r->pool, sizeof(lh_cell_value) * (apr_size_t)lh_result_columns(call->last)), 0);
    }
    lh_json_close(json, '}');
}

static void write_all(lh_json *json, const lh_call *call)
{
    lh_plan *plan = plan_of(call);
    lh_cell_value *cells =
        apr_palloc(call->r->pool, sizeof(lh_cell_value) * (apr_size_t)(lh_result_columns(call->last) + 1));
    int row;

    lh_json_open(json, '[');
    for (row = 0; row < lh_rows(call); row++) {
        lh_json_open(json, '{');
        write_row(json, call, plan, cells, row);
        lh_json_close(json, '}');
    }
    lh_json_close(json, ']');
}

/* ---- envelopes ---- */

static apr_int64_t total(const lh_call *call)
{
    lh_cell_value cell;
    apr_int64_t value = 0;
    int i;

    cell.data = lh_result_cell(call->count, 0, 0, &cell.length); /* count(*) is a bigint */
    for (i = 0; i < cell.length; i++) {
        value = value << 8 | (unsigned char)cell.data[i];
    }
    return value;
}

/* The URL of another page of this list: all other parameters are kept as they were sent. */
static const char *page_url(const lh_call *call, apr_int64_t page)
{
    request_rec *r = call->r;
    const char *path = ap_escape_uri(r->pool, r->uri), *args = r->args ? r->args : "", *query = "";
    const char *base = call->server->config.public_url;

    for (; *args; args += *args == '&') {
        apr_size_t length = strcspn(args, "&");
        if (length && strncmp(args, "page=", 5)) {
            query = apr_pstrcat(r->pool, query, *query ? "&" : "?", apr_pstrmemdup(r->pool, args, length), NULL);
        }
        args += length;
    }
    if (page > 1) {
        query = apr_psprintf(r->pool, "%s%spage=%" APR_INT64_T_FMT, query, *query ? "&" : "?", page);
    }
    return apr_pstrcat(r->pool, base ? apr_pstrcat(r->pool, base, path, NULL) : ap_construct_url(r->pool, path, r),
                       query, NULL);
}

static void write_place(lh_json *json, const lh_call *call)
{
    apr_int64_t count = total(call), page = apr_atoi64(lh_text(call, "page"));
    apr_int64_t size = apr_atoi64(lh_text(call, "page_size"));

    lh_json_key(json, "count");
    lh_json_int(json, count);
    lh_json_key(json, "next");
    lh_json_text(json, page * size < count ? page_url(call, page + 1) : NULL);
    lh_json_key(json, "previous");
    lh_json_text(json, page > 1 ? page_url(call, page - 1) : NULL);
}

static void write_page(lh_json *json, const lh_call *call)
{
    lh_json_open(json, '{');
    if (!lh_run_whole(call)) {
        write_place(json, call);
    }
    lh_json_key(json, "results");
    write_all(json, call);
    lh_json_close(json, '}');
}

static void write_window(lh_json *json, const lh_call *call)
{
    lh_json_open(json, '{');
    lh_json_key(json, "total");
    lh_json_int(json, total(call));
    write_front(json, call);
    lh_json_key(json, "skip");
    lh_json_int(json, apr_atoi64(lh_text(call, "skip")));
    lh_json_key(json, "limit");
    lh_json_int(json, apr_atoi64(lh_text(call, "limit")));
    lh_json_key(json, call->op->row->key);
    write_all(json, call);
    lh_json_close(json, '}');
}

static void write_answer(lh_json *json, const lh_call *call)
{
    switch (call->op->row->shape) {
    case LH_ALL: write_all(json, call); break;
    case LH_PAGE: write_page(json, call); break;
    case LH_WINDOW: write_window(json, call); break;
    default: write_one(json, call);
    }
}

/* {"message": ..., key: answer}, where the row has a message. */
static void write_message(lh_json *json, const lh_call *call)
{
    const lh_route *row = call->op->row;

    if (!row->message) {
        write_answer(json, call);
        return;
    }
    lh_json_open(json, '{');
    lh_json_key(json, "message");
    lh_json_text(json, row->message);
    lh_json_key(json, row->key);
    write_answer(json, call);
    lh_json_close(json, '}');
}

static void write_envelope(lh_json *json, const lh_call *call)
{
    if (call->api->problems != LH_WRAPPED) {
        write_message(json, call);
        return;
    }
    lh_json_open(json, '{');
    lh_json_key(json, "success");
    lh_json_bool(json, 1);
    lh_json_key(json, "data");
    write_message(json, call);
    lh_json_close(json, '}');
}

/* ---- headers and sending ---- */

/* Fetch standard: which pages of other origins may read the answer. */
static void set_cors(const lh_call *call, const char *preflight_methods)
{
    request_rec *r = call->r;
    const char *allowed = call->server->config.origins, *origin = apr_table_get(r->headers_in, "Origin");
    apr_table_t *out = r->err_headers_out;

    if (!allowed) {
        return;
    }
    if (strcmp(allowed, "*")) {
        apr_table_mergen(out, "Vary", "Origin");
    }
    if (!origin || (strcmp(allowed, "*") && !lh_text_listed(allowed, origin, strlen(origin)))) {
        return;
    }
    apr_table_setn(out, "Access-Control-Allow-Origin", strcmp(allowed, "*") ? origin : "*");
    apr_table_setn(out, "Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, Idempotent-Replayed");
    if (preflight_methods) {
        apr_table_setn(out, "Access-Control-Allow-Methods", preflight_methods);
        apr_table_setn(out, "Access-Control-Allow-Headers", "Authorization, Content-Type, Idempotency-Key");
        apr_table_setn(out, "Access-Control-Max-Age", "600");
    }
}

/* For LogFormat: %{learnhub-route}n and %{learnhub-db-us}n. */
static void set_notes(const lh_call *call)
{
    if (call->op) {
        apr_table_setn(call->r->notes, "learnhub-route", call->op->row->name);
        apr_table_setn(call->r->notes, "learnhub-db-us", apr_ltoa(call->r->pool, (long)call->db_time));
    }
}

/*
 * One brigade. The FLUSH lets httpd write at once instead of first looking for a pipelined request, so that the same
 * worker usually finds the client's next request there.
 */
static int deliver(const lh_call *call, int status, const lh_json *body)
{
    request_rec *r = call->r;
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    r->status = status;
    set_notes(call);
    if (body) {
        ap_set_content_type(r, "application/json");
        ap_set_content_length(r, (apr_off_t)body->length);
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(body->data, body->length, r->pool, alloc));
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(alloc));
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->output_filters, bb); /* a client that left is the connection's concern */
    return OK;
}

static int status_of(const lh_call *call)
{
    const lh_route *row = call->op->row;

    return call->status ? call->status : row->status ? row->status : row->shape == LH_NOTHING ? 204 : 200;
}

int lh_reply_answer(lh_call *call)
{
    int bare = call->op->row->shape == LH_NOTHING;
    lh_json body;

    set_cors(call, NULL);
    if (call->op->row->who != LH_ANYONE || strcmp(call->op->row->method, "GET")) {
        apr_table_setn(call->r->headers_out, "Cache-Control", "no-store");
    }
    if (!bare) {
        lh_json_init(&body, call->r->pool, 2048);
        write_envelope(&body, call);
    }
    return deliver(call, status_of(call), bare ? NULL : &body);
}

int lh_reply_problem(lh_call *call, const lh_problem *problem)
{
    lh_problem_style style = call->api->problems;
    apr_table_t *out = call->r->err_headers_out;
    lh_json body;

    if (problem->answered) {
        return AP_FILTER_ERROR;
    }
    set_cors(call, NULL);
    apr_table_setn(out, "Cache-Control", "no-store");
    if (problem->challenge) {
        apr_table_setn(out, "WWW-Authenticate", problem->challenge);
    }
    if (problem->allow) {
        apr_table_setn(out, "Allow", problem->allow);
    }
    if (problem->retry_after) {
        apr_table_setn(out, "Retry-After", apr_itoa(call->r->pool, problem->retry_after));
    }
    lh_json_init(&body, call->r->pool, 256);
    lh_problem_write(&body, problem, style);
    return deliver(call, lh_problem_status(problem, style), &body);
}

int lh_reply_options(lh_call *call, const char *allow)
{
    set_cors(call, allow);
    apr_table_setn(call->r->headers_out, "Allow", allow);
    return deliver(call, HTTP_NO_CONTENT, NULL);
}
