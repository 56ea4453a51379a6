/* SPDX-License-Identifier: Apache-2.0 */
#include "http/receive.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <string.h>

#include "core/server_state.h"
#include "http/error.h"
#include "http/route.h"
#include "http/share.h"
#include "util/buffer.h"
#include "util/memory.h"

/* The number of bytes that are read at once. */
#define BLOCK 65536

unsigned lh_receive_type(const request_rec *r)
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
           : !strcasecmp(type, "multipart/form-data")               ? LH_MULTIPART
                                                                    : 0;
}

/* The error for a body that cannot be read. On AP_FILTER_ERROR an input filter has sent the response already. */
static lh_error *read_error(lh_call *call, apr_status_t rv)
{
    int status = ap_map_http_request_error(rv, HTTP_BAD_REQUEST);
    lh_error *error = lh_error_of_status(call->r->pool, status == AP_FILTER_ERROR ? HTTP_BAD_REQUEST : status);

    error->response_sent = status == AP_FILTER_ERROR;
    call->r->connection->keepalive = AP_CONN_CLOSE;
    return error;
}

/* The Content-Length, or -1. */
static apr_int64_t content_length(const request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "Content-Length");

    return header ? apr_atoi64(header) : -1;
}

static int accepts_photo(const lh_call *call)
{
    const lh_field *field = call->route ? call->route->def->body : NULL;

    while (field && field->name && field->type != LH_PHOTO) {
        field++;
    }
    return field && field->name;
}

/* The limit of the request's body. */
typedef struct body_limit {
    const char *text;         /* the sentence of a 413, with a placeholder for `bytes` */
    apr_int64_t bytes, extra; /* the body may have bytes + extra bytes */
} body_limit;

#define BYTES "%" APR_INT64_T_FMT " bytes"

static body_limit limit_of(const lh_call *call)
{
    const lh_config *config = &call->server->config;
    const lh_route *def = call->route ? call->route->def : NULL;
    body_limit body = {"This request body may have at most " BYTES ".", config->max_body, 0};

    if (accepts_photo(call) && lh_receive_type(call->r) == LH_MULTIPART) {
        return (body_limit){"A photo may have at most " BYTES
                            ", and the rest of its body " APR_STRINGIFY(LH_RECEIVE_EXTRA) ".",
                            config->max_photo, LH_RECEIVE_EXTRA};
    }
    if (def && (def->flags & LH_DIAGRAM)) {
        return (body_limit){"A body with a diagram may have at most " BYTES ".", config->max_diagram, 0};
    }
    if (def && def->roles == LH_ANYONE && body.bytes > LH_RECEIVE_PUBLIC_MAX) {
        body.bytes = LH_RECEIVE_PUBLIC_MAX;
    }
    return body;
}

static lh_error *too_large(lh_call *call)
{
    const body_limit limit = limit_of(call);

    call->r->connection->keepalive = AP_CONN_CLOSE; /* the rest is not read */
    return lh_error_make(call->r->pool, HTTP_REQUEST_ENTITY_TOO_LARGE,
                         apr_psprintf(call->r->pool, limit.text, limit.bytes));
}

lh_error *lh_receive_check_length(lh_call *call)
{
    const body_limit limit = limit_of(call);

    return content_length(call->r) > limit.bytes + limit.extra ? too_large(call) : NULL;
}

/* Appends a brigade's bytes; sets *end at the end of the body, *rv to the status of reads. 0: the limit is exceeded. */
static int append(lh_buffer *buffer, apr_bucket_brigade *bb, apr_int64_t max, apr_status_t *rv, int *end)
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
        if (*rv != APR_SUCCESS || (apr_int64_t)(buffer->length + length) > max) {
            return *rv != APR_SUCCESS;
        }
        lh_buffer_append(buffer, data, length);
    }
    return 1;
}

/*
 * Creates the buffer. One that grows leaves its old blocks in the pool, so it gets the whole Content-Length, which
 * lh_receive_check_length() has checked, at once: the system provides large blocks only when they are written to. A
 * body of unknown or large size has a pool of its own.
 */
static void create_buffer(lh_call *call, lh_buffer *buffer)
{
    apr_int64_t length = content_length(call->r);

    if (length < 0 || length > BLOCK) {
        call->body_pool = lh_memory_pool(call->r->pool);
    }
    lh_buffer_init(buffer, call->body_pool ? call->body_pool : call->r->pool,
                   length >= 0 ? (apr_size_t)length + 2 : BLOCK); /* a buffer with a zero byte never becomes full */
}

/* Reads a block. While the thread waits for it, it holds one of the few places of the client. */
static lh_error *read_block(lh_call *call, apr_bucket_brigade *bb, apr_status_t *rv)
{
    ap_filter_t *filters = call->r->input_filters;
    lh_error *error = NULL;

    *rv = ap_get_brigade(filters, bb, AP_MODE_READBYTES, APR_NONBLOCK_READ, BLOCK);
    if (APR_STATUS_IS_EAGAIN(*rv) || (*rv == APR_SUCCESS && APR_BRIGADE_EMPTY(bb))) {
        apr_brigade_cleanup(bb);
        error = lh_share_take(call, LH_SHARE_UPLOAD);
        *rv = error ? APR_SUCCESS : ap_get_brigade(filters, bb, AP_MODE_READBYTES, APR_BLOCK_READ, BLOCK);
    }
    return error;
}

lh_error *lh_receive_body(lh_call *call, char **text, apr_size_t *length)
{
    request_rec *r = call->r;
    const body_limit limit = limit_of(call);
    apr_bucket_brigade *bb;
    apr_status_t rv = APR_SUCCESS;
    lh_buffer buffer;
    lh_error *error = NULL;
    int end = 0, fits = 1;

    create_buffer(call, &buffer);
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    while (fits && !end && rv == APR_SUCCESS && !error) {
        error = read_block(call, bb, &rv);
        if (rv == APR_SUCCESS) {
            fits = append(&buffer, bb, limit.bytes + limit.extra, &rv, &end);
        }
        apr_brigade_cleanup(bb);
        if (!error && buffer.length > BLOCK) {
            error = lh_share_take(call, LH_SHARE_BODY);
        }
    }
    lh_share_return(call, LH_SHARE_UPLOAD);
    if (error) {
        r->connection->keepalive = AP_CONN_CLOSE; /* the rest is not read */
        return error;
    }
    if (!fits) {
        return too_large(call);
    }
    if (rv != APR_SUCCESS) {
        return read_error(call, rv);
    }
    lh_buffer_text(&buffer);
    *text = buffer.data;
    *length = buffer.length;
    return NULL;
}

/* httpd would wait for the rest of the body after the response: a thread for as long as the client takes. */
lh_error *lh_receive_rest(lh_call *call)
{
    request_rec *r = call->r;
    apr_bucket_brigade *bb;
    apr_status_t rv = APR_SUCCESS;
    int blocks, end = !ap_request_has_body(r);

    if (end || r->connection->keepalive == AP_CONN_CLOSE) {
        return NULL;
    }
    bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    for (blocks = 0; blocks < 4 && !end && rv == APR_SUCCESS && !r->expecting_100; blocks++) {
        rv = ap_get_brigade(r->input_filters, bb, AP_MODE_READBYTES, APR_NONBLOCK_READ, BLOCK);
        end = rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(bb) && APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(bb));
        apr_brigade_cleanup(bb);
    }
    if (!end) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    return rv == AP_FILTER_ERROR ? read_error(call, rv) : NULL;
}
