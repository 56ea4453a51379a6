/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state of a pool, for pool.c and connectors.c only. Each entry is always in exactly one of these states:
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
#ifndef LH_POOL_STATE_H
#define LH_POOL_STATE_H

#include <httpd.h>

#include <pthread.h>

#include "db/connect.h"
#include "db/queue.h"
#include "db/turns.h"
#include "util/counters.h"

#define LH_POOL_ENTRIES_MAX 64
#define LH_POOL_CONNECTORS 2

typedef struct lh_pool lh_pool;

/* What a pool publishes of itself (lh_pool_state_publish()), as its part of the gauges of the process. */
#define LH_POOL_GAUGES (LH_GAUGE_DB_DOWN + 1)

typedef enum { LH_POOL_UP, LH_POOL_UNREACHABLE, LH_POOL_OUTDATED, LH_POOL_NEWER } lh_pool_condition;

struct lh_pool {
    server_rec *server;
    lh_session_options options;
    int standby; /* its connections lead to standbys; without it requests read from the primary */

    pthread_mutex_t lock; /* guards all fields below */

    /* Conditions to wait for; they are also signalled when the pool goes down or stops. */
    pthread_cond_t share_available; /* a limited run ended, or the pool grew */
    pthread_cond_t work_available;  /* for connectors: an entry may have to be connected */
    pthread_cond_t all_released;    /* for stop(): no entry is acquired */

    lh_queue queue; /* callers that wait for an entry */
    lh_pool_entry *idle, *broken;
    int size;                 /* entries in use, at most LH_POOL_ENTRIES_MAX */
    int target;               /* entries that should be connected */
    int live;                 /* entries that are idle or acquired */
    int acquired, connecting; /* entries in these states */
    int streams;              /* acquired entries that are streaming */
    int limited;              /* callers with `limited` that own an entry or wait for an idle one */
    lh_turns turns;           /* callers with `limited` that wait for their share */

    int failures;             /* to connect, in a row */
    apr_time_t failing_since; /* the start of the first of them */
    apr_time_t retry_at;      /* the earliest start of the next attempt */
    lh_pool_condition down;
    int stopping;

    struct lh_hosts *hosts; /* NULL: there is one host, or no connection was opened yet */
    int host;               /* the number of the host that connections are opened to */
    unsigned uses;          /* how often a usable entry was released, modulo UINT_MAX + 1 */
    unsigned watched_uses;  /* `uses` at watched_at */
    apr_time_t watched_at;  /* since then no entry was released, or a host has answered */
    int probing;            /* a connector asks the hosts */
    int reported;           /* what was logged once in this process; see connectors.c */
    int published[LH_POOL_GAUGES];

    pthread_t connectors[LH_POOL_CONNECTORS];
    int running; /* connectors that have been started */
    lh_pool_entry entries[LH_POOL_ENTRIES_MAX];
};

/* All functions need the lock. */

/* Adds an entry to a list, and removes the first one; NULL: the list is empty. */
void lh_pool_state_push(lh_pool_entry **list, lh_pool_entry *entry);
lh_pool_entry *lh_pool_state_pop(lh_pool_entry **list);

/* Grows the pool to the size for DBDMax, or to `size`. */
void lh_pool_state_grow(lh_pool *pool, int dbd_max);
void lh_pool_state_grow_to(lh_pool *pool, int size);

/* Adds what has changed since the last call to the gauges of the process. */
void lh_pool_state_publish(lh_pool *pool);

/* Hands a connected entry to the first caller in the queue, or makes it idle. */
void lh_pool_state_offer(lh_pool *pool, lh_pool_entry *entry);

/* Raises `target` to the demand, at most to `size`, and wakes a connector. */
void lh_pool_state_demand(lh_pool *pool);

/* Wakes all callers: the pool is down or stops. */
void lh_pool_state_wake(lh_pool *pool);

/* Makes all idle entries broken. */
void lh_pool_state_drop_idle(lh_pool *pool);

/*
 * Uses another host: connections to other hosts are shut down, so that those who wait for a host that hangs fail at
 * once. This uses the duplicates in `socket`, because the owner of an acquired entry may close its own at any time.
 */
void lh_pool_state_use_host(lh_pool *pool, int host);

/* Set and close the duplicate of an entry's socket, for pools with several hosts. */
void lh_pool_state_watch(const lh_pool *pool, lh_pool_entry *entry);
void lh_pool_state_unwatch(lh_pool_entry *entry);

#endif
