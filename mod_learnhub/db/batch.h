/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Batches: short reads of concurrent requests that share a connection, a round trip and a transaction.
 *
 * Without batches, every read under load waits twice, for a connection and for PostgreSQL, and PostgreSQL wakes a
 * process for each. With batches, a few threads (carriers) acquire connections. Reads that arrive while the carriers
 * are busy wait, and the next carrier executes all of them in one pipeline. A read that has waited for some
 * milliseconds, because a statement takes longer than expected, becomes a carrier itself.
 *
 * Each statement still sees what was committed before it started. If a statement of a batch fails or the connection
 * breaks, the reads without a result are executed alone, with all rules of db/sql.h.
 */
#ifndef LH_BATCH_H
#define LH_BATCH_H

#include "db/sql_run.h"

/* The batches of one pool in a child process. */
typedef struct lh_batches lh_batches;

/* `p` must not outlive the pool of connections. */
lh_batches *lh_batches_create(apr_pool_t *p, lh_pool *db);

/*
 * Executes a read, run->batches of which must be set, in a batch. Its statements must not write, and must be fast: the
 * other reads of the batch wait for them. LH_SQL_OK: results[i] is the result of statement i, freed with `p`.
 * LH_SQL_BUSY: no connection became available until run->wait_until. LH_SQL_LOST: the read must be executed alone.
 * *sent_at is set to the time on lh_clock() at which the batch had a connection, if it had one.
 */
lh_sql_outcome lh_batch_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, apr_time_t *sent_at);

#endif
