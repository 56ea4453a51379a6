/* SPDX-License-Identifier: Apache-2.0 */
#include "db/connectors.h"

#include <httpd.h>

#include <mpm_common.h>
#include <signal.h>

#include "core/learnhub_module.h"
#include "db/connect.h"
#include "db/hosts.h"
#include "db/pool_state.h"
#include "util/clock.h"

#define BACK_OFF_MIN apr_time_from_msec(50)
#define BACK_OFF_MAX apr_time_from_sec(1)

/* The database counts as down after at least DOWN_FAILURES failed attempts in a row during at least DOWN_AFTER. In a
 * shorter outage, such as a restart of the database, requests wait instead of failing. */
#define DOWN_FAILURES 2
#define DOWN_AFTER apr_time_from_sec(2)

/* With several hosts: how often connectors look whether the host hangs, how long no connection is released until they
 * ask the hosts, and the pause after the current one has answered. */
#define WATCH_INTERVAL apr_time_from_msec(250)
#define HANGS_AFTER apr_time_from_msec(500)
#define PROBE_PAUSE apr_time_from_sec(1)

/* ---- reports; the functions below need the lock ---- */

/* What is logged once in a process. */
typedef enum { NEWER_SCHEMA = 1, POOLER = 2, CONNECTIONS = 4 } report;

static int is_first(lh_pool *pool, report what)
{
    int first = !(pool->reported & what);

    pool->reported |= what;
    return first;
}

/*
 * Compares what all processes can open with what the server accepts. ServerLimit bounds how many processes the old and
 * the new generation have during a graceful restart. A process of prefork has a connection for its request and one for
 * jobs, and its place is free for the next generation only when it has ended.
 */
static void check_connections(lh_pool *pool, int accepted)
{
    int children = 0, limit = 0, threaded = AP_MPMQ_NOT_SUPPORTED, size = pool->size, restarting;

    ap_mpm_query(AP_MPMQ_MAX_DAEMONS, &children);
    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &limit);
    ap_mpm_query(AP_MPMQ_IS_THREADED, &threaded);
    if (threaded == AP_MPMQ_NOT_SUPPORTED) {
        size = size < 2 ? size : 2;
        limit = children;
    }
    restarting = limit < 2 * children ? limit : 2 * children;
    restarting = restarting > children ? restarting : children;
    if (restarting * size > accepted && is_first(pool, CONNECTIONS)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, pool->server,
                     LH_LOG(0113) "max_connections is too small: PostgreSQL accepts %d connections, but %d processes "
                                  "with %d each open up to %d, and up to %d during a graceful restart",
                     accepted, children, size, children * size, restarting * size);
    }
}

static void report_session(lh_pool *pool, const lh_session *session)
{
    if (session->schema > LH_SESSION_SCHEMA && is_first(pool, NEWER_SCHEMA)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, pool->server,
                     LH_LOG(0111) "the schema of the database has version %d, newer than this module, which is made "
                                  "for %d: install the module of the new version soon",
                     session->schema, LH_SESSION_SCHEMA);
    }
    if (session->pooled && is_first(pool, POOLER)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     LH_LOG(0112) "the database is reached through a pooler: %s",
                     *session->settings ? "statements are not prepared" : "it must be in session mode");
    }
    if (!session->pooled) {
        check_connections(pool, session->connections);
    }
}

static void report_down(lh_pool *pool, lh_pool_condition condition, const char *why)
{
    if (pool->standby) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, pool->server, LH_LOG(0135) "the standby cannot be used: %s", why);
    }
    else if (condition == LH_POOL_OUTDATED) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, pool->server,
                     LH_LOG(0110) "the database cannot be used: %s; run: learnhub-ctl migrate", why);
    }
    else if (condition == LH_POOL_NEWER) {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, pool->server,
                     LH_LOG(0130) "the database cannot be used: %s; install the new version of the module", why);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, pool->server, LH_LOG(0031) "database unavailable: %s", why);
    }
}

/* ---- state; the functions below need the lock ---- */

static int connect_is_due(const lh_pool *pool)
{
    return pool->broken && pool->live + pool->connecting < pool->target;
}

/* While attempts fail, only one connector tries at a time, with pauses. */
static int may_connect(const lh_pool *pool)
{
    return connect_is_due(pool) && (pool->failures == 0 || (pool->connecting == 0 && lh_clock() >= pool->retry_at));
}

static apr_interval_time_t back_off(int failures)
{
    apr_interval_time_t full = BACK_OFF_MIN << (failures < 6 ? failures - 1 : 5);

    if (full > BACK_OFF_MAX) {
        full = BACK_OFF_MAX;
    }
    return full - lh_clock() % (full / 4); /* jitter: the processes do not all connect at once */
}

static void report_up(lh_pool *pool, apr_interval_time_t outage)
{
    if (pool->standby) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     LH_LOG(0136) "the standby can be used again after %" APR_TIME_T_FMT " s", apr_time_sec(outage));
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     LH_LOG(0030) "database available again after %" APR_TIME_T_FMT " s", apr_time_sec(outage));
    }
}

static void switch_host(lh_pool *pool, int host)
{
    const char *name = lh_hosts_name(pool->hosts, host), *before = lh_hosts_name(pool->hosts, pool->host);

    if (pool->standby) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     LH_LOG(0139) "reads use %s instead of %s, which is no standby or does not answer", name, before);
    }
    else {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     LH_LOG(0114) "%s is used instead of %s, which does not accept writes or does not answer", name,
                     before);
    }
    lh_pool_state_use_host(pool, host);
}

static void add_connected(lh_pool *pool, lh_pool_entry *entry)
{
    apr_time_t outage = lh_clock() - pool->failing_since;
    int was_down = pool->down != LH_POOL_UP;

    lh_pool_state_grow(pool, entry->dbd_max);
    pthread_cond_broadcast(&pool->share_available); /* the shares of a larger pool are larger */
    lh_pool_state_watch(pool, entry);
    pool->live++;
    pool->failures = 0;
    pool->down = LH_POOL_UP;
    lh_pool_state_offer(pool, entry);
    lh_pool_state_demand(pool); /* the pool may have become larger than the demand it could meet before */
    report_session(pool, &entry->session);
    if (was_down) {
        report_up(pool, outage);
    }
}

/* A schema does not change within seconds by itself, so requests need not wait if it is not the right one. */
static void add_failed(lh_pool *pool, lh_pool_entry *entry, apr_time_t began, lh_connect_outcome outcome,
                       const char *why)
{
    apr_time_t now = lh_clock();
    lh_pool_condition condition = outcome == LH_CONNECT_OUTDATED ? LH_POOL_OUTDATED
                                  : outcome == LH_CONNECT_NEWER  ? LH_POOL_NEWER
                                                                 : LH_POOL_UNREACHABLE;
    int lasting;

    lh_pool_state_push(&pool->broken, entry);
    if (pool->failures++ == 0) {
        pool->failing_since = began;
    }
    pool->retry_at = now + back_off(pool->failures);
    lasting = condition != LH_POOL_UNREACHABLE ||
              (pool->failures >= DOWN_FAILURES && now - pool->failing_since >= DOWN_AFTER);
    if (pool->down != condition && pool->live == 0 && lasting) {
        pool->down = condition;
        lh_pool_state_wake(pool);
        report_down(pool, condition, why);
    }
}

/* ---- connecting ---- */

/* Called with the lock, which is released while connecting. */
static void connect_one(lh_pool *pool)
{
    lh_pool_entry *entry = lh_pool_state_pop(&pool->broken);
    lh_connect_options options = {
        .server = pool->server, .session = pool->options, .hosts = pool->hosts, .host = pool->host};
    apr_time_t began = lh_clock();
    char why[LH_CONNECT_WHY];
    lh_connect_outcome outcome;

    pool->connecting++;
    lh_pool_state_publish(pool);
    lh_pool_state_unwatch(entry);
    pthread_mutex_unlock(&pool->lock);
    outcome = lh_connect(entry, &options, why);
    pthread_mutex_lock(&pool->lock);
    pool->connecting--;
    _Static_assert(LH_COUNT_CONNECTS + LH_CONNECT_OK < LH_COUNT_MAILS_SENT, "each outcome has its counter");
    lh_counter_add(LH_COUNT_CONNECTS + (int)outcome, 1);
    if (outcome != LH_CONNECT_FAILED && !pool->standby) {
        lh_gauge_set(LH_GAUGE_SCHEMA, entry->session.schema);
    }
    if (!pool->hosts && entry->hosts) {
        pool->hosts = entry->hosts;
        pool->host = entry->host;
    }
    if (outcome != LH_CONNECT_OK) {
        add_failed(pool, entry, began, outcome, why);
    }
    else if (options.hosts && entry->host != pool->host && options.host != pool->host) {
        lh_pool_state_push(&pool->broken, entry); /* meanwhile another host has been chosen */
    }
    else {
        if (entry->host != pool->host) {
            switch_host(pool, entry->host);
        }
        add_connected(pool, entry);
    }
    lh_pool_state_publish(pool);
    pthread_cond_broadcast(&pool->work_available);
}

/* ---- watching the host ---- */

/* Whether acquired entries exist, but none was released for a while: the host hangs, or statements wait for locks. */
static int may_hang(lh_pool *pool)
{
    apr_time_t now = lh_clock();

    if (!pool->hosts || pool->probing) {
        return 0;
    }
    if (pool->acquired == 0 || pool->uses != pool->watched_uses) {
        pool->watched_uses = pool->uses;
        pool->watched_at = now > pool->watched_at ? now : pool->watched_at;
    }
    return now - pool->watched_at >= HANGS_AFTER;
}

/* Asks the hosts, the current one first. Called with the lock, which is released meanwhile. */
static void probe(lh_pool *pool)
{
    int before = pool->host, host;

    pool->probing = 1;
    pthread_mutex_unlock(&pool->lock);
    host = lh_hosts_probe(pool->hosts, before);
    pthread_mutex_lock(&pool->lock);
    pool->probing = 0;
    if (host >= 0 && host != before && pool->host == before) {
        switch_host(pool, host);
    }
    /* Also if no host can be used: those that refuse at once must not be asked without a pause. */
    pool->watched_at = lh_clock() + (host >= 0 ? PROBE_PAUSE : WATCH_INTERVAL - HANGS_AFTER);
}

/* ---- threads ---- */

/* Waits until an entry may have to be connected, the next attempt is due, or the host has to be watched. */
static void wait_for_work(lh_pool *pool)
{
    apr_time_t watch_at = lh_clock() + WATCH_INTERVAL;

    if (connect_is_due(pool) && pool->connecting == 0) {
        lh_clock_wait(&pool->work_available, &pool->lock,
                      pool->hosts && watch_at < pool->retry_at ? watch_at : pool->retry_at);
    }
    else if (pool->hosts) {
        lh_clock_wait(&pool->work_available, &pool->lock, watch_at);
    }
    else {
        pthread_cond_wait(&pool->work_available, &pool->lock);
    }
}

static void *run_connector(void *data)
{
    lh_pool *pool = data;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (may_connect(pool)) {
            connect_one(pool);
        }
        else if (may_hang(pool)) {
            probe(pool);
        }
        else {
            wait_for_work(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Connectors block all signals, which httpd handles in a thread of its own. */
void lh_connectors_start(lh_pool *pool)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->running < LH_POOL_CONNECTORS &&
           pthread_create(&pool->connectors[pool->running], NULL, run_connector, pool) == 0) {
        pool->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void lh_connectors_join(lh_pool *pool)
{
    int i;

    for (i = 0; i < pool->running; i++) {
        pthread_join(pool->connectors[i], NULL);
    }
}
