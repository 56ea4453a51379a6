/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

#include "core/server_state.h"
#include "db/result.h"
#include "db/rows.h"
#include "http/error.h"
#include "http/output.h"
#include "http/route.h"
#include "util/json.h"
#include "util/text.h"

#define JSON_TYPE "application/json"

/* ---- rows ---- */

/* The members that steps have added. */
static void write_added_members(lh_json *json, const lh_call *call)
{
    const lh_member *member;

    for (member = call->members; member; member = member->next) {
        lh_json_key(json, member->key);
        lh_json_verbatim(json, member->json, strlen(member->json));
    }
}

static void write_row_members(lh_json *json, const lh_call *call, lh_reply_rows *rows, const lh_result *result, int row)
{
    int count = lh_result_columns(result), i;

    if (!rows->plan) {
        lh_column *columns = apr_palloc(call->r->pool, sizeof(*columns) * (apr_size_t)(count + 1));
        for (i = 0; i < count; i++) {
            columns[i].name = lh_result_name(result, i);
            columns[i].type = lh_result_type(result, i);
        }
        rows->plan = lh_rows_plan(call->r->pool, columns, count, call->group->time_format);
        rows->cells = apr_palloc(call->r->pool, sizeof(*rows->cells) * (apr_size_t)(count + 1));
    }
    for (i = 0; i < count; i++) {
        rows->cells[i].data = lh_result_cell(result, row, i, &rows->cells[i].length);
    }
    lh_rows_members(json, rows->plan, rows->cells);
}

void lh_reply_row(lh_json *json, const lh_call *call, lh_reply_rows *rows, const lh_result *result, int row)
{
    lh_json_open(json, '{');
    write_row_members(json, call, rows, result, row);
    lh_json_close(json, '}');
}

static void write_one(lh_json *json, const lh_call *call)
{
    lh_reply_rows rows = {NULL, NULL};

    lh_json_open(json, '{');
    write_added_members(json, call);
    if (lh_row_count(call)) {
        write_row_members(json, call, &rows, call->last, 0);
    }
    lh_json_close(json, '}');
}

static void write_all(lh_json *json, const lh_call *call)
{
    lh_reply_rows rows = {NULL, NULL};
    int row;

    lh_json_open(json, '[');
    for (row = 0; row < lh_row_count(call); row++) {
        lh_reply_row(json, call, &rows, call->last, row);
    }
    lh_json_close(json, ']');
}

/* ---- envelopes ---- */

/* The route's count(*). */
static apr_int64_t total(const lh_call *call)
{
    return apr_atoi64(lh_call_cell(call, call->count, 0, 0));
}

/* The URL of another page of this list, with the other query parameters as they were sent. */
static const char *page_url(const lh_call *call, apr_int64_t page)
{
    request_rec *r = call->r;
    const char *path = ap_escape_uri(r->pool, call->path), *args = r->args ? r->args : "", *query = "";
    const char *base = call->values[call->route->builtin_slot + LH_BUILTIN_BASE];

    for (; *args; args += *args == '&') {
        apr_size_t length = strcspn(args, "&");
        if (length && strncmp(args, "page=", 5)) {
            query = apr_pstrcat(r->pool, query, *query ? "&" : "?", apr_pstrmemdup(r->pool, args, length), NULL);
        }
        args += length;
    }
    if (page > 1 || (call->route->def->flags & LH_UNPAGED)) { /* without `page` an LH_UNPAGED list is not paged */
        query = apr_psprintf(r->pool, "%s%spage=%" APR_INT64_T_FMT, query, *query ? "&" : "?", page);
    }
    return apr_pstrcat(r->pool, base, path, query, NULL);
}

static void write_page(lh_json *json, const lh_call *call)
{
    apr_int64_t count = total(call), page = apr_atoi64(lh_param(call, "page"));
    apr_int64_t size = apr_atoi64(lh_param(call, "page_size"));

    lh_json_open(json, '{');
    lh_json_key(json, "count");
    lh_json_int(json, count);
    lh_json_key(json, "next");
    lh_json_text(json, page * size < count ? page_url(call, page + 1) : NULL);
    lh_json_key(json, "previous");
    lh_json_text(json, page > 1 ? page_url(call, page - 1) : NULL);
    lh_json_key(json, "results");
    write_all(json, call);
    lh_json_close(json, '}');
}

static void write_skip_limit(lh_json *json, const lh_call *call)
{
    lh_json_open(json, '{');
    lh_json_key(json, "total");
    lh_json_int(json, total(call));
    write_added_members(json, call);
    lh_json_key(json, "skip");
    lh_json_int(json, apr_atoi64(lh_param(call, "skip")));
    lh_json_key(json, "limit");
    lh_json_int(json, apr_atoi64(lh_param(call, "limit")));
    lh_json_key(json, call->route->def->key);
    write_all(json, call);
    lh_json_close(json, '}');
}

static void write_response(lh_json *json, const lh_call *call)
{
    switch (call->route->def->shape) {
    case LH_ALL: write_all(json, call); break;
    case LH_PAGE: write_page(json, call); break;
    case LH_SKIP_LIMIT: write_skip_limit(json, call); break;
    case LH_ONE_OR_NULL:
        if (!lh_row_count(call)) {
            lh_json_null(json);
            break;
        }
        write_one(json, call);
        break;
    default: write_one(json, call);
    }
}

/* The key that contains the response, as in {"message": ..., key: response} or {key: [...]}; NULL: no such object. */
static const char *outer_key(const lh_call *call)
{
    const lh_route *def = call->route->def;

    if (def->shape == LH_PAGE) {
        return lh_call_unpaged(call) ? "results" : NULL;
    }
    return def->message || def->shape == LH_ALL ? def->key : NULL;
}

void lh_reply_open_envelope(lh_json *json, const lh_call *call)
{
    const char *key = outer_key(call);

    if (call->group->error_format == LH_ERRORS_ENVELOPE) {
        lh_json_open(json, '{');
        lh_json_key(json, "success");
        lh_json_bool(json, 1);
        lh_json_key(json, "data");
    }
    if (key) {
        lh_json_open(json, '{');
        if (call->route->def->message) {
            lh_json_key(json, "message");
            lh_json_text(json, call->route->def->message);
        }
        lh_json_key(json, key);
    }
}

void lh_reply_close_envelope(lh_json *json, const lh_call *call)
{
    if (outer_key(call)) {
        lh_json_close(json, '}');
    }
    if (call->group->error_format == LH_ERRORS_ENVELOPE) {
        lh_json_close(json, '}');
    }
}

/* ---- headers and sending ---- */

int lh_reply_cors(const lh_call *call)
{
    request_rec *r = call->r;
    const char *allowed = call->server->config.origins, *origin = apr_table_get(r->headers_in, "Origin");
    apr_table_t *out = r->err_headers_out;
    int any = allowed && !strcmp(allowed, "*");

    if (!allowed) {
        return 0;
    }
    if (!any) {
        apr_table_mergen(out, "Vary", "Origin");
    }
    if (!origin || (!any && !lh_text_listed(allowed, origin, strlen(origin)))) {
        return 0;
    }
    apr_table_setn(out, "Access-Control-Allow-Origin", any ? "*" : origin);
    apr_table_setn(out, "Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate, Idempotent-Replayed");
    return 1;
}

/* Sets notes for the access log: %{learnhub-route}n and %{learnhub-db-us}n in LogFormat. */
static void set_notes(const lh_call *call)
{
    if (call->route) {
        apr_table_setn(call->r->notes, "learnhub-route", call->route->def->name);
        apr_table_setn(call->r->notes, "learnhub-db-us", apr_ltoa(call->r->pool, (long)call->db_time));
    }
}

/* Bytes from which on httpd writes a response at once. */
#define WRITTEN_AT_ONCE 4096

/*
 * Sends a response in one brigade, in which the caller has put the body; `type` NULL: without one. After a short body,
 * the FLUSH bucket makes httpd write at once instead of looking for a pipelined request first; the same worker then
 * usually reads the client's next request.
 */
static int send_brigade(const lh_call *call, int status, const char *type, apr_off_t length, apr_bucket_brigade *bb)
{
    request_rec *r = call->r;

    r->status = status;
    set_notes(call);
    if (type) {
        ap_set_content_type(r, type);
        ap_set_content_length(r, length);
        if (length < WRITTEN_AT_ONCE) {
            APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(bb->bucket_alloc));
        }
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    ap_pass_brigade(r->output_filters, bb); /* fails when the client has disconnected: httpd closes the connection */
    return OK;
}

/* Sends a response; `type` NULL: without a body. */
static int send_response(const lh_call *call, int status, const char *type, const char *body, apr_size_t length)
{
    request_rec *r = call->r;
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    if (type) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(body, length, r->pool, alloc));
    }
    return send_brigade(call, status, type, (apr_off_t)length, bb);
}

static int status_of(const lh_call *call)
{
    const lh_route *def = call->route->def;

    return call->status ? call->status : def->status ? def->status : def->shape == LH_NOTHING ? 204 : 200;
}

/* The Cache-Control of LH_BYTES is set by send_bytes(). */
static void set_headers(const lh_call *call)
{
    const lh_route *def = call->route->def;

    lh_reply_cors(call);
    if (def->shape != LH_BYTES && (def->roles != LH_ANYONE || strcmp(def->method, "GET"))) {
        apr_table_setn(call->r->headers_out, "Cache-Control", "no-store");
    }
}

/* ---- successful responses ---- */

void lh_reply_start(lh_call *call)
{
    set_headers(call);
    set_notes(call);
    call->r->status = status_of(call);
    ap_set_content_type(call->r, call->output->type);
}

/* Sends the body in call->output, or completes a response that is sent in parts. */
static int send_output(lh_call *call)
{
    lh_output *output = call->output;
    int complete = lh_output_end(output) == APR_SUCCESS;
    apr_bucket_brigade *bb;
    apr_off_t length;

    if (output->bb) {
        lh_output_send_end(output, complete);
        return OK;
    }
    if (!complete) {
        apr_table_unset(call->r->headers_out, "Cache-Control");
        apr_table_unset(call->r->headers_out, "ETag");
        return lh_reply_error(call, lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE));
    }
    set_headers(call);
    bb = apr_brigade_create(call->r->pool, call->r->connection->bucket_alloc);
    length = lh_output_insert(output, bb);
    return send_brigade(call, status_of(call), output->type, length, bb);
}

/* While a client reads a long response, no memory is used for its rows. */
static void free_results(const lh_call *call)
{
    if (call->last) {
        lh_result_clear(call->last);
    }
    if (call->count) {
        lh_result_clear(call->count);
    }
}

static int send_body(lh_call *call, const char *type, const char *body, apr_size_t length)
{
    if (length <= LH_OUTPUT_PART) {
        set_headers(call);
        return send_response(call, status_of(call), type, body, length);
    }
    call->output = lh_output_create(call, type, lh_reply_start);
    lh_buffer_append(&call->output->json.out, body, length);
    free_results(call);
    return send_output(call);
}

static int send_bytes(lh_call *call)
{
    request_rec *r = call->r;
    int length = 0, status;
    const char *bytes = lh_result_cell(call->last, 0, lh_result_find(call->last, "_content"), &length);

    apr_table_setn(r->headers_out, "ETag", apr_pstrcat(r->pool, "\"", lh_cell(call, "_tag"), "\"", NULL));
    apr_table_setn(r->headers_out, "Cache-Control", "public, max-age=31536000, immutable");
    apr_table_setn(r->headers_out, "X-Content-Type-Options", "nosniff");
    status = ap_meets_conditions(r);
    if (status == OK) {
        return send_body(call, lh_cell(call, "_type"), bytes, (apr_size_t)length);
    }
    lh_reply_cors(call);
    return send_response(call, status, NULL, NULL, 0);
}

/*
 * One event with a `data` line for each line of the text. Every line but the last gets a space at its end, so that
 * clients that append the lines without a line break do not join words.
 */
static int send_events(lh_call *call)
{
    const char *text = lh_cell(call, "_content");
    lh_buffer out;

    lh_buffer_init(&out, call->r->pool, strlen(text) + 256);
    for (;;) {
        apr_size_t length = strcspn(text, "\r\n");

        lh_buffer_append(&out, "data: ", 6);
        lh_buffer_append(&out, text, length);
        text += length;
        if (!*text) {
            break;
        }
        text += text[0] == '\r' && text[1] == '\n' ? 2 : 1;
        lh_buffer_append(&out, " \n", 2);
    }
    lh_buffer_append(&out, "\n\n", 2);
    return send_body(call, "text/event-stream", out.data, out.length);
}

static void write_body(lh_json *json, const lh_call *call)
{
    lh_reply_open_envelope(json, call);
    write_response(json, call);
    lh_reply_close_envelope(json, call);
}

/* Rows of more than 32 KB are written into the spool. */
static int is_long(const lh_call *call)
{
    return call->last && lh_result_memory(call->last) > LH_OUTPUT_PART / 2;
}

int lh_reply_success(lh_call *call)
{
    lh_shape shape = call->route->def->shape;
    lh_json body;

    if (call->output) {
        return send_output(call);
    }
    if (shape == LH_BYTES) {
        return send_bytes(call);
    }
    if (shape == LH_EVENTS) {
        return send_events(call);
    }
    if (shape == LH_NOTHING) {
        set_headers(call);
        return send_response(call, status_of(call), NULL, NULL, 0);
    }
    if (is_long(call)) {
        call->output = lh_output_create(call, JSON_TYPE, lh_reply_start);
        write_body(&call->output->json, call);
        free_results(call);
        return send_output(call);
    }
    lh_json_init(&body, call->r->pool, 2048);
    write_body(&body, call);
    return send_body(call, JSON_TYPE, body.out.data, body.out.length);
}

int lh_reply_error(lh_call *call, const lh_error *error)
{
    lh_error_format format = call->group->error_format;
    apr_table_t *out = call->r->err_headers_out;
    lh_json body;

    if (error->response_sent) {
        return AP_FILTER_ERROR;
    }
    lh_reply_cors(call);
    apr_table_setn(out, "Cache-Control", "no-store");
    if (error->challenge) {
        apr_table_setn(out, "WWW-Authenticate", error->challenge);
    }
    if (error->allow) {
        apr_table_setn(out, "Allow", error->allow);
    }
    if (error->retry_after) {
        apr_table_setn(out, "Retry-After", apr_itoa(call->r->pool, error->retry_after));
    }
    lh_json_init(&body, call->r->pool, 256);
    lh_error_write(&body, error, format);
    return send_response(call, lh_error_status(error, format), JSON_TYPE, body.out.data, body.out.length);
}

int lh_reply_options(lh_call *call, const char *allow)
{
    lh_reply_cors(call);
    apr_table_setn(call->r->headers_out, "Allow", allow);
    return send_response(call, HTTP_NO_CONTENT, NULL, NULL, 0);
}

/* The header names that the browser asks for; NULL if it asks for none, or if one is not a token (RFC 9110). */
static const char *requested_headers(const request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "Access-Control-Request-Headers"), *end = header;

    while (end && *(end = ap_scan_http_token(end))) {
        if (!strchr(", \t", *end++)) {
            return NULL;
        }
    }
    return header;
}

int lh_reply_preflight(lh_call *call)
{
    apr_table_t *out = call->r->err_headers_out;
    const char *headers = requested_headers(call->r);

    if (lh_reply_cors(call)) {
        apr_table_setn(out, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
        apr_table_setn(out, "Access-Control-Allow-Headers", headers ? headers : "Authorization, Content-Type");
        apr_table_setn(out, "Access-Control-Max-Age", "600");
    }
    return send_response(call, HTTP_NO_CONTENT, NULL, NULL, 0);
}
