/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An answer that is sent while its rows arrive, however many there are: memory for one part and one row.
 *
 * A list that fits into one part is kept back to its end and sent like any other answer, with its length and with
 * any failure told properly. A longer one holds its connection as long as its reader takes, and there is room for a
 * number of those; after its first part has gone out, a failure breaks the answer off.
 */
#ifndef LH_STREAM_H
#define LH_STREAM_H

#include "call.h"

/* Runs the steps; the last one's rows are the answer. */
lh_problem *lh_stream_run(lh_call *call, const lh_sql_run *run);

#endif
