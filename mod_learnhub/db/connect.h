/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of the pool and its connection: opened by mod_dbd, set up, checked, reset and closed.
 *
 * An entry is opened through mod_dbd once and keeps its PGconn until the process exits: a broken connection is reset in
 * place. mod_dbd's pool is therefore used only once per entry; it holds its lock while it connects. The functions of
 * this file take no lock, so only the owner of an entry (see pool.c) may call them.
 */
#ifndef LH_CONNECT_H
#define LH_CONNECT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "db/statement.h"

struct server_rec;
struct pg_conn;

/* The part of an entry that its owner uses. */
typedef struct lh_connection {
    struct pg_conn *pg;      /* non-blocking and in pipeline mode */
    unsigned char *prepared; /* one bit per statement number */
    int stale;               /* DEALLOCATE ALL is due before the next use */
    int streaming, limited;  /* counted in the pool's limits; guarded by its lock */
    struct lh_pool *owner;
} lh_connection;

#define LH_CONNECT_WHY 200 /* bytes for the cause of a failure */

typedef struct lh_pool_entry {
    lh_connection connection; /* first: a pointer to it is a pointer to its entry */
    void *dbd;                /* mod_dbd's ap_dbd_t; NULL until the entry is opened */
    apr_pool_t *pool;         /* used by mod_dbd; one per entry, because entries are opened by different threads */
    int dbd_max;              /* DBDMax; 0: unknown */
    unsigned char prepared[LH_STATEMENTS_MAX / 8];
    struct lh_pool_entry *next; /* the next entry of the same list */
} lh_pool_entry;

/* Registers a post_connect hook with mod_dbd. Called in register_hooks. */
void lh_connect_hooks(void);

/* 1 if mod_dbd is loaded. */
int lh_connect_possible(void);

/*
 * Opens the entry, or resets it if it has been opened, and sets up its session. Blocks for up to connect_timeout (of
 * DBDParams) per host, so only background threads may call it. Returns 1, or 0 with the cause as one line in `why`.
 */
int lh_connect(lh_pool_entry *entry, struct server_rec *s, apr_time_t statement_timeout, char why[LH_CONNECT_WHY]);

/* 1 if the connection is open, idle, in pipeline mode and without a pending result. */
int lh_connect_is_clean(const lh_pool_entry *entry);

/* 1 if the connection is clean and no data has arrived: on an idle connection, data usually means that the server is
 * closing it. */
int lh_connect_is_alive(const lh_pool_entry *entry);

/* Shuts the socket down, without waiting, so that the server notices and a later reset does not block on unsent
 * data. */
void lh_connect_shutdown(lh_pool_entry *entry);

/* Returns the connection to mod_dbd; the entry is then no longer open. No-op if it is not open. */
void lh_connect_close(lh_pool_entry *entry, struct server_rec *s);

#endif
