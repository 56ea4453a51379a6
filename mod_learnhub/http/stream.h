/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of any length that is sent while its rows arrive, with memory for one part (64 KB) and one row.
 *
 * A list that fits into one part is buffered to its end and sent like any other response, with its length and with
 * error responses. A longer one holds its connection until the client has read it; the pool limits their number. A
 * failure after the first part has been sent aborts the response.
 */
#ifndef LH_STREAM_H
#define LH_STREAM_H

#include "db/sql_run.h"
#include "http/call.h"

/* Runs the statements; the rows of the last one are the response. 503 when too many streams are open. */
lh_error *lh_stream_run(lh_call *call, const lh_sql_run *run);

#endif
