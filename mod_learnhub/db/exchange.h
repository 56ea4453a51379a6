/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation with the server: all steps of a run in one pipeline with one sync, in one round trip.
 *
 * It never repeats anything and never gives a connection back; it says precisely how far it came, and sql.c decides.
 */
#ifndef LH_EXCHANGE_H
#define LH_EXCHANGE_H

#include "db/sql_run.h"

#define LH_EXCHANGE_LEFT "the reader of the stream left"

/* A reader of rows; see lh_sql_stream(). */
typedef struct lh_exchange_stream {
    lh_sql_begin *begin;
    lh_sql_row *row;
    void *context;
    lh_connection **connection;      /* where the reader looks for the present one */
    lh_result *current;              /* the row in the reader's hands */
    apr_interval_time_t row_timeout; /* for each row, in microseconds */
    int begun;                       /* rows were handed over: nothing can be repeated */
    int ended;                       /* by the reader */
} lh_exchange_stream;

typedef struct lh_exchange {
    /* What all attempts of a run share. */
    const lh_sql_run *run;
    apr_pool_t *pool;
    lh_result **results;
    lh_sql_failure *failure;
    lh_exchange_stream *stream; /* or NULL */
    apr_time_t deadline;        /* moves with the rows of a stream */

    /* Of the present attempt; lh_exchange_run() sets all but the connection. */
    lh_connection *connection;
    struct pg_conn *pg;
    unsigned char parsed[LH_SQL_STEPS]; /* the step's statement is prepared in this round trip */
    int preliminaries;                  /* commands before the steps */
    int synced;                         /* the sync was sent: from here on the server may commit */
    int completed;                      /* steps that ran to their end */
    int refused;                        /* the server sent an error: it is in `failure` */
    int settled;                        /* the answer to the sync was seen: committed, or rolled back when refused */
} lh_exchange;

/*
 * LH_SQL_OK with the results; LH_SQL_ERROR: the server refused and did not commit; LH_SQL_TIMEOUT and LH_SQL_LOST: the
 * outcome is unknown once `synced`. A connection is fit for further use when `settled`.
 */
lh_sql_outcome lh_exchange_run(lh_exchange *x);

/* Frees the results of an attempt that failed. */
void lh_exchange_drop(lh_exchange *x);

#endif
