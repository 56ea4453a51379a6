/* SPDX-License-Identifier: Apache-2.0 */
/* How many mails wait and have failed, for the metrics: measured by one process of a node, twice a minute. */
#ifndef LH_BACKLOG_H
#define LH_BACKLOG_H

#include <apr_pools.h>
#include <apr_time.h>

#include "db/statement.h"

typedef struct lh_server lh_server;
typedef struct lh_backlog lh_backlog;

/* How many mails that wait, and how many that do not, a measurement reads at most, as text for statements. */
#define LH_BACKLOG_MOST "10000"

/* Registers the statement. Returns 1, or 0 and sets *why. */
int lh_backlog_compile(lh_statements *registry, const char **why);

/* The job: measures, unless a process of this node has done so in the last 30 seconds. */
void lh_backlog_measure(const lh_server *server, apr_pool_t *p);

/* Sets waiting, failed and oldest of *sum to those of all databases. Returns 0 if there is no measurement of the last
 * two minutes, as while PostgreSQL is unavailable. */
int lh_backlog_sum(lh_backlog *sum);

#endif
