/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pool.h"

#include <httpd.h>

#include <pthread.h>

#include "core/learnhub_module.h"
#include "db/connect.h"
#include "db/connectors.h"
#include "db/pool_state.h"
#include "util/clock.h"

/* How long child exit waits for acquired connections. Request threads have ended by then; only a job can still hold
 * one. */
#define EXIT_WAIT apr_time_from_sec(2)

/* ---- creation and child exit ---- */

/*
 * Must run before mod_dbd destroys its pool, because mod_dbd asserts that all connections have been returned. An entry
 * that is still acquired after the wait is not closed: its owner is using the connection.
 */
static apr_status_t stop(void *data)
{
    lh_pool *pool = data;
    apr_time_t deadline = lh_clock() + EXIT_WAIT;
    lh_pool_entry *entry;

    pthread_mutex_lock(&pool->lock);
    pool->stopping = 1;
    lh_pool_state_wake(pool);
    pthread_cond_broadcast(&pool->work_available);
    while (pool->acquired > 0 && lh_clock() < deadline) {
        lh_clock_wait(&pool->all_released, &pool->lock, deadline);
    }
    pthread_mutex_unlock(&pool->lock);
    lh_connectors_join(pool);
    pthread_mutex_lock(&pool->lock);
    while ((entry = lh_pool_state_pop(pool->idle ? &pool->idle : &pool->broken))) {
        lh_pool_state_unwatch(entry);
        lh_connect_close(entry, pool->server);
    }
    pthread_mutex_unlock(&pool->lock);
    return APR_SUCCESS;
}

static lh_pool *create_pool(apr_pool_t *p, server_rec *s, const lh_session_options *options, struct lh_hosts *standbys)
{
    lh_pool *pool = apr_pcalloc(p, sizeof(*pool));
    int i;

    pool->server = s;
    pool->options = *options;
    pool->standby = standbys != NULL;
    pool->hosts = standbys;
    pthread_mutex_init(&pool->lock, NULL);
    lh_clock_cond_init(&pool->share_available);
    lh_clock_cond_init(&pool->work_available);
    lh_clock_cond_init(&pool->all_released);
    lh_queue_init(&pool->queue);
    for (i = 0; i < LH_POOL_ENTRIES_MAX; i++) {
        pool->entries[i].connection.owner = pool;
        pool->entries[i].socket = -1;
    }
    lh_pool_state_grow(pool, 1);
    pool->target = 1;
    if (lh_connect_possible()) {
        lh_connectors_start(pool);
    }
    if (pool->running == 0) {
        pool->down = LH_POOL_UNREACHABLE;
        ap_log_error(APLOG_MARK, APLOG_ERR, 0, s,
                     LH_LOG(0032) "no database connections: mod_dbd is not loaded or no thread could be started");
    }
    apr_pool_pre_cleanup_register(p, pool, stop);
    return pool;
}

lh_pool *lh_pool_create(apr_pool_t *p, server_rec *s, const lh_session_options *options)
{
    return create_pool(p, s, options, NULL);
}

lh_pool *lh_pool_create_standby(apr_pool_t *p, server_rec *s, const lh_session_options *options, struct lh_hosts *hosts)
{
    return create_pool(p, s, options, hosts);
}

void lh_pool_grow_like(lh_pool *pool, lh_pool *other)
{
    int size;

    pthread_mutex_lock(&other->lock);
    size = other->size;
    pthread_mutex_unlock(&other->lock);
    pthread_mutex_lock(&pool->lock);
    lh_pool_state_grow_to(pool, size);
    pthread_mutex_unlock(&pool->lock);
}

void lh_pool_reset_idle(lh_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    lh_pool_state_drop_idle(pool);
    pthread_mutex_unlock(&pool->lock);
}

void lh_pool_hooks(void)
{
    lh_connect_hooks();
}

/* ---- acquiring ---- */

/* Waits in the queue until an entry is handed over. */
static apr_status_t wait_for_entry(lh_pool *pool, apr_time_t deadline, lh_pool_entry **entry)
{
    apr_time_t began = lh_clock();
    apr_status_t rv = APR_SUCCESS;
    lh_waiter self;

    lh_queue_join(&pool->queue, &self);
    lh_pool_state_demand(pool);
    lh_pool_state_publish(pool);
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
    lh_counter_add(LH_COUNT_DB_WAITS, 1);
    lh_counter_add(LH_COUNT_DB_WAIT_US, (apr_uint64_t)(lh_clock() - began));
    return rv;
}

/* Sets *entry to an idle entry, or waits for one. */
static apr_status_t take_entry(lh_pool *pool, apr_time_t deadline, lh_pool_entry **entry)
{
    *entry = lh_pool_state_pop(&pool->idle);
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

    lh_gauge_add(LH_GAUGE_DB_WAITING, 1);
    lh_turns_join(&pool->turns, &self, client);
    while (rv == APR_SUCCESS && (pool->limited >= share(pool, 4) || !lh_turns_is_next(&pool->turns, &self))) {
        rv = pool->stopping || pool->down ? APR_ECONNREFUSED : lh_clock() >= deadline ? APR_EBUSY : APR_SUCCESS;
        if (rv == APR_SUCCESS) {
            lh_clock_wait(&pool->share_available, &pool->lock, deadline);
        }
    }
    lh_turns_leave(&pool->turns, &self, rv == APR_SUCCESS);
    lh_gauge_add(LH_GAUGE_DB_WAITING, -1);
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
    lh_pool_state_publish(pool);
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
        pool->uses++;
        lh_pool_state_offer(pool, entry);
    }
    else {
        lh_pool_state_push(&pool->broken, entry);
        pool->live--;
        pthread_cond_signal(&pool->work_available);
    }
    if (pool->stopping && pool->acquired == 0) {
        pthread_cond_signal(&pool->all_released);
    }
    lh_pool_state_publish(pool);
    pthread_mutex_unlock(&pool->lock);
}

static void discard(lh_pool_entry *entry)
{
    lh_connect_abandon(entry);
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

void lh_pool_discard_all(lh_connection *connection)
{
    lh_pool *pool = connection->owner;

    discard((lh_pool_entry *)connection);
    pthread_mutex_lock(&pool->lock);
    if (pool->hosts) {
        lh_pool_state_drop_idle(pool);
    }
    pthread_mutex_unlock(&pool->lock);
}

int lh_pool_schema(lh_pool *pool)
{
    lh_pool_condition down;

    pthread_mutex_lock(&pool->lock);
    down = pool->down;
    pthread_mutex_unlock(&pool->lock);
    return (down == LH_POOL_NEWER) - (down == LH_POOL_OUTDATED);
}
