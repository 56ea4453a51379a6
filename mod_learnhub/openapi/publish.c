/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/publish.h"

#include <apr_strings.h>

#include "http/call.h"
#include "http/receive.h"
#include "http/served.h"
#include "openapi/openapi.h"

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

static const char *write_document(apr_pool_t *scratch, const lh_routes *routes, const lh_server *server,
                                  apr_size_t *length)
{
    const lh_config *config = &server->config;
    lh_openapi_options options = {.server = server_url(scratch, config),
                                  .rates = lh_config_rates,
                                  .max_body = config->max_body,
                                  .max_public_body = LH_RECEIVE_PUBLIC_MAX,
                                  .max_photo = config->max_photo,
                                  .max_diagram = config->max_diagram,
                                  .serves = serves,
                                  .context = server};
    int i;

    for (i = 0; i < LH_RATE_READ; i++) {
        options.limits[i].account = config->rates.of[i].account;
        options.limits[i].network = config->rates.of[i].network;
    }
    return lh_openapi_write(scratch, routes, &options, length);
}

lh_kept *lh_openapi_create(apr_pool_t *p, const lh_routes *routes)
{
    return lh_kept_create(p, routes, "application/json", write_document);
}

const lh_document *lh_openapi(const lh_call *call)
{
    return lh_kept_document(call->server->openapi, call->server);
}
