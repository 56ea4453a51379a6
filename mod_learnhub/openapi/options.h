/* SPDX-License-Identifier: Apache-2.0 */
/* What differs between the OpenAPI documents of servers. Depends on APR only. */
#ifndef LH_OPTIONS_H
#define LH_OPTIONS_H

#include "learnhub.h"
#include "util/buckets.h"

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

#endif
