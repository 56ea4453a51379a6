/* SPDX-License-Identifier: Apache-2.0 */
#include "http/rate.h"

#include <apr_shm.h>
#include <apr_strings.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "http/error.h"
#include "http/route.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/network.h"

#define SHARED_KEY "learnhub:buckets:1" /* another number for another layout of the table */

static lh_buckets *buckets; /* in shared memory */

apr_status_t lh_rate_share(apr_pool_t *process)
{
    apr_shm_t *shm;
    void *found = NULL;
    apr_status_t rv;

    apr_pool_userdata_get(&found, SHARED_KEY, process);
    if (found) {
        buckets = found;
        return APR_SUCCESS;
    }
    rv = apr_shm_create(&shm, lh_buckets_size(), NULL, process);
    if (rv == APR_SUCCESS) {
        rv = lh_buckets_create(apr_shm_baseaddr_get(shm), &buckets);
    }
    if (rv == APR_SUCCESS) {
        apr_pool_userdata_set(buckets, SHARED_KEY, NULL, process);
    }
    return rv;
}

static const lh_rate_limits *limits_of(const lh_call *call)
{
    return lh_config_rate(&call->server->config, call->route->rate);
}

static unsigned kind_of(const lh_call *call, int of_account)
{
    return 2 * (unsigned)call->route->rate + (of_account ? 1 : 0);
}

/* ---- responses ---- */

/* Seconds, rounded up. */
static int seconds(apr_interval_time_t time)
{
    return (int)((time + APR_USEC_PER_SEC - 1) / APR_USEC_PER_SEC);
}

static void set_number(const lh_call *call, const char *name, apr_int64_t value)
{
    apr_table_setn(call->r->err_headers_out, name, apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value));
}

static void set_headers(const lh_call *call, const lh_limit *limit, const lh_bucket_state *state, int reset)
{
    set_number(call, "RateLimit-Limit", limit->requests);
    set_number(call, "RateLimit-Remaining", state->remaining);
    set_number(call, "RateLimit-Reset", reset);
}

static lh_error *refuse(lh_call *call, const lh_limit *limit, const lh_bucket_state *state, int of_account)
{
    apr_pool_t *p = call->r->pool;
    const char *class = lh_config_rate_name(p, call->route->rate);
    lh_error *error = lh_error_make(p, HTTP_TOO_MANY_REQUESTS, "You have sent too many requests. Try again later.");

    error->retry_after = seconds(state->wait);
    set_headers(call, limit, state, error->retry_after);
    apr_table_setn(call->r->notes, "learnhub-limit", class);
    lh_counter_add((of_account ? LH_COUNT_RATE_ACCOUNT : LH_COUNT_RATE_NETWORK) + (int)call->route->rate, 1);
    if (state->refused) {
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, call->r,
                      LH_LOG(0075) "LearnHubRate %s: %s has reached its limit, %u refused since the last report", class,
                      of_account ? apr_pstrcat(p, "user ", call->r->user, NULL) : "this address", state->refused);
    }
    return error;
}

/* ---- counting ---- */

static lh_error *count(lh_call *call, const lh_limit *limit, int of_account, apr_uint64_t key)
{
    lh_bucket_state state;

    if (!lh_buckets_take(buckets, limit, kind_of(call, of_account), key, lh_clock(), &state)) {
        return refuse(call, limit, &state, of_account);
    }
    if (call->route->rate != LH_RATE_READ && (!call->rate_shown || state.remaining < call->rate_remaining)) {
        set_headers(call, limit, &state, seconds(state.reset));
        call->rate_shown = 1;
        call->rate_remaining = state.remaining;
    }
    return NULL;
}

lh_error *lh_rate_count_network(lh_call *call)
{
    const lh_limit *limit = &limits_of(call)->network;

    return limit->requests ? count(call, limit, 0, lh_network_of(call->r->useragent_addr)) : NULL;
}

/* The request does not count for its network. */
static void uncount_network(const lh_call *call)
{
    const lh_limit *limit = &limits_of(call)->network;

    if (limit->requests) {
        lh_buckets_return(buckets, limit, kind_of(call, 0), lh_network_of(call->r->useragent_addr), lh_clock());
    }
}

lh_error *lh_rate_count_account(lh_call *call)
{
    const lh_limit *limit = &limits_of(call)->account;
    lh_error *error;

    if (!call->me.id || !limit->requests || call->me.role == LH_SERVICE) {
        return NULL;
    }
    error = count(call, limit, 1, (apr_uint64_t)call->me.id);
    if (error) {
        uncount_network(call);
    }
    return error;
}
