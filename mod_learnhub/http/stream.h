/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes a list of any length while its rows arrive. The memory needed is one part (64 KB) and one row.
 *
 * The database connection is released after the last row, before the response is sent, and until then a failure is an
 * error response. If the spool has no room (see output.h), the connection is held until the client has read the list;
 * the pool limits the number of such connections. A failure after the first part has been sent aborts the response.
 */
#ifndef LH_STREAM_H
#define LH_STREAM_H

#include "db/sql_run.h"
#include "http/call.h"

/* Runs the statements; the rows of the last one are the response, call->output. 503 when it can neither be spooled nor
 * sent. A failure after the first part has been sent is logged and returns NULL. */
lh_error *lh_stream_run(lh_call *call, const lh_sql_run *run);

/* The same without a message about a failure before the response: the caller can execute another run. LH_SQL_OK with a
 * guard that has accepted: *error is the result as above. */
lh_sql_outcome lh_stream_execute(lh_call *call, const lh_sql_run *run, lh_sql_failure *failure, lh_error **error);

#endif
