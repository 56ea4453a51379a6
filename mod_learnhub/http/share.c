/* SPDX-License-Identifier: Apache-2.0 */
#include "http/share.h"

#include "core/server_state.h"
#include "http/error.h"
#include "util/network.h"
#include "util/tally.h"

static const struct {
    int account, network; /* how many requests may run at once */
    int retry_after;      /* seconds */
    const char *text;
} kinds[] = {
    [LH_SHARE_MODEL] = {2, 8, 5, "Your other requests to the language model are still running. Wait for them."},
    [LH_SHARE_SEARCH] = {2, 8, 1, "Your other searches are still running. Wait for them."},
    [LH_SHARE_EXPRESSION] = {1, 2, 1, "Another search for an expression is still running. Wait for it."},
    [LH_SHARE_BODY] = {4, 16, 1, "Your other large requests are still being processed. Wait for them."},
    [LH_SHARE_UPLOAD] = {8, 16, 1, "Your other requests are still being received. Complete them first."},
    [LH_SHARE_SENDER] = {2, 8, 1, "Your other long responses are still being sent. Read them first."}};

/* Without a model, no request asks it. */
static int is_limited(const lh_call *call, lh_share kind)
{
    return kind != LH_SHARE_MODEL || call->server->reviewer;
}

lh_error *lh_share_take(lh_call *call, lh_share kind)
{
    apr_pool_t *p = call->r->pool;
    lh_call_share *share = &call->shares[kind];
    int is_counted = call->me.id && call->me.role != LH_SERVICE; /* which acts for many users */
    lh_error *error;

    if (share->network || !is_limited(call, kind)) {
        return NULL;
    }
    if (is_counted) {
        share->account = lh_tally_add(p, 2 * kind, (apr_uint64_t)call->me.id, kinds[kind].account);
    }
    if (share->account || !is_counted) {
        share->network = lh_tally_add(p, 2 * kind + 1, lh_network_of(call->r->useragent_addr), kinds[kind].network);
    }
    if (share->network) {
        return NULL;
    }
    lh_share_return(call, kind);
    error = lh_error_make(p, HTTP_TOO_MANY_REQUESTS, kinds[kind].text);
    error->retry_after = kinds[kind].retry_after;
    return error;
}

void lh_share_return(lh_call *call, lh_share kind)
{
    lh_call_share *share = &call->shares[kind];

    lh_tally_remove(share->account);
    lh_tally_remove(share->network);
    share->account = share->network = NULL;
}
