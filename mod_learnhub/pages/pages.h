/* SPDX-License-Identifier: Apache-2.0 */
/* What the pages of a server keep in a process. */
#ifndef LH_PAGES_H
#define LH_PAGES_H

#include <apr_thread_mutex.h>

#include "http/route.h"

typedef struct lh_pages {
    const lh_routes *routes;
    const char *policy; /* the Content-Security-Policy of pages without scripts */
    apr_pool_t *pool;   /* used under the lock only */
    apr_thread_mutex_t *lock;
    const lh_document *reference; /* the plain description of the routes; NULL: not written yet */
} lh_pages;

/* Keeps the pages of a server. `routes` lives as long as the pool. */
lh_pages *lh_pages_create(apr_pool_t *p, const lh_routes *routes);

#endif
