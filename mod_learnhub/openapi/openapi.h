/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3.1 document of a server, from the compiled routes. Depends on APR only. */
#ifndef LH_OPENAPI_H
#define LH_OPENAPI_H

#include "http/route.h"
#include "learnhub.h"
#include "util/buckets.h"

/* What differs between servers. */
typedef struct lh_openapi_options {
    const char *server; /* the URL of all paths, such as "https://example.com/learn" or "/" */
    const char *rates;  /* the classes of LearnHubRate from LH_RATE_SIGNUP on, separated by spaces */
    struct {
        lh_limit account, network;
    } limits[LH_RATE_READ];                                        /* of the classes, in the same order */
    apr_int64_t max_body, max_public_body, max_photo, max_diagram; /* bytes of request bodies */
    int (*serves)(const void *context, const lh_route_group *group, const char *path);
    const void *context;
} lh_openapi_options;

/* Returns the document with the routes that the server serves, in `p`; sets *length to its bytes. */
const char *lh_openapi_write(apr_pool_t *p, const lh_routes *routes, const lh_openapi_options *options,
                             apr_size_t *length);

#endif
