/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes responses: rows in their envelope, errors in the group's format, headers. A response is sent in one brigade,
 * a streamed one in parts.
 */
#ifndef LH_REPLY_H
#define LH_REPLY_H

#include <apr_buckets.h>

#include "http/call.h"

typedef struct lh_plan lh_plan;
typedef struct lh_cell_value lh_cell_value;

/* A complete response without the headers that depend on the request: those of CORS. */
typedef struct lh_response {
    int status;
    const char *type; /* media type */
    const char *body; /* NULL: none */
    apr_size_t length;
    const char *etag;          /* with its quotes; NULL: none */
    const char *cache_control; /* NULL: no such header */
} lh_response;

/* Makes the response of a successful call that was not streamed. A 200 to GET has an ETag. The body lives as long as
 * the request. */
void lh_reply_make(const lh_call *call, lh_response *response);

/*
 * Sends a response. If it has an ETag, evaluates If-Match and If-None-Match of the request and sends 412 or 304 instead
 * where RFC 9110 requires it. The body is not copied: it must live as long as the request. Returns what a handler
 * returns to httpd.
 */
int lh_reply_send(const lh_call *call, const lh_response *response);

/* Sends an error response. Returns what a handler returns to httpd. */
int lh_reply_error(const lh_call *call, const lh_error *error);

/* Sends the response to a CORS preflight: every method and every header name that it asks for is allowed. */
int lh_reply_preflight(lh_call *call);

/* Sends the response to OPTIONS; `allow` is the path's Allow header. Returns what a handler returns to httpd. */
int lh_reply_options(lh_call *call, const char *allow);

/* ---- streamed responses ---- */

/* State for writing the rows of one result. Initialise it to {NULL, NULL}; the first lh_reply_row() sets it. */
typedef struct lh_reply_rows {
    lh_plan *plan;
    lh_cell_value *cells;
} lh_reply_rows;

/* Write the parts before and after the response's value: the envelope, and the object with the route's key. */
void lh_reply_open_envelope(lh_json *json, const lh_call *call);
void lh_reply_close_envelope(lh_json *json, const lh_call *call);

/* Writes one row as an object. */
void lh_reply_row(lh_json *json, const lh_call *call, lh_reply_rows *rows, const lh_result *result, int row);

/* Sends a part of the body; with the first one also the headers. Fails when the client has disconnected. */
apr_status_t lh_reply_send_part(lh_call *call, apr_bucket_brigade *bb, const char *data, apr_size_t length);

/* Ends the body. If it is not `complete`, the connection is aborted so that the client detects it. */
void lh_reply_send_end(lh_call *call, apr_bucket_brigade *bb, int complete);

#endif
