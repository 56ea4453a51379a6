/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/metrics.h"

#include <ap_mpm.h>

#include "jobs/jobs.h"
#include "metrics/exposition.h"
#include "metrics/requests.h"
#include "metrics/status.h"
#include "util/counters.h"

/* ServerLimit bounds the processes of all generations that run during a restart. */
apr_status_t lh_metrics_share(apr_pool_t *process, const lh_routes *routes)
{
    int processes = 0;
    apr_pool_t *p;
    apr_status_t rv;

    ap_mpm_query(AP_MPMQ_HARD_LIMIT_DAEMONS, &processes);
    apr_pool_create(&p, process);
    rv = lh_counters_share(process, processes, lh_jobs_names(p));
    apr_pool_destroy(p);
    return rv == APR_SUCCESS ? lh_requests_share(process, routes) : rv;
}

void lh_metrics_begin(apr_pool_t *pchild)
{
    lh_counters_begin(pchild);
    lh_requests_begin();
}

void lh_metrics_hooks(void)
{
    lh_requests_hooks();
    lh_exposition_hooks();
    lh_status_hooks();
}
