/* SPDX-License-Identifier: Apache-2.0 */
#include "handler.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/token.h"
#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "http/body.h"
#include "http/cache.h"
#include "http/call.h"
#include "http/claim.h"
#include "http/cors.h"
#include "http/error.h"
#include "http/error_filter.h"
#include "http/rate.h"
#include "http/receive.h"
#include "http/reply.h"
#include "http/request_id.h"
#include "http/route.h"
#include "http/run.h"
#include "metrics/exposition.h"
#include "server.h"

#define HANDLER "learnhub"

/* The target of internal redirects for errors that httpd or another module sets on our requests; handle() returns them
 * in the group's error format. Requests of clients for this path are left to httpd. */
#define ERROR_PATH "/.learnhub-error"

static lh_call *call_of(const request_rec *r)
{
    lh_call *call = ap_get_module_config(r->request_config, &learnhub_module);

    return call && !call->dropped ? call : NULL;
}

static lh_call *make_call(request_rec *r, lh_server *server, const lh_route_group *group, const char *path)
{
    lh_call *call = apr_pcalloc(r->pool, sizeof(*call));

    call->r = r;
    call->server = server;
    call->group = group;
    call->path = path;
    call->preflight = r->method_number == M_OPTIONS && apr_table_get(r->headers_in, "Origin") &&
                      apr_table_get(r->headers_in, "Access-Control-Request-Method");
    lh_request_id_set(call);
    ap_set_module_config(r->request_config, &learnhub_module, call);
    return call;
}

/* ---- selecting requests ---- */

/* Creates the call of an internal redirect from one of our requests to ERROR_PATH; returns NULL for other requests. */
static lh_call *make_error_call(request_rec *r)
{
    const lh_call *first = r->prev && !strcmp(r->uri, ERROR_PATH) ? call_of(r->prev) : NULL;
    lh_call *call = first ? make_call(r, first->server, first->group, first->path) : NULL;

    if (call) {
        call->error_status = r->prev->status;
        call->preflight = first->preflight;
    }
    return call;
}

/* The number of statuses that httpd knows. RESPONSE_CODES is that of the httpd which the module was built for. */
static int response_codes;

static void count_response_codes(void)
{
    int status;

    for (status = 100; status < 600; status++) {
        if (ap_index_of_response(status) >= response_codes) {
            response_codes = ap_index_of_response(status) + 1;
        }
    }
}

/* From now on, errors that httpd or another module sets on this request are redirected to ERROR_PATH. The effect is
 * that of ap_custom_response() for every status of an error. */
static void redirect_errors(request_rec *r, lh_call *call)
{
    core_request_config *core = ap_get_core_module_config(r->request_config);
    char **responses = apr_pcalloc(r->pool, sizeof(*responses) * (apr_size_t)response_codes);
    int i;

    for (i = ap_index_of_response(HTTP_BAD_REQUEST); i < response_codes; i++) {
        responses[i] = (char *)ERROR_PATH;
    }
    call->custom_responses = core->response_code_strings;
    core->response_code_strings = responses;
}

/* Leaves a claimed request to httpd or to the module that has translated its URL. */
static void drop(request_rec *r, lh_call *call)
{
    core_request_config *core = ap_get_core_module_config(r->request_config);

    core->response_code_strings = call->custom_responses;
    lh_request_id_drop(call);
    call->dropped = 1;
}

/* The group that serves `uri`, or NULL. Sets *path as lh_server_find_group() does. */
static const lh_route_group *find_group(const request_rec *r, const char *uri, const char **path)
{
    lh_server *server = r->proxyreq || !uri ? NULL : lh_server_of(r);

    return server ? lh_server_find_group(server, uri, path) : NULL;
}

/* Claims the request if this server serves its current path, otherwise drops it. Returns the call, or NULL. */
static lh_call *claim(request_rec *r)
{
    lh_call *call = call_of(r);
    const char *path;
    const lh_route_group *group = find_group(r, r->uri, &path);

    if (!group) {
        if (call) {
            drop(r, call);
        }
        return NULL;
    }
    if (!call) {
        call = make_call(r, lh_server_of(r), group, path);
        redirect_errors(r, call);
    }
    call->group = group;
    call->path = path;
    return call;
}

/* Claims requests by the encoded path, before httpd decodes it, so that decoding errors (%2F, %zz) are redirected. */
static int pre_translate_name(request_rec *r)
{
    if (!make_error_call(r)) {
        claim(r);
    }
    return DECLINED;
}

/*
 * Claims the request by the decoded path, which mod_rewrite may have changed. Our paths are not files: a filename
 * without an extension keeps mod_mime and others from processing it.
 */
static int translate_name(request_rec *r)
{
    const lh_call *call = call_of(r);

    if (!(call && call->error_status) && !claim(r)) {
        return DECLINED;
    }
    r->filename = (char *)"/" HANDLER;
    r->handler = HANDLER;
    return OK;
}

/*
 * Skips the directory walk with its stat calls; TRACE is left to httpd. Without our handler, another module has
 * translated the URL, such as mod_rewrite with [L] or [P]: then that module serves the request.
 */
static int map_to_storage(request_rec *r)
{
    lh_call *call = call_of(r);

    if (call && !call->error_status && (!r->handler || strcmp(r->handler, HANDLER))) {
        drop(r, call);
        return DECLINED;
    }
    return call && r->method_number != M_TRACE ? OK : DECLINED;
}

/* Overrides SetHandler and similar directives, but not that for the metrics, nor a RewriteRule with [P] in a
 * <Location>. */
static int fixups(request_rec *r)
{
    lh_call *call = call_of(r);
    int is_other = r->proxyreq || (r->handler && !strcmp(r->handler, LH_EXPOSITION_HANDLER));

    if (call && is_other && !call->error_status) {
        drop(r, call);
    }
    else if (call) {
        r->handler = HANDLER;
    }
    return DECLINED;
}

/* Allows internal error redirects: <Location /> may deny ERROR_PATH as well. */
static int allow_error_redirect(request_rec *r)
{
    const lh_call *call = call_of(r);

    return call && call->error_status ? OK : DECLINED;
}

/* ---- serving ---- */

static lh_error *not_allowed(lh_call *call, const char *allow)
{
    lh_error *error = lh_error_of_status(call->r->pool, HTTP_METHOD_NOT_ALLOWED);

    error->allow = allow;
    return error;
}

/* The base URL of this server's paths as clients see it. */
static const char *base_of(const lh_call *call)
{
    const lh_config *config = &call->server->config;

    return config->public_url ? apr_pstrcat(call->r->pool, config->public_url, config->prefix, NULL)
                              : ap_construct_url(call->r->pool, config->prefix, call->r);
}

/* Finds the route of the request; *match is zero if there is no such path. */
static void match_route(const lh_call *call, lh_match *match)
{
    memset(match, 0, sizeof(*match));
    if (call->group != &lh_server_no_group) {
        lh_route_match(lh_server_routes(), call->r->pool, call->r->method, call->path, match);
    }
}

static lh_error *find_route(lh_call *call)
{
    lh_match match;
    int i;

    match_route(call, &match);
    if (!match.allow) {
        return lh_error_of_status(call->r->pool, HTTP_NOT_FOUND);
    }
    if (!match.route) {
        return not_allowed(call, match.allow);
    }
    call->route = match.route;
    call->values = apr_pcalloc(call->r->pool, sizeof(*call->values) * (apr_size_t)match.route->slots.count);
    for (i = 0; i < match.route->query_slot; i++) {
        call->values[i] = match.values[i];
    }
    lh_call_set_builtin(call, LH_BUILTIN_BASE, base_of(call));
    lh_call_set_builtin(call, LH_BUILTIN_MEETING, call->server->config.meeting_url);
    lh_call_set_builtin(call, LH_BUILTIN_ECO, call->server->config.eco_verify);
    lh_call_set_builtin(call, LH_BUILTIN_SIGNUP_ROLES, call->server->config.signup_roles);
    lh_call_set_builtin(call, LH_BUILTIN_ADDRESS, call->r->useragent_ip);
    return NULL;
}

/* 413 takes precedence over 404 and 405, because the size limit applies to requests without a route as well. */
static lh_error *check(lh_call *call)
{
    lh_error *routing = find_route(call), *error = lh_receive_check_length(call);

    if (!error) {
        error = routing;
    }
    if (!error) {
        error = lh_rate_count_network(call);
    }
    if (!error) {
        error = lh_auth(call);
    }
    if (!error) {
        error = lh_body_query(call);
    }
    return error ? error : lh_body_read(call);
}

static lh_error *run(lh_call *call)
{
    lh_error *error = lh_claim_begin(call);

    if (!error && !call->kept) {
        error = lh_run(call);
    }
    lh_claim_end(call, error);
    if (!error && (call->route->def->flags & LH_REVOKES)) {
        lh_revocation_announce();
    }
    return error;
}

static int respond(lh_call *call)
{
    lh_error *error = check(call), *malformed = lh_receive_rest(call);
    lh_response response;

    if (malformed) {
        return lh_reply_error(call, malformed);
    }
    if (error && call->route) {
        error = lh_claim_rejected(call, error);
    }
    if (!error && lh_cache_find(call, &response)) {
        return lh_reply_send(call, &response);
    }
    if (!error && !call->kept) {
        error = run(call);
    }
    if (error) {
        return lh_reply_error(call, error);
    }
    if (!lh_reply_make(call, &response)) {
        return lh_reply_long(call);
    }
    lh_cache_store(call, &response);
    return lh_reply_send(call, &response);
}

static int serve(lh_call *call)
{
    int rv = respond(call);

    call->answered_at = apr_time_now();
    lh_reply_notes(call);
    return rv;
}

/* Without a challenge, so that the WWW-Authenticate header of another module (such as mod_auth_basic) is kept. */
static lh_error *error_of_httpd(lh_call *call)
{
    lh_error *error = lh_error_of_status(call->r->pool, call->error_status);

    error->challenge = NULL;
    return error;
}

static int handle_options(lh_call *call)
{
    lh_match match;

    match_route(call, &match);
    return match.allow ? lh_reply_options(call, match.allow)
                       : lh_reply_error(call, lh_error_of_status(call->r->pool, HTTP_NOT_FOUND));
}

static int handle(request_rec *r)
{
    lh_call *call = call_of(r);

    if (!call) {
        return DECLINED;
    }
    if (call->preflight || call->error_status || r->method_number == M_OPTIONS) {
        lh_error *malformed = lh_receive_rest(call);

        if (malformed) {
            return lh_reply_error(call, malformed);
        }
    }
    /* A preflight succeeds for every path: the browser then sends the request, and its client gets the 404 or 405. */
    if (call->preflight && (!call->error_status || call->error_status == HTTP_NOT_FOUND)) {
        return lh_reply_preflight(call);
    }
    if (call->error_status) {
        return lh_reply_error(call, error_of_httpd(call));
    }
    if (r->method_number == M_OPTIONS) {
        return handle_options(call);
    }
    return serve(call);
}

/* Errors of requests for our paths that httpd itself writes, such as those of a malformed header, which precede
 * pre_translate_name(). */
static void insert_error_filter(request_rec *r)
{
    lh_call *call = ap_get_module_config(r->request_config, &learnhub_module);
    const char *path;
    const lh_route_group *group = call ? NULL : find_group(r, lh_error_filter_path(r), &path);

    if (group) {
        call = make_call(r, lh_server_of(r), group, path);
    }
    if (call && !call->dropped) {
        lh_error_filter_add(call);
    }
}

void lh_handler_hooks(apr_pool_t *p)
{
    static const char *const after[] = {"mod_rewrite.c", NULL};
    static const char *const before[] = {"mod_alias.c", "mod_userdir.c", "mod_proxy.c", "mod_vhost_alias.c", NULL};

    (void)p;
    count_response_codes();
    lh_error_filter_register();
    ap_hook_pre_translate_name(pre_translate_name, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(translate_name, after, before, APR_HOOK_MIDDLE);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_check_access_ex(allow_error_redirect, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_URI);
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_LAST);
    ap_hook_insert_error_filter(insert_error_filter, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_FIRST);
}
