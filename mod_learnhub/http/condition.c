/* SPDX-License-Identifier: Apache-2.0 */
#include "http/condition.h"

#include <string.h>

#include "http/error.h"
#include "http/etag.h"
#include "http/failure.h"
#include "http/reply.h"
#include "http/route.h"

/* The request's If-Match; NULL without one, and for methods that it does not protect. */
static const char *if_match(const lh_call *call)
{
    const char *method = call->route->def->method;

    return strcmp(method, "GET") && strcmp(method, "POST") ? apr_table_get(call->r->headers_in, "If-Match") : NULL;
}

lh_error *lh_condition_check(const lh_call *call)
{
    return call->route->get || !if_match(call)
               ? NULL
               : lh_error_make(call->r->pool, HTTP_PRECONDITION_FAILED,
                               "If-Match cannot be used here: this path has no GET of an object.");
}

int lh_condition_begin(lh_condition *condition, const lh_call *call, const lh_statement **statements)
{
    const lh_compiled_route *get = call->route->get;
    lh_call *view = &condition->view;

    memset(condition, 0, sizeof(*condition));
    condition->if_match = if_match(call);
    if (!get || !condition->if_match) {
        return 0;
    }
    view->r = call->r;
    view->server = call->server;
    view->path = call->path;
    view->group = call->group;
    view->me = call->me;
    view->route = get;
    view->values = apr_pcalloc(call->r->pool, sizeof(*view->values) * (apr_size_t)get->slots.count);
    memcpy(view->values, call->values, sizeof(*view->values) * (apr_size_t)get->query_slot);
    memcpy(view->values + get->builtin_slot, call->values + call->route->builtin_slot,
           sizeof(*view->values) * LH_BUILTIN_LIMIT);
    statements[0] = get->lock;
    memcpy(statements + 1, get->sql, sizeof(*statements) * (apr_size_t)get->sql_count);
    condition->guard = 1 + get->sql_count;
    return condition->guard;
}

static int accept_guard(void *context, lh_result *const *guard)
{
    lh_condition *condition = context;
    lh_call *view = &condition->view;
    lh_response response;

    condition->met = 0;
    view->last = guard[condition->guard - 1];
    if (!lh_failure_in_results(view, guard + 1, condition->guard - 1) && lh_row_count(view)) {
        lh_reply_make(view, &response);
        condition->met = lh_etag_match(view->r->pool, condition->if_match, response.etag, 0) != NULL;
    }
    return condition->met;
}

void lh_condition_guard(lh_condition *condition, lh_sql_run *run)
{
    if (condition->guard) {
        run->guard = condition->guard;
        run->guard_values = condition->view.values;
        run->accept = accept_guard;
        run->context = condition;
        run->retryable = 0; /* after a change that was committed the condition is no longer met */
    }
}

lh_error *lh_condition_result(const lh_condition *condition)
{
    return condition->guard && !condition->met ? lh_error_of_status(condition->view.r->pool, HTTP_PRECONDITION_FAILED)
                                               : NULL;
}
