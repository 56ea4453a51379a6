/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <apr_strings.h>
#include <http_log.h>
#include <stdlib.h>
#include <string.h>

#include "learnhub_module.h"
#include "rows.h"
#include "stream.h"

APLOG_USE_MODULE(learnhub);

/* What every row refuses with when it has no words of its own. */
static const lh_refusal common[] = {{"missing", 404, NULL, "Not found."},
                                    {"page", 404, NULL, "Invalid page."},
                                    {"role", 403, NULL, "You do not have permission to do this."},
                                    {"slow", 422, NULL, "This takes too long to find. Ask for something simpler."},
                                    {0}};

/* ---- refusals ---- */

static const lh_refusal *find_refusal(const lh_refusal *refusals, const char *code, apr_size_t length)
{
    for (; refusals && refusals->code; refusals++) {
        if (strlen(refusals->code) == length && !memcmp(refusals->code, code, length)) {
            return refusals;
        }
    }
    return NULL;
}

static const lh_refusal *refusal_for(const lh_call *call, const char *code, apr_size_t length)
{
    const lh_refusal *own = find_refusal(call->op->row->refusals, code, length);

    return own ? own : find_refusal(common, code, length);
}

/* One problem for codes separated by spaces: the wrong fields together, or the first that is no field. */
lh_problem *lh_refuse(lh_call *call, const char *codes)
{
    lh_problem *problem = NULL;
    apr_size_t length;

    for (; *codes; codes += length + strspn(codes + length, " ")) {
        const lh_refusal *refusal;

        length = strcspn(codes, " ");
        refusal = refusal_for(call, codes, length);
        if (!refusal) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, "learnhub: row %s has no refusal \"%s\"",
                          call->op->row->name, codes);
            return lh_problem_of_status(call->r->pool, 500);
        }
        if (!refusal->field) {
            return lh_problem_make(call->r->pool, refusal->status, refusal->text);
        }
        problem = lh_refuse_field(call, problem, refusal->field, refusal->text);
    }
    return problem;
}

/* Where a field comes from: a wrong one is told with its place. */
static const char *place_of(const lh_operation *op, const char *field)
{
    int i;

    for (i = 0; field && i < op->query_count; i++) {
        if (!strcmp(op->query[i]->name, field)) {
            return "query";
        }
    }
    return "body";
}

lh_problem *lh_refuse_field(lh_call *call, lh_problem *so_far, const char *field, const char *text)
{
    return lh_problem_field(call->r->pool, so_far, place_of(call->op, field), field, text);
}

/* ---- failures ---- */

/* PostgreSQL's own timeout comes a little before ours: then the connection stays. */
#define SERVER_FIRST apr_time_from_msec(250)

#define QUERY_CANCELED "57014"

static lh_problem *server_refused(lh_call *call, const lh_sql_failure *failure)
{
    lh_problem *problem;

    if (failure->constraint && refusal_for(call, failure->constraint, strlen(failure->constraint))) {
        return lh_refuse(call, failure->constraint);
    }
    if (call->op->row->bound && !strcmp(failure->sqlstate, QUERY_CANCELED)) {
        return lh_refuse(call, "slow");
    }
    problem = lh_problem_of_sqlstate(call->r->pool, failure->sqlstate);
    if (problem->status >= 500) {
        ap_log_rerror(APLOG_MARK, problem->status == 500 ? APLOG_ERR : APLOG_WARNING, 0, call->r,
                      "learnhub: %s: SQLSTATE %s: %s", failure->label, failure->sqlstate, failure->message);
    }
    return problem;
}

lh_problem *lh_run_failed(lh_call *call, lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    switch (outcome) {
    case LH_SQL_ERROR: return server_refused(call, failure);
    case LH_SQL_TIMEOUT:
    case LH_SQL_LOST:
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, call->r, "learnhub: %s: %s", failure->label,
                      outcome == LH_SQL_LOST ? "the connection broke, the outcome is unknown"
                                             : "the deadline passed, the outcome is unknown");
        break;
    default: ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r, "learnhub: no connection to the database in time");
    }
    return lh_problem_of_status(call->r->pool, 503);
}

lh_sql_run lh_run_make(const lh_call *call, const lh_statement *const *steps, int count, const lh_value *values)
{
    const lh_config *config = &call->server->config;
    lh_sql_run run = {.db = call->server->db, .steps = steps, .count = count, .values = values};

    run.wait_until = lh_clock() + config->connection_wait;
    run.patience = config->statement_timeout + SERVER_FIRST;
    run.deadline = run.wait_until + run.patience;
    return run;
}

static lh_problem *execute(lh_call *call, const lh_sql_run *run, lh_result **results)
{
    lh_sql_failure failure = {{0}, NULL, NULL, run->steps[0]->label};
    apr_interval_time_t elapsed = 0;
    lh_sql_outcome outcome = lh_sql_execute(run, call->r->pool, results, &failure, &elapsed);

    call->db_time += elapsed;
    return outcome == LH_SQL_OK ? NULL : lh_run_failed(call, outcome, &failure);
}

lh_problem *lh_run_ask(lh_call *call, const lh_statement *statement, const lh_value *values, lh_result **result)
{
    lh_sql_run run = lh_run_make(call, &statement, 1, values);

    run.safe = 1;
    return execute(call, &run, result);
}

/* ---- the row's statements ---- */

/* The codes in a result's `!` column, or "missing" when it has that column and no row; NULL when nothing is refused. */
static const char *refused(lh_call *call, const lh_result *result)
{
    int i;

    for (i = 0; i < lh_result_columns(result); i++) {
        if (!strcmp(lh_result_name(result, i), "!")) {
            return lh_result_rows(result) ? lh_run_cell(call, result, 0, i) : "missing";
        }
    }
    return NULL;
}

int lh_run_whole(const lh_call *call)
{
    return (call->op->row->flags & LH_WHOLE) && !call->paged;
}

static void bind_page(lh_call *call)
{
    const lh_operation *op = call->op;
    apr_int64_t page, size;

    if (op->row->shape != LH_PAGE || lh_run_whole(call)) {
        return; /* a limit of NULL is none */
    }
    page = apr_atoi64(lh_text(call, "page"));
    size = apr_atoi64(lh_text(call, "page_size"));
    call->values[op->own_slot + LH_OWN_LIMIT].data = apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, size);
    call->values[op->own_slot + LH_OWN_OFFSET].data =
        apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, (page - 1) * size);
}

lh_problem *lh_run_judge(lh_call *call, lh_result *const *results, int count)
{
    const char *codes;
    int i;

    for (i = 0; i < count; i++) {
        codes = refused(call, results[i]);
        if (codes) {
            return lh_refuse(call, codes);
        }
    }
    return NULL;
}

static lh_problem *judge_rows(lh_call *call)
{
    lh_shape shape = call->op->row->shape;
    const char *status = lh_cell(call, "_status");

    if ((shape == LH_ONE || shape == LH_NOTHING || shape == LH_BYTES) && lh_rows(call) == 0) {
        return lh_refuse(call, "missing");
    }
    if (shape == LH_PAGE && lh_rows(call) == 0 && strcmp(lh_text(call, "page"), "1")) {
        return lh_refuse(call, "page");
    }
    if (status) {
        lh_answer_status(call, atoi(status));
    }
    return NULL;
}

/* The row's count, where it has one, and its steps, with the filters that were sent; returns how many. */
static int choose_steps(const lh_call *call, const lh_statement **steps)
{
    const lh_operation *op = call->op;
    int counted = op->counts && !lh_run_whole(call), count = counted + op->step_count;

    if (counted) {
        steps[0] = op->counts[call->filters];
    }
    memcpy(steps + counted, op->steps, sizeof(*steps) * (apr_size_t)op->step_count);
    if (op->answers) {
        steps[count - 1] = op->answers[call->filters];
    }
    return count;
}

lh_problem *lh_run(lh_call *call)
{
    const lh_route *row = call->op->row;
    const lh_statement *steps[LH_STEPS + 1];
    lh_result *results[LH_STEPS + 1];
    int count = choose_steps(call, steps);
    lh_sql_run run = lh_run_make(call, steps, count, call->values);
    lh_problem *problem;

    run.safe = !strcmp(row->method, "GET") || (row->flags & LH_SAFE);
    run.bound = call->unbound ? 0 : row->bound;
    bind_page(call);
    if ((row->flags & LH_STREAMED) || lh_run_whole(call)) {
        return lh_stream_run(call, &run);
    }
    problem = execute(call, &run, results);
    if (problem) {
        return problem;
    }
    call->count = call->op->counts ? results[0] : NULL;
    call->last = results[count - 1];
    problem = lh_run_judge(call, results, count);
    return problem ? problem : judge_rows(call);
}

lh_problem *lh_query(lh_call *call, int index)
{
    lh_sql_run run = lh_run_make(call, &call->op->more[index], 1, call->values);
    lh_problem *problem = execute(call, &run, &call->last);
    const char *codes = problem ? NULL : lh_result_rows(call->last) ? refused(call, call->last) : NULL;

    return codes ? lh_refuse(call, codes) : problem;
}

/* ---- values ---- */

apr_pool_t *lh_memory(const lh_call *call)
{
    return call->r->pool;
}

apr_int64_t lh_me(const lh_call *call)
{
    return call->me.id;
}

/* The slot of a field, which slots do not name when it is a secret. */
static int body_slot(const lh_operation *op, const char *name)
{
    int i;

    for (i = 0; i < op->body_count; i++) {
        if (!strcmp(op->row->body[i].name, name)) {
            return op->body_slot + i;
        }
    }
    return -1;
}

static int slot_of(const lh_operation *op, const char *name)
{
    int slot = body_slot(op, name), i;

    for (i = 0; slot < 0 && i < op->slots.count; i++) {
        slot = strcmp(op->slots.names[i], name) ? -1 : i;
    }
    return slot;
}

const char *lh_text(const lh_call *call, const char *name)
{
    int slot = slot_of(call->op, name);

    return slot < 0 ? NULL : call->values[slot].data;
}

void lh_bind(lh_call *call, const char *name, const char *value)
{
    int slot = slot_of(call->op, name);

    if (slot >= 0) {
        call->values[slot].data = value;
        call->values[slot].length = value ? (int)strlen(value) : 0;
    }
}

void lh_unbound(lh_call *call)
{
    call->unbound = 1;
}

int lh_rows(const lh_call *call)
{
    return call->last ? lh_result_rows(call->last) : 0;
}

const char *lh_run_cell(const lh_call *call, const lh_result *result, int row, int column)
{
    lh_cell_value cell;

    cell.data = lh_result_cell(result, row, column, &cell.length);
    return lh_rows_text(call->r->pool, lh_result_type(result, column), &cell);
}

const char *lh_cell(const lh_call *call, const char *column)
{
    int i;

    for (i = 0; lh_rows(call) && i < lh_result_columns(call->last); i++) {
        if (!strcmp(lh_result_name(call->last, i), column)) {
            return lh_run_cell(call, call->last, 0, i);
        }
    }
    return NULL;
}
