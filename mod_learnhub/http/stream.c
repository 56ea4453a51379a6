/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream.h"

#include "core/learnhub_module.h"
#include "db/sql.h"
#include "db/statement.h"
#include "http/deadline.h"
#include "http/envelope.h"
#include "http/error.h"
#include "http/failure.h"
#include "http/output.h"
#include "http/reply.h"
#include "http/route.h"

typedef struct stream {
    lh_call *call;
    int guard, count; /* of statements, the guard's included */
    int begun;
    lh_sql_receiver receiver;
    lh_output *output;
    lh_envelope_rows rows;
    lh_error *error; /* an earlier statement reported it: rows are discarded */
} stream;

/* Called again when the statements are repeated. */
static apr_status_t begin(void *context, lh_result *const *earlier)
{
    stream *s = context;

    s->error = lh_failure_in_results(s->call, earlier + s->guard, s->count - s->guard - 1);
    s->begun = 1;
    s->rows.plan = NULL;
    lh_output_rewind(s->output);
    lh_envelope_open(&s->output->json, s->call);
    lh_json_open(&s->output->json, '[');
    return APR_SUCCESS;
}

static apr_status_t write_row(void *context, const lh_result *row)
{
    stream *s = context;

    if (!s->error) {
        s->output->connection = s->receiver.connection;
        lh_envelope_row(&s->output->json, s->call, &s->rows, row, 0);
        s->receiver.used = s->output->bb != NULL;
    }
    return s->output->json.out.status;
}

/* Ends the body of a response whose first part has been sent. */
static void finish(const stream *s, lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    lh_buffer *out = &s->output->json.out;

    if (outcome != LH_SQL_OK) {
        out->status = APR_EGENERAL;
    }
    if (lh_output_end(s->output) != APR_SUCCESS && !s->call->r->connection->aborted) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, s->call->r, LH_LOG(0007) "%s: the response was aborted: %s",
                      s->call->route->def->name, failure->message ? failure->message : "it could not be sent");
    }
}

lh_sql_outcome lh_stream_execute(lh_call *call, const lh_sql_run *run, lh_sql_failure *failure, lh_error **error)
{
    stream s = {.call = call, .guard = run->guard, .count = run->count};
    lh_sql_outcome outcome;
    lh_sql_time time;

    s.receiver = (lh_sql_receiver){.begin = begin, .row = write_row, .context = &s};
    s.output = call->output = lh_output_create(call, "application/json", lh_reply_start);
    outcome = lh_sql_stream(run, call->r->pool, &s.receiver, failure, &time);
    lh_deadline_spend(call, &time);
    s.output->connection = NULL;
    *error = NULL;
    if (outcome == LH_SQL_OK && s.begun) {
        lh_json_close(&s.output->json, ']');
        lh_envelope_close(&s.output->json, call);
    }
    if (s.output->bb) {
        finish(&s, outcome, failure);
        return LH_SQL_OK;
    }
    if (s.output->json.out.status != APR_SUCCESS) {
        *error = lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
        return LH_SQL_OK;
    }
    *error = s.error;
    return outcome;
}

lh_error *lh_stream_run(lh_call *call, const lh_sql_run *run)
{
    lh_sql_failure failure = {.label = run->statements[0]->label};
    lh_sql_outcome outcome;
    lh_error *error;

    if (!lh_deadline_allows(call)) {
        return lh_failure_late(call, failure.label);
    }
    outcome = lh_stream_execute(call, run, &failure, &error);
    return outcome == LH_SQL_OK ? error : lh_failure_of_run(call, outcome, &failure);
}
