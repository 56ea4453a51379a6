/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/publish.h"

#include <apr_strings.h>
#include <apr_thread_mutex.h>

#include "core/server_state.h"
#include "http/call.h"
#include "http/etag.h"
#include "http/receive.h"
#include "http/served.h"
#include "openapi/openapi.h"
#include "util/memory.h"

struct lh_openapi_keeper {
    apr_pool_t *pool; /* used under the lock only */
    apr_thread_mutex_t *lock;
    const lh_routes *routes;
    const lh_document *document; /* NULL: not written yet */
};

lh_openapi_keeper *lh_openapi_keeper_create(apr_pool_t *p, const lh_routes *routes)
{
    lh_openapi_keeper *keeper = apr_pcalloc(p, sizeof(*keeper));

    apr_pool_create(&keeper->pool, p);
    apr_thread_mutex_create(&keeper->lock, APR_THREAD_MUTEX_DEFAULT, p);
    keeper->routes = routes;
    return keeper;
}

static int serves(const void *context, const lh_route_group *group, const char *path)
{
    const lh_server *server = context;

    return lh_served(&server->config, group, path);
}

static const char *server_url(apr_pool_t *p, const lh_config *config)
{
    const char *url = apr_pstrcat(p, config->public_url ? config->public_url : "", config->prefix, NULL);

    return *url ? url : "/";
}

/* Everything but the document itself is allocated in a pool that is destroyed. */
static const lh_document *write_document(lh_openapi_keeper *keeper, const lh_server *server)
{
    const lh_config *config = &server->config;
    apr_pool_t *scratch = lh_memory_pool(keeper->pool);
    lh_openapi_options options = {.server = server_url(scratch, config),
                                  .rates = lh_config_rates,
                                  .max_body = config->max_body,
                                  .max_public_body = LH_RECEIVE_PUBLIC_MAX,
                                  .max_photo = config->max_photo,
                                  .max_diagram = config->max_diagram,
                                  .serves = serves,
                                  .context = server};
    lh_document *document = apr_pcalloc(keeper->pool, sizeof(*document));
    const char *text;
    int i;

    for (i = 0; i < LH_RATE_READ; i++) {
        options.limits[i].account = config->rates.of[i].account;
        options.limits[i].network = config->rates.of[i].network;
    }
    text = lh_openapi_write(scratch, keeper->routes, &options, &document->length);
    document->type = "application/json";
    document->body = apr_pstrmemdup(keeper->pool, text, document->length);
    document->etag = lh_etag(keeper->pool, server->etags, document->body, document->length);
    apr_pool_destroy(scratch);
    return document;
}

const lh_document *lh_openapi(const lh_call *call)
{
    lh_openapi_keeper *keeper = call->server->openapi;
    const lh_document *document;

    apr_thread_mutex_lock(keeper->lock);
    if (!keeper->document) {
        keeper->document = write_document(keeper, call->server);
    }
    document = keeper->document;
    apr_thread_mutex_unlock(keeper->lock);
    return document;
}
