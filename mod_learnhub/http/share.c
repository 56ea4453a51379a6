/* SPDX-License-Identifier: Apache-2.0 */
#include "http/share.h"

#include <ap_mpm.h>

#include "core/server_state.h"
#include "http/error.h"
#include "util/counters.h"
#include "util/network.h"
#include "util/tally.h"

static const struct {
    int account, network; /* how many requests may run at once */
    int of_all;           /* 1: those of all clients together may hold half of the threads */
    int retry_after;      /* seconds */
    const char *text;
} kinds[] = {
    [LH_SHARE_MODEL] = {2, 8, 0, 5, "Your other requests to the language model are still running. Wait for them."},
    [LH_SHARE_SEARCH] = {2, 8, 0, 1, "Your other searches are still running. Wait for them."},
    [LH_SHARE_EXPRESSION] = {1, 2, 0, 1, "Another search for an expression is still running. Wait for it."},
    [LH_SHARE_BODY] = {4, 16, 0, 1, "Your other large requests are still being processed. Wait for them."},
    [LH_SHARE_UPLOAD] = {8, 16, 1, 1, "Your other requests are still being received. Complete them first."},
    [LH_SHARE_LIST] = {8, 32, 0, 1, "Your other lists are still being read. Wait for them."},
    [LH_SHARE_SENDER] = {2, 8, 0, 1, "Your other long responses are still being sent. Read them first."}};

/* Without a model, no request asks it. */
static int is_limited(const lh_call *call, lh_share kind)
{
    return kind != LH_SHARE_MODEL || call->server->reviewer;
}

/* Clients with many addresses may hold this many threads of the process. */
static int half_of_threads(void)
{
    int threads = 0;

    ap_mpm_query(AP_MPMQ_MAX_THREADS, &threads);
    return threads > 1 ? threads / 2 : 1;
}

/* The error when the account, the network or (is_busy) all clients together have all of their shares. */
static lh_error *refuse(lh_call *call, lh_share kind, int is_busy)
{
    apr_pool_t *p = call->r->pool;
    lh_error *error;

    lh_share_return(call, kind);
    lh_counter_add(LH_COUNT_SHARES + (int)kind, 1);
    if (is_busy) {
        return lh_error_make(p, HTTP_SERVICE_UNAVAILABLE,
                             "The server is receiving too many requests. Try again later.");
    }
    error = lh_error_make(p, HTTP_TOO_MANY_REQUESTS, kinds[kind].text);
    error->retry_after = kinds[kind].retry_after;
    return error;
}

lh_error *lh_share_take(lh_call *call, lh_share kind)
{
    apr_pool_t *p = call->r->pool;
    lh_call_share *share = &call->shares[kind];
    int is_counted = call->me.id && call->me.role != LH_SERVICE; /* which acts for many users */

    if (share->network || !is_limited(call, kind)) {
        return NULL;
    }
    if (is_counted) {
        share->account = lh_tally_add(p, 3 * kind, (apr_uint64_t)call->me.id, kinds[kind].account);
    }
    if (share->account || !is_counted) {
        share->network = lh_tally_add(p, 3 * kind + 1, lh_network_of(call->r->useragent_addr), kinds[kind].network);
    }
    if (!share->network) {
        return refuse(call, kind, 0);
    }
    if (kinds[kind].of_all) {
        share->all = lh_tally_add(p, 3 * kind + 2, 0, half_of_threads());
    }
    return kinds[kind].of_all && !share->all ? refuse(call, kind, 1) : NULL;
}

void lh_share_return(lh_call *call, lh_share kind)
{
    lh_call_share *share = &call->shares[kind];

    lh_tally_remove(share->account);
    lh_tally_remove(share->network);
    lh_tally_remove(share->all);
    share->account = share->network = share->all = NULL;
}
