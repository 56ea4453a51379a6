/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads on a standby (LearnHubReadFrom): GET routes with LH_STANDBY.
 *
 * A standby may be behind the primary by LearnHubReadLag, but nobody misses a change of their own, whichever node made
 * it. A node cannot learn of a change on another node without asking: clients send nothing back, and a node that only
 * polled would miss the changes since its last poll. Therefore each such read asks the primary, in a probe that begins
 * after the read has arrived. Reads that arrive while a probe runs share the next one, so that the primary executes
 * one cheap statement for many expensive ones. A probe returns
 *
 * - who has changed something since the last probe: each change stores the topic writer:<id> in its transaction
 *   (0015_changes.sql), and is followed like other topics, with PostgreSQL's snapshots;
 * - the position of the primary's write-ahead log. The standby is at most T behind if it has replayed the position of
 *   a probe that began T ago. This holds when the primary is idle, and needs no clock but this process's.
 *
 * The standby reports its own position in the same transaction as the read, before it. The read goes to the primary if
 * the caller has changed something since the probe whose position is required. If the response will be cached, or the
 * caller is anonymous, it goes there if anything that it shows has changed since then. So it does after any failure.
 */
#ifndef LH_STANDBY_H
#define LH_STANDBY_H

#include "db/session.h"
#include "db/sql_run.h"
#include "db/statement.h"
#include "http/call.h"

struct lh_hosts;

/* The standby of one server in one process. */
typedef struct lh_standby lh_standby;

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_standby_compile(lh_statements *registry, const char **why);

/* From now on, changes store who has made them. Call in post_config if any server has LearnHubReadFrom. */
void lh_standby_store_writers(int stored);

/* The statement that stores the writer of a change and returns the topics of its transaction, as lh_topics_statement()
 * does; NULL if writers are not stored. `copy` is its memory. */
const lh_statement *lh_standby_writer(const lh_call *call, lh_statement *copy);

/* `primary` is the pool of the server's other connections; `lag` is LearnHubReadLag. */
lh_standby *lh_standby_create(apr_pool_t *p, struct server_rec *s, lh_pool *primary, const lh_session_options *options,
                              struct lh_hosts *hosts, apr_interval_time_t lag);

/* A read on a standby. */
typedef struct lh_standby_read {
    lh_sql_run run; /* with a guard of one statement */
    lh_call *call;
    const lh_statement *statements[LH_SQL_STATEMENTS];
    apr_time_t since;     /* when the probe began whose position is required */
    apr_int64_t position; /* of the write-ahead log */
    int accepted;         /* the standby has replayed it */
} lh_standby_read;

/* Whether a standby may execute the run of a call now; then sets read->run, which is executed instead. Sets the note
 * learnhub-db. */
int lh_standby_begin(lh_standby_read *read, lh_call *call, const lh_sql_run *run);

/* Takes the outcome of read->run. Returns 0 if the call's own run must be executed. */
int lh_standby_end(lh_standby_read *read, lh_sql_outcome outcome, const lh_sql_failure *failure);

#endif
