/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks whether tokens are still valid, without a database query for each request: every process keeps a copy of the
 * events that revoke tokens and change roles.
 *
 * - A transaction that revokes tokens or changes a role inserts an event (table auth_events). A process reads the new
 *   events when its copy is older than half of LearnHubRevocationInterval. When it starts, and once an hour, it reads
 *   all events of the last LearnHubAccessTokenTTL. Older events do not matter, as older access tokens have expired.
 * - If the copy is older than the interval, requests wait for a refresh, or get 503 when it fails.
 * - An opaque token is looked up in the database once and then cached. Events revoke it like a JWT.
 * - A change through this node takes effect immediately in all its processes: a counter in shared memory invalidates
 *   their copies.
 */
#ifndef LH_TOKEN_H
#define LH_TOKEN_H

#include "db/statement.h"
#include "http/call.h"

/* The copy of the events for a server in one process. */
typedef struct lh_tokens lh_tokens;

/* Creates the counter that all processes of this node share, also those of before a graceful restart, in httpd's pool
 * of the process. Called in post_config. Fails without shared memory. */
apr_status_t lh_token_share(apr_pool_t *process);

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_token_compile(lh_statements *registry, const char **why);

/* Creates an empty copy; the first request with a token loads it. */
lh_tokens *lh_tokens_create(apr_pool_t *p);

/* Invalidates the copies of all processes; call after a change that revokes tokens or changes roles. */
void lh_token_announce(void);

/* Checks call->me and sets its current role. 401: the token is revoked; 503: the copy cannot be refreshed. */
lh_error *lh_token_check(lh_call *call);

/* Like lh_token_check(), but refreshes the copy first: for a role that may have been granted a moment ago. */
lh_error *lh_token_check_now(lh_call *call);

/* Sets call->me to the user of an opaque token (40 hex digits). 401: the token is unknown, expired or revoked; 503: as
 * above. */
lh_error *lh_token_find(lh_call *call, const char *token);

#endif
