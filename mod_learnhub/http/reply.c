/* SPDX-License-Identifier: Apache-2.0 */
#include "http/reply.h"

#include <apr_portable.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <poll.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/result.h"
#include "http/cors.h"
#include "http/envelope.h"
#include "http/error.h"
#include "http/etag.h"
#include "http/output.h"
#include "http/route.h"
#include "util/counters.h"
#include "util/json.h"
#include "util/memory.h"

#define JSON_TYPE "application/json"
#define IMMUTABLE "public, max-age=31536000, immutable"

/* ---- properties of responses ---- */

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

/* ---- headers and sending ---- */

void lh_reply_notes(const lh_call *call)
{
    if (call->route) {
        apr_table_setn(call->r->notes, "learnhub-route", call->route->def->name);
        apr_table_setn(call->r->notes, "learnhub-db-us", apr_ltoa(call->r->pool, (long)call->db_time));
    }
    if (call->me.id) {
        apr_table_setn(call->r->notes, "learnhub-user", call->r->user);
    }
}

/* Bytes from which on httpd writes a response at once. */
#define WRITTEN_AT_ONCE 4096

/* 0 when a FLUSH bucket could make the thread wait for a client that does not read what it was sent before. */
static int may_flush(conn_rec *c)
{
    apr_os_sock_t socket;
    struct pollfd fd = {.events = POLLOUT};

    if (c->master || apr_os_sock_get(&socket, ap_get_conn_socket(c)) != APR_SUCCESS) {
        return 1; /* HTTP/2: other threads write to the socket */
    }
    fd.fd = socket;
    return poll(&fd, 1, 0) == 1 && fd.revents == POLLOUT;
}

/*
 * Sends a response in one brigade, in which the caller has put the body; `type` NULL: without one. After a short body,
 * the FLUSH bucket makes httpd write at once instead of looking for a pipelined request first; the same worker then
 * usually reads the client's next request.
 */
static int send_brigade(const lh_call *call, int status, const char *type, apr_off_t length, apr_bucket_brigade *bb)
{
    request_rec *r = call->r;

    r->status = status;
    if (type) {
        ap_set_content_type(r, type);
        ap_set_content_length(r, length);
        if (length < WRITTEN_AT_ONCE && may_flush(r->connection)) {
            APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(bb->bucket_alloc));
        }
    }
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(bb->bucket_alloc));
    ap_pass_brigade(r->output_filters, bb); /* fails when the client has disconnected: httpd closes the connection */
    apr_brigade_cleanup(bb);                /* a filter that failed may have left buckets */
    return OK;
}

static void set_header(const lh_call *call, const char *name, const char *value)
{
    if (value) {
        apr_table_setn(call->r->headers_out, name, value);
    }
}

/* Sends a response whose body need not be spooled. */
static int send_response(const lh_call *call, const lh_response *response)
{
    request_rec *r = call->r;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);

    set_header(call, "Cache-Control", response->cache_control);
    set_header(call, "ETag", response->etag);
    if (response->status == HTTP_SERVICE_UNAVAILABLE && !apr_table_get(r->err_headers_out, "Retry-After")) {
        set_header(call, "Retry-After", "1");
    }
    if (response->body) {
        apr_pool_t *pool = response->pool ? response->pool : r->pool;
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(response->body, response->length, pool, bb->bucket_alloc));
    }
    return send_brigade(call, response->status, response->body ? response->type : NULL, (apr_off_t)response->length,
                        bb);
}

/* ---- long responses ---- */

void lh_reply_start(lh_call *call)
{
    lh_cors(call);
    if (!apr_table_get(call->r->headers_out, "Cache-Control")) {
        set_header(call, "Cache-Control", uncached(call));
    }
    call->r->status = status_of(call);
    ap_set_content_type(call->r, call->output->type);
}

/* While a client reads a long response, no memory is used for its rows. */
static void free_results(const lh_call *call)
{
    if (call->last) {
        lh_memory_freed(lh_result_memory(call->last));
        lh_result_clear(call->last);
    }
    if (call->count) {
        lh_result_clear(call->count);
    }
}

int lh_reply_long(lh_call *call)
{
    lh_output *output = call->output;
    int complete;
    apr_bucket_brigade *bb;
    apr_off_t length;

    if (!output) {
        call->output = output = lh_output_create(call, JSON_TYPE, lh_reply_start);
        lh_envelope_write(&output->json, call);
        free_results(call);
    }
    complete = lh_output_end(output) == APR_SUCCESS;
    if (output->bb) {
        lh_output_send_end(output, complete);
        return OK;
    }
    if (!complete && lh_output_of_change(call)) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, call->r,
                      LH_LOG(0096) "%s: the connection is closed instead of a response that cannot be stored",
                      call->route->def->name);
        call->r->connection->aborted = 1;
        return OK;
    }
    if (!complete) {
        apr_table_unset(call->r->headers_out, "Cache-Control");
        apr_table_unset(call->r->headers_out, "ETag");
        return lh_reply_error(call, lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE));
    }
    lh_reply_start(call);
    bb = apr_brigade_create(call->r->pool, call->r->connection->bucket_alloc);
    length = lh_output_insert(output, bb);
    return send_brigade(call, status_of(call), output->type, length, bb);
}

/* Sends a body of more than one part, which is in memory. */
static int spool_response(lh_call *call, const lh_response *response)
{
    set_header(call, "Cache-Control", response->cache_control);
    set_header(call, "ETag", response->etag);
    call->output = lh_output_create(call, response->type, lh_reply_start);
    lh_buffer_append(&call->output->json.out, response->body, response->length);
    free_results(call);
    return lh_reply_long(call);
}

/* ---- short responses ---- */

static int send_no_content(const lh_call *call)
{
    lh_response response = {.status = HTTP_NO_CONTENT};

    return send_response(call, &response);
}

int lh_reply_send(lh_call *call, const lh_response *response)
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
    if (!not_modified.etag && response->length > LH_OUTPUT_PART) {
        return spool_response(call, response);
    }
    lh_cors(call);
    return send_response(call, not_modified.etag ? &not_modified : response);
}

/* ---- responses to successful calls ---- */

static void set_body(lh_response *response, const lh_json *json)
{
    response->type = JSON_TYPE;
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
    response->cache_control = IMMUTABLE;
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

    if (call->output) {
        set_body(response, &call->output->json);
        response->pool = call->output->memory;
        return;
    }
    lh_json_init(&body, call->r->pool, 2048 + call->members_size);
    lh_envelope_write(&body, call);
    set_body(response, &body);
}

/* Clients may keep a response with an ETag, but must ask each time whether it is still current. */
static void set_etag(const lh_call *call, lh_response *response)
{
    response->etag = lh_etag(call->r->pool, call->server->etags, response->body, response->length);
    if (response->etag) {
        response->cache_control = is_public(call) ? "no-cache" : "private, no-cache";
    }
}

/* Rows of more than 64 KB are written into the spool. */
static int is_long(const lh_call *call)
{
    return call->output ? !lh_output_in_memory(call->output)
                        : call->members_size + (call->last ? lh_result_memory(call->last) : 0) > LH_OUTPUT_PART;
}

static int make_document(const lh_call *call, lh_response *response)
{
    response->type = call->document->type;
    response->body = call->document->body;
    response->length = call->document->length;
    response->etag = call->document->etag;
    response->cache_control = call->document->immutable ? IMMUTABLE
                              : is_public(call)         ? "no-cache"
                                                        : "private, no-cache";
    if (!response->etag) {
        set_etag(call, response);
    }
    return 1;
}

int lh_reply_make(const lh_call *call, lh_response *response)
{
    if (call->kept) {
        *response = *call->kept;
        if (call->replays) {
            lh_counter_add(LH_COUNT_REPLAYS, 1);
            apr_table_setn(call->r->headers_out, "Idempotent-Replayed", "true");
            apr_table_setn(call->r->headers_out, "Idempotency-Replayed", "true");
        }
        return 1;
    }
    memset(response, 0, sizeof(*response));
    response->status = status_of(call);
    response->cache_control = uncached(call);
    if (call->document) {
        return make_document(call, response);
    }
    switch (call->route->def->shape) {
    case LH_NOTHING: break;
    case LH_BYTES: make_bytes(call, response); break;
    case LH_EVENTS: make_events(call, response); break;
    default:
        if (is_long(call)) {
            return 0;
        }
        make_json(call, response);
        if (is_get(call) && response->status == HTTP_OK) {
            set_etag(call, response);
        }
    }
    return 1;
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
