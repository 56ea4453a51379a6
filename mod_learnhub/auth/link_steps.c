/* SPDX-License-Identifier: Apache-2.0 */
/* The steps for mailed links that learnhub_accounts.h declares: password resets and confirmations of addresses. */
#include "learnhub_accounts.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>

#include "core/server_state.h"
#include "crypto/digest.h"
#include "http/call.h"
#include "http/error.h"

/* The base URL, from ServerName: with the Host header, an attacker could direct a user's link to another host. */
static const char *server_url(const request_rec *r)
{
    apr_port_t port = r->server->port ? r->server->port : r->connection->local_addr->port;
    const char *scheme = ap_http_scheme(r);
    int is_default = port == ap_default_port(r);

    return apr_pstrcat(r->pool, scheme, "://", r->server->server_hostname,
                       is_default ? "" : apr_psprintf(r->pool, ":%u", (unsigned)port), NULL);
}

/* `url`: the configured URL of the page; NULL: the page `path` of this server. */
static const char *page_url(const lh_call *call, const char *url, const char *path)
{
    const lh_config *config = &call->server->config;

    return url ? url
               : apr_pstrcat(call->r->pool, config->public_url ? config->public_url : server_url(call->r),
                             config->prefix, path, NULL);
}

static lh_error *bind_reset_link(lh_call *call)
{
    lh_bind(call, "link", page_url(call, call->server->config.reset_url, "/password/reset/confirm/{uid}/{token}"));
    return NULL;
}

static lh_error *bind_activation_link(lh_call *call)
{
    const lh_config *config = &call->server->config;

    lh_bind(call, "activation_link",
            config->verify_email ? page_url(call, config->activation_url, "/activate/{uid}/{token}") : NULL);
    return NULL;
}

static lh_error *bind_link_digest(lh_call *call)
{
    const char *digest = lh_digest_hex(call->r->pool, lh_param(call, "token"));

    lh_bind(call, "digest", digest);
    return digest ? NULL : lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
}

static lh_error *find_reset_link(lh_call *call)
{
    lh_error *error = bind_link_digest(call);

    if (!error) {
        error = lh_query(call, 0);
    }
    return error || lh_row_count(call) ? error : lh_fail(call, "missing");
}

/* clang-format off */
const lh_step lh_step_bind_reset_link = {
    .name = "bind_reset_link", .run = bind_reset_link, .binds = "link"};

const lh_step lh_step_bind_activation_link = {
    .name = "bind_activation_link", .run = bind_activation_link, .binds = "activation_link"};

const lh_step lh_step_bind_link_digest = {
    .name = "bind_link_digest", .run = bind_link_digest, .fields = "token", .binds = "digest"};

const lh_step lh_step_find_reset_link = {
    .name = "find_reset_link", .run = find_reset_link, .fields = "token", .binds = "digest", .extra_sql = 1};
/* clang-format on */
