/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done without a request: mod_watchdog calls each job of a table (jobs.c) in a thread of each child process, at
 * the job's interval.
 *
 * - Several processes on several nodes do the same at once: what a job takes from the database it claims there.
 * - A job never fails for mod_watchdog, which would not call it again; what went wrong stays in rows.
 * - A child process waits for its job when it ends, so that no job outlives the connections it uses.
 */
#ifndef LH_JOBS_H
#define LH_JOBS_H

#include "call.h"

/* Compiles the statements of the jobs; returns how many numbers from `number` on it took, or -1 and *why. */
int lh_jobs_statements(apr_pool_t *p, int number, const char **why);

/* In post_config, before mod_watchdog's. */
apr_status_t lh_jobs_prepare(apr_pool_t *pconf);

/* In child_init: the jobs begin, for each database of these servers (of lh_server *) once; a server with LearnHubSMTP
 * goes before one without. They end in a pre-cleanup of `pchild`. */
void lh_jobs_begin(apr_pool_t *pchild, const apr_array_header_t *servers);

/* 1 when the process is about to end. */
int lh_jobs_stopping(void);

/* Runs one statement. A failure is told in the log once, and not at all when the database is only out of reach. */
lh_sql_outcome lh_jobs_ask(const lh_server *server, apr_pool_t *p, const lh_statement *statement,
                           const lh_value *values, int safe, lh_result **result);

#endif
