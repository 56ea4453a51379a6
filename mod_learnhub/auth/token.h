/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which tokens still work, known in each process without asking the database on each request.
 *
 * - The database keeps an event for everything that ends tokens or changes a role (table auth_events). A process reads
 *   the new ones when what it knows is half of LearnHubRevocationInterval old, and all of the last
 *   LearnHubAccessTokenTTL when it starts and once an hour: older tokens have expired.
 * - Older than the interval it answers nobody: the request waits for the events, and gets 503 when they do not come.
 * - An opaque token is looked up once and then remembered; events end it like any other.
 * - A change made through this node counts at once in all its processes: a counter in shared memory tells them.
 */
#ifndef LH_TOKEN_H
#define LH_TOKEN_H

#include "db/statement.h"
#include "http/call.h"

typedef struct lh_tokens lh_tokens;

/* In post_config: the counter that all processes share. */
apr_status_t lh_token_share(apr_pool_t *pconf);

/* Registers the statements. Returns 1, or 0 and *why. */
int lh_token_compile(lh_statements *registry, const char **why);

lh_tokens *lh_tokens_create(apr_pool_t *p);

/* Something ended tokens or changed roles through this node. */
void lh_token_announce(void);

/* Holds call->me against the events and sets its present role. 401: it no longer works; 503: that cannot be told. */
lh_error *lh_token_check(lh_call *call);

/* The same with the events of this moment: before somebody is refused for a role they may just have been given. */
lh_error *lh_token_check_now(lh_call *call);

/* Finds whose opaque token (40 hex digits) this is and sets call->me; 401 when it is nobody's. */
lh_error *lh_token_find(lh_call *call, const char *token);

#endif
