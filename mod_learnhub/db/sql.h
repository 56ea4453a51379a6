/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Executes prepared statements: one pipeline, one sync, hence one round trip and one transaction, with binary results.
 *
 * - A statement is prepared on a connection the first time it is used there, in the same round trip.
 * - One deadline covers the wait for a connection, preparing, execution and all retries.
 * - A table (sql.c) decides what is retried: everything that was never sent; retryable runs after any loss; other runs
 *   only when the server reported a SQLSTATE that excludes a commit.
 * - Success is reported only after the server is ready for the next query: before that nothing is committed.
 */
#ifndef LH_SQL_H
#define LH_SQL_H

#include "db/sql_run.h"

/*
 * Executes the steps. On LH_SQL_OK results[i] is the result of step i, freed with `p`; otherwise *failure is set and
 * the results are NULL. `elapsed`, when not NULL, is set to the microseconds spent in the database layer.
 */
lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              apr_interval_time_t *elapsed);

/*
 * Executes the steps and passes the rows of the last one to `row` while they arrive. The connection is held meanwhile,
 * the deadline starts anew with each row, and statement_timeout is off. `row` is not called before the earlier steps
 * succeeded. LH_SQL_LOST after the first row means that the response is incomplete; it is also the outcome when a
 * callback ended the stream. *connection is the current connection, for lh_pool_stream().
 */
lh_sql_outcome lh_sql_stream(const lh_sql_run *run, apr_pool_t *p, lh_sql_begin *begin, lh_sql_row *row, void *context,
                             lh_connection **connection, lh_sql_failure *failure);

#endif
