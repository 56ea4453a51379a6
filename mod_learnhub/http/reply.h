/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes responses: rows in their envelope, errors in the group's format, headers. A response is sent in one brigade,
 * a long one as a file (see output.h).
 */
#ifndef LH_REPLY_H
#define LH_REPLY_H

#include "http/call.h"

typedef struct lh_plan lh_plan;
typedef struct lh_cell_value lh_cell_value;

/* Sends the response of a successful call. Returns what a handler returns to httpd. */
int lh_reply_success(lh_call *call);

/* Sends an error response. Returns what a handler returns to httpd. */
int lh_reply_error(lh_call *call, const lh_error *error);

/* Sets the CORS headers of a response (Fetch standard). Returns 1 when the request's origin is allowed. */
int lh_reply_cors(const lh_call *call);

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

/* Sets the status and the headers of a response whose body, call->output, is sent in parts. */
void lh_reply_start(lh_call *call);

#endif
