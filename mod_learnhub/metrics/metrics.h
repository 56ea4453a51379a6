/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics of all child processes of a node: counts by route (requests.h), counters and gauges (util/counters.h), shown
 * by mod_status (status.h) and to Prometheus (exposition.h).
 */
#ifndef LH_METRICS_H
#define LH_METRICS_H

#include <apr_pools.h>

typedef struct lh_routes lh_routes;

/* Creates the shared memory. Called in post_config, with httpd's pool of the process. Fails without shared memory. */
apr_status_t lh_metrics_share(apr_pool_t *process, const lh_routes *routes);

/* Begins to count in this process. Called in child_init, before anything is counted. */
void lh_metrics_begin(apr_pool_t *pchild);

/* Called in register_hooks. */
void lh_metrics_hooks(void);

#endif
