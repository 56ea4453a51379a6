/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connections of one child process to one database.
 *
 * - mod_dbd opens the connections (DBDriver, DBDParams, DBDMax), but request threads never call it: its own pool
 *   connects while it holds its lock, waits without a timeout when it is full, and loses prepared statements on a
 *   reset.
 * - Only background threads connect. If no connection is idle, a request wakes one of them and waits until its
 *   deadline.
 * - A released connection that is not idle, or has pending results, is reset by a background thread, not by a request.
 * - While the database is down (no live connection and several failures in a row), acquiring fails at once; the
 *   background threads keep trying to connect.
 * - The log has one line when the database becomes unavailable and one when it is available again.
 */
#ifndef LH_POOL_H
#define LH_POOL_H

#include <apr_pools.h>
#include <apr_time.h>

#include "db/session.h"

struct lh_hosts;
struct server_rec;

typedef struct lh_connection lh_connection; /* db/connect.h */
typedef struct lh_pool lh_pool;

/*
 * Creates the pool and starts its background threads, which open the first connection. Called in child_init. A
 * pre-cleanup of `p` closes everything before mod_dbd's pool is destroyed. Never fails: without mod_dbd or threads the
 * database counts as down, which is logged.
 */
lh_pool *lh_pool_create(apr_pool_t *p, struct server_rec *s, const lh_session_options *options);

/* The same for connections to a standby, which are opened without mod_dbd. `hosts` must live as long as the pool. */
lh_pool *lh_pool_create_standby(apr_pool_t *p, struct server_rec *s, const lh_session_options *options,
                                struct lh_hosts *hosts);

/* Lets the pool grow to the size of another one, which follows from DBDMax. */
void lh_pool_grow_like(lh_pool *pool, lh_pool *other);

/* Opens all idle connections again: their server does not respond, or another one is to be used. */
void lh_pool_reset_idle(lh_pool *pool);

/* Registers the hook that receives DBDMax from mod_dbd. Called in register_hooks. */
void lh_pool_hooks(void);

/*
 * Acquires a live connection, which the caller must release or discard. `limited`, if not NULL, is the client of a run
 * for which at most a quarter of the pool may be used at once; clients take turns. APR_TIMEUP: no connection became
 * idle by `deadline` (on lh_clock()); APR_EBUSY: the quarter was in use until then; APR_ECONNREFUSED: the database is
 * down or the process exits. On failure *connection is NULL.
 */
apr_status_t lh_pool_acquire(lh_pool *pool, apr_time_t deadline, const apr_uint64_t *limited,
                             lh_connection **connection);

/* Marks an acquired connection as streaming, that is, held for as long as the client reads. At most half of the pool
 * may be streaming: returns 0 if it is. */
int lh_pool_stream(lh_connection *connection);

/* Releases a connection. Unless it is idle, in pipeline mode and without pending results, it is reset. */
void lh_pool_release(lh_connection *connection);

/* Releases a connection that must be reset, because its statement may still be running: a background thread cancels it
 * first. Never blocks. */
void lh_pool_discard(lh_connection *connection);

/* The same for a connection whose server has become read-only. With several hosts, idle connections are reset as well:
 * most of them lead to the same server. */
void lh_pool_discard_all(lh_connection *connection);

/* Whether the pool is down because of the schema of the database. -1: it is older than LH_SESSION_SCHEMA; 1: it is
 * newer and does not serve this module; 0: no. */
int lh_pool_schema(lh_pool *pool);

#endif
