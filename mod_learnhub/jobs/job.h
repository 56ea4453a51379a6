/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of jobs, and what jobs remember from run to run for each database. */
#ifndef LH_JOB_H
#define LH_JOB_H

#include <apr_pools.h>

#include "db/sql_run.h"
#include "db/statement.h"

typedef struct lh_server lh_server;

/* Of one database in one process. A job runs in one thread at a time. */
typedef struct lh_job_state {
    unsigned char failing[LH_STATEMENTS_MAX / 8]; /* bits: statements whose failure is in the log */
    int mail_server_down;                         /* the log has a line for each change */
} lh_job_state;

/* 1 when the process is about to exit: jobs end early. */
int lh_job_stopping(void);

/* From now on lh_job_stopping() returns 1. */
void lh_job_stop(void);

/*
 * Runs one statement. The first of several failures in a row is logged, per statement and database; none while the
 * database cannot be reached, which the pool logs.
 */
lh_sql_outcome lh_job_execute(const lh_server *server, apr_pool_t *p, const lh_statement *statement,
                              const char *const *values, int retryable, lh_result **result);

#endif
