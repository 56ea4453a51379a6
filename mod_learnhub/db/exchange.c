/* SPDX-License-Identifier: Apache-2.0 */
#include "db/exchange.h"

#include <apr_strings.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#include "db/connect.h"
#include "db/result.h"
#include "db/statement.h"
#include "util/clock.h"

/* ---- sending ---- */

static int is_prepared(const lh_connection *connection, const lh_statement *st)
{
    return connection->prepared[st->number / 8] & (1 << st->number % 8);
}

static void set_prepared(lh_connection *connection, const lh_statement *st, int prepared)
{
    unsigned char bit = (unsigned char)(1 << st->number % 8);

    if (prepared) {
        connection->prepared[st->number / 8] |= bit;
    }
    else {
        connection->prepared[st->number / 8] &= (unsigned char)~bit;
    }
}

static int send_command(lh_exchange *x, const char *sql)
{
    x->preliminaries++;
    return PQsendQueryParams(x->pg, sql, 0, NULL, NULL, NULL, NULL, 1);
}

static int send_preliminaries(lh_exchange *x)
{
    int timeout = x->run->timeout_ms, rest = x->run->rest_ms;

    if (x->connection->settings) { /* no statement is prepared */
        if (!send_command(x, x->connection->settings)) {
            return 0;
        }
    }
    else if (x->connection->stale) {
        if (!send_command(x, "DEALLOCATE ALL")) {
            return 0;
        }
        memset(x->connection->prepared, 0, LH_STATEMENTS_MAX / 8);
    }
    x->connection->stale = 0;
    /* A stream lasts as long as the client reads, so each row has a deadline and statement_timeout is off. */
    if (x->stream || timeout || rest) {
        timeout = x->stream ? 0 : timeout && (!rest || timeout < rest) ? timeout : rest;
        if (!send_command(x, apr_psprintf(x->pool, "SELECT set_config('statement_timeout', '%d', true)", timeout))) {
            return 0;
        }
    }
    return !x->run->request_id ||
           send_command(x, apr_pstrcat(x->pool, "SELECT set_config('application_name', 'request ", x->run->request_id,
                                       "', true)", NULL));
}

static int send_statement(lh_exchange *x, int index)
{
    const lh_statement *st = x->run->statements[index];
    const char *const *own = index < x->run->guard                     ? x->run->guard_values
                             : index < x->run->count - x->run->closing ? x->run->values
                                                                       : x->run->closing_values;
    const char *const *by_slot = x->parts ? x->parts[index].values : own;
    const char *values[LH_STATEMENT_PARAMS];
    int i;

    for (i = 0; i < st->parameters; i++) {
        values[i] = by_slot[st->slots[i]];
    }
    if (x->connection->settings) {
        return PQsendQueryParams(x->pg, st->sql, st->parameters, NULL, values, NULL, NULL, 1);
    }
    if (!is_prepared(x->connection, st)) {
        if (!PQsendPrepare(x->pg, st->name, st->sql, 0, NULL)) {
            return 0;
        }
        x->parsed[index] = 1;
        set_prepared(x->connection, st, 1);
    }
    return PQsendQueryPrepared(x->pg, st->name, st->parameters, values, NULL, NULL, 1);
}

static int send_statements(lh_exchange *x, int first, int end)
{
    int index, sent = 1;

    for (index = first; sent && index < end; index++) {
        sent = send_statement(x, index);
    }
    return sent;
}

/*
 * Sends the statements from `first` on and the sync, or with `first` = count only the sync. Closing statements and the
 * sync are not sent before the results of the others: a flush request makes the server return these.
 */
static int send_rest(lh_exchange *x, int first)
{
    int closing = x->run->count - x->run->closing;

    if (first < closing && x->run->closing) {
        return send_statements(x, first, closing) && PQsendFlushRequest(x->pg);
    }
    x->sync_sent = send_statements(x, first, x->run->count);
    return x->sync_sent && PQpipelineSync(x->pg);
}

/* Sends everything, or the guard. A flush request makes the server return the guard's results within the transaction,
 * which ends at the sync. */
static int send_first(lh_exchange *x)
{
    int guard = x->run->guard;

    if (!send_preliminaries(x)) {
        return 0;
    }
    return guard ? send_statements(x, 0, guard) && PQsendFlushRequest(x->pg) : send_rest(x, 0);
}

/* ---- receiving ---- */

/* Stores the first error only: after a FATAL, libpq adds an error of its own without a SQLSTATE. */
static void store_error(lh_exchange *x, const char *label, const PGresult *pg)
{
    const char *sqlstate = PQresultErrorField(pg, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(pg, PG_DIAG_MESSAGE_PRIMARY);

    if (x->error_received || !sqlstate) {
        return;
    }
    x->error_received = 1;
    x->failure->label = label;
    x->failure->constraint = apr_pstrdup(x->pool, PQresultErrorField(pg, PG_DIAG_CONSTRAINT_NAME));
    x->failure->message = apr_pstrdup(x->pool, message ? message : "");
    apr_cpystrn(x->failure->sqlstate, sqlstate, sizeof(x->failure->sqlstate));
}

static void store_cause(lh_exchange *x, const char *label, const char *why)
{
    if (!x->error_received) {
        x->failure->label = label;
        x->failure->message = apr_pstrmemdup(x->pool, why, strcspn(why, "\n"));
    }
}

/* Sends pending data and waits until PQgetResult() would not block. */
static lh_sql_outcome wait_for_result(lh_exchange *x)
{
    while (PQstatus(x->pg) == CONNECTION_OK && PQisBusy(x->pg)) {
        int unsent = PQflush(x->pg) > 0;
        struct pollfd fd = {.fd = PQsocket(x->pg), .events = (short)(unsent ? POLLIN | POLLOUT : POLLIN)};
        apr_time_t left = x->deadline - lh_clock();
        int ready;

        if (fd.fd < 0) { /* poll() would ignore it and wait until the deadline */
            return LH_SQL_LOST;
        }
        ready = left > 0 ? poll(&fd, 1, (int)((left + 999) / 1000)) : 0;
        if (ready == 0) {
            return LH_SQL_TIMEOUT;
        }
        if (ready < 0 && errno != EINTR) {
            return LH_SQL_LOST;
        }
        if (ready > 0 && (fd.revents & ~POLLOUT)) {
            PQconsumeInput(x->pg); /* the loop checks PQstatus() */
        }
    }
    return LH_SQL_OK;
}

/* Gets the next result; NULL ends a command. Returns LH_SQL_LOST after the last result of a broken connection. */
static lh_sql_outcome next_result(lh_exchange *x, PGresult **result)
{
    lh_sql_outcome outcome = wait_for_result(x);

    *result = outcome == LH_SQL_OK ? PQgetResult(x->pg) : NULL;
    if (outcome == LH_SQL_OK && !*result && PQstatus(x->pg) != CONNECTION_OK) {
        return LH_SQL_LOST;
    }
    return outcome;
}

/* Passes a row to the receiver of the stream and frees it. */
static apr_status_t deliver_row(lh_exchange *x, PGresult *pg)
{
    lh_exchange_stream *s = x->stream;
    const lh_sql_receiver *receiver = s->receiver;
    apr_status_t rv = APR_SUCCESS;

    s->current->pg = pg;
    if (!s->begun) {
        s->begun = 1;
        rv = receiver->begin(receiver->context, x->results);
    }
    if (rv == APR_SUCCESS) {
        rv = receiver->row(receiver->context, s->current);
    }
    lh_result_clear(s->current);
    x->deadline = lh_clock() + s->row_timeout;
    s->ended = rv != APR_SUCCESS;
    return rv;
}

/* Reads all results of a command; sets *kept to its result if it succeeded, otherwise to NULL. */
static lh_sql_outcome read_command(lh_exchange *x, const char *label, PGresult **kept)
{
    lh_sql_outcome outcome;
    PGresult *result;

    *kept = NULL;
    while ((outcome = next_result(x, &result)) == LH_SQL_OK && result) {
        ExecStatusType status = PQresultStatus(result);

        if (status == PGRES_SINGLE_TUPLE) {
            if (deliver_row(x, result) != APR_SUCCESS) {
                return LH_SQL_LOST;
            }
        }
        else if (!*kept && (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)) {
            *kept = result;
        }
        else {
            store_error(x, label, result);
            PQclear(result);
        }
    }
    if (outcome != LH_SQL_OK) {
        PQclear(*kept);
        *kept = NULL;
    }
    return outcome;
}

static lh_sql_outcome read_statement(lh_exchange *x, int index)
{
    const lh_statement *st = x->run->statements[index];
    lh_sql_outcome outcome = LH_SQL_OK;
    PGresult *result;

    if (x->parsed[index]) {
        outcome = read_command(x, st->label, &result);
        set_prepared(x->connection, st, result != NULL);
        PQclear(result);
    }
    if (outcome == LH_SQL_OK && x->stream && index == x->run->count - 1) {
        PQsetSingleRowMode(x->pg);
    }
    if (outcome == LH_SQL_OK) {
        outcome = read_command(x, st->label, &result);
        if (result) {
            x->results[index] = lh_result_own(x->parts ? x->parts[index].pool : x->pool, result);
            x->completed++;
        }
    }
    return outcome;
}

/* Reads the response to the sync. Deferred constraints report their errors here, after all statements succeeded. */
static lh_sql_outcome read_sync(lh_exchange *x)
{
    lh_sql_outcome outcome = LH_SQL_OK;
    PGresult *result;
    int ends = 0;

    while (!x->sync_received && outcome == LH_SQL_OK) {
        outcome = next_result(x, &result);
        x->sync_received = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
        if (result) {
            store_error(x, x->run->statements[x->run->count - 1]->label, result);
            PQclear(result);
        }
        else if (outcome == LH_SQL_OK && ends++ > 2) {
            outcome = LH_SQL_LOST; /* out of sync with the server */
        }
    }
    if (x->sync_received) {
        PQclear(PQgetResult(x->pg)); /* returns NULL, but makes the pipeline idle */
    }
    return outcome;
}

static lh_sql_outcome read_statements(lh_exchange *x, int first, int end)
{
    lh_sql_outcome outcome = LH_SQL_OK;
    int i;

    for (i = first; outcome == LH_SQL_OK && i < end; i++) {
        outcome = read_statement(x, i);
    }
    return outcome;
}

/* Reads the results of the guard and sends the rest. After an error or a refusal that is only the sync, which ends the
 * transaction: the guard has changed nothing but expired rows. Sets *next to the first statement that follows. */
static lh_sql_outcome pass_guard(lh_exchange *x, int *next)
{
    lh_sql_outcome outcome = read_statements(x, 0, x->run->guard);

    if (outcome != LH_SQL_OK) {
        return outcome;
    }
    x->refused = x->completed == x->run->guard && !x->run->accept(x->run->context, x->results);
    *next = x->completed < x->run->guard || x->refused ? x->run->count : x->run->guard;
    return send_rest(x, *next) ? LH_SQL_OK : LH_SQL_LOST;
}

/* Reads the results from *next on and sends the closing statements, or after an error only the sync. Sets *next to the
 * first statement whose result follows. */
static lh_sql_outcome pass_closing(lh_exchange *x, int *next)
{
    int closing = x->run->count - x->run->closing;
    lh_sql_outcome outcome = read_statements(x, *next, closing);

    if (outcome != LH_SQL_OK) {
        return outcome;
    }
    if (x->completed == closing && !x->run->close(x->run->context, x->results)) {
        x->skipped = x->run->closing;
    }
    *next = x->completed < closing || x->skipped ? x->run->count : closing;
    return send_rest(x, *next) ? LH_SQL_OK : LH_SQL_LOST;
}

static lh_sql_outcome read_all(lh_exchange *x)
{
    lh_sql_outcome outcome = LH_SQL_OK;
    PGresult *ignored;
    int i, next = 0;

    for (i = 0; outcome == LH_SQL_OK && i < x->preliminaries; i++) {
        outcome = read_command(x, x->run->statements[x->run->guard]->label, &ignored);
        PQclear(ignored);
    }
    if (outcome == LH_SQL_OK && x->run->guard) {
        outcome = pass_guard(x, &next);
    }
    if (outcome == LH_SQL_OK && x->run->closing && next < x->run->count) {
        outcome = pass_closing(x, &next);
    }
    if (outcome == LH_SQL_OK) {
        outcome = read_statements(x, next, x->run->count);
    }
    return outcome == LH_SQL_OK ? read_sync(x) : outcome;
}

/* ---- interface ---- */

void lh_exchange_clear(lh_exchange *x)
{
    int i;

    for (i = 0; i < x->run->count; i++) {
        if (x->results[i]) {
            lh_result_clear(x->results[i]);
            x->results[i] = NULL;
        }
    }
}

static void reset_attempt(lh_exchange *x)
{
    int uncertain = x->failure->uncertain;

    x->pg = x->connection->pg;
    memset(x->parsed, 0, sizeof(x->parsed));
    memset(x->failure, 0, sizeof(*x->failure));
    x->failure->uncertain = uncertain; /* an earlier attempt may have been committed */
    x->preliminaries = x->refused = x->skipped = x->sync_sent = x->completed = 0;
    x->error_received = x->sync_received = 0;
    if (x->stream) {
        x->stream->begun = 0;
    }
}

/* A pooler reports with class 08 that it has lost the server, which may have committed before. */
static int is_of_server(const char *sqlstate)
{
    return strncmp(sqlstate, "08", 2) != 0;
}

/* Decides the outcome of the attempt from how its communication ended, and completes the failure. */
static lh_sql_outcome classify(lh_exchange *x, lh_sql_outcome outcome)
{
    const char *label = x->run->statements[x->run->guard]->label;
    int complete = x->completed == x->run->count - x->skipped;

    /* A server that closes a connection sends its error after all earlier results: if a statement did not complete, the
     * commit was not reached. */
    if (x->error_received && outcome != LH_SQL_TIMEOUT &&
        (x->sync_received || (!complete && is_of_server(x->failure->sqlstate)))) {
        return LH_SQL_ERROR;
    }
    if (outcome == LH_SQL_OK && !complete && !x->refused) {
        outcome = LH_SQL_LOST; /* COPY, an empty statement, or libpq ran out of memory */
    }
    if (outcome == LH_SQL_TIMEOUT) {
        store_cause(x, label, "no response before the deadline");
    }
    else if (outcome == LH_SQL_LOST) {
        store_cause(x, label, x->stream && x->stream->ended ? LH_EXCHANGE_STREAM_ENDED : PQerrorMessage(x->pg));
    }
    return outcome;
}

lh_sql_outcome lh_exchange_run(lh_exchange *x)
{
    reset_attempt(x);
    return classify(x, send_first(x) ? read_all(x) : LH_SQL_LOST);
}
