/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection of the pool: made by mod_dbd, set up, checked, cut, reset and given back to mod_dbd.
 *
 * A entry is opened by mod_dbd once and keeps its PGconn for life: when it breaks it is reset in place, so mod_dbd's own
 * pool, with its lock held while it connects, is visited once for each entry. What libpq means is known here and in
 * sql.c; who may have a entry, and when, is known in pool.c.
 */
#ifndef LH_CONNECT_H
#define LH_CONNECT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "db/statement.h"

struct server_rec;
struct pg_conn;

/* A connection as its user sees it. */
typedef struct lh_connection {
    struct pg_conn *pg;      /* in pipeline mode, non-blocking, idle */
    unsigned char *prepared; /* one bit per statement number */
    int stale;               /* DEALLOCATE ALL is due before the next use */
    int streaming, limited;  /* counted against the limits of these */
    struct lh_pool *owner;
} lh_connection;

#define LH_CONNECT_WHY 200 /* bytes of the reason of a failed connect */

typedef struct lh_pool_entry {
    lh_connection connection; /* first: what is acquired leads back to its entry */
    void *dbd;                /* mod_dbd's ap_dbd_t; NULL until it was opened */
    apr_pool_t *pool;         /* mod_dbd's, one a entry: no other thread allocates from it */
    int limit;                /* DBDMax as mod_dbd told it; 0 when it did not */
    unsigned char prepared[LH_STATEMENTS_MAX / 8];
    struct lh_pool_entry *next; /* in the list it is on */
} lh_pool_entry;

/* Registers mod_dbd's post_connect hook. In the parent. */
void lh_connect_hooks(void);

/* 1 when mod_dbd is loaded. */
int lh_connect_possible(void);

/*
 * Opens the entry, or resets one that was open, and sets up its session. Blocks up to connect_timeout of DBDParams for
 * each host: for background threads only. Returns 1, or 0 with one line of reason in `why`.
 */
int lh_connect(lh_pool_entry *entry, struct server_rec *s, apr_time_t statement_timeout, char why[LH_CONNECT_WHY]);

/* Idle, clean, in pipeline mode, without a pending result. */
int lh_connect_clean(const lh_pool_entry *entry);

/* Nothing to read: anything that arrives unasked on an idle connection is the end of it. */
int lh_connect_alive(const lh_pool_entry *entry);

/* Ends the conversation without a wait; the server notices, and lh_connect() will not block on what is unsent. */
void lh_connect_cut(lh_pool_entry *entry);

/* Gives the entry back to mod_dbd for good. */
void lh_connect_close(lh_pool_entry *entry, struct server_rec *s);

#endif
