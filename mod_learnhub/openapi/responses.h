/* SPDX-License-Identifier: Apache-2.0 */
/* The responses of an operation: success, and every error that the route can return. Depends on APR only. */
#ifndef LH_RESPONSES_H
#define LH_RESPONSES_H

#include "http/route.h"
#include "openapi/component.h"

/* Writes the value of `responses`, and what it refers to into `components`. */
void lh_responses_write(lh_json *json, lh_components *components, const lh_compiled_route *route);

/* 1 when a response to the GET route can have an entity tag. */
int lh_responses_have_etag(const lh_route *route);

/* "TutoringSession" for "tutoring.session". */
const char *lh_responses_name(apr_pool_t *p, const lh_route *route, const char *suffix);

#endif
