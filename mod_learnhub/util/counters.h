/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counters and gauges of all child processes of a node, in shared memory. Every change is one atomic addition without a
 * lock.
 *
 * - Counters only grow, also when a process exits or is killed, and across graceful restarts. Processes use different
 *   copies of them, so that their cores do not wait for each other.
 * - Gauges belong to a process and end with it, also if it is killed.
 *
 * Before lh_counters_begin(), as in unit programs, changes have no effect. Depends on APR only.
 */
#ifndef LH_COUNTERS_H
#define LH_COUNTERS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "learnhub.h"

#define LH_COUNTERS_JOBS 32 /* at most as many jobs */

/* The first counter of a list is followed by those of its other members. */
typedef enum {
    LH_COUNT_CACHE_HITS,
    LH_COUNT_CACHE_MISSES,
    LH_COUNT_CACHE_OFF,
    LH_COUNT_REPLAYS,
    LH_COUNT_RATE_ACCOUNT,                                            /* by lh_rate */
    LH_COUNT_RATE_NETWORK = LH_COUNT_RATE_ACCOUNT + LH_RATE_READ + 1, /* by lh_rate */
    LH_COUNT_SHARES = LH_COUNT_RATE_NETWORK + LH_RATE_READ + 1,       /* by lh_share */
    LH_COUNT_DB_FAILURES = LH_COUNT_SHARES + LH_SHARE_KINDS,          /* by lh_sql_outcome */
    LH_COUNT_DB_RETRIES = LH_COUNT_DB_FAILURES + 6,
    LH_COUNT_DB_CANCELED, /* statements that PostgreSQL ended at their timeout */
    LH_COUNT_DB_WAITS,    /* for a connection */
    LH_COUNT_DB_WAIT_US,
    LH_COUNT_CONNECTS, /* by lh_connect_outcome */
    LH_COUNT_MAILS_SENT = LH_COUNT_CONNECTS + 4,
    LH_COUNT_MAILS_FAILED,
    LH_COUNT_MAILS_RETRIED,
    LH_COUNT_JOB_RUNS, /* by job */
    LH_COUNT_JOB_FAILURES = LH_COUNT_JOB_RUNS + LH_COUNTERS_JOBS,
    LH_COUNTERS = LH_COUNT_JOB_FAILURES + LH_COUNTERS_JOBS
} lh_counter;

typedef enum {
    LH_GAUGE_DB_IN_USE, /* connections: those that requests and jobs use */
    LH_GAUGE_DB_IDLE,
    LH_GAUGE_DB_CONNECTING,
    LH_GAUGE_DB_LIMIT,   /* connections that may be opened */
    LH_GAUGE_DB_WAITING, /* requests and jobs that wait for a connection */
    LH_GAUGE_DB_DOWN,    /* pools that refuse requests because the database is unavailable or outdated */
    LH_GAUGE_SCHEMA,     /* the version of the schema; 0: unknown */
    LH_GAUGE_CACHE_BYTES,
    LH_GAUGE_MODEL_DOWN, /* circuit breakers of the language model that are open */
    LH_GAUGES
} lh_gauge;

/* Creates the memory for this number of processes. `layout` is a text that changes whenever the meaning of a counter
 * changes. Called in post_config, with httpd's pool of the process. Fails without shared memory. */
apr_status_t lh_counters_share(apr_pool_t *process, int processes, const char *layout);

/* The counters of this process are used until `pchild` is destroyed. Called in child_init. */
void lh_counters_begin(apr_pool_t *pchild);

void lh_counter_add(int counter, apr_uint64_t count);

/* The number of the copy of counters that this process uses: 0 .. LH_COUNTERS_COPIES - 1. */
#define LH_COUNTERS_COPIES 4
int lh_counters_copy(void);

void lh_gauge_add(int gauge, apr_int64_t count);
void lh_gauge_set(int gauge, apr_int64_t value);

/* ---- reading ---- */

/* The sum of all processes, also of those that have ended. */
apr_uint64_t lh_counter_sum(int counter);

/* The sum of the processes that run. */
apr_int64_t lh_gauge_sum(int gauge);

/* The lowest value of a process that runs, of those that are not 0; 0: there is none. */
apr_int64_t lh_gauge_lowest(int gauge);

/* Where a number is from: a counter, the sum of a gauge, or its lowest value. */
typedef enum { LH_COUNTER, LH_GAUGE_SUM, LH_GAUGE_LOWEST } lh_counters_source;

apr_int64_t lh_counters_value(lh_counters_source from, int number);

/* The number of processes that run. */
int lh_counters_processes(void);

/* The time since which is counted. */
apr_time_t lh_counters_since(void);

/* ---- measurements of a database, made by one process for all of them ---- */

#define LH_BACKLOGS 4 /* databases; others are not measured */

typedef struct lh_backlog {
    apr_uint64_t claimed_at;             /* when a process began the last measurement, on lh_clock(); 0: never */
    apr_uint64_t measured_at;            /* when the last one succeeded, on lh_clock(); 0: never */
    apr_int64_t waiting, failed, oldest; /* mails; the age of the oldest that waits in seconds */
} lh_backlog;

/* The backlog of a database; NULL: its number is too high, or nothing is shared. */
lh_backlog *lh_counters_backlog(int database);

#endif
