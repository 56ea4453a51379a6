/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The checkout. Every entry is at any time in one place:
 *
 *   idle    live and not in use; last in, first out, so that few entries stay busy and warm
 *   acquired    in the hands of a borrower
 *   dead    to be opened or reset
 *   with a connector, which is opening or resetting it, outside of the lock
 *
 * `target` says how many entries there should be: it begins at one, grows with demand up to `size` and never shrinks, so
 * a entry that breaks is reset at once and a entry that nobody needed is never opened.
 */
#include "db/pool.h"

#include <httpd.h>

#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "core/learnhub_module.h"
#include "db/connect.h"
#include "util/clock.h"

#define ENTRIES_MAX 64
#define CONNECTORS 2
#define BACK_OFF_MIN apr_time_from_msec(50)
#define BACK_OFF_MAX apr_time_from_sec(1)

/* Down is said after so many failures in a row over such a time: a restart of the database passes unnoticed, borrowers
 * wait for it. */
#define DOWN_FAILURES 2
#define DOWN_AFTER apr_time_from_sec(2)

/* How long a loan that turns out to be a stream waits for its turn: it holds its connection meanwhile. */
#define STREAM_WAIT apr_time_from_sec(1)

/* How long child exit waits for what is acquired. Workers are gone by then: only a watchdog's callback can be late. */
#define EXIT_WAIT apr_time_from_sec(2)

struct lh_pool {
    server_rec *server;
    apr_time_t statement_timeout;

    pthread_mutex_t lock;    /* guards all below */
    pthread_cond_t returned; /* a entry came to idle, or the state changed: borrowers wait here */
    pthread_cond_t ended;    /* a limited loan or a stream ended, or the state changed: others wait here */
    pthread_cond_t wanted;   /* there may be work: connectors wait here */
    lh_pool_entry *idle, *dead;
    int size, target;
    int acquired, streams, limited, waiting;
    int live;       /* idle and acquired */
    int connecting; /* with a connector */

    int failures;             /* of connecting, in a row */
    apr_time_t failing_since; /* when the first of them began */
    apr_time_t retry_at;
    int down;
    int stopping;

    pthread_t connectors[CONNECTORS];
    int running; /* connectors that were started */
    lh_pool_entry entries[ENTRIES_MAX];
};

/* ---- small things ---- */

/* POSIX and not APR: apr_thread_cond_timedwait() sleeps by the wall clock, which may be set. */
static void wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, apr_time_t when)
{
    struct timespec at = {.tv_sec = (time_t)apr_time_sec(when), .tv_nsec = (long)apr_time_usec(when) * 1000};

    pthread_cond_timedwait(cond, lock, &at);
}

static void cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static void push(lh_pool_entry **list, lh_pool_entry *entry)
{
    entry->next = *list;
    *list = entry;
}

static lh_pool_entry *pop(lh_pool_entry **list)
{
    lh_pool_entry *entry = *list;

    if (entry) {
        *list = entry->next;
    }
    return entry;
}

/* One is left to other modules that share mod_dbd's pool: there they would wait for it for ever. */
static int size_for(int limit)
{
    int size = limit < ENTRIES_MAX ? limit : ENTRIES_MAX;

    return size >= 4 ? size - 1 : size;
}

/* ---- state: who may connect, and is the database down ---- */

/* Before the first connect DBDMax is unknown and the pool has one entry. */
static void learn_size(lh_pool *pool, int limit)
{
    int size = size_for(limit);

    while (pool->size < size) {
        push(&pool->dead, &pool->entries[pool->size++]);
    }
}

static int entry_is_due(const lh_pool *pool)
{
    return pool->dead && pool->live + pool->connecting < pool->target;
}

/* While connecting fails, one connector probes at a time, and after a pause. */
static int may_connect(const lh_pool *pool)
{
    return entry_is_due(pool) && (pool->failures == 0 || (pool->connecting == 0 && lh_clock() >= pool->retry_at));
}

static apr_interval_time_t back_off(int failures)
{
    apr_interval_time_t full = BACK_OFF_MIN << (failures < 6 ? failures - 1 : 5);

    if (full > BACK_OFF_MAX) {
        full = BACK_OFF_MAX;
    }
    return full - lh_clock() % (full / 4); /* jitter, so that children do not knock all at once */
}

static void connected(lh_pool *pool, lh_pool_entry *entry)
{
    apr_time_t outage = lh_clock() - pool->failing_since;
    int was_down = pool->down;

    learn_size(pool, entry->limit);
    pthread_cond_broadcast(&pool->ended); /* a larger pool has room for more of the limited */
    push(&pool->idle, entry);
    pool->live++;
    pool->failures = pool->down = 0;
    pthread_cond_signal(&pool->returned);
    if (was_down) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     "learnhub: the database is back after %" APR_TIME_T_FMT " s", apr_time_sec(outage));
    }
}

static void failed(lh_pool *pool, lh_pool_entry *entry, apr_time_t began, const char *why)
{
    apr_time_t now = lh_clock();

    push(&pool->dead, entry);
    if (pool->failures++ == 0) {
        pool->failing_since = began;
    }
    pool->retry_at = now + back_off(pool->failures);
    if (!pool->down && pool->live == 0 && pool->failures >= DOWN_FAILURES && now - pool->failing_since >= DOWN_AFTER) {
        pool->down = 1;
        pthread_cond_broadcast(&pool->returned);
        pthread_cond_broadcast(&pool->ended);
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, pool->server, "learnhub: the database cannot be reached: %s", why);
    }
}

/* ---- connectors ---- */

static void sleep_until_wanted(lh_pool *pool)
{
    if (entry_is_due(pool) && pool->connecting == 0) {
        wait_until(&pool->wanted, &pool->lock, pool->retry_at);
    }
    else {
        pthread_cond_wait(&pool->wanted, &pool->lock);
    }
}

static void connect_one(lh_pool *pool)
{
    lh_pool_entry *entry = pop(&pool->dead);
    apr_time_t began = lh_clock();
    char why[LH_CONNECT_WHY];
    int done;

    pool->connecting++;
    pthread_mutex_unlock(&pool->lock);
    done = lh_connect(entry, pool->server, pool->statement_timeout, why);
    pthread_mutex_lock(&pool->lock);
    pool->connecting--;
    if (done) {
        connected(pool, entry);
    }
    else {
        failed(pool, entry, began, why);
    }
    pthread_cond_broadcast(&pool->wanted);
}

static void *connector(void *data)
{
    lh_pool *pool = data;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (may_connect(pool)) {
            connect_one(pool);
        }
        else {
            sleep_until_wanted(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* httpd's signals are for the thread that waits for them: the connectors inherit a full mask. */
static void start_connectors(lh_pool *pool)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->running < CONNECTORS && pthread_create(&pool->connectors[pool->running], NULL, connector, pool) == 0) {
        pool->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- beginning and end ---- */

/*
 * Runs before mod_dbd's pool dies, which asserts that nothing of it is acquired. A entry that is still out stays out:
 * closing it under its borrower would be worse.
 */
static apr_status_t stop(void *data)
{
    lh_pool *pool = data;
    apr_time_t patience = lh_clock() + EXIT_WAIT;
    int i;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    pthread_cond_broadcast(&pool->returned);
    pthread_cond_broadcast(&pool->ended);
    pthread_cond_broadcast(&pool->wanted);
    while (pool->acquired > 0 && lh_clock() < patience) {
        wait_until(&pool->returned, &pool->lock, patience);
    }
    pthread_mutex_unlock(&pool->lock);
    for (i = 0; i < pool->running; i++) {
        pthread_join(pool->connectors[i], NULL);
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->idle || pool->dead) {
        lh_connect_close(pool->idle ? pop(&pool->idle) : pop(&pool->dead), pool->server);
    }
    pthread_mutex_unlock(&pool->lock);
    return APR_SUCCESS;
}

lh_pool *lh_pool_create(apr_pool_t *p, server_rec *s, apr_time_t statement_timeout)
{
    lh_pool *pool = apr_pcalloc(p, sizeof(*pool));
    int i;

    pool->server = s;
    pool->statement_timeout = statement_timeout;
    pthread_mutex_init(&pool->lock, NULL);
    cond_init(&pool->returned);
    cond_init(&pool->ended);
    cond_init(&pool->wanted);
    for (i = 0; i < ENTRIES_MAX; i++) {
        pool->entries[i].connection.owner = pool;
    }
    learn_size(pool, 1);
    pool->target = 1;
    if (lh_connect_possible()) {
        start_connectors(pool);
    }
    if (pool->running == 0) {
        pool->down = 1;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s, "learnhub: no database: mod_dbd is not loaded, or no thread starts");
    }
    apr_pool_pre_cleanup_register(p, pool, stop);
    return pool;
}

void lh_pool_hooks(void)
{
    lh_connect_hooks();
}

/* ---- borrowing ---- */

static void end_costly(lh_pool *pool)
{
    pool->limited--;
    pthread_cond_broadcast(&pool->ended);
}

/* Puts a entry that is acquired back into a list; `list` is idle or dead. */
static void put_back(lh_pool *pool, lh_pool_entry *entry, lh_pool_entry **list)
{
    push(list, entry);
    pool->acquired--;
    if (entry->connection.streaming) {
        entry->connection.streaming = 0;
        pool->streams--;
        pthread_cond_broadcast(&pool->ended);
    }
    if (entry->connection.limited) {
        entry->connection.limited = 0;
        end_costly(pool);
    }
    if (list == &pool->dead) {
        pool->live--;
        pthread_cond_signal(&pool->wanted);
    }
    if (list == &pool->idle || pool->stopping) {
        pthread_cond_signal(&pool->returned);
    }
}

static void give_up(lh_pool_entry *entry)
{
    lh_pool *pool = entry->connection.owner;

    lh_connect_cut(entry);
    pthread_mutex_lock(&pool->lock);
    put_back(pool, entry, &pool->dead);
    pthread_mutex_unlock(&pool->lock);
}

/* More entries than there are, acquired and waited for, are wanted: the connectors make them up to the pool's size. */
static void ask_for_more(lh_pool *pool)
{
    int demand = pool->acquired + pool->waiting;

    if (demand > pool->target) {
        pool->target = demand < pool->size ? demand : pool->size;
    }
    pthread_cond_signal(&pool->wanted);
}

static apr_status_t wait_for_idle(lh_pool *pool, apr_time_t deadline)
{
    apr_status_t rv = APR_SUCCESS;

    pool->waiting++;
    while (!pool->idle && rv == APR_SUCCESS) {
        if (pool->stopping || pool->down) {
            rv = APR_ECONNREFUSED;
        }
        else if (lh_clock() >= deadline) {
            rv = APR_TIMEUP;
        }
        else {
            ask_for_more(pool);
            wait_until(&pool->returned, &pool->lock, deadline);
        }
    }
    pool->waiting--;
    return rv;
}

/* What is long leaves half of the pool to others, what is limited three quarters. */
static int share(const lh_pool *pool, int part)
{
    return pool->size < 2 * part ? 1 : pool->size / part;
}

static apr_status_t wait_for_turn(lh_pool *pool, apr_time_t deadline)
{
    while (pool->limited >= share(pool, 4)) {
        if (pool->stopping || pool->down) {
            return APR_ECONNREFUSED;
        }
        if (lh_clock() >= deadline) {
            return APR_EBUSY;
        }
        wait_until(&pool->ended, &pool->lock, deadline);
    }
    pool->limited++;
    return APR_SUCCESS;
}

/* Lends what is idle, whatever its health. */
static apr_status_t acquire(lh_pool *pool, apr_time_t deadline, int limited, lh_pool_entry **entry)
{
    apr_status_t rv;

    pthread_mutex_lock(&pool->lock);
    rv = pool->stopping ? APR_ECONNREFUSED : limited ? wait_for_turn(pool, deadline) : APR_SUCCESS;
    if (rv == APR_SUCCESS) {
        rv = wait_for_idle(pool, deadline);
        if (rv == APR_SUCCESS) {
            *entry = pop(&pool->idle);
            (*entry)->connection.limited = limited;
            pool->acquired++;
        }
        else if (limited) {
            end_costly(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return rv;
}

apr_status_t lh_pool_acquire(lh_pool *pool, apr_time_t deadline, int limited, lh_connection **connection)
{
    lh_pool_entry *entry = NULL;
    apr_status_t rv;

    while ((rv = acquire(pool, deadline, limited, &entry)) == APR_SUCCESS && !lh_connect_alive(entry)) {
        give_up(entry);
    }
    *connection = rv == APR_SUCCESS ? &entry->connection : NULL;
    return rv;
}

int lh_pool_stream(lh_connection *connection)
{
    lh_pool *pool = connection->owner;
    apr_time_t deadline = lh_clock() + STREAM_WAIT;

    pthread_mutex_lock(&pool->lock);
    while (pool->streams >= share(pool, 2) && !pool->stopping && lh_clock() < deadline) {
        wait_until(&pool->ended, &pool->lock, deadline);
    }
    connection->streaming = pool->streams < share(pool, 2);
    pool->streams += connection->streaming;
    pthread_mutex_unlock(&pool->lock);
    return connection->streaming;
}

void lh_pool_release(lh_connection *connection)
{
    lh_pool_entry *entry = (lh_pool_entry *)connection;
    lh_pool *pool = connection->owner;

    if (!lh_connect_clean(entry)) {
        give_up(entry);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    put_back(pool, entry, &pool->idle);
    pthread_mutex_unlock(&pool->lock);
}

void lh_pool_discard(lh_connection *connection)
{
    give_up((lh_pool_entry *)connection);
}
