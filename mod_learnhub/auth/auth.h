/* SPDX-License-Identifier: Apache-2.0 */
/* Who calls: the Authorization header, by RFC 6750, and whether their role may. */
#ifndef LH_AUTH_H
#define LH_AUTH_H

#include "crypto/jwt.h"
#include "http/call.h"

/*
 * Sets call->me for a route that is not public, and r->user (the id) and r->ap_auth_type for the access log.
 * 401 without a valid token; 403 without one of the route's roles.
 */
lh_error *lh_auth(lh_call *call);

/* The rules for JWTs of this server, at this moment. */
lh_jwt_rules lh_auth_jwt_rules(const lh_call *call);

#endif
