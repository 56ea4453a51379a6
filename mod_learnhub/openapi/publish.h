/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI document of each server. */
#ifndef LH_PUBLISH_H
#define LH_PUBLISH_H

#include "http/kept.h"

/* Keeps the document of a server in this process. `routes` lives as long as the pool. */
lh_kept *lh_openapi_create(apr_pool_t *p, const lh_routes *routes);

#endif
