/* SPDX-License-Identifier: Apache-2.0 */
/* The rules for a single route; route.c checks those that concern several routes. Depends on APR only. */
#ifndef LH_ROUTE_CHECK_H
#define LH_ROUTE_CHECK_H

#include "learnhub.h"

/*
 * Returns NULL, or a clause for a message that names the route: it has neither statements nor steps, no summary, no key
 * where its shape or message needs one, flags or a count that do not suit its shape, or a step whose fields, extra
 * statements or columns are missing.
 */
const char *lh_route_check(apr_pool_t *p, const lh_route *route);

#endif
