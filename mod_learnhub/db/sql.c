/* SPDX-License-Identifier: Apache-2.0 */
#include "db/sql.h"

#include <string.h>

#include "db/batch.h"
#include "db/connect.h"
#include "db/exchange.h"
#include "db/pool.h"
#include "db/result.h"
#include "db/statement.h"
#include "util/clock.h"

/*
 * The errors after which a run is retried. The rules are used only if the server did not commit (LH_SQL_ERROR), so
 * they hold for all runs. A lost connection is retried only if the run is retryable or the sync was not sent, because
 * nothing is committed before the sync. `max` counts all retries of a run.
 */
typedef enum {
    KEEP,       /* retry on the same connection */
    REPREPARE,  /* the same, after DEALLOCATE ALL: a plan or prepared statement is out of date */
    DISCARD,    /* retry on another connection: this one is closing */
    DISCARD_ALL /* the same: the server has become read-only */
} retry_connection;

static const struct retry_rule {
    const char *sqlstate; /* or a prefix of it */
    int max;
    retry_connection connection;
} retry_rules[] = {
    {"0A000", 1, REPREPARE},   /* cached plan must not change result type */
    {"26000", 1, REPREPARE},   /* prepared statement does not exist */
    {"40001", 2, KEEP},        /* serialization failure */
    {"40P01", 2, KEEP},        /* deadlock */
    {"42P05", 1, REPREPARE},   /* prepared statement exists: from another client of a pooler */
    {"25006", 2, DISCARD_ALL}, /* read-only transaction: after a switchover */
    {"57P", 2, DISCARD},       /* shutdown, crash of another backend, idle session timeout */
};

#define RETRIES_MAX 2

/* A retry may wait this long for a connection although run->wait_until has passed: after a failover, the lost attempt
 * has often taken longer. */
#define RETRY_WAIT apr_time_from_sec(1)

static const struct retry_rule *find_rule(const char *sqlstate)
{
    apr_size_t i;

    for (i = 0; i < sizeof(retry_rules) / sizeof(retry_rules[0]); i++) {
        if (!strncmp(sqlstate, retry_rules[i].sqlstate, strlen(retry_rules[i].sqlstate))) {
            return &retry_rules[i];
        }
    }
    return NULL;
}

static int may_retry(const lh_exchange *x, lh_sql_outcome outcome, const struct retry_rule *rule, int retries)
{
    if (outcome == LH_SQL_OK || outcome == LH_SQL_TIMEOUT || retries == RETRIES_MAX ||
        (x->stream && (x->stream->receiver->used || x->stream->ended)) || lh_clock() >= x->run->deadline ||
        lh_clock() >= x->deadline) {
        return 0;
    }
    if (rule && outcome == LH_SQL_ERROR) {
        return retries < rule->max;
    }
    return !x->sync_received && (x->run->retryable || !x->sync_sent);
}

/* ---- attempts ---- */

/* Acquires a connection, unless the last attempt kept one, and sets the deadline of the attempt. */
static lh_sql_outcome acquire_connection(lh_exchange *x)
{
    const lh_sql_run *run = x->run;
    apr_time_t until = run->wait_until;
    apr_status_t rv = APR_SUCCESS;

    if (x->failure->message && until < lh_clock() + RETRY_WAIT) {
        until = lh_clock() + RETRY_WAIT;
    }
    if (until > run->deadline) {
        until = run->deadline;
    }
    if (!x->connection) {
        rv = lh_pool_acquire(run->db, until, run->timeout_ms ? &run->client : NULL, &x->connection);
    }
    if (rv == APR_SUCCESS) {
        if (x->stream) {
            x->stream->receiver->connection = x->connection;
        }
        x->deadline = run->deadline;
        if (run->attempt_timeout && lh_clock() + run->attempt_timeout < run->deadline) {
            x->deadline = lh_clock() + run->attempt_timeout;
        }
        return LH_SQL_OK;
    }
    if (!x->failure->message) { /* otherwise keep the failure of the last attempt */
        x->failure->label = run->statements[0]->label;
        x->failure->message = "no database connection";
    }
    return APR_STATUS_IS_ECONNREFUSED(rv) ? LH_SQL_DOWN : LH_SQL_BUSY;
}

/* Releases or discards the connection, or keeps it if the next attempt can use it. */
static void release_connection(lh_exchange *x, const struct retry_rule *rule, int retry)
{
    if (rule && rule->connection == DISCARD_ALL) {
        lh_pool_discard_all(x->connection);
        x->connection = NULL;
        return;
    }
    if (!x->sync_received || (rule && rule->connection == DISCARD)) {
        lh_pool_discard(x->connection);
        x->connection = NULL;
        return;
    }
    if (rule && rule->connection == REPREPARE) {
        x->connection->stale = 1;
    }
    if (!retry) {
        lh_pool_release(x->connection);
        x->connection = NULL;
    }
}

static lh_sql_outcome run_attempts(lh_exchange *x)
{
    lh_sql_outcome outcome;
    int retry = 1, retries;

    memset(x->results, 0, (apr_size_t)x->run->count * sizeof(*x->results));
    memset(x->failure, 0, sizeof(*x->failure));
    for (retries = 0; retry; retries++) {
        const struct retry_rule *rule;

        outcome = acquire_connection(x);
        if (outcome != LH_SQL_OK) {
            break;
        }
        outcome = lh_exchange_run(x);
        x->failure->uncertain |= x->sync_sent && outcome != LH_SQL_OK && outcome != LH_SQL_ERROR;
        rule = x->error_received ? find_rule(x->failure->sqlstate) : NULL;
        retry = may_retry(x, outcome, rule, retries);
        release_connection(x, rule, retry);
        if (outcome != LH_SQL_OK) {
            lh_exchange_clear(x);
        }
    }
    return outcome;
}

/* ---- interface ---- */

lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              apr_interval_time_t *elapsed)
{
    lh_sql_run alone = *run;
    lh_exchange x = {.run = &alone, .pool = p, .results = results, .failure = failure, .deadline = run->deadline};
    apr_time_t began = lh_clock();
    lh_sql_outcome outcome = run->batches ? lh_batch_execute(run, p, results) : LH_SQL_LOST;

    if (outcome != LH_SQL_OK) {
        if (run->batches &&
            outcome == LH_SQL_LOST) { /* it waits again: the batch may have taken longer than the wait */
            alone.wait_until += lh_clock() - began;
        }
        outcome = run_attempts(&x);
    }
    if (elapsed) {
        *elapsed = lh_clock() - began;
    }
    return outcome;
}

lh_sql_outcome lh_sql_stream(const lh_sql_run *run, apr_pool_t *p, lh_sql_receiver *receiver, lh_sql_failure *failure)
{
    lh_result *results[LH_SQL_STATEMENTS];
    lh_exchange_stream stream = {.receiver = receiver};
    lh_exchange x = {.run = run, .pool = p, .results = results, .failure = failure, .deadline = run->deadline};
    lh_sql_outcome outcome;

    stream.current = lh_result_own(p, NULL);
    stream.row_timeout = run->deadline - lh_clock();
    x.stream = &stream;
    outcome = run_attempts(&x);
    if (outcome == LH_SQL_OK && !stream.begun && receiver->begin(receiver->context, results) != APR_SUCCESS) {
        failure->label = run->statements[0]->label;
        failure->message = LH_EXCHANGE_STREAM_ENDED;
        outcome = LH_SQL_LOST;
    }
    return outcome;
}
