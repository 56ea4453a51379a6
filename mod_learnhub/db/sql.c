/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sql.h"

#include <string.h>

#include "db/connect.h"
#include "db/exchange.h"
#include "db/pool.h"
#include "db/result.h"
#include "db/statement.h"
#include "util/clock.h"

/*
 * What is repeated after the server said with a SQLSTATE that nothing was committed. `times` counts for the whole run.
 * A loss without a SQLSTATE is repeated when the run is safe, or when it happened before the sync was sent: nothing
 * is committed before that.
 */
typedef enum {
    SAME,     /* on the same connection */
    PREPARED, /* on the same connection, after DEALLOCATE ALL: a plan or a statement is out of date */
    OTHER     /* the connection is discarded: it is dying, or leads to a server that is read-only now */
} where_to;

static const struct repeat {
    const char *sqlstate; /* or the beginning of it */
    int times;
    where_to where;
} repeats[] = {
    {"0A000", 1, PREPARED}, /* cached plan must not change result type */
    {"26000", 1, PREPARED}, /* prepared statement does not exist */
    {"40001", 2, SAME},     /* serialization failure */
    {"40P01", 2, SAME},     /* deadlock */
    {"25006", 2, OTHER},    /* read-only transaction: after a failover */
    {"57P", 2, OTHER},      /* shutdown, crash of another backend, idle session timeout */
};

#define REPEATS_MAX 2

static const struct repeat *find_repeat(const char *sqlstate)
{
    apr_size_t i;

    for (i = 0; i < sizeof(repeats) / sizeof(repeats[0]); i++) {
        if (!strncmp(sqlstate, repeats[i].sqlstate, strlen(repeats[i].sqlstate))) {
            return &repeats[i];
        }
    }
    return NULL;
}

static int may_repeat(const lh_exchange *x, lh_sql_outcome outcome, const struct repeat *rule, int errors)
{
    if (outcome == LH_SQL_OK || outcome == LH_SQL_TIMEOUT || errors == REPEATS_MAX || (x->stream && x->stream->begun) ||
        lh_clock() >= x->deadline) {
        return 0;
    }
    if (rule && outcome == LH_SQL_ERROR) {
        return errors < rule->times;
    }
    return !x->settled && (x->run->retryable || !x->synced);
}

/* ---- attempts ---- */

/* Gives the connection back, unless it is used again at once. */
static void give_back(lh_exchange *x, const struct repeat *rule, int again)
{
    if (!x->settled || (rule && rule->where == OTHER)) {
        lh_pool_discard(x->connection);
        x->connection = NULL;
        return;
    }
    if (rule && rule->where == PREPARED) {
        x->connection->stale = 1;
    }
    if (!again) {
        lh_pool_release(x->connection);
        x->connection = NULL;
    }
}

static lh_sql_outcome claim(lh_exchange *x)
{
    const lh_sql_run *run = x->run;
    apr_time_t until = run->wait_until < run->deadline ? run->wait_until : run->deadline;
    apr_status_t rv = APR_SUCCESS;

    if (!x->connection) {
        rv = lh_pool_acquire(run->db, until, run->timeout_ms != 0, &x->connection);
    }
    if (rv == APR_SUCCESS) {
        if (x->stream) {
            *x->stream->connection = x->connection;
        }
        x->deadline = run->deadline;
        if (run->attempt_timeout && lh_clock() + run->attempt_timeout < run->deadline) {
            x->deadline = lh_clock() + run->attempt_timeout;
        }
        return LH_SQL_OK;
    }
    if (!x->failure->message) { /* of an attempt before */
        x->failure->label = run->steps[0]->label;
        x->failure->message = "no connection to the database";
    }
    return APR_STATUS_IS_ECONNREFUSED(rv) ? LH_SQL_DOWN : LH_SQL_BUSY;
}

static lh_sql_outcome run_attempts(lh_exchange *x)
{
    lh_sql_outcome outcome;
    int again = 1, errors;

    memset(x->results, 0, (apr_size_t)x->run->count * sizeof(*x->results));
    memset(x->failure, 0, sizeof(*x->failure));
    for (errors = 0; again; errors++) {
        const struct repeat *rule;

        outcome = claim(x);
        if (outcome != LH_SQL_OK) {
            break;
        }
        outcome = lh_exchange_run(x);
        rule = x->refused ? find_repeat(x->failure->sqlstate) : NULL;
        again = may_repeat(x, outcome, rule, errors);
        give_back(x, rule, again);
        if (outcome != LH_SQL_OK) {
            lh_exchange_drop(x);
        }
    }
    return outcome;
}

/* ---- the two kinds of runs ---- */

lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              apr_interval_time_t *elapsed)
{
    lh_exchange x = {.run = run, .pool = p, .results = results, .failure = failure, .deadline = run->deadline};
    apr_time_t began = lh_clock();
    lh_sql_outcome outcome = run_attempts(&x);

    if (elapsed) {
        *elapsed = lh_clock() - began;
    }
    return outcome;
}

lh_sql_outcome lh_sql_stream(const lh_sql_run *run, apr_pool_t *p, lh_sql_begin *begin, lh_sql_row *row, void *context,
                             lh_connection **connection, lh_sql_failure *failure)
{
    lh_result *results[LH_SQL_STEPS];
    lh_exchange_stream stream = {.begin = begin, .row = row, .context = context, .connection = connection};
    lh_exchange x = {.run = run, .pool = p, .results = results, .failure = failure, .deadline = run->deadline};
    lh_sql_outcome outcome;

    stream.current = lh_result_own(p, NULL);
    stream.row_timeout = run->deadline - lh_clock();
    x.stream = &stream;
    outcome = run_attempts(&x);
    if (outcome == LH_SQL_OK && !stream.begun && begin(context, results) != APR_SUCCESS) {
        failure->label = run->steps[0]->label;
        failure->message = LH_EXCHANGE_LEFT;
        outcome = LH_SQL_LOST;
    }
    return outcome != LH_SQL_OK && stream.begun ? LH_SQL_LOST : outcome;
}
