/* SPDX-License-Identifier: Apache-2.0 */
/* What the pages of a server keep in a process. */
#ifndef LH_PAGES_H
#define LH_PAGES_H

#include "http/kept.h"

typedef struct lh_pages {
    const char *policy; /* the Content-Security-Policy of pages without scripts */
    lh_kept *reference; /* the plain description of the routes */
} lh_pages;

/* Keeps the pages of a server. `routes` lives as long as the pool. */
lh_pages *lh_pages_create(apr_pool_t *p, const lh_routes *routes);

/* 1 when /docs is the page with the renderer: with LearnHubDocs and /openapi.json. Otherwise it is the plain page. */
int lh_pages_render(const lh_call *call);

#endif
