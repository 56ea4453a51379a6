/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/jobs.h"

#include <apr_thread_mutex.h>
#include <mod_watchdog.h>

#include "core/server_state.h"
#include "jobs/job.h"
#include "jobs/outbox.h"
#include "util/memory.h"

#define WATCHDOG "_learnhub_"

/* Has either `run` or `sql`. */
typedef struct job {
    const char *name;
    int interval; /* seconds */
    void (*run)(const lh_server *server, apr_pool_t *p);
    const char *sql;
} job;

static void trim_memory(const lh_server *server, apr_pool_t *p)
{
    (void)server, (void)p;
    lh_memory_trim();
}

static const job jobs[] = {
    {.name = "outbox.send", .interval = 1, .run = lh_outbox_send},
    {.name = "outbox.expire",
     .interval = 5,
     .sql = "UPDATE learnhub.outbox "
            "SET state = 'expired' "
            "WHERE id IN (SELECT id FROM learnhub.outbox "
            "             WHERE (state = 'waiting' OR state = 'sending' AND due_at <= now()) AND not_after <= now() "
            "             FOR UPDATE SKIP LOCKED)"},
    {.name = "mentoring.reminders", .interval = 5, .sql = "SELECT learnhub.post_reminders()"},
    {.name = "changes.prune", .interval = 10, .sql = "SELECT learnhub.prune_changes()"},
    {.name = "memory.trim", .interval = 1, .run = trim_memory},
};

#define JOB_COUNT (int)(sizeof(jobs) / sizeof(jobs[0]))

static const lh_statement *statements[JOB_COUNT]; /* of the jobs with `sql` */

/* Locked while a job runs; guards `servers`. */
static apr_thread_mutex_t *running;

/* One lh_server * per database; NULL before lh_jobs_begin() and after stop(). */
static apr_array_header_t *servers;

int lh_jobs_compile(lh_statements *registry, const char **why)
{
    static const lh_slots none = {NULL, 0};
    int i;

    *why = NULL;
    for (i = 0; i < JOB_COUNT && !*why; i++) {
        if (jobs[i].sql) {
            statements[i] = lh_statement_compile(registry, jobs[i].name, jobs[i].sql, NULL, &none, why);
        }
    }
    return !*why && lh_outbox_compile(registry, why);
}

/* ---- running ---- */

static void run_job(const job *current, const lh_server *server, apr_pool_t *p)
{
    lh_result *result;

    if (current->run) {
        current->run(server, p);
    }
    else {
        lh_job_execute(server, p, statements[current - jobs], NULL, 1, &result);
    }
}

/* The callback for mod_watchdog; `data` is the job. */
static apr_status_t on_watchdog(int state, void *data, apr_pool_t *p)
{
    int i;

    if (state == AP_WATCHDOG_STATE_STOPPING) {
        lh_job_stop();
    }
    if (state != AP_WATCHDOG_STATE_RUNNING) {
        return APR_SUCCESS;
    }
    apr_thread_mutex_lock(running);
    for (i = 0; servers && i < servers->nelts && !lh_job_stopping(); i++) {
        run_job(data, APR_ARRAY_IDX(servers, i, const lh_server *), p);
    }
    apr_thread_mutex_unlock(running);
    return APR_SUCCESS;
}

/* ---- start and child exit ---- */

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
    for (i = 0; i < JOB_COUNT && rv == APR_SUCCESS; i++) {
        rv = add(watchdog, apr_time_from_sec(jobs[i].interval), &jobs[i], on_watchdog);
    }
    return rv;
}

/* Waits for the running job. This is short: jobs check lh_job_stopping(), and sending a mail is aborted. */
static apr_status_t stop(void *unused)
{
    (void)unused;
    lh_job_stop();
    apr_thread_mutex_lock(running);
    servers = NULL;
    apr_thread_mutex_unlock(running);
    return APR_SUCCESS;
}

/* Adds a server if none of its database is in the array. A server with LearnHubSMTP replaces one without. */
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
    for (i = 0; i < chosen->nelts; i++) {
        APR_ARRAY_IDX(chosen, i, lh_server *)->jobs = apr_pcalloc(pchild, sizeof(lh_job_state));
    }
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
    apr_thread_mutex_lock(running);
    servers = chosen;
    apr_thread_mutex_unlock(running);
}
