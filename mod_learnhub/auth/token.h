/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks whether tokens are still valid, by the process's copy of revocations (revocation.h). An opaque token is looked
 * up in the database when a process meets it first, and again after some minutes.
 *
 * The database learns when a login was used without a query for each request: the lookup of an opaque token stores it,
 * and logins of JSON Web Tokens are collected and stored after events were read.
 */
#ifndef LH_TOKEN_H
#define LH_TOKEN_H

#include "auth/revocation.h"

typedef struct lh_tokens lh_tokens;

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_token_compile(lh_statements *registry, const char **why);

lh_tokens *lh_tokens_create(apr_pool_t *p);

/* Notes that the login of call->me is used, which the database stores some seconds later. */
void lh_token_note(lh_call *call);

/* Checks call->me and sets its current role. 401: the token is revoked; 503: the revocations cannot be read. */
lh_error *lh_token_check(lh_call *call);

/* Like lh_token_check(), but reads new revocations first: for a role that may have been granted a moment ago. */
lh_error *lh_token_check_now(lh_call *call);

/* Sets call->me to the user of an opaque token (40 hex digits). 401: the token is unknown, expired or revoked; 503: as
 * above. */
lh_error *lh_token_find(lh_call *call, const char *token);

#endif
