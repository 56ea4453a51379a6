/* SPDX-License-Identifier: Apache-2.0 */
#include "http/kept.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "http/etag.h"
#include "util/memory.h"

struct lh_kept {
    apr_pool_t *pool; /* used under the lock only */
    apr_thread_mutex_t *lock;
    const lh_routes *routes;
    lh_kept_write *write;
    lh_document document; /* body NULL: not written yet */
};

lh_kept *lh_kept_create(apr_pool_t *p, const lh_routes *routes, const char *type, lh_kept_write *write)
{
    lh_kept *kept = apr_pcalloc(p, sizeof(*kept));

    apr_pool_create(&kept->pool, p);
    apr_thread_mutex_create(&kept->lock, APR_THREAD_MUTEX_DEFAULT, p);
    kept->routes = routes;
    kept->write = write;
    kept->document.type = type;
    return kept;
}

/* Everything but the text itself is allocated in a pool that is destroyed. */
static void write_document(lh_kept *kept, const lh_server *server)
{
    apr_pool_t *scratch = lh_memory_pool(kept->pool);
    lh_document *document = &kept->document;
    const char *text = kept->write(scratch, kept->routes, server, &document->length);

    document->body = apr_pstrmemdup(kept->pool, text, document->length);
    document->etag = lh_etag(kept->pool, server->etags, document->body, document->length);
    apr_pool_destroy(scratch);
}

const lh_document *lh_kept_document(lh_kept *kept, const lh_server *server)
{
    apr_thread_mutex_lock(kept->lock);
    if (!kept->document.body) {
        write_document(kept, server);
    }
    apr_thread_mutex_unlock(kept->lock);
    return &kept->document;
}
