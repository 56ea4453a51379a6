/* SPDX-License-Identifier: Apache-2.0 */
#include "db/pool_state.h"

#include <sys/socket.h>
#include <unistd.h>

#include "util/clock.h"

void lh_pool_state_push(lh_pool_entry **list, lh_pool_entry *entry)
{
    entry->next = *list;
    *list = entry;
}

lh_pool_entry *lh_pool_state_pop(lh_pool_entry **list)
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
    int size = dbd_max < LH_POOL_ENTRIES_MAX ? dbd_max : LH_POOL_ENTRIES_MAX;

    return size >= 4 ? size - 1 : size;
}

/* DBDMax is known after the first connect; until then the pool has one entry. */
void lh_pool_state_grow(lh_pool *pool, int dbd_max)
{
    lh_pool_state_grow_to(pool, size_for(dbd_max));
}

void lh_pool_state_grow_to(lh_pool *pool, int size)
{
    while (pool->size < size) {
        lh_pool_state_push(&pool->broken, &pool->entries[pool->size++]);
    }
}

void lh_pool_state_publish(lh_pool *pool)
{
    const int now[LH_POOL_GAUGES] = {
        [LH_GAUGE_DB_IN_USE] = pool->acquired,       [LH_GAUGE_DB_IDLE] = pool->live - pool->acquired,
        [LH_GAUGE_DB_CONNECTING] = pool->connecting, [LH_GAUGE_DB_LIMIT] = pool->size,
        [LH_GAUGE_DB_WAITING] = pool->queue.length,  [LH_GAUGE_DB_DOWN] = pool->down != LH_POOL_UP && !pool->standby};
    int i;

    for (i = 0; i < LH_POOL_GAUGES; i++) {
        if (now[i] != pool->published[i]) {
            lh_gauge_add(i, now[i] - pool->published[i]);
            pool->published[i] = now[i];
        }
    }
}

void lh_pool_state_offer(lh_pool *pool, lh_pool_entry *entry)
{
    if (lh_queue_hand_over(&pool->queue, entry)) {
        pool->acquired++;
    }
    else {
        lh_pool_state_push(&pool->idle, entry);
    }
}

void lh_pool_state_wake(lh_pool *pool)
{
    lh_queue_wake_all(&pool->queue);
    pthread_cond_broadcast(&pool->share_available);
}

void lh_pool_state_demand(lh_pool *pool)
{
    int demand = pool->acquired + pool->queue.length;

    if (demand > pool->target) {
        pool->target = demand < pool->size ? demand : pool->size;
    }
    pthread_cond_signal(&pool->work_available);
}

void lh_pool_state_drop_idle(lh_pool *pool)
{
    lh_pool_entry *entry;

    while ((entry = lh_pool_state_pop(&pool->idle))) {
        lh_connect_abandon(entry);
        lh_pool_state_push(&pool->broken, entry);
        pool->live--;
    }
    lh_pool_state_publish(pool);
    pthread_cond_broadcast(&pool->work_available);
}

void lh_pool_state_use_host(lh_pool *pool, int host)
{
    int i;

    pool->host = host;
    lh_pool_state_drop_idle(pool);
    for (i = 0; i < pool->size; i++) {
        if (pool->entries[i].socket >= 0 && pool->entries[i].host != host) {
            shutdown(pool->entries[i].socket, SHUT_RDWR);
        }
    }
}

void lh_pool_state_watch(const lh_pool *pool, lh_pool_entry *entry)
{
    entry->socket = pool->hosts ? lh_connect_duplicate(entry) : -1;
}

void lh_pool_state_unwatch(lh_pool_entry *entry)
{
    if (entry->socket >= 0) {
        close(entry->socket);
        entry->socket = -1;
    }
}
