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
#include "util/counters.h"

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
#define QUERY_CANCELED "57014"

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

static int may_retry(const lh_exchange *x, lh_sql_outcome outcome, const struct retry_rule *rule, int retries,
                     apr_time_t now)
{
    if (outcome == LH_SQL_OK || outcome == LH_SQL_TIMEOUT || retries == RETRIES_MAX ||
        (x->stream && (x->stream->receiver->used || x->stream->ended)) || now >= x->run->deadline ||
        now >= x->deadline) {
        return 0;
    }
    if (rule && outcome == LH_SQL_ERROR) {
        return retries < rule->max;
    }
    return !x->sync_received && (x->run->retryable || !x->sync_sent);
}

/* ---- attempts ---- */

/* Sets *now to the current time; returns the microseconds since its old value. */
static apr_interval_time_t lap(apr_time_t *now)
{
    apr_time_t before = *now;

    *now = lh_clock();
    return *now - before;
}

static apr_time_t earlier(apr_time_t a, apr_time_t b)
{
    return a < b ? a : b;
}

/* Acquires a connection, unless the last attempt kept one, and sets the deadline of the attempt. */
static lh_sql_outcome acquire_connection(lh_exchange *x, lh_sql_time *time, apr_time_t *now)
{
    const lh_sql_run *run = x->run;
    apr_time_t until = earlier(run->wait_until + time->executing, run->deadline);
    apr_status_t rv = APR_SUCCESS;

    if (*now >= run->deadline) { /* the batch has used the time */
        x->failure->label = run->statements[0]->label;
        return LH_SQL_TIMEOUT;
    }
    if (!x->connection) {
        rv = lh_pool_acquire(run->db, until, run->timeout_ms ? &run->client : NULL, &x->connection);
    }
    time->waiting += lap(now);
    if (rv == APR_SUCCESS) {
        if (x->stream) {
            x->stream->receiver->connection = x->connection;
        }
        x->deadline = run->attempt_timeout ? earlier(*now + run->attempt_timeout, run->deadline) : run->deadline;
        return LH_SQL_OK;
    }
    if (!x->failure->message) { /* otherwise keep the failure of the last attempt */
        x->failure->label = run->statements[run->guard]->label;
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

static void count_failure(lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    if (outcome != LH_SQL_OK) {
        lh_counter_add(LH_COUNT_DB_FAILURES + (int)outcome, 1);
    }
    if (outcome == LH_SQL_ERROR && !strcmp(failure->sqlstate, QUERY_CANCELED)) {
        lh_counter_add(LH_COUNT_DB_CANCELED, 1);
    }
}

/* Adds to *time, in which a batch may have spent some already. */
static lh_sql_outcome run_attempts(lh_exchange *x, lh_sql_time *time)
{
    apr_time_t now = lh_clock();
    lh_sql_outcome outcome;
    int retry = 1, retries;

    memset(x->results, 0, (apr_size_t)x->run->count * sizeof(*x->results));
    memset(x->failure, 0, sizeof(*x->failure));
    for (retries = 0; retry; retries++) {
        const struct retry_rule *rule;

        outcome = acquire_connection(x, time, &now);
        if (outcome != LH_SQL_OK) {
            break;
        }
        outcome = lh_exchange_run(x);
        time->executing += lap(&now);
        x->failure->uncertain |= x->sync_sent && outcome != LH_SQL_OK && outcome != LH_SQL_ERROR;
        rule = x->error_received ? find_rule(x->failure->sqlstate) : NULL;
        retry = may_retry(x, outcome, rule, retries, now);
        release_connection(x, rule, retry);
        if (retry) {
            lh_counter_add(LH_COUNT_DB_RETRIES, 1);
        }
        if (outcome != LH_SQL_OK) {
            lh_exchange_clear(x);
        }
    }
    count_failure(outcome, x->failure);
    return outcome;
}

/* ---- interface ---- */

static lh_sql_outcome execute_in_batch(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_time *time)
{
    apr_time_t began = lh_clock(), sent_at = 0, now;
    lh_sql_outcome outcome = lh_batch_execute(run, p, results, &sent_at);

    now = lh_clock();
    time->waiting = (sent_at ? sent_at : now) - began;
    time->executing = now - began - time->waiting;
    return outcome;
}

lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              lh_sql_time *time)
{
    lh_exchange x = {.run = run, .pool = p, .results = results, .failure = failure, .deadline = run->deadline};

    time->waiting = time->executing = 0;
    if (run->batches && execute_in_batch(run, p, results, time) == LH_SQL_OK) {
        return LH_SQL_OK;
    }
    return run_attempts(&x, time);
}

lh_sql_outcome lh_sql_stream(const lh_sql_run *run, apr_pool_t *p, lh_sql_receiver *receiver, lh_sql_failure *failure,
                             lh_sql_time *time)
{
    lh_result *results[LH_SQL_STATEMENTS];
    lh_exchange_stream stream = {.receiver = receiver, .row_timeout = run->row_timeout};
    lh_exchange x = {.run = run, .pool = p, .results = results, .failure = failure, .deadline = run->deadline};
    lh_sql_outcome outcome;

    time->waiting = time->executing = 0;
    stream.current = lh_result_own(p, NULL);
    x.stream = &stream;
    outcome = run_attempts(&x, time);
    if (outcome == LH_SQL_OK && !stream.begun && !x.refused &&
        receiver->begin(receiver->context, results) != APR_SUCCESS) {
        failure->label = run->statements[run->guard]->label;
        failure->message = LH_EXCHANGE_STREAM_ENDED;
        outcome = LH_SQL_LOST;
    }
    return outcome;
}
