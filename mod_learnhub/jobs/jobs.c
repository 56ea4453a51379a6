/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/jobs.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <mod_watchdog.h>
#include <stddef.h>

#include "core/server_state.h"
#include "http/failure.h"
#include "jobs/backlog.h"
#include "jobs/job.h"
#include "jobs/outbox.h"
#include "util/counters.h"
#include "util/memory.h"

#define WATCHDOG "_learnhub_"

/* Has either `run` or `sql`. */
typedef struct job {
    const char *name;
    int interval; /* seconds */
    void (*run)(const lh_server *server, apr_pool_t *p);
    const char *sql;
    apr_size_t keep; /* of a job with `sql`: the offset in lh_config of the duration in :seconds */
} job;

static void trim_memory(const lh_server *server, apr_pool_t *p)
{
    (void)server, (void)p;
    lh_memory_trim();
}

static void log_rest(const lh_server *server, apr_pool_t *p)
{
    (void)p;
    lh_failure_log_rest(server->s);
}

static const job jobs[] = {
    {.name = "outbox.send", .interval = 1, .run = lh_outbox_send},
    {.name = "outbox.expire",
     .interval = 5,
     .sql = "UPDATE learnhub.outbox "
            "SET state = 'expired' "
            "WHERE id IN (SELECT id FROM learnhub.outbox "
            "             WHERE (state = 'waiting' OR state = 'sending' AND due_at <= now()) AND not_after <= now() "
            "                OR state = 'waiting' AND due_at < now() - interval '7 days' "
            "             FOR UPDATE SKIP LOCKED)"},
    {.name = "outbox.requests", .interval = 1, .sql = "SELECT learnhub.post_requested_mails()"},
    {.name = "outbox.prune", .interval = 10, .run = lh_outbox_prune},
    {.name = "outbox.measure", .interval = 5, .run = lh_backlog_measure},
    {.name = "mentoring.reminders", .interval = 5, .sql = "SELECT learnhub.post_reminders()"},
    {.name = "logins.prune", .interval = 10, .sql = "SELECT learnhub.prune_logins()"},
    {.name = "changes.prune", .interval = 10, .sql = "SELECT learnhub.prune_changes()"},
    {.name = "idempotency.prune", .interval = 5, .sql = "SELECT learnhub.prune_idempotency_keys()"},
    {.name = "accounts.erase", .interval = 2, .sql = "SELECT learnhub.erase_accounts()"},
    {.name = "audit.prune",
     .interval = 5,
     .keep = offsetof(lh_config, keep_audit),
     .sql = "DELETE FROM learnhub.audit_log "
            "WHERE id IN (SELECT id FROM learnhub.audit_log "
            "             WHERE at < now() - make_interval(secs => :seconds::bigint) "
            "             ORDER BY at, id "
            "             LIMIT 1000 "
            "             FOR UPDATE SKIP LOCKED)"},
    {.name = "memory.trim", .interval = 1, .run = trim_memory},
    {.name = "failures.log", .interval = 1, .run = log_rest},
};

#define JOB_COUNT (int)(sizeof(jobs) / sizeof(jobs[0]))
_Static_assert(sizeof(jobs) / sizeof(jobs[0]) <= LH_COUNTERS_JOBS, "each job has its counters");

static const lh_statement *statements[JOB_COUNT]; /* of the jobs with `sql` */

/* Locked while a job runs; guards `servers`. */
static apr_thread_mutex_t *running;

/* One lh_server * per database; NULL before lh_jobs_begin() and after stop(). */
static apr_array_header_t *servers;

int lh_jobs_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"seconds"};
    static const lh_slots slots = {names, 1};
    int i;

    *why = NULL;
    for (i = 0; i < JOB_COUNT && !*why; i++) {
        if (jobs[i].sql) {
            statements[i] = lh_statement_compile(registry, jobs[i].name, jobs[i].sql, NULL, &slots, why);
        }
    }
    return !*why && lh_outbox_compile(registry, why) && lh_backlog_compile(registry, why);
}

const char *lh_jobs_names(apr_pool_t *p)
{
    const char *names = jobs[0].name;
    int i;

    for (i = 1; i < JOB_COUNT; i++) {
        names = apr_pstrcat(p, names, " ", jobs[i].name, NULL);
    }
    return names;
}

/* ---- running ---- */

static void run_job(const job *current, const lh_server *server, apr_pool_t *p)
{
    const char *config = (const char *)&server->config;
    const char *seconds = NULL;
    lh_result *result;

    if (current->run) {
        current->run(server, p);
    }
    else {
        if (current->keep) {
            const apr_int64_t *time = (const void *)(config + current->keep);
            seconds = apr_psprintf(p, "%" APR_INT64_T_FMT, (apr_int64_t)apr_time_sec(*time));
        }
        lh_job_execute(server, p, statements[current - jobs], &seconds, 1, &result);
    }
}

/* Counts the run, and whether one of its statements has failed. */
static void count_job(const job *current, const lh_server *server, apr_pool_t *p)
{
    int index = (int)(current - jobs);
    unsigned before = server->jobs->failures;

    run_job(current, server, p);
    lh_counter_add(LH_COUNT_JOB_RUNS + index, 1);
    if (server->jobs->failures != before) {
        lh_counter_add(LH_COUNT_JOB_FAILURES + index, 1);
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
        count_job(data, APR_ARRAY_IDX(servers, i, const lh_server *), p);
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

/* 1 if LearnHubVerifyEmail is On in one of the servers that share a database. */
static int any_verifies(const apr_array_header_t *all, const lh_pool *db)
{
    int i, any = 0;

    for (i = 0; i < all->nelts; i++) {
        const lh_server *server = APR_ARRAY_IDX(all, i, const lh_server *);
        any |= server->db == db && server->config.verify_email;
    }
    return any;
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
        lh_server *server = APR_ARRAY_IDX(chosen, i, lh_server *);
        server->jobs = apr_pcalloc(pchild, sizeof(lh_job_state));
        server->jobs->database = i;
        server->jobs->verified_only = any_verifies(all, server->db);
    }
    apr_pool_pre_cleanup_register(pchild, NULL, stop);
    apr_thread_mutex_lock(running);
    servers = chosen;
    apr_thread_mutex_unlock(running);
}
