/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that a route must meet by itself; route.c checks those that concern several routes. Depends on APR only. */
#ifndef LH_ROUTE_CHECK_H
#define LH_ROUTE_CHECK_H

#include "learnhub.h"

/* NULL, or the first rule that the route breaks, as a clause that follows its name. */
const char *lh_route_check(apr_pool_t *p, const lh_route *route);

#endif
