/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3.1 document of a server, from the compiled routes. Depends on APR only. */
#ifndef LH_OPENAPI_H
#define LH_OPENAPI_H

#include "http/route.h"
#include "openapi/options.h"

/* Returns the document with the routes that the server serves, in `p`; sets *length to its bytes. */
const char *lh_openapi_write(apr_pool_t *p, const lh_routes *routes, const lh_openapi_options *options,
                             apr_size_t *length);

#endif
