/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Background jobs: in each child process, mod_watchdog runs the jobs of the table in jobs.c at their intervals, one
 * after another in one thread.
 *
 * - Several processes on several nodes run the same jobs at once, so a job locks or claims the rows that it changes.
 * - A job always reports success to mod_watchdog, which would otherwise not run it again. Failures are stored in rows
 *   or logged.
 * - When a child process exits it waits for its running job, so that no job outlives the connections that it uses.
 */
#ifndef LH_JOBS_H
#define LH_JOBS_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "db/statement.h"

/* Registers the statements of all jobs. Returns 1, or 0 and sets *why. */
int lh_jobs_compile(lh_statements *registry, const char **why);

/* The names of all jobs, separated by spaces. */
const char *lh_jobs_names(apr_pool_t *p);

/* Registers the jobs with mod_watchdog. Called in post_config, before mod_watchdog's. Fails if mod_watchdog cannot
 * run them. */
apr_status_t lh_jobs_prepare(apr_pool_t *pconf);

/*
 * Starts the jobs for `servers` (lh_server *), once per database: of the servers that share a database, one with
 * LearnHubSMTP is used, if any. Called in child_init. A pre-cleanup of `pchild` stops them.
 */
void lh_jobs_begin(apr_pool_t *pchild, const apr_array_header_t *servers);

#endif
