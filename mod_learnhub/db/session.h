/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The session of a new connection: sets it up and reads the version of the schema and other facts, in one round trip.
 *
 * A pooler such as PgBouncer in transaction mode executes each transaction on another connection to PostgreSQL, which
 * other clients use as well. Then settings hold for one transaction only: each begins with the statement `settings`.
 */
#ifndef LH_SESSION_H
#define LH_SESSION_H

#include <apr_time.h>

struct pg_conn;

/* The number of the newest file in conf/schema: the version of the schema that this module needs. It also works with a
 * newer one that serves it. */
#define LH_SESSION_SCHEMA 22

/* LearnHubPreparedStatements */
typedef enum {
    LH_PREPARED_AUTO, /* unless the connection goes through a pooler */
    LH_PREPARED_ON,
    LH_PREPARED_OFF
} lh_prepared;

typedef struct lh_session_options {
    apr_time_t statement_timeout; /* in microseconds */
    lh_prepared prepared;
} lh_session_options;

#define LH_SESSION_SETTINGS 1200 /* bytes */

typedef struct lh_session {
    int pooled;      /* the connection goes through a pooler */
    int schema;      /* the version of the schema; 0: there is none, or it is unknown */
    int serves_from; /* the version that modules need at least to work with this schema; 0: any */
    int connections; /* how many connections the server accepts from all clients */

    /* The statement that each transaction begins with; "": the settings are those of the session. */
    char settings[LH_SESSION_SETTINGS];
} lh_session;

/* Sets up a connection that was just opened, and makes it non-blocking and in pipeline mode. Returns 0 if that fails or
 * takes longer than two seconds. */
int lh_session_begin(lh_session *session, struct pg_conn *pg, const lh_session_options *options);

#endif
