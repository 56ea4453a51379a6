/* SPDX-License-Identifier: Apache-2.0 */
#include "http/run.h"

#include <apr_strings.h>
#include <stdlib.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/result.h"
#include "db/sql.h"
#include "http/condition.h"
#include "http/deadline.h"
#include "http/error.h"
#include "http/failure.h"
#include "http/idempotency.h"
#include "http/route.h"
#include "http/share.h"
#include "http/standby.h"
#include "http/stream.h"
#include "http/topics.h"
#include "util/network.h"

/* ---- one run ---- */

static lh_sql_run make_run(const lh_call *call, const lh_statement *const *statements, int count,
                           const char *const *values)
{
    lh_sql_run run = {.db = call->server->db, .statements = statements, .count = count, .values = values};

    run.request_id = call->server->config.trace ? call->request_id : NULL;
    lh_deadline_set(call, &run);
    return run;
}

/* `uncertain`, if not NULL, is set to 1 if an attempt that did not succeed may have been committed. */
static lh_error *execute(lh_call *call, const lh_sql_run *run, lh_result **results, int *uncertain)
{
    lh_sql_failure failure = {.label = run->statements[run->guard]->label};
    lh_sql_time time;
    lh_sql_outcome outcome;

    if (!lh_deadline_allows(call)) {
        return lh_failure_late(call, failure.label);
    }
    outcome = lh_sql_execute(run, call->r->pool, results, &failure, &time);
    lh_deadline_spend(call, &time);
    if (uncertain) {
        *uncertain = failure.uncertain;
    }
    return outcome == LH_SQL_OK ? NULL : lh_failure_of_run(call, outcome, &failure);
}

static int is_get(const lh_call *call)
{
    return !strcmp(call->route->def->method, "GET");
}

/*
 * Executes statements of the route, and announces what they have changed before anything else can fail. If it is
 * unknown whether an attempt was committed, as after a retry, everything may have changed. The closing statement of a
 * run with run->close is appended here.
 */
static lh_error *execute_route(lh_call *call, const lh_sql_run *run, lh_result **results)
{
    const lh_statement *statements[LH_SQL_STATEMENTS], *topics = NULL;
    lh_statement writer;
    lh_result *all[LH_SQL_STATEMENTS] = {NULL};
    lh_sql_run whole = *run;
    int count = run->count, uncertain = 0;
    lh_error *error;

    if (!is_get(call) && !(call->route->def->flags & LH_KEEPS_CACHE)) {
        topics = lh_standby_writer(call, &writer);
        topics = topics ? topics : lh_topics_statement();
    }
    if (!topics && !run->close) {
        return execute(call, run, results, NULL);
    }
    memcpy(statements, run->statements, sizeof(*statements) * (apr_size_t)count);
    whole.statements = statements;
    if (topics) {
        statements[whole.count++] = topics;
    }
    if (run->close) {
        statements[whole.count++] = lh_idempotency_closing();
        whole.closing = 1;
    }
    error = execute(call, &whole, all, &uncertain);
    if (!error) {
        memcpy(results, all, sizeof(*results) * (apr_size_t)count);
    }
    if (!error && topics && all[count]) { /* NULL: a guard that did not accept; nothing was changed */
        lh_topics_announce(lh_call_cell(call, all[count], 0, 0));
    }
    if (topics && uncertain) {
        lh_topics_announce("*");
    }
    return error;
}

lh_error *lh_run_statement(lh_call *call, const lh_statement *statement, const char *const *values, lh_result **result)
{
    lh_sql_run run = make_run(call, &statement, 1, values);

    run.retryable = 1;
    return execute(call, &run, result, NULL);
}

lh_error *lh_query(lh_call *call, int index)
{
    lh_sql_run run = make_run(call, &call->route->extra_sql[index], 1, call->values);
    lh_error *error;

    run.retryable = is_get(call);
    error = execute_route(call, &run, &call->last);
    return error || !lh_row_count(call) ? error : lh_failure_in_results(call, &call->last, 1);
}

/* ---- the route's statements ---- */

static void bind_page(lh_call *call)
{
    const lh_compiled_route *route = call->route;
    apr_int64_t page, size;

    if (!route->paged || lh_call_unpaged(call)) {
        return; /* LIMIT NULL is no limit */
    }
    page = apr_atoi64(lh_param(call, "page"));
    size = apr_atoi64(lh_param(call, "page_size"));
    lh_call_set_builtin(call, LH_BUILTIN_LIMIT, apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, size));
    lh_call_set_builtin(call, LH_BUILTIN_OFFSET, apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, (page - 1) * size));
}

/* Whether LH_DEEP or more rows precede the page. Requires bind_page(). */
static int is_deep(const lh_call *call)
{
    const char *skipped = lh_param(call, call->route->paged ? "offset" : "skip");

    return skipped && apr_atoi64(skipped) >= LH_DEEP;
}

/* Whether the response is written while its rows arrive. */
static int is_streamed(const lh_call *call)
{
    return (call->route->def->flags & LH_STREAMED) || lh_call_unpaged(call);
}

/* Whether the statements may share a round trip with those of other requests. */
static int is_short(const lh_call *call)
{
    return (call->route->def->flags & LH_SHORT) && !call->filters && !(call->route->deep && is_deep(call));
}

/* Sets `statements` to those of the route for the filters and the page that were sent, its count first. Returns their
 * number. */
static int choose_statements(const lh_call *call, const lh_statement **statements)
{
    const lh_compiled_route *route = call->route;
    int counted = route->counts && !lh_call_unpaged(call), count = counted + route->sql_count;

    if (counted) {
        statements[0] = route->counts[call->filters];
    }
    memcpy(statements + counted, route->sql, sizeof(*statements) * (apr_size_t)route->sql_count);
    if (route->filtered) {
        statements[count - 1] = route->filtered[call->filters];
    }
    if (route->deep && is_deep(call)) {
        statements[count - 1] = route->deep[call->filters];
    }
    return count;
}

/* Returns the error `missing` or `page` if the last result lacks a row that it needs. Applies its column `_status`. */
static lh_error *check_last_result(lh_call *call)
{
    lh_shape shape = call->route->def->shape;
    const char *status = lh_cell(call, "_status");

    if ((shape == LH_ONE || shape == LH_NOTHING || shape == LH_EVENTS || shape == LH_BYTES) &&
        lh_row_count(call) == 0) {
        return lh_fail(call, "missing");
    }
    if (call->route->paged && lh_row_count(call) == 0 && strcmp(lh_param(call, "page"), "1")) {
        return lh_fail(call, "page");
    }
    if (status) {
        lh_reply_status(call, atoi(status));
    }
    return NULL;
}

/* Logs the event in the column `_audit`: after the commit, and without names or addresses of users. */
static void log_audit(const lh_call *call)
{
    const char *event = is_get(call) ? NULL : lh_cell(call, "_audit"), *by = "";

    if (event) {
        if (call->me.id) {
            by = apr_psprintf(call->r->pool, " by user %" APR_INT64_T_FMT, call->me.id);
        }
        ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, call->r, LH_LOG(0090) "audit: %s%s", event, by);
    }
}

/* `results` are those of `count` statements of the route. */
static lh_error *take_results(lh_call *call, lh_result *const *results, int count)
{
    lh_error *error;

    call->count = call->route->counts ? results[0] : NULL;
    call->last = results[count - 1];
    error = lh_failure_in_results(call, results, count);
    return error ? error : check_last_result(call);
}

static lh_error *run_steps(lh_call *call, const lh_step *const *steps)
{
    lh_error *error = NULL;
    int i;

    for (i = 0; i < LH_STEPS_MAX && steps[i] && !error && !call->complete; i++) {
        error = steps[i]->run(call);
    }
    return error;
}

/* ---- with Idempotency-Key ---- */

/* The run of a call with call->idempotency. */
typedef struct keyed_run {
    lh_call *call;
    int count; /* of the route's statements, which follow the guard */
    int status;
    lh_member *last_member;
    apr_size_t members_size; /* of the call before the run, as are the two above */
    lh_key_state state;      /* of the key, from the guard */
    lh_error *error;         /* of the response */
} keyed_run;

static int accept_key(void *context, lh_result *const *guard)
{
    keyed_run *keyed = context;

    keyed->state = lh_idempotency_state(keyed->call, guard[0]);
    return keyed->state == LH_KEY_FREE;
}

/* Undoes what an earlier attempt has done to the response. */
static void reset_response(const keyed_run *keyed)
{
    lh_call *call = keyed->call;

    call->status = keyed->status;
    call->last_member = keyed->last_member;
    call->members_size = keyed->members_size;
    if (call->last_member) {
        call->last_member->next = NULL;
    }
    else {
        call->members = NULL;
    }
}

/* Makes the response before the commit, so that it is stored with the change. Errors are not stored. If the response
 * cannot be made, nothing is committed: otherwise a repeated request would make the change again. */
static int close_key(void *context, lh_result *const *results)
{
    keyed_run *keyed = context;
    lh_call *call = keyed->call;

    reset_response(keyed);
    keyed->error = take_results(call, results + 1, keyed->count);
    if (keyed->error) {
        return 0;
    }
    keyed->error = run_steps(call, call->route->def->after);
    if (!keyed->error && !lh_idempotency_keep(call)) {
        keyed->error = lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    if (keyed->error) {
        lh_idempotency_abort(call);
    }
    return 1;
}

/* Runs the statements of a route, of which `run` has all but the guard. */
static lh_error *run_keyed(lh_call *call, lh_sql_run run, const lh_statement *const *statements)
{
    keyed_run keyed = {call, run.count, call->status, call->last_member, call->members_size, LH_KEY_FREE, NULL};
    const lh_statement *all[LH_SQL_STATEMENTS];
    lh_result *results[LH_SQL_STATEMENTS];
    lh_error *error;

    all[0] = lh_idempotency_guard();
    memcpy(all + 1, statements, sizeof(*all) * (apr_size_t)run.count);
    run.statements = all;
    run.count++;
    run.guard = 1;
    run.guard_values = run.closing_values = call->idempotency->values;
    run.accept = accept_key;
    run.close = close_key;
    run.context = &keyed;
    run.retryable = 1; /* if an attempt was committed, the guard of the next one finds its response */
    error = execute_route(call, &run, results);
    if (error) {
        call->kept = NULL;
        return keyed.error ? keyed.error : error;
    }
    call->complete = 1; /* the steps after the statements have run */
    if (keyed.state != LH_KEY_FREE) {
        return lh_idempotency_error(call, keyed.state);
    }
    log_audit(call);
    return keyed.error;
}

/* ---- the route ---- */

/* Executes a read on a standby. Returns 0 if it must be executed on the primary. */
static int run_on_standby(lh_call *call, const lh_sql_run *run, lh_error **error)
{
    lh_result *results[LH_SQL_STATEMENTS];
    lh_sql_failure failure = {.label = run->statements[0]->label};
    lh_standby_read read;
    apr_interval_time_t executing;
    lh_sql_outcome outcome;
    lh_sql_time time;

    if (!lh_standby_begin(&read, call, run)) {
        return 0;
    }
    executing = call->spent.executing;
    if (is_streamed(call)) {
        outcome = lh_stream_execute(call, &read.run, &failure, error);
    }
    else {
        outcome = lh_sql_execute(&read.run, call->r->pool, results, &failure, &time);
        lh_deadline_spend(call, &time);
    }
    if (!lh_standby_end(&read, outcome, &failure)) {
        call->spent.executing = executing; /* the primary gets all of its time */
        return 0;
    }
    if (outcome != LH_SQL_OK) {
        *error = lh_failure_of_run(call, outcome, &failure);
    }
    else if (!is_streamed(call)) {
        *error = take_results(call, results + 1, run->count);
    }
    return 1;
}

static lh_error *run_statements(lh_call *call)
{
    const lh_route *def = call->route->def;
    const lh_statement *statements[LH_SQL_STATEMENTS];
    lh_result *results[LH_SQL_STATEMENTS];
    lh_condition condition;
    lh_sql_run run;
    lh_error *error;
    int guard, count;

    bind_page(call);
    guard = lh_condition_begin(&condition, call, statements);
    count = choose_statements(call, statements + guard);
    run = make_run(call, statements, guard + count, call->values);
    if (call->idempotency) {
        return run_keyed(call, run, statements);
    }
    run.retryable = is_get(call) || (def->flags & LH_RETRYABLE);
    run.timeout_ms = def->timeout_ms;
    run.client = def->timeout_ms ? lh_network_of(call->r->useragent_addr) : 0;
    if (is_short(call) && !run.rest_ms && !run.request_id) {
        run.batches = call->server->batches;
    }
    lh_condition_guard(&condition, &run);
    if (call->server->standby) {
        if (run_on_standby(call, &run, &error)) {
            return error;
        }
        lh_deadline_set(call, &run); /* waiting for the standby has used some of the time */
    }
    if (is_streamed(call)) {
        return lh_stream_run(call, &run);
    }
    error = execute_route(call, &run, results);
    if (!error) {
        error = lh_condition_result(&condition);
    }
    if (error) {
        return error;
    }
    error = take_results(call, results + guard, count);
    log_audit(call);
    return error;
}

static lh_error *run_route(lh_call *call)
{
    lh_error *error = lh_condition_check(call);

    if (!error) {
        error = run_steps(call, call->route->def->before);
    }
    if (!error && !call->complete && call->route->sql_count) {
        error = run_statements(call);
    }
    return error ? error : run_steps(call, call->route->def->after);
}

/* The share of a request, or LH_SHARE_NONE. */
static lh_share share_of(const lh_call *call)
{
    const lh_route *def = call->route->def;

    return !def->share && is_streamed(call) ? LH_SHARE_LIST : def->share;
}

lh_error *lh_run(lh_call *call)
{
    lh_share share = share_of(call);
    lh_error *error = share ? lh_share_take(call, share) : NULL;

    if (!error) {
        error = run_route(call);
    }
    if (share) {
        lh_share_return(call, share);
    }
    lh_share_return(call, LH_SHARE_EXPRESSION); /* which a step has taken */
    return error;
}
