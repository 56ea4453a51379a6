/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>

#include "core/server_state.h"
#include "db/result.h"
#include "db/rows.h"
#include "http/cors.h"
#include "http/error.h"
#include "http/etag.h"
#include "http/route.h"
#include "util/json.h"

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

/* Sets notes for the access log: %{learnhub-route}n and %{learnhub-db-us}n in LogFormat. */
static void set_notes(const lh_call *call)
{
    if (call->route) {
        apr_table_setn(call->r->notes, "learnhub-route", call->route->def->name);
        apr_table_setn(call->r->notes, "learnhub-db-us", apr_ltoa(call->r->pool, (long)call->db_time));
    }
}

/*
 * Sends a response in one brigade. The FLUSH bucket makes httpd write at once instead of looking for a pipelined
 * request first; the same worker then usually reads the client's next request.
 */
static int send_response(const lh_call *call, const lh_response *response)
{
    request_rec *r = call->r;
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    r->status = response->status;
    set_notes(call);
    if (response->cache_control) {
        apr_table_setn(r->headers_out, "Cache-Control", response->cache_control);
    }
    if (response->etag) {
        apr_table_setn(r->headers_out, "ETag", response->etag);
    }
    if (response->body) {
        ap_set_content_type(r, response->type);
        ap_set_content_length(r, (apr_off_t)response->length);
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(response->body, response->length, r->pool, alloc));
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(alloc));
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->output_filters, bb); /* fails when the client has disconnected: httpd closes the connection */
    return OK;
}

static int send_no_content(const lh_call *call)
{
    lh_response response = {.status = HTTP_NO_CONTENT};

    return send_response(call, &response);
}

int lh_reply_send(const lh_call *call, const lh_response *response)
{
    const apr_table_t *headers = call->r->headers_in;
    const char *if_match = response->etag ? apr_table_get(headers, "If-Match") : NULL;
    const char *if_none_match = response->etag ? apr_table_get(headers, "If-None-Match") : NULL;
    lh_response not_modified = {.status = HTTP_NOT_MODIFIED, .cache_control = response->cache_control};

    if (if_match && !lh_etag_match(call->r->pool, if_match, response->etag, 0)) {
        return lh_reply_error(call, lh_error_of_status(call->r->pool, HTTP_PRECONDITION_FAILED));
    }
    if (if_none_match) {
        not_modified.etag = lh_etag_match(call->r->pool, if_none_match, response->etag, 1);
    }
    lh_cors(call);
    return send_response(call, not_modified.etag ? &not_modified : response);
}

/* ---- responses to successful calls ---- */

static void set_body(lh_response *response, const lh_json *json)
{
    response->type = "application/json";
    response->body = json->out.data;
    response->length = json->out.length;
}

/* The bytes are not copied: the result lives as long as the request. */
static void make_bytes(const lh_call *call, lh_response *response)
{
    int length = 0;

    response->type = lh_cell(call, "_type");
    response->body = lh_result_cell(call->last, 0, lh_result_find(call->last, "_content"), &length);
    response->length = (apr_size_t)length;
    response->etag = apr_pstrcat(call->r->pool, "\"", lh_cell(call, "_tag"), "\"", NULL);
    response->cache_control = "public, max-age=31536000, immutable";
    apr_table_setn(call->r->headers_out, "X-Content-Type-Options", "nosniff");
}

/*
 * One event with a `data` line for each line of the text. Every line but the last gets a space at its end, so that
 * clients that append the lines without a line break do not join words.
 */
static void make_events(const lh_call *call, lh_response *response)
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
    response->type = "text/event-stream";
    response->body = out.data;
    response->length = out.length;
}

static void make_json(const lh_call *call, lh_response *response)
{
    lh_json body;

    if (call->buffered) {
        set_body(response, call->buffered);
        return;
    }
    lh_json_init(&body, call->r->pool, 2048);
    lh_reply_open_envelope(&body, call);
    write_response(&body, call);
    lh_reply_close_envelope(&body, call);
    set_body(response, &body);
}

static int status_of(const lh_call *call)
{
    const lh_route *def = call->route->def;

    return call->status ? call->status : def->status ? def->status : def->shape == LH_NOTHING ? 204 : 200;
}

static int is_public(const lh_call *call)
{
    return call->route->def->roles == LH_ANYONE;
}

static int is_get(const lh_call *call)
{
    return !strcmp(call->route->def->method, "GET");
}

/* The Cache-Control of a response without an ETag; NULL: none. */
static const char *uncached(const lh_call *call)
{
    return is_public(call) && is_get(call) ? NULL : "no-store";
}

/* Clients may keep a response with an ETag, but must ask each time whether it is still current. */
static void set_etag(const lh_call *call, lh_response *response)
{
    response->etag = lh_etag(call->r->pool, call->server->etags, response->body, response->length);
    if (response->etag) {
        response->cache_control = is_public(call) ? "no-cache" : "private, no-cache";
    }
}

void lh_reply_make(const lh_call *call, lh_response *response)
{
    memset(response, 0, sizeof(*response));
    response->status = status_of(call);
    response->cache_control = uncached(call);
    switch (call->route->def->shape) {
    case LH_NOTHING: break;
    case LH_BYTES: make_bytes(call, response); break;
    case LH_EVENTS: make_events(call, response); break;
    default:
        make_json(call, response);
        if (is_get(call) && response->status == HTTP_OK) {
            set_etag(call, response);
        }
    }
}

apr_status_t lh_reply_send_part(lh_call *call, apr_bucket_brigade *bb, const char *data, apr_size_t length)
{
    request_rec *r = call->r;
    apr_status_t rv;

    if (!call->streaming) {
        call->streaming = 1;
        lh_cors(call);
        set_notes(call);
        if (uncached(call)) {
            apr_table_setn(r->headers_out, "Cache-Control", uncached(call));
        }
        r->status = status_of(call);
        ap_set_content_type(r, "application/json");
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_transient_create(data, length, r->connection->bucket_alloc));
    rv = ap_pass_brigade(r->output_filters, bb);
    apr_brigade_cleanup(bb);
    return r->connection->aborted ? APR_ECONNABORTED : rv;
}

void lh_reply_send_end(lh_call *call, apr_bucket_brigade *bb, int complete)
{
    request_rec *r = call->r;
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;

    if (!complete) {
        APR_BRIGADE_INSERT_TAIL(bb, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, alloc));
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->output_filters, bb);
}

int lh_reply_error(const lh_call *call, const lh_error *error)
{
    lh_error_format format = call->group->error_format;
    apr_table_t *out = call->r->err_headers_out;
    lh_response response = {0};
    lh_json body;

    if (error->response_sent) {
        return AP_FILTER_ERROR;
    }
    lh_cors(call);
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
    response.status = lh_error_status(error, format);
    set_body(&response, &body);
    return send_response(call, &response);
}

int lh_reply_options(lh_call *call, const char *allow)
{
    lh_cors(call);
    apr_table_setn(call->r->headers_out, "Allow", allow);
    return send_no_content(call);
}

int lh_reply_preflight(lh_call *call)
{
    lh_cors_preflight(call);
    return send_no_content(call);
}
