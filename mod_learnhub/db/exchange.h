/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One attempt to execute a run: all statements in one pipeline with one sync, hence in one round trip.
 *
 * An attempt neither retries nor releases its connection: sql.c does, depending on how far the attempt got.
 */
#ifndef LH_EXCHANGE_H
#define LH_EXCHANGE_H

#include "db/sql_run.h"

/* The failure's message if a callback of a stream returned an error. */
#define LH_EXCHANGE_STREAM_ENDED "the receiver ended the stream"

/* A stream; see lh_sql_stream(). */
typedef struct lh_exchange_stream {
    lh_sql_receiver *receiver;
    lh_result *current;              /* the row that is being passed to the receiver */
    apr_interval_time_t row_timeout; /* for each row, in microseconds */
    int begun;                       /* `begin` has been called in the current attempt */
    int ended;                       /* a callback returned an error */
} lh_exchange_stream;

/* A statement of a batch: its parameters and the pool for its result. */
typedef struct lh_exchange_part {
    const char *const *values;
    apr_pool_t *pool;
} lh_exchange_part;

typedef struct lh_exchange {
    /* Shared by all attempts of a run. */
    const lh_sql_run *run;
    apr_pool_t *pool;
    lh_result **results;
    lh_sql_failure *failure;
    lh_exchange_stream *stream;    /* or NULL */
    const lh_exchange_part *parts; /* of a batch: by statement; NULL: run->values and `pool` for all statements */
    apr_time_t deadline;           /* for the attempt; in a stream: for the next row */

    /* Of the current attempt. The caller sets the connection, lh_exchange_run() the rest. */
    lh_connection *connection;
    struct pg_conn *pg;
    unsigned char parsed[LH_SQL_STATEMENTS]; /* the statement is prepared in this round trip */
    int preliminaries;                       /* commands before the statements */
    int refused;                             /* the run's guard did not accept: only the guard was executed */
    int skipped;                             /* closing statements that were not executed */
    int sync_sent;                           /* once set, the server may commit */
    int completed;                           /* statements that succeeded */
    int error_received;                      /* the server reported an error, stored in `failure` */
    int sync_received;                       /* the transaction has ended: committed, or rolled back after an error */
} lh_exchange;

/*
 * Executes the run once. LH_SQL_OK: committed, with the results. LH_SQL_ERROR: the server reported an error and did not
 * commit. LH_SQL_TIMEOUT and LH_SQL_LOST: if `sync_sent`, the outcome of the commit is unknown. The connection can be
 * used again only if `sync_received`. All outcomes but LH_SQL_OK set the failure.
 */
lh_sql_outcome lh_exchange_run(lh_exchange *x);

/* Frees the results of a failed attempt. */
void lh_exchange_clear(lh_exchange *x);

#endif
