/* SPDX-License-Identifier: Apache-2.0 */
/* Reads on a standby: how long the question to the primary takes at most, and repeated reads on another standby. The
 * clock and the database exist only here. */
#include "http/standby.c"
#include "http/deadline.c"

#include "tap.h"

#define MS(n) apr_time_from_msec(n)
#define LAG MS(1000)

/* ---- httpd, the database and a clock that only the database moves ---- */

module AP_MODULE_DECLARE_DATA learnhub_module;

static apr_time_t now = MS(100000);
static lh_sql_outcome outcome; /* of the questions; those that time out take as long as they may */
static lh_sql_run question;    /* the last one */
static int questions, resets;
static const char *cells[4]; /* the row of the last result */

apr_time_t lh_clock(void)
{
    return now;
}

void lh_clock_cond_init(pthread_cond_t *cond)
{
    pthread_cond_init(cond, NULL);
}

void lh_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, apr_time_t deadline)
{
    (void)cond, (void)lock;
    now = deadline;
}

lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              lh_sql_time *time)
{
    (void)p, (void)results, (void)failure, (void)time;
    question = *run;
    questions++;
    now = outcome == LH_SQL_TIMEOUT ? run->deadline : now + MS(1);
    return outcome;
}

const char *lh_call_cell(const lh_call *call, const lh_result *result, int row, int column)
{
    (void)call, (void)result, (void)row;
    return cells[column];
}

lh_pool *lh_pool_create_standby(apr_pool_t *p, server_rec *s, const lh_session_options *options, struct lh_hosts *hosts)
{
    (void)p, (void)s, (void)options, (void)hosts;
    return NULL;
}

void lh_pool_grow_like(lh_pool *pool, lh_pool *other)
{
    (void)pool, (void)other;
}

void lh_pool_reset_idle(lh_pool *pool)
{
    (void)pool;
    resets++;
}

int lh_topics_number(const char *text, apr_size_t length, const char *value)
{
    (void)text, (void)length, (void)value;
    return 0;
}

int lh_topics_number_of(const lh_call *call, int index)
{
    (void)call;
    return index;
}

void ap_log_error_(const char *file, int line, int module_index, int level, apr_status_t status, const server_rec *s,
                   const char *format, ...)
{
    (void)file, (void)line, (void)module_index, (void)level, (void)status, (void)s, (void)format;
}

/* ---- a request ---- */

static const lh_statement read_statement = {.label = "list"};
static const lh_statement *statements[] = {&read_statement};
static const lh_sql_run list = {.statements = statements, .count = 1};
static const lh_route definition = {.flags = LH_STANDBY};
static const lh_compiled_route route = {.def = &definition};
static lh_server server;
static request_rec request;

/* A request of user 7 that has waited so long already. */
static lh_call new_call(apr_interval_time_t waited)
{
    request.pool = tap_pool;
    request.notes = apr_table_make(tap_pool, 4);
    request.user = apr_pstrdup(tap_pool, "7");
    return (lh_call){.r = &request, .server = &server, .route = &route, .me.id = 7, .spent.waiting = waited};
}

static lh_standby *new_standby(apr_interval_time_t connection_wait)
{
    server.config.connection_wait = connection_wait;
    server.config.statement_timeout = MS(3000);
    server.standby = lh_standby_create(tap_pool, NULL, NULL, NULL, NULL, LAG);
    questions = resets = 0;
    return server.standby;
}

static void answer(const char *first, const char *second, const char *fourth)
{
    cells[0] = first;
    cells[1] = second;
    cells[3] = fourth;
}

/* ---- tests ---- */

/* A primary that hangs: connections succeed, statements do not. */
static void test_question(void)
{
    static const struct {
        apr_interval_time_t connection_wait, waited, expected;
    } cases[] = {{MS(2000), 0, MS(250)}, {MS(100), 0, MS(100)}, {MS(2000), MS(1900), MS(100)}, {MS(50), MS(60), 0}};
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lh_call call = new_call(cases[i].waited);
        apr_time_t began = now;
        lh_standby_read read;

        new_standby(cases[i].connection_wait);
        outcome = LH_SQL_TIMEOUT;
        is_int(lh_standby_begin(&read, &call, &list), 0, "the read goes to the primary");
        is_int(questions, cases[i].expected > 0, "after one question, if there is time for it");
        if (questions) {
            is_int(question.wait_until - began, cases[i].expected, "which waits for a connection for the time left");
            is_int(question.deadline - question.wait_until, MS(250), "and for a result for 250 ms");
        }
        is_int(call.spent.waiting - cases[i].waited, now - began, "all of this time counts as waiting");
        call = new_call(0);
        is_int(lh_standby_begin(&read, &call, &list), 0, "a read after it goes to the primary");
        is_int(questions, 1, "and one of both has asked");
        now += LAG;
    }
}

/* While another thread asks, a read waits no longer than its own question would. */
static void test_others(void)
{
    lh_standby *standby = new_standby(MS(100));
    lh_call call = new_call(0);
    apr_time_t began = now;
    lh_standby_read read;

    standby->probing = 1;
    is_int(lh_standby_begin(&read, &call, &list), 0, "the read goes to the primary");
    ok(now - began == MS(100) && !questions, "after LearnHubConnectionWait");
}

/* The connection to a standby is lost after its position was accepted; the run is repeated on another server. */
static void test_repeated(void)
{
    lh_sql_failure failure = {.sqlstate = ""};
    lh_result *guard[1] = {NULL};
    lh_call call = new_call(0);
    lh_standby_read read;

    new_standby(MS(2000));
    outcome = LH_SQL_OK;
    answer("server|10:10:", "1000", "system 1");
    ok(lh_standby_begin(&read, &call, &list) && read.run.guard == 1, "the read goes to a standby");
    is_int(read.position, 1000, "which must have replayed the position of the primary");
    answer("1000", "system 1", NULL);
    ok(read.run.accept(read.run.context, guard) && lh_standby_end(&read, LH_SQL_OK, &failure), "one that has, is used");
    answer("999", "system 1", NULL);
    is_int(read.run.accept(read.run.context, guard), 0, "another one, which has not, is not");
    is_int(lh_standby_end(&read, LH_SQL_OK, &failure), 0, "and the primary executes the read");
    answer("1000", "system 1", NULL);
    ok(read.run.accept(read.run.context, guard), "the first one again");
    answer("1000", "system 2", NULL);
    is_int(read.run.accept(read.run.context, guard) + lh_standby_end(&read, LH_SQL_OK, &failure), 0,
           "one of another primary");
    read.accepted = 1;
    answer(NULL, "system 1", NULL);
    is_int(read.run.accept(read.run.context, guard) + lh_standby_end(&read, LH_SQL_OK, &failure), 0,
           "one that is no standby");
    is_int(resets, 1, "whose connections are opened again");
}

int main(void)
{
    tap_begin();
    test_question();
    test_others();
    test_repeated();
    return tap_end();
}
