/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Idempotency-Key of a request before and after its run (see idempotency.h). A route with steps before its
 * statements claims the key, so that a repeated request neither runs these steps at the same time nor gets an error of
 * theirs for a change that has been made.
 */
#ifndef LH_CLAIM_H
#define LH_CLAIM_H

#include "db/statement.h"
#include "http/call.h"

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_claim_compile(lh_statements *registry, const char **why);

/*
 * Call before a validated request runs. It need not run if this sets call->kept, the response to send, or returns an
 * error: a malformed key, one of another request, or 409 while another request has the key.
 */
lh_error *lh_claim_begin(lh_call *call);

/* Call after the run; `error` is its result. */
void lh_claim_end(lh_call *call, const lh_error *error);

/* For a request with the validation error `error`: returns NULL and sets call->kept if the same request succeeded
 * before, such as one with a time that has passed since. Otherwise returns `error`. */
lh_error *lh_claim_rejected(lh_call *call, lh_error *error);

#endif
