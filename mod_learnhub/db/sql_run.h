/* SPDX-License-Identifier: Apache-2.0 */
/* A run: the statements of one transaction, its deadlines and how it can end. */
#ifndef LH_SQL_RUN_H
#define LH_SQL_RUN_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct lh_connection lh_connection;
typedef struct lh_pool lh_pool;
typedef struct lh_result lh_result;
typedef struct lh_statement lh_statement;

#define LH_SQL_STATEMENTS 16 /* statements of a run or a batch, at most */

typedef enum {
    LH_SQL_OK,
    LH_SQL_BUSY,    /* no connection became available in time */
    LH_SQL_DOWN,    /* the database is unavailable, or the process exits */
    LH_SQL_TIMEOUT, /* the deadline passed during execution: the run may have been committed */
    LH_SQL_LOST,    /* the connection broke during execution: the run may have been committed */
    LH_SQL_ERROR    /* the server reported an error: sqlstate, constraint, message */
} lh_sql_outcome;

typedef struct lh_sql_failure {
    char sqlstate[6];
    const char *constraint; /* the violated constraint, or NULL */
    const char *message;    /* the server's message or another cause; for the error log only */
    const char *label;      /* of the statement that failed */
    int uncertain;          /* an attempt may have been committed without success being reported for it; set even if a
                             * later attempt succeeded */
} lh_sql_failure;

/* How long a run took, in microseconds. */
typedef struct lh_sql_time {
    apr_interval_time_t waiting; /* for a connection, or for a batch */
    apr_interval_time_t executing;
} lh_sql_time;

/* Decides from the results of the guard whether the other statements are executed. Called again for each retry. */
typedef int lh_sql_accept(void *context, lh_result *const *guard);

/* Decides from the results of all statements before them whether the closing statements are executed, and sets their
 * values. If one of those statements failed, it is not called. Called again for each retry. */
typedef int lh_sql_close(void *context, lh_result *const *results);

typedef struct lh_sql_run {
    lh_pool *db;
    const lh_statement *const *statements; /* in order */
    int count;                             /* of statements, 1 .. LH_SQL_STATEMENTS */
    const char *const *values;             /* by slot, in PostgreSQL's text format; NULL is SQL NULL */
    apr_time_t wait_until;                 /* deadline for a connection, on lh_clock(). A retry waits as much longer as
                                            * the attempts before it were executing */
    apr_time_t deadline;                   /* deadline for the whole run, on lh_clock() */
    apr_interval_time_t attempt_timeout;   /* of one attempt (of a stream: until its first row), from the moment it has
                                            * a connection; 0: until the deadline */
    apr_interval_time_t row_timeout;       /* of a stream: for each row after its first */
    int retryable;                         /* may be executed twice */
    struct lh_batches *batches;            /* of `db`, for a short read: see db/batch.h; NULL: it is executed alone */
    int rest_ms;                           /* statement_timeout of each statement, if the request has less time left
                                            * than the connection's; 0: it has not */
    int timeout_ms;                        /* statement_timeout of each statement; 0: the connection's. Such runs may
                                            * use at most a quarter of the pool */
    apr_uint64_t client;                   /* with timeout_ms: the client, which takes turns with others */

    const char *request_id; /* letters, digits, @ - _ and dots: the transaction has the application_name "request ID";
                             * NULL: that of the connection */

    /* With a guard: the first `guard` statements, which write nothing, are executed with `guard_values` in a round trip
     * of their own. Then `accept` decides: the other statements follow in the same transaction, or are not executed. */
    int guard;
    const char *const *guard_values;
    lh_sql_accept *accept;
    void *context; /* of accept and close */

    /* With closing statements: the last `closing` ones are executed with `closing_values` in a round trip of their own,
     * at the end of the same transaction, if `close` returns 1 for the results of the statements before them. */
    int closing;
    const char *const *closing_values;
    lh_sql_close *close;
} lh_sql_run;

/* Receives the results of the earlier statements: before the first row of a stream, or at the end of one without rows.
 * Called again when the run is repeated. Any result but APR_SUCCESS ends the stream. */
typedef apr_status_t lh_sql_begin(void *context, lh_result *const *earlier);

/* Receives one row of a stream (row 0 of the result); any result but APR_SUCCESS ends the stream. */
typedef apr_status_t lh_sql_row(void *context, const lh_result *row);

/* The receiver of a stream's rows. */
typedef struct lh_sql_receiver {
    lh_sql_begin *begin;
    lh_sql_row *row;
    void *context;
    int used;                  /* set by the receiver: it cannot begin again, so the run is not repeated */
    lh_connection *connection; /* set to the connection of the current attempt */
} lh_sql_receiver;

#endif
