/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One entry of the pool and its connection: opened, set up, checked, opened again and closed.
 *
 * The first connection is opened by mod_dbd, and an entry that mod_dbd has opened keeps that PGconn until the process
 * exits: a broken connection is reset in place. mod_dbd's pool is therefore used only once per entry; it holds its lock
 * while it connects. If the parameters name several hosts of which one accepts writes, all further connections are
 * opened with the parameters of the first one as db/hosts.h describes. The functions of this file take no lock, so only
 * the owner of an entry (see pool_state.h) may call them.
 */
#ifndef LH_CONNECT_H
#define LH_CONNECT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "db/session.h"
#include "db/statement.h"

struct lh_hosts;
struct pg_cancel;
struct pg_conn;
struct server_rec;

/* The part of an entry that its owner uses. */
typedef struct lh_connection {
    struct pg_conn *pg;      /* non-blocking and in pipeline mode */
    const char *settings;    /* the statement that each transaction begins with; then statements are not prepared. NULL:
                              * the session has the settings */
    unsigned char *prepared; /* one bit per statement number */
    int stale;               /* DEALLOCATE ALL is due before the next use */
    int streaming, limited;  /* counted in the pool's limits; guarded by its lock */
    struct lh_pool *owner;
} lh_connection;

#define LH_CONNECT_WHY 200 /* bytes for the cause of a failure */

typedef struct lh_pool_entry {
    lh_connection connection; /* first: a pointer to it is a pointer to its entry */
    void *dbd;                /* mod_dbd's ap_dbd_t; NULL: mod_dbd has not opened the entry */
    apr_pool_t *pool;         /* used by mod_dbd; one per entry, because entries are opened by different threads */
    int dbd_max;              /* DBDMax; 0: unknown */
    lh_session session;
    struct lh_hosts *hosts;   /* of the connection that mod_dbd has opened; NULL: there is one host */
    int host;                 /* the number of the host that the connection leads to */
    int own;                  /* the PGconn was not opened by mod_dbd */
    int socket;               /* a duplicate, see lh_pool_state_use_host(); guarded by the pool's lock; -1: none */
    struct pg_cancel *cancel; /* due before the connection is opened again, because a statement is still running */
    unsigned char prepared[LH_STATEMENTS_MAX / 8];
    struct lh_pool_entry *next; /* the next entry of the same list */
} lh_pool_entry;

/* How to connect. */
typedef struct lh_connect_options {
    struct server_rec *server;
    lh_session_options session;
    const struct lh_hosts *hosts; /* NULL: by mod_dbd */
    int host;                     /* with hosts: the one to try first */
} lh_connect_options;

typedef enum {
    LH_CONNECT_FAILED,
    LH_CONNECT_OUTDATED, /* the schema of the database is older than LH_SESSION_SCHEMA */
    LH_CONNECT_NEWER,    /* the schema of the database is newer and does not serve this module */
    LH_CONNECT_OK
} lh_connect_outcome;

/* Registers a post_connect hook with mod_dbd. Called in register_hooks. */
void lh_connect_hooks(void);

/* 1 if mod_dbd is loaded. */
int lh_connect_possible(void);

/*
 * Opens the connection of an entry, again if there was one, and sets up its session. Sends the cancel request that is
 * due. Blocks for up to connect_timeout (of DBDParams) per host or, with hosts, for two seconds, so only background
 * threads may call it. Unless the outcome is LH_CONNECT_OK, `why` has the cause as one line.
 */
lh_connect_outcome lh_connect(lh_pool_entry *entry, const lh_connect_options *options, char why[LH_CONNECT_WHY]);

/* 1 if the connection is open, idle, in pipeline mode and without a pending result. */
int lh_connect_is_clean(const lh_pool_entry *entry);

/* 1 if the connection is clean and no data has arrived: on an idle connection, data usually means that the server is
 * closing it. */
int lh_connect_is_alive(const lh_pool_entry *entry);

/*
 * Ends the use of a connection, without waiting. If a statement may still be running, it only prepares the cancel
 * request: a pooler forwards cancel requests of open connections only. Otherwise it shuts the socket down, so that the
 * server notices.
 */
void lh_connect_abandon(lh_pool_entry *entry);

/* A duplicate of the connection's socket; -1 if the system refuses one. */
int lh_connect_duplicate(const lh_pool_entry *entry);

/* Closes the connection, or returns it to mod_dbd. No-op if the entry has none. */
void lh_connect_close(lh_pool_entry *entry, struct server_rec *s);

#endif
