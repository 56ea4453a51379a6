/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections of one child process: made by mod_dbd, acquired for one run of statements, with deadlines.
 *
 * - mod_dbd is the factory only: DBDriver, DBDParams and DBDMax keep their meaning, but no request thread ever calls
 *   it. Its pool connects under its lock, waits for ever when full and loses prepared statements on a reset.
 * - Only background threads connect. A request that finds nothing idle wakes one and waits, at most to its deadline.
 * - A connection that is not provably clean when it comes back is reset in the background, never by a request.
 * - Known to be down (no live connection, several failures in a row): a claim fails at once, while the background
 *   threads go on probing.
 * - Log lines are written on changes of state only: down, up.
 */
#ifndef LH_POOL_H
#define LH_POOL_H

#include <apr_pools.h>
#include <apr_time.h>

struct server_rec;

typedef struct lh_connection lh_connection; /* db/connect.h */
typedef struct lh_pool lh_pool;

/* In child_init, for a server that serves LearnHub: no connection is made yet. `statement_timeout` (microseconds) is
 * set on every connection. Everything ends in a pre-cleanup of `p`, before mod_dbd's own pool dies. */
lh_pool *lh_pool_create(apr_pool_t *p, struct server_rec *s, apr_time_t statement_timeout);

/* In the parent, from register_hooks: learns DBDMax from mod_dbd's post_connect hook. */
void lh_pool_hooks(void);

/*
 * Lends a live connection. APR_TIMEUP: none came free by the deadline; APR_ECONNREFUSED: the database is known to be
 * down. A limited loan waits while a quarter of the pool is acquired for such: APR_EBUSY.
 */
apr_status_t lh_pool_acquire(lh_pool *pool, apr_time_t deadline, int limited, lh_connection **connection);

/* Says that a loan will last as long as its reader; 0 when half of the pool is acquired for such, and
 * stays so for a second. */
int lh_pool_stream(lh_connection *connection);

/* Gives it back. A connection that is not idle, clean and in pipeline mode without pending results is reset. */
void lh_pool_release(lh_connection *connection);

/* Gives it back to be reset: its statement may still be running. Never blocks. */
void lh_pool_discard(lh_connection *connection);

#endif
