/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs prepared statements: one pipeline, one sync, hence one round trip and one transaction, in binary results.
 *
 * - A statement is prepared on a connection the first time it is used there, in the same round trip.
 * - One deadline covers the wait for a connection, preparing, running and every repetition.
 * - What may be repeated is a table (sql.c): anything that was never sent; safe runs after any loss; others only when
 *   the server said with a SQLSTATE that it did not commit.
 * - Success is reported only after the server is ready for the next query: before that nothing is committed.
 */
#ifndef LH_SQL_H
#define LH_SQL_H

#include "pool.h"
#include "statement.h"

typedef struct lh_result lh_result;

typedef enum {
    LH_SQL_OK,
    LH_SQL_BUSY,    /* no connection came free in time, or too many streams */
    LH_SQL_DOWN,    /* the database cannot be reached */
    LH_SQL_TIMEOUT, /* the deadline passed while it ran: outcome unknown unless safe */
    LH_SQL_LOST,    /* the connection broke while it ran: outcome unknown unless safe */
    LH_SQL_ERROR    /* the server refused: sqlstate, constraint, message */
} lh_sql_outcome;

typedef struct lh_sql_failure {
    char sqlstate[6];
    const char *constraint; /* or NULL */
    const char *message;    /* the server's words: for the error log only */
    const char *label;      /* of the statement that failed */
} lh_sql_failure;

typedef struct lh_sql_run {
    lh_pool *db;
    const lh_statement *const *steps; /* in order */
    int count;                        /* of steps, 1 .. 8 */
    const lh_value *values;           /* by slot */
    apr_time_t wait_until;            /* for a connection, on lh_clock() */
    apr_time_t deadline;              /* for all of it, on lh_clock() */
    apr_time_t patience; /* for one attempt, once there is a connection; 0: to the deadline. Not of streams */
    int safe;            /* running it twice does no harm */
    int bound;           /* milliseconds for each statement; 0: the connection's. Such runs are costly loans */
} lh_sql_run;

/*
 * Runs the steps. On LH_SQL_OK results[i] is the result of step i, freed with `p`; otherwise *failure is set and the
 * results are NULL. `elapsed`, when not NULL, gets the microseconds spent in the database layer.
 */
lh_sql_outcome lh_sql_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, lh_sql_failure *failure,
                              apr_interval_time_t *elapsed);

/* Takes one row of a stream (row 0 of the result); anything but APR_SUCCESS ends the stream. */
typedef apr_status_t lh_sql_row(void *context, const lh_result *row);

/*
 * Runs the steps and hands over the rows of the last one while they arrive; the connection is held meanwhile and the
 * deadline starts anew with each row. The last step's row callback is not called before the earlier steps succeeded.
 * `begin` is called once, before the first row or at the end when there is none, with the results of the earlier
 * steps. LH_SQL_LOST after rows were handed over means the answer is incomplete; it is also
 * the outcome when a callback ended the stream. statement_timeout does not count while a stream runs.
 * *connection is the present one, for lh_pool_stream().
 */
typedef apr_status_t lh_sql_begin(void *context, lh_result *const *earlier);
lh_sql_outcome lh_sql_stream(const lh_sql_run *run, apr_pool_t *p, lh_sql_begin *begin, lh_sql_row *row, void *context,
                             lh_connection **connection, lh_sql_failure *failure);

int lh_result_rows(const lh_result *result);
int lh_result_columns(const lh_result *result);
const char *lh_result_name(const lh_result *result, int column);
unsigned lh_result_type(const lh_result *result, int column); /* the type's OID */

/* A cell in PostgreSQL's binary format; NULL is SQL NULL. */
const char *lh_result_cell(const lh_result *result, int row, int column, int *length);

#endif
