/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends a list of any length while its rows arrive. The memory needed is one part (64 KB) and one row.
 *
 * A list that fits into one part is buffered and sent like any other response, with Content-Length; on failure, an
 * error response is sent instead. A longer list keeps its database connection until the client has read it; the pool
 * limits the number of such connections. A failure after the first part has been sent aborts the response.
 */
#ifndef LH_STREAM_H
#define LH_STREAM_H

#include "db/sql_run.h"
#include "http/call.h"

/* Runs the statements; the rows of the last one are the response. 503 when too many streams are open. A failure after
 * the first part has been sent is logged and returns NULL. */
lh_error *lh_stream_run(lh_call *call, const lh_sql_run *run);

#endif
