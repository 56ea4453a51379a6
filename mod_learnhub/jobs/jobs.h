/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Work without a request: mod_watchdog runs each job of a table (jobs.c) in a thread of each child process, at the
 * job's interval.
 *
 * - Several processes on several nodes run the same jobs at once: a job claims in the database what it works on.
 * - A job always reports success to mod_watchdog, which would not run it again otherwise; failures are stored in rows.
 * - A child process waits for its running job when it exits, so that no job outlives the connections that it uses.
 */
#ifndef LH_JOBS_H
#define LH_JOBS_H

#include <apr_pools.h>
#include <apr_tables.h>

#include "db/statement.h"

/* Registers the statements of all jobs. Returns 1, or 0 and *why. */
int lh_jobs_compile(lh_statements *registry, const char **why);

/* In post_config, before mod_watchdog's. Fails when mod_watchdog cannot run the jobs. */
apr_status_t lh_jobs_prepare(apr_pool_t *pconf);

/* In child_init: starts the jobs, once for each database of these servers (of lh_server *); a server with LearnHubSMTP
 * takes precedence over one without. They stop in a pre-cleanup of `pchild`. */
void lh_jobs_begin(apr_pool_t *pchild, const apr_array_header_t *servers);

#endif
