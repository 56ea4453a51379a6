/* SPDX-License-Identifier: Apache-2.0 */
/* A document about the routes of a server: written when it is requested first in a process, and then kept. */
#ifndef LH_KEPT_H
#define LH_KEPT_H

#include "core/server_state.h"
#include "http/route.h"

typedef struct lh_kept lh_kept;

/* Returns the text of the document, in `scratch`, and sets *length. */
typedef const char *lh_kept_write(apr_pool_t *scratch, const lh_routes *routes, const lh_server *server,
                                  apr_size_t *length);

/* `routes` and `type`, the media type, live as long as the pool. */
lh_kept *lh_kept_create(apr_pool_t *p, const lh_routes *routes, const char *type, lh_kept_write *write);

/* The document, which lives as long as the pool of lh_kept_create(). Threads may call this at once. */
const lh_document *lh_kept_document(lh_kept *kept, const lh_server *server);

#endif
