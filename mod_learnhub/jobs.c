/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"

#include <apr_atomic.h>
#include <apr_thread_mutex.h>
#include <http_log.h>
#include <mod_watchdog.h>

#include "learnhub_module.h"
#include "outbox.h"

APLOG_USE_MODULE(learnhub);

#define WATCHDOG "_learnhub_"

/* Either `run` or `sql`. */
typedef struct job {
    const char *name;
    int seconds;
    void (*run)(const lh_server *server, apr_pool_t *p);
    const char *sql;
} job;

static const job jobs[] = {
    {.name = "outbox.send", .seconds = 1, .run = lh_outbox_send},
    {.name = "outbox.expire",
     .seconds = 5,
     .sql = "UPDATE learnhub.outbox SET state = 'expired' WHERE id IN (SELECT id FROM learnhub.outbox "
            "WHERE (state = 'waiting' OR state = 'sending' AND due_at <= now()) AND not_after <= now() "
            "FOR UPDATE SKIP LOCKED)"},
    {.name = "mentoring.reminders", .seconds = 5, .sql = "SELECT learnhub.post_reminders()"},
};

#define JOBS (int)(sizeof(jobs) / sizeof(jobs[0]))

static const lh_statement *statements[JOBS];

/* Held while a job runs. `servers`, one for each database, is NULL before the process is ready and when it ends. */
static apr_thread_mutex_t *running;
static apr_array_header_t *servers;
static volatile apr_uint32_t stopping;

/* The statement that failed last: the log has its line already. */
static const lh_statement *failing;

int lh_jobs_statements(apr_pool_t *p, int number, const char **why)
{
    static const lh_slots none = {NULL, 0};
    int i, first = number, taken;

    *why = NULL;
    for (i = 0; i < JOBS && !*why; i++) {
        if (jobs[i].sql) {
            statements[i] = lh_statement_compile(p, jobs[i].name, jobs[i].sql, NULL, &none, number++, why);
        }
    }
    taken = *why ? -1 : lh_outbox_statements(p, number, why);
    return taken < 0 ? -1 : number - first + taken;
}

int lh_jobs_stopping(void)
{
    return apr_atomic_read32(&stopping) != 0;
}

/* ---- running ---- */

static void complain(const lh_server *server, apr_pool_t *p, const lh_statement *statement,
                     const lh_sql_failure *failure)
{
    if (statement != failing && lh_problem_of_sqlstate(p, failure->sqlstate)->status != HTTP_SERVICE_UNAVAILABLE) {
        failing = statement;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server->s, "learnhub: job %s: SQLSTATE %s: %s", statement->label,
                     failure->sqlstate, failure->message);
    }
}

lh_sql_outcome lh_jobs_ask(const lh_server *server, apr_pool_t *p, const lh_statement *statement,
                           const lh_value *values, int safe, lh_result **result)
{
    lh_sql_run run = {.db = server->db, .steps = &statement, .count = 1, .values = values, .safe = safe};
    lh_sql_failure failure;
    lh_sql_outcome outcome;

    run.wait_until = lh_clock() + server->config.connection_wait;
    run.patience = server->config.statement_timeout;
    run.deadline = run.wait_until + run.patience;
    outcome = lh_sql_execute(&run, p, result, &failure, NULL);
    if (outcome == LH_SQL_ERROR) {
        complain(server, p, statement, &failure);
    }
    else if (outcome == LH_SQL_OK && statement == failing) {
        failing = NULL;
    }
    return outcome;
}

static void run_job(const job *what, const lh_server *server, apr_pool_t *p)
{
    lh_result *result;

    if (what->run) {
        what->run(server, p);
    }
    else {
        lh_jobs_ask(server, p, statements[what - jobs], NULL, 1, &result);
    }
}

static apr_status_t call(int state, void *data, apr_pool_t *p)
{
    int i;

    if (state == AP_WATCHDOG_STATE_STOPPING) {
        apr_atomic_set32(&stopping, 1);
    }
    if (state != AP_WATCHDOG_STATE_RUNNING) {
        return APR_SUCCESS;
    }
    apr_thread_mutex_lock(running);
    for (i = 0; servers && i < servers->nelts && !lh_jobs_stopping(); i++) {
        run_job(data, APR_ARRAY_IDX(servers, i, const lh_server *), p);
    }
    apr_thread_mutex_unlock(running);
    return APR_SUCCESS;
}

/* ---- beginning and end ---- */

apr_status_t lh_jobs_prepare(apr_pool_t *pconf)
{
    APR_OPTIONAL_FN_TYPE(ap_watchdog_get_instance) *get = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_get_instance);
    APR_OPTIONAL_FN_TYPE(ap_watchdog_register_callback) *add = APR_RETRIEVE_OPTIONAL_FN(ap_watchdog_register_callback);
    ap_watchdog_t *watchdog;
    apr_status_t rv = get && add ? get(&watchdog, WATCHDOG, 0, 0, pconf) : APR_ENOTIMPL;
    int i;

    if (rv == APR_SUCCESS) {
        rv = apr_thread_mutex_create(&running, APR_THREAD_MUTEX_DEFAULT, pconf);
    }
    for (i = 0; i < JOBS && rv == APR_SUCCESS; i++) {
        rv = add(watchdog, apr_time_from_sec(jobs[i].seconds), &jobs[i], call);
    }
    return rv;
}

/* Waits for the job that runs: it is short, and one that sends a mail notices. */
static apr_status_t end(void *unused)
{
    (void)unused;
    apr_atomic_set32(&stopping, 1);
    apr_thread_mutex_lock(running);
    servers = NULL;
    apr_thread_mutex_unlock(running);
    return APR_SUCCESS;
}

static void add_server(apr_array_header_t *chosen, lh_server *server)
{
    int i;

    for (i = 0; i < chosen->nelts; i++) {
        lh_server **place = &APR_ARRAY_IDX(chosen, i, lh_server *);
        if ((*place)->db == server->db) {
            *place = (*place)->config.smtp ? *place : server;
            return;
        }
    }
    APR_ARRAY_PUSH(chosen, lh_server *) = server;
}

void lh_jobs_begin(apr_pool_t *pchild, const apr_array_header_t *all)
{
    apr_array_header_t *chosen = apr_array_make(pchild, all->nelts, sizeof(lh_server *));
    int i;

    if (!all->nelts) {
        return;
    }
    for (i = 0; i < all->nelts; i++) {
        add_server(chosen, APR_ARRAY_IDX(all, i, lh_server *));
    }
    apr_pool_pre_cleanup_register(pchild, NULL, end);
    apr_thread_mutex_lock(running);
    servers = chosen;
    apr_thread_mutex_unlock(running);
}
