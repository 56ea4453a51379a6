/* SPDX-License-Identifier: Apache-2.0 */
#include "http/failure.h"

#include <apr_strings.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "db/result.h"
#include "http/deadline.h"
#include "http/error.h"
#include "http/route.h"
#include "util/repeat.h"

#define QUERY_CANCELED "57014"

/* The defaults for routes that do not define an error with the same code. */
static const lh_route_error common[] = {{"account_deleted", 401, NULL, "The account has been deleted."},
                                        {"missing", 404, NULL, "Not found."},
                                        {"page", 404, NULL, "Invalid page."},
                                        {"role", 403, NULL, "You do not have permission to perform this action."},
                                        {"slow", 422, NULL, "The query takes too long. Use a simpler one."},
                                        {0}};

/* ---- codes ---- */

static const lh_route_error *find(const lh_route_error *errors, const char *code, apr_size_t length)
{
    for (; errors && errors->code; errors++) {
        if (strlen(errors->code) == length && !memcmp(errors->code, code, length)) {
            return errors;
        }
    }
    return NULL;
}

static const lh_route_error *error_for(const lh_call *call, const char *code, apr_size_t length)
{
    const lh_route_error *own = find(call->route->def->errors, code, length);

    return own ? own : find(common, code, length);
}

/* Returns one error with all invalid fields; if a code has no field, the error of the first such code. */
lh_error *lh_fail(lh_call *call, const char *codes)
{
    lh_error *errors = NULL;
    apr_size_t length;

    for (; *codes; codes += length + strspn(codes + length, " ")) {
        const lh_route_error *error;

        length = strcspn(codes, " ");
        error = error_for(call, codes, length);
        if (!error) {
            ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, LH_LOG(0002) "route %s has no error \"%s\"",
                          call->route->def->name, codes);
            return lh_error_of_status(call->r->pool, 500);
        }
        if (!error->field) {
            return lh_error_make(call->r->pool, error->status, error->text);
        }
        errors = lh_fail_field(call, errors, error->field, error->text);
    }
    return errors;
}

static const char *location_of(const lh_compiled_route *route, const char *field)
{
    int i;

    for (i = 0; field && i < route->query_count; i++) {
        if (!strcmp(route->query[i]->name, field)) {
            return "query";
        }
    }
    return "body";
}

lh_error *lh_fail_field(lh_call *call, lh_error *errors, const char *field, const char *text)
{
    if (field && !strcmp(field, "non_field_errors")) {
        field = NULL;
    }
    return lh_error_field(call->r->pool, errors, location_of(call->route, field), field, text);
}

/* The codes of a result's `!` column, or "missing" when it has that column and no row; NULL: no error. */
static const char *codes_of(lh_call *call, const lh_result *result)
{
    int column = lh_result_find(result, "!");

    if (column < 0) {
        return NULL;
    }
    return lh_result_rows(result) ? lh_call_cell(call, result, 0, column) : "missing";
}

lh_error *lh_failure_in_results(lh_call *call, lh_result *const *results, int count)
{
    const char *codes = NULL;
    int i;

    for (i = 0; !codes && i < count; i++) {
        codes = codes_of(call, results[i]);
    }
    return codes ? lh_fail(call, codes) : NULL;
}

/* ---- the error log ---- */

/* The kinds of failures. During an outage each request has one, so a process logs the first `most` lines of each kind
 * in a second, and counts the others. */
typedef enum { REJECTED, UNAVAILABLE, TIMEOUT, LOST, BUSY, DOWN, LATE, KINDS } failure_kind;

static const struct {
    int number; /* LH_LOG() */
    int level;
    apr_uint32_t most;
} kinds[KINDS] = {
    [REJECTED] = {3, APLOG_ERR, 20}, /* a defect or a missing right: the lines differ */
    [UNAVAILABLE] = {3, APLOG_WARNING, 1}, [TIMEOUT] = {4, APLOG_WARNING, 1}, [LOST] = {5, APLOG_WARNING, 1},
    [BUSY] = {6, APLOG_INFO, 1},           [DOWN] = {105, APLOG_INFO, 1},     [LATE] = {106, APLOG_INFO, 1},
};

static lh_repeat repeats[KINDS];

/* Returns the end of a line, which has the number of lines that were left out before it, or NULL: no line is logged. */
static const char *end_of_line(const lh_call *call, failure_kind kind)
{
    apr_uint32_t left_out;

    if (!APLOG_R_IS_LEVEL(call->r, kinds[kind].level) ||
        !lh_repeat_may_log(&repeats[kind], kinds[kind].most, &left_out)) {
        return NULL;
    }
    return left_out ? apr_psprintf(call->r->pool, " (and %u more)", left_out) : "";
}

void lh_failure_log_rest(server_rec *s)
{
    int i;

    for (i = 0; i < KINDS && APLOG_IS_LEVEL(s, APLOG_NOTICE); i++) {
        apr_uint32_t left_out = lh_repeat_rest(&repeats[i]);

        if (left_out) {
            ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, s, LH_LOG(0108) "%u more of LH%04d", left_out, kinds[i].number);
        }
    }
}

static void log_rejected(const lh_call *call, failure_kind kind, const lh_sql_failure *failure)
{
    const char *end = end_of_line(call, kind);

    if (end) {
        ap_log_rerror(APLOG_MARK, kinds[kind].level, 0, call->r, LH_LOG(0003) "%s: SQLSTATE %s: %s%s", failure->label,
                      failure->sqlstate, failure->message, end);
    }
}

static void log_failed(const lh_call *call, failure_kind kind, const char *label)
{
    const char *end = end_of_line(call, kind);

    if (!end) {
        return;
    }
    switch (kind) {
    case TIMEOUT:
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, call->r,
                      LH_LOG(0004) "%s: the deadline passed; the outcome is unknown%s", label, end);
        break;
    case LOST:
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, call->r,
                      LH_LOG(0005) "%s: the connection was lost; the outcome is unknown%s", label, end);
        break;
    case DOWN:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r, LH_LOG(0105) "%s: the database is unavailable%s", label, end);
        break;
    case LATE:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r,
                      LH_LOG(0106) "%s: not executed: the earlier statements of the request took too long%s", label,
                      end);
        break;
    default:
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r,
                      LH_LOG(0006) "%s: no database connection became available in time%s", label, end);
    }
}

/* ---- failed runs ---- */

static lh_error *error_of_database(lh_call *call, const lh_sql_failure *failure)
{
    lh_error *error;

    if (failure->constraint && error_for(call, failure->constraint, strlen(failure->constraint))) {
        return lh_fail(call, failure->constraint);
    }
    /* If the time of the whole request was used up, the query is not what takes too long. */
    if (call->route->def->timeout_ms && !strcmp(failure->sqlstate, QUERY_CANCELED) && lh_deadline_allows(call)) {
        return lh_fail(call, "slow");
    }
    error = lh_error_of_sqlstate(call->r->pool, failure->sqlstate);
    if (error->status >= 500) {
        log_rejected(call, error->status == 500 ? REJECTED : UNAVAILABLE, failure);
    }
    return error;
}

lh_error *lh_failure_of_run(lh_call *call, lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    if (outcome == LH_SQL_ERROR) {
        return error_of_database(call, failure);
    }
    log_failed(call,
               outcome == LH_SQL_TIMEOUT ? TIMEOUT
               : outcome == LH_SQL_LOST  ? LOST
               : outcome == LH_SQL_DOWN  ? DOWN
                                         : BUSY,
               failure->label);
    return lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
}

lh_error *lh_failure_late(lh_call *call, const char *label)
{
    log_failed(call, LATE, label);
    return lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
}
