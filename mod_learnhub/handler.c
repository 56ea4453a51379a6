/* SPDX-License-Identifier: Apache-2.0 */
#include "handler.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <http_request.h>
#include <string.h>

#include "auth.h"
#include "body.h"
#include "learnhub_module.h"
#include "read.h"
#include "reply.h"
#include "server.h"
#include "token.h"

#define HANDLER "learnhub"

/* Where httpd's own refusals of our requests go, to be said in the API's shape. Clients cannot ask for it. */
#define ERROR_PATH "/.learnhub-refused"

static lh_call *call_of(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &learnhub_module);
}

static lh_call *make_call(request_rec *r, lh_server *server, const lh_api *api)
{
    lh_call *call = apr_pcalloc(r->pool, sizeof(*call));

    call->r = r;
    call->server = server;
    call->api = api;
    ap_set_module_config(r->request_config, &learnhub_module, call);
    return call;
}

/* ---- claiming ---- */

/* An internal redirect to ERROR_PATH, from a request that was ours. */
static lh_call *claim_refused(request_rec *r)
{
    const lh_call *first = r->prev && !strcmp(r->uri, ERROR_PATH) ? call_of(r->prev) : NULL;
    lh_call *call = first ? make_call(r, first->server, first->api) : NULL;

    if (call) {
        call->error_status = r->prev->status;
    }
    return call;
}

/* Whatever httpd or another module refuses our requests with, from here on. */
static void tell_refusals(request_rec *r)
{
    static const short refusals[] = {400, 401, 403, 404, 405, 408, 413, 414, 417, 429, 500, 501, 503};
    apr_size_t i;

    for (i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        ap_custom_response(r, refusals[i], ERROR_PATH);
    }
}

/* Before the path is decoded, which httpd refuses for %2F or %zz: those refusals too are told in the API's shape. */
static int pre_translate_name(request_rec *r)
{
    lh_server *server = r->proxyreq ? NULL : lh_server_of(r);
    const lh_api *api = server ? lh_server_owner(server, r->uri) : NULL;

    if (!claim_refused(r) && api) {
        make_call(r, server, api);
        tell_refusals(r);
    }
    return DECLINED;
}

/* The decoded path decides. */
static int is_ours(request_rec *r)
{
    lh_call *call = call_of(r);
    lh_server *server = r->proxyreq ? NULL : lh_server_of(r);
    const lh_api *api = server ? lh_server_owner(server, r->uri) : NULL;

    if (call && call->error_status) {
        return 1;
    }
    if (api && !call) {
        call = make_call(r, server, api);
        tell_refusals(r);
    }
    if (api) {
        call->api = api;
    }
    else if (call) {
        ap_set_module_config(r->request_config, &learnhub_module, NULL);
    }
    return api != NULL;
}

/* The path of a claimed request is no file: a name without an extension keeps mod_mime and others away. */
static int translate_name(request_rec *r)
{
    if (!is_ours(r)) {
        return DECLINED;
    }
    r->filename = (char *)"/" HANDLER;
    r->handler = HANDLER;
    return OK;
}

/* No directory walk, no stat calls; TRACE stays httpd's. */
static int map_to_storage(request_rec *r)
{
    return call_of(r) && r->method_number != M_TRACE ? OK : DECLINED;
}

/* SetHandler and others must not take the request away. */
static int fixups(request_rec *r)
{
    if (call_of(r)) {
        r->handler = HANDLER;
    }
    return DECLINED;
}

/* Where a refusal is only told, nothing is left to be granted: <Location /> may deny ERROR_PATH itself. */
static int let_refusal_be_told(request_rec *r)
{
    const lh_call *call = call_of(r);

    return call && call->error_status ? OK : DECLINED;
}

/* ---- the path ---- */

static lh_problem *not_allowed(lh_call *call, const char *allow)
{
    lh_problem *problem = lh_problem_of_status(call->r->pool, HTTP_METHOD_NOT_ALLOWED);

    problem->allow = allow;
    return problem;
}

/* Where the paths of this server begin, as clients see it. */
static const char *base_of(const lh_call *call)
{
    const char *url = call->server->config.public_url;

    return url ? url : ap_construct_url(call->r->pool, "", call->r);
}

static lh_problem *route(lh_call *call, lh_match *match)
{
    const lh_operation *op;
    int i;

    lh_route_match(lh_server_routes(), call->r->pool, call->r->method, call->r->uri, match);
    if (!match->allow) {
        return lh_problem_of_status(call->r->pool, HTTP_NOT_FOUND);
    }
    if (!match->operation) {
        return not_allowed(call, match->allow);
    }
    op = call->op = match->operation;
    call->values = apr_pcalloc(call->r->pool, sizeof(*call->values) * (apr_size_t)op->slots.count);
    for (i = 0; i < op->query_slot; i++) {
        call->values[i].data = match->values[i];
    }
    call->values[op->own_slot + LH_OWN_BASE].data = base_of(call);
    call->values[op->own_slot + LH_OWN_MEETING].data = call->server->config.meeting_url;
    call->values[op->own_slot + LH_OWN_ECO].data = call->server->config.eco_verify;
    return NULL;
}

static lh_problem *identify(lh_call *call)
{
    lh_problem *problem = lh_auth(call);

    if (call->me.id) {
        call->values[call->op->own_slot + LH_OWN_ME].data = call->r->user;
    }
    return problem;
}

static lh_problem *run_row(lh_call *call)
{
    const lh_route *row = call->op->row;
    lh_problem *problem = row->handler ? row->handler(call) : lh_run(call);

    if (!problem && (row->flags & LH_ENDS_TOKENS)) {
        lh_token_announce();
    }
    return problem;
}

static lh_problem *serve(lh_call *call, lh_match *match)
{
    lh_problem *routed = route(call, match), *problem = lh_read_announced(call); /* whose limit is the row's */

    if (!problem) {
        problem = routed;
    }
    if (!problem) {
        problem = identify(call);
    }
    if (!problem) {
        problem = lh_body_query(call);
    }
    if (!problem) {
        problem = lh_body_read(call);
    }
    return problem ? problem : run_row(call);
}

/* A challenge of the operator's own authentication stays as it is. */
static lh_problem *told_by_httpd(lh_call *call)
{
    lh_problem *problem = lh_problem_of_status(call->r->pool, call->error_status);

    problem->challenge = NULL;
    return problem;
}

static int handle(request_rec *r)
{
    lh_call *call = call_of(r);
    lh_match match = {0};
    lh_problem *problem;

    if (!call) {
        return DECLINED;
    }
    if (call->error_status) {
        return lh_reply_problem(call, told_by_httpd(call));
    }
    if (r->method_number == M_OPTIONS) {
        lh_route_match(lh_server_routes(), r->pool, r->method, r->uri, &match);
        return match.allow ? lh_reply_options(call, match.allow)
                           : lh_reply_problem(call, lh_problem_of_status(r->pool, HTTP_NOT_FOUND));
    }
    problem = serve(call, &match);
    if (problem) {
        return lh_reply_problem(call, problem);
    }
    return lh_reply_answer(call);
}

void lh_handler_hooks(apr_pool_t *p)
{
    static const char *const after[] = {"mod_rewrite.c", NULL};
    static const char *const before[] = {"mod_alias.c", "mod_userdir.c", "mod_proxy.c", "mod_vhost_alias.c", NULL};

    (void)p;
    ap_hook_pre_translate_name(pre_translate_name, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_translate_name(translate_name, after, before, APR_HOOK_MIDDLE);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_check_access_ex(let_refusal_be_told, NULL, NULL, APR_HOOK_REALLY_FIRST, AP_AUTH_INTERNAL_PER_URI);
    ap_hook_fixups(fixups, NULL, NULL, APR_HOOK_LAST);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_FIRST);
}
