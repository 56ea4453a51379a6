/* SPDX-License-Identifier: Apache-2.0 */
/* Authentication by the Authorization header (RFC 6750), and authorization by role. */
#ifndef LH_AUTH_H
#define LH_AUTH_H

#include "crypto/jwt.h"
#include "http/call.h"

/*
 * Authenticates the caller, unless the route is LH_ANYONE: sets call->me, the parameter :me, and for the access log
 * r->user (users.id) and r->ap_auth_type. 401 without a valid token; 403 when the caller has none of the route's
 * roles; 429 when its account has sent too many requests; 503 when revocations cannot be read.
 */
lh_error *lh_auth(lh_call *call);

/* Sets call->me to the user of an access token or opaque token. Errors as above, without 403. */
lh_error *lh_auth_token(lh_call *call, const char *token);

/* The rules for JWTs of this server at the current time. */
lh_jwt_rules lh_auth_jwt_rules(const lh_call *call);

#endif
