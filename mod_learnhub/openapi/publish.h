/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI document of each server: written when it is requested first in a process, then kept. */
#ifndef LH_PUBLISH_H
#define LH_PUBLISH_H

#include <httpd.h>

typedef struct lh_routes lh_routes;
typedef struct lh_openapi_keeper lh_openapi_keeper;

/* Keeps the document of a server in this process. `routes` lives as long as the pool. */
lh_openapi_keeper *lh_openapi_keeper_create(apr_pool_t *p, const lh_routes *routes);

#endif
