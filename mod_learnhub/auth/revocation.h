/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every process keeps a copy of the events that revoke tokens and change roles, so that a request with a token needs no
 * query.
 *
 * - A transaction that revokes tokens or changes a role inserts an event (table auth_events). A process reads the new
 *   events when its copy is older than half of LearnHubRevocationInterval. When it starts, and once an hour, it reads
 *   all events that still matter, in portions: each has the time at which the last token that it concerns expires.
 * - If the copy is older than the interval, requests wait for a refresh, or get 503 when it fails.
 * - A change through this node takes effect immediately in all its processes: a counter in shared memory invalidates
 *   their copies.
 */
#ifndef LH_REVOCATION_H
#define LH_REVOCATION_H

#include "db/statement.h"
#include "http/call.h"

/* The copy of the events for a server in one process. */
typedef struct lh_revocations lh_revocations;

/* Creates the counter that all processes of this node share, also those of before a graceful restart, in httpd's pool
 * of the process. Called in post_config. Fails without shared memory. */
apr_status_t lh_revocation_share(apr_pool_t *process);

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_revocation_compile(lh_statements *registry, const char **why);

/* Creates an empty copy; the first request with a token loads it. */
lh_revocations *lh_revocation_create(apr_pool_t *p);

/* Invalidates the copies of all processes; call after a change that revokes tokens or changes roles. */
void lh_revocation_announce(void);

/* Ensures that the copy is not older than the interval. Sets *has_read to 1 if this request has read events. */
lh_error *lh_revocation_follow(lh_revocations *revocations, lh_call *call, int *has_read);

/* Refreshes the copy, even if it is not older than the interval. */
lh_error *lh_revocation_read(lh_revocations *revocations, lh_call *call);

/* Sets the current role of an identity; returns 0 when its token or login is revoked. */
int lh_revocation_apply(lh_revocations *revocations, lh_identity *identity);

#endif
