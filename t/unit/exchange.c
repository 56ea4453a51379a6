/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt of a run: what is sent, how results are read, and how it ends. Scripts are those of scripted_libpq.h. */
#include <poll.h>

static int scripted_poll(struct pollfd *fds, nfds_t count, int timeout);

#define poll scripted_poll
#include "db/exchange.c"
#undef poll

#include "scripted_libpq.h"
#include "tap.h"

static unsigned char prepared[LH_STATEMENTS_MAX / 8];
static lh_connection connection = {.pg = &pg, .prepared = prepared};

static const lh_statement one = {
    .label = "first", .sql = "SELECT 1", .name = "s9", .number = 9, .parameters = 2, .slots = {1, 0}};
static const lh_statement two = {.label = "second", .sql = "SELECT 2", .name = "s17", .number = 17, .parameters = 1};
static const lh_statement three = {.label = "third", .sql = "SELECT 3", .name = "s18", .number = 18};
static const lh_statement *const statements[] = {&one, &two, &three};
static const char *const values[] = {"a", "b"}, *const guard_values[] = {"g", "h"};

/* ---- runs ---- */

static lh_result *results[3];
static lh_sql_failure failure;
static lh_sql_run run;
static lh_exchange x;

/* Prepares a run of `count` statements; `fresh`: on a new connection. */
static void prepare(int count, int fresh)
{
    memset(&run, 0, sizeof(run));
    memset(&x, 0, sizeof(x));
    memset(&failure, 0, sizeof(failure));
    memset(results, 0, sizeof(results));
    if (fresh) {
        memset(prepared, 0, sizeof(prepared));
    }
    else {
        memset(prepared, 0xff, sizeof(prepared));
    }
    run.statements = statements;
    run.count = count;
    run.values = values;
    run.guard_values = guard_values;
    x.run = &run;
    x.pool = tap_pool;
    x.results = results;
    x.failure = &failure;
    x.connection = &connection;
    now = 1000000;
    x.deadline = now + 1000000;
    connection.stale = 0;
    pg = (struct pg_conn){.sends = -1};
}

/* Runs the script and compares the outcome. Results that the run keeps are freed. */
static void plays(const char *script, lh_sql_outcome expected, const char *name)
{
    sent[0] = waits[0] = '\0';
    pg.script = script;
    pg.broken = 0;
    is_int(lh_exchange_run(&x), expected, name);
    is_str(pg.broken ? "" : pg.script, "", apr_pstrcat(tap_pool, name, ": everything is read", NULL));
}

static int kept(void)
{
    return (results[0] != NULL) | (results[1] != NULL) << 1 | (results[2] != NULL) << 2;
}

static void ends(const char *name)
{
    lh_exchange_clear(&x);
    is_int(kept(), 0, apr_pstrcat(tap_pool, name, ": no result is kept after lh_exchange_clear()", NULL));
    is_int(results_in_use, 0, apr_pstrcat(tap_pool, name, ": all results are freed", NULL));
}

static void test_sending(void)
{
    prepare(2, 1);
    plays("CNTNCNTNSN", LH_SQL_OK, "two new statements");
    is_str(sent, "prepare:s9 s9=b,a prepare:s17 s17=a sync", "new statements are prepared, then there is one sync");
    is_int(kept(), 3, "there are two results");
    is_int(x.sync_sent && x.sync_received, 1, "the sync was sent and received");
    is_int(x.completed, 2, "two statements have completed");
    ends("two new statements");
    is_int(prepared[9 / 8] == 2 && prepared[17 / 8] == 2, 1, "the connection has these statements and no others");

    x.parsed[0] = 1;
    plays("TNTNSN", LH_SQL_OK, "two prepared statements");
    is_str(sent, "s9=b,a s17=a sync", "they are not prepared again");
    ends("two prepared statements");

    connection.stale = 1;
    plays("CNCNTNCNTNSN", LH_SQL_OK, "a stale connection");
    is_str(sent, "DEALLOCATE ALL prepare:s9 s9=b,a prepare:s17 s17=a sync", "all statements are prepared again");
    is_int(connection.stale, 0, "the connection is not stale any longer");
    ends("a stale connection");

    prepare(1, 0);
    run.timeout_ms = 250;
    plays("TNTNSN", LH_SQL_OK, "a run with a time limit");
    is_str(sent, "SELECT set_config('statement_timeout', '250', true) s9=b,a sync", "the limit is set first");
    ends("a run with a time limit");
}

static void test_failed_sends(void)
{
    static const struct {
        int stale, timeout, sends, sync_sent;
    } cases[] = {{1, 0, 0, 0}, {0, 9, 0, 0}, {0, 0, 0, 0}, {0, 0, 1, 0}, {0, 0, 3, 0}, {0, 0, 4, 1}};
    int i;

    for (i = 0; i < 6; i++) {
        prepare(2, 1);
        connection.stale = cases[i].stale;
        run.timeout_ms = cases[i].timeout;
        pg.sends = cases[i].sends;
        pg.script = "t";
        is_int(lh_exchange_run(&x), LH_SQL_LOST, apr_psprintf(tap_pool, "send %d fails", i));
        is_str(pg.script, "t", "it does not wait for results");
        is_int(x.sync_sent, cases[i].sync_sent, "only after all statements the server may commit");
        is_str(failure.message, "broken pipe", "the message is the first line of libpq's");
        is_str(failure.label, "first", "the label is that of the first statement");
        is_int(connection.stale, cases[i].stale, "a connection stays stale until DEALLOCATE ALL is sent");
        ends("a failed send");
    }
    prepare(2, 1);
    failure.uncertain = 1;
    failure.message = "old";
    plays("CNTNCNTNSN", LH_SQL_OK, "a repeated run");
    is_int(failure.uncertain, 1, "it stays uncertain whether an earlier attempt was committed");
    is_str(failure.message, NULL, "the failure of the earlier attempt is gone");
    ends("a repeated run");
}

static void fails(const char *sqlstate, const char *label, const char *message, const char *constraint)
{
    is_str(failure.sqlstate, sqlstate, "its SQLSTATE");
    is_str(failure.label, label, "its label");
    is_str(failure.message, message, "its message");
    is_str(failure.constraint, constraint, "its constraint");
}

static void test_errors(void)
{
    prepare(3, 0);
    plays("TNENANSN", LH_SQL_ERROR, "the second statement fails");
    fails("23505", "second", "duplicate", "users_email");
    is_int(x.sync_received, 1, "the sync is received");
    is_int(x.completed, 1, "one statement has completed");
    ends("the second statement fails");

    plays("TNTNTNESN", LH_SQL_ERROR, "the commit fails");
    fails("23505", "third", "duplicate", "users_email");
    ends("the commit fails");

    prepare(2, 1);
    plays("ENANANANSN", LH_SQL_ERROR, "a statement cannot be prepared");
    fails("23505", "first", "duplicate", "users_email");
    is_int(prepared[9 / 8] || prepared[17 / 8], 0, "neither this one nor those after it are prepared");
    ends("a statement cannot be prepared");

    prepare(2, 0);
    plays("TNFOL", LH_SQL_ERROR, "the server ends the connection before the last statement");
    fails("57P01", "second", "", NULL);
    is_int(x.sync_received, 0, "the sync is not received");
    ends("the server ends the connection before the last statement");

    plays("TNTNFL", LH_SQL_LOST, "the server ends the connection after the last statement: the commit is unknown");
    fails("57P01", "second", "", NULL);
    ends("the server ends the connection after the last statement");

    plays("TNTNL", LH_SQL_LOST, "the connection breaks before the sync");
    fails("", "first", "broken pipe", NULL);
    ends("the connection breaks before the sync");

    plays("TNTL", LH_SQL_LOST, "the connection breaks within the results of a statement");
    is_int(x.completed, 1, "the statement has not completed");
    ends("the connection breaks within the results of a statement");

    plays("ZNTNSN", LH_SQL_LOST, "a result that is neither success nor error");
    ends("a result that is neither success nor error");

    plays("TTNTNSN", LH_SQL_OK, "a second result of a statement is ignored");
    is_int(results_in_use, 2, "each statement has one result");
    ends("a second result of a statement");

    plays("TNTNNNNN", LH_SQL_LOST, "no sync arrives");
    ends("no sync arrives");
    plays("TNTNNNNSN", LH_SQL_OK, "the sync arrives after three ends of commands");
    ends("the sync arrives after three ends of commands");
}

static void test_waiting(void)
{
    prepare(1, 0);
    plays("bTwNobSN", LH_SQL_OK, "results that arrive later");
    is_str(waits, "in1000 in+out1000 in+out1000 in1000", "it waits for data, and for room if data are unsent");
    ends("results that arrive later");

    plays("ibTNSN", LH_SQL_OK, "an interrupted wait goes on");
    ends("an interrupted wait");
    prepare(1, 0);
    plays("x", LH_SQL_LOST, "a wait that fails");
    ends("a wait that fails");

    prepare(1, 0);
    x.deadline = now + 1500;
    pg.script = "t";
    sent[0] = waits[0] = '\0';
    is_int(lh_exchange_run(&x), LH_SQL_TIMEOUT, "no response before the deadline");
    is_str(waits, "in2", "the wait is rounded up to milliseconds");
    fails("", "first", "no response before the deadline", NULL);
    ends("no response before the deadline");

    prepare(1, 0);
    x.deadline = now;
    pg.script = "b";
    waits[0] = '\0';
    is_int(lh_exchange_run(&x), LH_SQL_TIMEOUT, "at the deadline");
    is_str(waits, "", "it does not wait");
    ends("at the deadline");

    prepare(2, 0);
    pg.script = "ENt";
    is_int(lh_exchange_run(&x), LH_SQL_TIMEOUT, "no response after an error");
    fails("23505", "first", "duplicate", "users_email");
    ends("no response after an error");

    prepare(1, 0);
    pg.script = "D";
    waits[0] = '\0';
    is_int(lh_exchange_run(&x), LH_SQL_LOST, "without a socket the connection is lost");
    is_str(waits, "", "it does not wait without a socket");
    ends("without a socket");

    prepare(2, 0);
    run.timeout_ms = 9;
    pg.script = "L";
    is_int(lh_exchange_run(&x), LH_SQL_LOST, "the connection breaks before the statements");
    ends("the connection breaks before the statements");
}

/* ---- guards ---- */

static int accepts, asked;

static int accept_guard(void *context, lh_result *const *guard)
{
    asked += context == &accepts && guard[0] && !results[1];
    return accepts;
}

static void test_guard(void)
{
    prepare(3, 0);
    run.guard = 1;
    run.accept = accept_guard;
    run.context = &accepts;
    accepts = 1;
    plays("TNTNTNSN", LH_SQL_OK, "an accepted guard");
    is_str(sent, "s9=h,g flush s17=a s18 sync", "the other statements follow, with their own values and one sync");
    is_int(asked, 1, "the guard was asked once, with its result");
    is_int(x.refused, 0, "it is not refused");
    is_int(kept(), 7, "there are three results");
    ends("an accepted guard");

    accepts = 0;
    plays("TNSN", LH_SQL_OK, "a guard that does not accept");
    is_str(sent, "s9=h,g flush sync", "only the sync follows");
    is_int(x.refused, 1, "it is refused");
    is_int(kept(), 1, "there is the result of the guard");
    ends("a guard that does not accept");

    accepts = 1;
    asked = 0;
    plays("ENSN", LH_SQL_ERROR, "a guard that fails");
    is_str(sent, "s9=h,g flush sync", "only the sync follows the error");
    is_int(asked, 0, "accept() is not called");
    ends("a guard that fails");

    plays("TL", LH_SQL_LOST, "the connection breaks in the guard");
    is_str(sent, "s9=h,g flush", "nothing follows");
    is_int(x.sync_sent, 0, "the server cannot commit");
    ends("the connection breaks in the guard");

    prepare(3, 0);
    run.guard = 2;
    run.accept = accept_guard;
    run.context = &accepts;
    pg.sends = 4;
    plays("TNTN", LH_SQL_LOST, "the rest cannot be sent");
    is_str(sent, "s9=h,g s17=g flush s18", "a guard of two statements");
    is_int(x.sync_sent, 1, "the server may have got the sync");
    ends("the rest cannot be sent");
}

/* ---- batches and streams ---- */

static void test_parts(void)
{
    static const char *const first[] = {"c", "d"}, *const second[] = {"e"};
    apr_pool_t *own;
    lh_exchange_part parts[] = {{first, tap_pool}, {second, NULL}};

    apr_pool_create(&own, tap_pool);
    parts[1].pool = own;
    prepare(2, 0);
    x.parts = parts;
    plays("TNTNSN", LH_SQL_OK, "a batch");
    is_str(sent, "s9=d,c s17=e sync", "each statement has the values of its part");
    is_int(last_owner == own, 1, "a result is in the pool of its part");
    ends("a batch");
}

static int begun, rows;
static apr_status_t begin_status, row_status;

static apr_status_t on_begin(void *context, lh_result *const *earlier)
{
    begun += context == &rows && earlier == results && earlier[0];
    return begin_status;
}

static apr_status_t on_row(void *context, const lh_result *row)
{
    rows += context == &rows && row->pg->letter == 'R' && begun;
    now += 700000;
    return row_status;
}

static void test_stream(void)
{
    lh_result current = {NULL};
    lh_sql_receiver receiver = {.begin = on_begin, .row = on_row, .context = &rows};
    lh_exchange_stream stream = {.receiver = &receiver, .current = &current, .row_timeout = 900000};
    static const char setting[] = "SELECT set_config('statement_timeout', '0', true)";

    prepare(2, 0);
    x.stream = &stream;
    run.timeout_ms = 9;
    plays("TNTNRbRbRbTNSN", LH_SQL_OK, "a stream");
    is_str(sent, apr_pstrcat(tap_pool, setting, " s9=b,a s17=a sync ?", NULL), "without a time limit, row by row");
    is_int(begun, 1, "begin() is called once, with the earlier results");
    is_int(rows, 3, "all rows are passed");
    is_str(waits, "in900 in900 in900", "the deadline starts again with each row");
    is_int(stream.ended, 0, "the stream was not ended");
    ends("a stream");

    row_status = APR_EGENERAL;
    prepare(2, 0);
    x.stream = &stream;
    plays("TNTNR", LH_SQL_LOST, "a receiver that ends the stream at a row");
    is_int(begun, 2, "begin() is called again in the next attempt");
    is_int(stream.ended, 1, "the stream has ended");
    is_str(failure.message, LH_EXCHANGE_STREAM_ENDED, "the failure says so");
    ends("a receiver that ends the stream at a row");

    row_status = APR_SUCCESS;
    begin_status = APR_EGENERAL;
    rows = stream.ended = 0;
    plays("TNTNR", LH_SQL_LOST, "a receiver that ends the stream at its beginning");
    is_int(rows, 0, "it gets no row");
    ends("a receiver that ends the stream at its beginning");

    begin_status = APR_SUCCESS;
    stream.ended = 0;
    plays("TNENSN", LH_SQL_ERROR, "an error in the statement before a stream");
    is_int(begun, 3, "begin() is not called");
    ends("an error in the statement before a stream");

    plays("TNTNL", LH_SQL_LOST, "a stream whose connection breaks");
    is_str(failure.message, "broken pipe", "the failure has libpq's message");
    ends("a stream whose connection breaks");
}

int main(void)
{
    tap_begin();
    test_sending();
    test_failed_sends();
    test_errors();
    test_waiting();
    test_guard();
    test_parts();
    test_stream();
    return tap_end();
}
