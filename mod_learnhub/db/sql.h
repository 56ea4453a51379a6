/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes runs of prepared statements: one pipeline with one sync, hence one round trip and one transaction, with
 * binary results.
 *
 * - A statement is prepared on a connection the first time it is used there, in the same round trip.
 * - One deadline covers the wait for a connection, preparing, execution and all retries.
 * - A run is retried if it was not sent completely, if the server rejected it with a SQLSTATE of the table in sql.c and
 *   did not commit it, or if it is retryable and the connection was lost.
 * - Success is reported only after the response to the sync, because nothing is committed before it.
 * - A run with a guard has two round trips and still one sync. Its statements run under READ COMMITTED as in other
 *   runs: the guard locks the rows that must not change between them. Closing statements are one more round trip.
 */
#ifndef LH_SQL_H
#define LH_SQL_H

#include "db/sql_run.h"

/*
 * Executes the run. On LH_SQL_OK results[i] is the result of statement i, freed with `p`, or NULL if it was not
 * executed: after a guard that did not accept, or a close that returned 0. Otherwise *failure is set and the results
 * are NULL. Sets *time.
 */
lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              lh_sql_time *time);

/*
 * Executes the run and passes the rows of its last statement to the receiver as they arrive. The connection is held
 * until the last row, each row has a deadline of its own, and statement_timeout is off. The callbacks are not
 * called before the earlier statements succeeded. A run that fails after rows have been passed is repeated like others,
 * unless they are `used`. A callback that ended the stream is LH_SQL_LOST. If a guard did not accept, no callback is
 * called. Sets *time.
 */
lh_sql_outcome lh_sql_stream(const lh_sql_run *run, apr_pool_t *p, lh_sql_receiver *receiver, lh_sql_failure *failure,
                             lh_sql_time *time);

#endif
