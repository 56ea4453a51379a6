/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that learnhub_model.h declares for the evaluation of drawings. */
#include <apr_strings.h>
#include <http_core.h>
#include <stdlib.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "http/call.h"
#include "http/deadline.h"
#include "http/error.h"
#include "learnhub_model.h"
#include "model/evaluation.h"
#include "model/model.h"
#include "util/clock.h"

#define LOOK_AGAIN apr_time_from_msec(250) /* while another request asks the model */
#define MARGIN apr_time_from_sec(2)        /* from the model's timeout to that of a claim */

enum { READ, CLAIM, STORE, RELEASE }; /* the extra statements */

typedef struct review {
    lh_assignment assignment;
    const lh_drawing *drawing;
    int submits;
    const char *evaluation; /* NULL: none yet */
    int cached;             /* it was stored before this request */
} review;

/* Asks the model for the request that has claimed the evaluation, and stores the evaluation or releases the claim. */
static lh_error *ask(lh_call *call, review *rv, lh_model_outcome *outcome)
{
    apr_pool_t *p = call->r->pool;
    lh_model_message messages[] = {{"system", lh_evaluation_instruction},
                                   {"user", lh_evaluation_subject(p, &rv->assignment, rv->drawing)}};
    const char *content, *why = lh_model_ask(p, call->server->reviewer, messages, 2, &content);

    /* An invalid evaluation does not count as a failure of the model: a drawing's labels could cause it. */
    *outcome = why ? LH_MODEL_FAILED : LH_MODEL_SUCCEEDED;
    rv->evaluation = why ? NULL : lh_evaluation_of_model(p, content);
    if (!rv->evaluation) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, call->r, LH_LOG(0060) "no evaluation from the model: %s",
                      why ? why : "a field of the response is missing or invalid");
    }
    lh_bind(call, "evaluation", rv->evaluation);
    return lh_query(call, rv->evaluation ? STORE : RELEASE);
}

/*
 * Claims the evaluation, and asks the model if the claim succeeds. If another request is asking, a request that submits
 * the session waits for its result; the others continue without an evaluation.
 */
static lh_error *claim(lh_call *call, review *rv, lh_model_outcome *outcome)
{
    apr_interval_time_t timeout = call->server->config.review_timeout + MARGIN;
    apr_time_t until = lh_clock() + timeout;
    const char *wait;
    lh_error *error;

    lh_bind(call, "submits", rv->submits ? "true" : "false");
    lh_bind(call, "waits", "false");
    lh_bind(call, "timeout", apr_psprintf(call->r->pool, "%.3f", (double)timeout / APR_USEC_PER_SEC));
    for (;;) {
        error = lh_query(call, CLAIM);
        wait = error ? NULL : lh_cell(call, "_wait");
        if (wait) {
            error = lh_error_make(call->r->pool, HTTP_TOO_MANY_REQUESTS,
                                  "You have requested too many evaluations. Try again later.");
            error->retry_after = atoi(wait);
        }
        if (error) {
            return error;
        }
        rv->evaluation = lh_cell(call, "_stored");
        rv->cached = rv->evaluation != NULL;
        lh_bind(call, "claim", lh_cell(call, "_claimed"));
        if (lh_param(call, "claim")) {
            return ask(call, rv, outcome);
        }
        if (rv->evaluation || !rv->submits || lh_clock() >= until) {
            return NULL;
        }
        apr_sleep(LOOK_AGAIN);
        lh_deadline_renew(call);
        lh_bind(call, "waits", "true");
    }
}

static lh_error *ask_model(lh_call *call, review *rv)
{
    lh_model *model = call->server->reviewer;
    lh_model_state state = model ? lh_model_enter(model) : LH_MODEL_DOWN;
    lh_model_outcome outcome = LH_MODEL_NOT_ASKED;
    lh_error *error;

    if (state == LH_MODEL_BUSY && rv->submits) { /* a submission without the model would have the score 0 for good */
        return lh_error_make(call->r->pool, HTTP_SERVICE_UNAVAILABLE,
                             "Too many drawings are being evaluated. Submit again shortly.");
    }
    if (state != LH_MODEL_READY) {
        return NULL;
    }
    error = claim(call, rv, &outcome);
    lh_model_leave(model, outcome, call->r->server);
    return error;
}

static lh_error *evaluate(lh_call *call, int submits)
{
    review rv = {.submits = submits};
    lh_error *error = lh_query(call, READ);
    const char *diagram;

    if (error || !lh_row_count(call)) {
        return error ? error : lh_fail(call, "missing");
    }
    lh_bind(call, "hash", lh_cell(call, "_hash"));
    lh_bind(call, "asked", lh_cell(call, "_question"));
    rv.evaluation = lh_cell(call, "_evaluation");
    rv.cached = rv.evaluation != NULL;
    if (!rv.evaluation) {
        rv.assignment = lh_evaluation_assignment(call);
        diagram = lh_cell(call, "_diagram");
        rv.drawing = lh_drawing_read(call->r->pool, diagram, strlen(diagram));
        if (!rv.drawing->shapes) {
            return lh_fail(call, "empty");
        }
        error = ask_model(call, &rv);
    }
    if (!error && !rv.evaluation) {
        rv.evaluation = lh_evaluation_of_labels(call->r->pool, &rv.assignment, rv.drawing);
    }
    lh_bind(call, "evaluation", rv.evaluation);
    lh_bind(call, "cached", rv.cached ? "true" : "false");
    return error;
}

static lh_error *check_drawing(lh_call *call)
{
    return evaluate(call, 0);
}

static lh_error *submit_drawing(lh_call *call)
{
    return evaluate(call, 1);
}

#define BINDS "hash asked submits waits timeout claim evaluation cached"
#define COLUMNS "_hash _question _evaluation _diagram " LH_EVALUATION_COLUMNS

const lh_step lh_step_check_drawing = {
    .name = "check_drawing", .run = check_drawing, .binds = BINDS, .extra_sql = 4, .columns = COLUMNS};
const lh_step lh_step_submit_drawing = {
    .name = "submit_drawing", .run = submit_drawing, .binds = BINDS, .extra_sql = 4, .columns = COLUMNS};
