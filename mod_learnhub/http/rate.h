/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LearnHubRate: limits on the requests of a class (lh_rate) per account and per network of the client
 * (util/network.h), counted on this node by util/buckets.c. They need no database.
 *
 * A refused request is 429 with Retry-After, RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset
 * (draft-ietf-httpapi-ratelimit-headers-06). Other responses have the latter three, for the limit that fewer requests
 * remain of, unless their class is `read`, where they would only make responses longer.
 */
#ifndef LH_RATE_H
#define LH_RATE_H

#include "http/call.h"

/* Creates the buckets, once: with `process`, the pool that outlives restarts, old and new processes share them during a
 * graceful restart. Call in post_config. Fails without shared memory. */
apr_status_t lh_rate_share(apr_pool_t *process);

/* Counts the request for its network, before it is authenticated. Returns 429 above the limit. */
lh_error *lh_rate_count_network(lh_call *call);

/*
 * Counts the request for its account, after it is authenticated. Returns 429 above the limit; then the request does not
 * count for the network, so that one user does not use up what others behind the same address may do. Accounts with the
 * role `service` act for many users and have no limit of their own.
 */
lh_error *lh_rate_count_account(lh_call *call);

#endif
