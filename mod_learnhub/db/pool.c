/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool. Each entry is always in exactly one of these states:
 *
 *   idle        connected, on the list `idle`; the one released last is acquired next
 *   acquired    owned by the caller of lh_pool_acquire() until it releases or discards the connection; on no list
 *   broken      not connected yet, or to be reset; on the list `broken`
 *   connecting  owned by a connector thread, which opens or resets it without holding the lock; on no list
 *
 * idle -> acquired -> idle or broken; broken -> connecting -> idle or broken. Every change of state is made under the
 * lock; the fields of an acquired or connecting entry belong to its owner, who needs no lock to use them.
 *
 * Callers wait in a queue. An entry that would become idle is handed to the caller that has waited longest: it stays
 * acquired, and no other caller can take it before the woken one runs.
 *
 * `target` is the number of entries that should be connected. It starts at one, grows with demand up to `size` and
 * never shrinks: a broken entry is reset at once, but entries for which there was never any demand are not opened.
 */
#include "db/pool.h"

#include <httpd.h>

#include <pthread.h>
#include <signal.h>

#include "core/learnhub_module.h"
#include "db/connect.h"
#include "db/queue.h"
#include "db/turns.h"
#include "util/clock.h"

#define ENTRIES_MAX 64
#define CONNECTORS 2
#define BACK_OFF_MIN apr_time_from_msec(50)
#define BACK_OFF_MAX apr_time_from_sec(1)

/* The database counts as down after at least DOWN_FAILURES failed attempts in a row during at least DOWN_AFTER. In a
 * shorter outage, such as a restart of the database, requests wait instead of failing. */
#define DOWN_FAILURES 2
#define DOWN_AFTER apr_time_from_sec(2)

/* How long child exit waits for acquired connections. Request threads have ended by then; only a job can still hold
 * one. */
#define EXIT_WAIT apr_time_from_sec(2)

struct lh_pool {
    server_rec *server;
    apr_time_t statement_timeout;

    pthread_mutex_t lock; /* guards all fields below */

    /* Conditions to wait for; they are also signalled when the pool goes down or stops. */
    pthread_cond_t share_available; /* a limited run ended, or the pool grew */
    pthread_cond_t work_available;  /* for connectors: an entry may have to be connected */
    pthread_cond_t all_released;    /* for stop(): no entry is acquired */

    lh_queue queue; /* callers that wait for an entry */
    lh_pool_entry *idle, *broken;
    int size;                 /* entries in use, at most ENTRIES_MAX */
    int target;               /* entries that should be connected */
    int live;                 /* entries that are idle or acquired */
    int acquired, connecting; /* entries in these states */
    int streams;              /* acquired entries that are streaming */
    int limited;              /* callers with `limited` that own an entry or wait for an idle one */
    lh_turns turns;           /* callers with `limited` that wait for their share */

    int failures;             /* to connect, in a row */
    apr_time_t failing_since; /* the start of the first of them */
    apr_time_t retry_at;      /* the earliest start of the next attempt */
    int down;
    int stopping;

    pthread_t connectors[CONNECTORS];
    int running; /* connectors that have been started */
    lh_pool_entry entries[ENTRIES_MAX];
};

/* ---- helpers ---- */

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

/* Leaves one connection of DBDMax to other modules that use mod_dbd: they would wait for it without a timeout. */
static int size_for(int dbd_max)
{
    int size = dbd_max < ENTRIES_MAX ? dbd_max : ENTRIES_MAX;

    return size >= 4 ? size - 1 : size;
}

/* ---- state; the functions below need the lock ---- */

/* DBDMax is known after the first connect; until then the pool has one entry. */
static void grow_to(lh_pool *pool, int dbd_max)
{
    int size = size_for(dbd_max);

    while (pool->size < size) {
        push(&pool->broken, &pool->entries[pool->size++]);
    }
}

static int connect_is_due(const lh_pool *pool)
{
    return pool->broken && pool->live + pool->connecting < pool->target;
}

/* Hands a connected entry to the first caller in the queue, or makes it idle. */
static void make_available(lh_pool *pool, lh_pool_entry *entry)
{
    if (lh_queue_hand_over(&pool->queue, entry)) {
        pool->acquired++;
    }
    else {
        push(&pool->idle, entry);
    }
}

/* The pool is down or stops. */
static void wake_all(lh_pool *pool)
{
    lh_queue_wake_all(&pool->queue);
    pthread_cond_broadcast(&pool->share_available);
}

/* Raises `target` to the demand, at most to `size`, and wakes a connector. */
static void request_connection(lh_pool *pool)
{
    int demand = pool->acquired + pool->queue.length;

    if (demand > pool->target) {
        pool->target = demand < pool->size ? demand : pool->size;
    }
    pthread_cond_signal(&pool->work_available);
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

static void add_connected(lh_pool *pool, lh_pool_entry *entry)
{
    apr_time_t outage = lh_clock() - pool->failing_since;
    int was_down = pool->down;

    grow_to(pool, entry->dbd_max);
    pthread_cond_broadcast(&pool->share_available); /* the shares of a larger pool are larger */
    pool->live++;
    pool->failures = pool->down = 0;
    make_available(pool, entry);
    request_connection(pool); /* the pool may have become larger than the demand it could meet before */
    if (was_down) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, pool->server,
                     LH_LOG(0030) "database available again after %" APR_TIME_T_FMT " s", apr_time_sec(outage));
    }
}

static void add_failed(lh_pool *pool, lh_pool_entry *entry, apr_time_t began, const char *why)
{
    apr_time_t now = lh_clock();

    push(&pool->broken, entry);
    if (pool->failures++ == 0) {
        pool->failing_since = began;
    }
    pool->retry_at = now + back_off(pool->failures);
    if (!pool->down && pool->live == 0 && pool->failures >= DOWN_FAILURES && now - pool->failing_since >= DOWN_AFTER) {
        pool->down = 1;
        wake_all(pool);
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, pool->server, LH_LOG(0031) "database unavailable: %s", why);
    }
}

/* ---- connectors ---- */

/* Waits until an entry may have to be connected, or until the next attempt is due. */
static void wait_for_work(lh_pool *pool)
{
    if (connect_is_due(pool) && pool->connecting == 0) {
        lh_clock_wait(&pool->work_available, &pool->lock, pool->retry_at);
    }
    else {
        pthread_cond_wait(&pool->work_available, &pool->lock);
    }
}

/* Called with the lock, which is released while connecting. */
static void connect_one(lh_pool *pool)
{
    lh_pool_entry *entry = pop(&pool->broken);
    apr_time_t began = lh_clock();
    char why[LH_CONNECT_WHY];
    int connected;

    pool->connecting++;
    pthread_mutex_unlock(&pool->lock);
    connected = lh_connect(entry, pool->server, pool->statement_timeout, why);
    pthread_mutex_lock(&pool->lock);
    pool->connecting--;
    if (connected) {
        add_connected(pool, entry);
    }
    else {
        add_failed(pool, entry, began, why);
    }
    pthread_cond_broadcast(&pool->work_available);
}

static void *run_connector(void *data)
{
    lh_pool *pool = data;

    pthread_mutex_lock(&pool->lock);
    while (!pool->stopping) {
        if (may_connect(pool)) {
            connect_one(pool);
        }
        else {
            wait_for_work(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

/* Connectors block all signals, which httpd handles in a thread of its own. */
static void start_connectors(lh_pool *pool)
{
    sigset_t all, before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (pool->running < CONNECTORS &&
           pthread_create(&pool->connectors[pool->running], NULL, run_connector, pool) == 0) {
        pool->running++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* ---- creation and child exit ---- */

/*
 * Must run before mod_dbd destroys its pool, because mod_dbd asserts that all connections have been returned. An entry
 * that is still acquired after the wait is not closed: its owner is using the connection.
 */
static apr_status_t stop(void *data)
{
    lh_pool *pool = data;
    apr_time_t deadline = lh_clock() + EXIT_WAIT;
    int i;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    wake_all(pool);
    pthread_cond_broadcast(&pool->work_available);
    while (pool->acquired > 0 && lh_clock() < deadline) {
        lh_clock_wait(&pool->all_released, &pool->lock, deadline);
    }
    pthread_mutex_unlock(&pool->lock);
    for (i = 0; i < pool->running; i++) {
        pthread_join(pool->connectors[i], NULL);
    }
    pthread_mutex_lock(&pool->lock);
    while (pool->idle || pool->broken) {
        lh_connect_close(pool->idle ? pop(&pool->idle) : pop(&pool->broken), pool->server);
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
    lh_clock_cond_init(&pool->share_available);
    lh_clock_cond_init(&pool->work_available);
    lh_clock_cond_init(&pool->all_released);
    lh_queue_init(&pool->queue);
    for (i = 0; i < ENTRIES_MAX; i++) {
        pool->entries[i].connection.owner = pool;
    }
    grow_to(pool, 1);
    pool->target = 1;
    if (lh_connect_possible()) {
        start_connectors(pool);
    }
    if (pool->running == 0) {
        pool->down = 1;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     LH_LOG(0032) "no database connections: mod_dbd is not loaded or no thread could be started");
    }
    apr_pool_pre_cleanup_register(p, pool, stop);
    return pool;
}

void lh_pool_hooks(void)
{
    lh_connect_hooks();
}

/* ---- acquiring ---- */

/* Waits in the queue until an entry is handed over. */
static apr_status_t wait_for_entry(lh_pool *pool, apr_time_t deadline, lh_pool_entry **entry)
{
    apr_status_t rv = APR_SUCCESS;
    lh_waiter self;

    lh_queue_join(&pool->queue, &self);
    request_connection(pool);
    while (!self.thing && rv == APR_SUCCESS) {
        if (pool->stopping || pool->down) {
            rv = APR_ECONNREFUSED;
        }
        else if (lh_clock() >= deadline) {
            rv = APR_TIMEUP;
        }
        else {
            lh_queue_wait(&self, &pool->lock, deadline);
        }
    }
    *entry = lh_queue_leave(&pool->queue, &self);
    return rv;
}

/* Sets *entry to an idle entry, or waits for one. */
static apr_status_t take_entry(lh_pool *pool, apr_time_t deadline, lh_pool_entry **entry)
{
    *entry = pop(&pool->idle);
    if (!*entry) {
        return wait_for_entry(pool, deadline, entry);
    }
    pool->acquired++;
    return APR_SUCCESS;
}

/* The number of entries that make up 1/part of the pool, at least one. */
static int share(const lh_pool *pool, int part)
{
    return pool->size < part ? 1 : pool->size / part;
}

/* Waits until fewer than a quarter of the entries are used by limited runs, and counts another one. */
static apr_status_t wait_for_share(lh_pool *pool, apr_time_t deadline, apr_uint64_t client)
{
    apr_status_t rv = APR_SUCCESS;
    lh_turn self;

    lh_turns_join(&pool->turns, &self, client);
    while (rv == APR_SUCCESS && (pool->limited >= share(pool, 4) || !lh_turns_is_next(&pool->turns, &self))) {
        rv = pool->stopping || pool->down ? APR_ECONNREFUSED : lh_clock() >= deadline ? APR_EBUSY : APR_SUCCESS;
        if (rv == APR_SUCCESS) {
            lh_clock_wait(&pool->share_available, &pool->lock, deadline);
        }
    }
    lh_turns_leave(&pool->turns, &self, rv == APR_SUCCESS);
    pool->limited += rv == APR_SUCCESS;
    pthread_cond_broadcast(&pool->share_available); /* another one may be next */
    return rv;
}

static void release_share(lh_pool *pool)
{
    pool->limited--;
    pthread_cond_broadcast(&pool->share_available);
}

/* Acquires an idle entry without checking its connection. */
static apr_status_t acquire_entry(lh_pool *pool, apr_time_t deadline, const apr_uint64_t *limited,
                                  lh_pool_entry **entry)
{
    apr_status_t rv;

    pthread_mutex_lock(&pool->lock);
    rv = pool->stopping ? APR_ECONNREFUSED : limited ? wait_for_share(pool, deadline, *limited) : APR_SUCCESS;
    if (rv == APR_SUCCESS) {
        rv = take_entry(pool, deadline, entry);
        if (rv == APR_SUCCESS) {
            (*entry)->connection.limited = limited != NULL;
        }
        else if (limited) {
            release_share(pool);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return rv;
}

/* ---- releasing ---- */

/* Ends the use of an acquired entry, which becomes available or, if it is not `usable`, broken. */
static void end_use(lh_pool_entry *entry, int usable)
{
    lh_pool *pool = entry->connection.owner;

    pthread_mutex_lock(&pool->lock);
    pool->acquired--;
    if (entry->connection.streaming) {
        entry->connection.streaming = 0;
        pool->streams--;
    }
    if (entry->connection.limited) {
        entry->connection.limited = 0;
        release_share(pool);
    }
    if (usable) {
        make_available(pool, entry);
    }
    else {
        push(&pool->broken, entry);
        pool->live--;
        pthread_cond_signal(&pool->work_available);
    }
    if (pool->stopping && pool->acquired == 0) {
        pthread_cond_signal(&pool->all_released);
    }
    pthread_mutex_unlock(&pool->lock);
}

static void discard(lh_pool_entry *entry)
{
    lh_connect_shutdown(entry);
    end_use(entry, 0);
}

/* ---- interface ---- */

apr_status_t lh_pool_acquire(lh_pool *pool, apr_time_t deadline, const apr_uint64_t *limited,
                             lh_connection **connection)
{
    lh_pool_entry *entry = NULL;
    apr_status_t rv;

    while ((rv = acquire_entry(pool, deadline, limited, &entry)) == APR_SUCCESS && !lh_connect_is_alive(entry)) {
        discard(entry);
    }
    *connection = rv == APR_SUCCESS ? &entry->connection : NULL;
    return rv;
}

int lh_pool_stream(lh_connection *connection)
{
    lh_pool *pool = connection->owner;

    pthread_mutex_lock(&pool->lock);
    connection->streaming = pool->streams < share(pool, 2);
    pool->streams += connection->streaming;
    pthread_mutex_unlock(&pool->lock);
    return connection->streaming;
}

void lh_pool_release(lh_connection *connection)
{
    lh_pool_entry *entry = (lh_pool_entry *)connection;

    if (lh_connect_is_clean(entry)) {
        end_use(entry, 1);
    }
    else {
        discard(entry);
    }
}

void lh_pool_discard(lh_connection *connection)
{
    discard((lh_pool_entry *)connection);
}
