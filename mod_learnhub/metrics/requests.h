/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the requests of all child processes of a node were, by route: their statuses and times, in shared memory.
 *
 * - A request is counted when httpd logs it, whoever wrote its response: so are errors of httpd, 304 and responses
 *   whose client has disconnected. Requests that another module serves are not.
 * - Its time is that from its first line to the end of the handler. A long response is sent after that, in the time
 *   that its client needs.
 * - Two further rows have what no route has served: `none` (404, 405, errors of httpd) and `options` (OPTIONS, also
 *   preflights). HEAD counts as GET.
 * - A snapshot of each of the last minutes is kept, so that recent requests can be told from older ones. The first
 *   request of a minute takes it.
 */
#ifndef LH_REQUESTS_H
#define LH_REQUESTS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "util/histogram.h"

typedef struct lh_routes lh_routes;

#define LH_REQUESTS_STATUSES 32
#define LH_REQUESTS_RECENT 5 /* minutes; between this number and one more are recent */

typedef struct lh_requests_label {
    const char *api, *route, *method;
} lh_requests_label;

/* All requests of a row. */
typedef struct lh_requests_sums {
    apr_uint64_t statuses[LH_REQUESTS_STATUSES];
    apr_uint64_t times[LH_HISTOGRAM_BUCKETS];
    apr_uint64_t time, db_time; /* microseconds, of all requests */
} lh_requests_sums;

/* The recent requests of a row, or of several. */
typedef struct lh_requests_recent {
    apr_uint64_t times[LH_HISTOGRAM_BUCKETS];
    apr_uint64_t count, client_errors, server_errors; /* client errors are 4xx, server errors 5xx */
    apr_uint64_t time, db_time;
} lh_requests_recent;

/* Creates the memory for these routes. Called in post_config, with httpd's pool of the process. Fails without shared
 * memory. */
apr_status_t lh_requests_share(apr_pool_t *process, const lh_routes *routes);

/* Begins to count in this process. Called in child_init, after lh_counters_begin(). */
void lh_requests_begin(void);

/* Registers the hook that counts requests. */
void lh_requests_hooks(void);

/* The number of rows: one for each route and two more; 0: LearnHub is Off. */
int lh_requests_rows(void);

void lh_requests_label_of(int row, lh_requests_label *label);

/* Sets *sums; returns the number of requests. */
apr_uint64_t lh_requests_sum(int row, lh_requests_sums *sums);

/* The status with this index in lh_requests_sums, as text. */
const char *lh_requests_status(apr_pool_t *p, int index);

/* Adds the recent requests of a row to *recent; `now` is apr_time_now(). */
void lh_requests_add_recent(int row, apr_time_t now, lh_requests_recent *recent);

#endif
