/* SPDX-License-Identifier: Apache-2.0 */
/* The answer: rows dressed in their envelope, or a problem in the API's shape; headers; one brigade. */
#ifndef LH_REPLY_H
#define LH_REPLY_H

#include "call.h"
#include "rows.h"

/* Writes the answer of a call that went well. Returns what a handler returns to httpd. */
int lh_reply_answer(lh_call *call);

/* Writes a refusal. */
int lh_reply_problem(lh_call *call, const lh_problem *problem);

/* How rows of one result are written; begins with {NULL, NULL}. */
typedef struct lh_reply_rows {
    lh_plan *plan;
    lh_cell_value *cells;
} lh_reply_rows;

/* For an answer that is written while it arrives: what comes before and behind it, and one row as an object. */
void lh_reply_open(lh_json *json, const lh_call *call);
void lh_reply_close(lh_json *json, const lh_call *call);
void lh_reply_row(lh_json *json, const lh_call *call, lh_reply_rows *rows, const lh_result *result, int row);

/* Sends a part of the answer, with the headers before the first. Anything but APR_SUCCESS: the client has left. */
apr_status_t lh_reply_part(lh_call *call, apr_bucket_brigade *bb, const char *data, apr_size_t length);

/* The end of an answer in parts. One that is not whole is broken off, so that the client can tell. */
void lh_reply_end(lh_call *call, apr_bucket_brigade *bb, int whole);

/* Answers OPTIONS: `allow` is the path's Allow. */
int lh_reply_options(lh_call *call, const char *allow);

#endif
