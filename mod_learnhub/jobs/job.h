/* SPDX-License-Identifier: Apache-2.0 */
/* For running jobs: executes their statements, keeps their state for each database, and stops them at child exit. */
#ifndef LH_JOB_H
#define LH_JOB_H

#include <apr_pools.h>

#include "db/sql_run.h"
#include "db/statement.h"

typedef struct lh_server lh_server;

/* The state of all jobs for one database in one process. Needs no lock: the jobs of a process run one after another. */
typedef struct lh_job_state {
    unsigned char failing[LH_STATEMENTS_MAX / 8]; /* one bit per statement: its current failure has been logged */
    int mail_server_down;                         /* when the last mail was sent; changes are logged */
    int database;                                 /* its number among those of the process */
    unsigned failures;                            /* of statements */
    int verified_only;                            /* unconfirmed addresses get no mail but their confirmation */
} lh_job_state;

/* 1 if the process is about to exit: jobs end early. */
int lh_job_stopping(void);

/* Makes lh_job_stopping() return 1 from now on. May be called by any thread. */
void lh_job_stop(void);

/*
 * Executes one statement of a job within LearnHubConnectionWait and LearnHubStatementTimeout. Logs when the statement
 * begins to fail in that database, and when it works again. Lost connections, a database that does not respond,
 * conflicts with other statements and errors that mean that the database is unavailable are not logged; the pool logs
 * when it is unavailable.
 */
lh_sql_outcome lh_job_execute(const lh_server *server, apr_pool_t *p, const lh_statement *statement,
                              const char *const *values, int retryable, lh_result **result);

#endif
