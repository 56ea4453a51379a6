/* SPDX-License-Identifier: Apache-2.0 */
#include "http/stream.h"

#include <http_protocol.h>

#include "core/learnhub_module.h"
#include "db/pool.h"
#include "db/sql.h"
#include "db/statement.h"
#include "http/error.h"
#include "http/failure.h"
#include "http/reply.h"
#include "http/route.h"
#include "util/clock.h"
#include "util/json.h"

#define PART 65536 /* bytes */

typedef struct stream {
    lh_call *call;
    int count; /* of statements */
    apr_bucket_brigade *bb;
    lh_json *json;
    lh_reply_rows rows;
    lh_connection *connection;
    lh_error *error; /* an earlier statement reported it, or there are too many streams: rows are discarded */
} stream;

static apr_status_t flush(void *context, const char *data, apr_size_t length)
{
    stream *s = context;

    if (!s->call->streaming && !lh_pool_stream(s->connection)) {
        s->error = lh_error_of_status(s->call->r->pool, HTTP_SERVICE_UNAVAILABLE);
        return APR_EBUSY;
    }
    return lh_reply_send_part(s->call, s->bb, data, length);
}

static apr_status_t begin(void *context, lh_result *const *earlier)
{
    stream *s = context;

    s->error = lh_failure_in_results(s->call, earlier, s->count - 1);
    lh_reply_open_envelope(s->json, s->call);
    lh_json_open(s->json, '[');
    return APR_SUCCESS;
}

static apr_status_t write_row(void *context, const lh_result *row)
{
    stream *s = context;

    if (!s->error) {
        lh_reply_row(s->json, s->call, &s->rows, row, 0);
    }
    return s->json->out.status;
}

/* Ends a response whose first part has been sent. */
static void finish(stream *s, lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    int complete = outcome == LH_SQL_OK && lh_buffer_finish(&s->json->out) == APR_SUCCESS;

    if (!complete && !s->call->r->connection->aborted) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, s->call->r, LH_LOG(0007) "%s: the response was aborted: %s",
                      s->call->route->def->name, failure->message ? failure->message : "it could not be sent");
    }
    lh_reply_send_end(s->call, s->bb, complete);
}

lh_error *lh_stream_run(lh_call *call, const lh_sql_run *run)
{
    apr_pool_t *p = call->r->pool;
    stream s = {.call = call, .count = run->count};
    lh_sql_failure failure = {.label = run->statements[0]->label};
    apr_time_t began = lh_clock();
    lh_sql_outcome outcome;

    s.bb = apr_brigade_create(p, call->r->connection->bucket_alloc);
    s.json = apr_palloc(p, sizeof(*s.json));
    lh_json_init_stream(s.json, p, PART, flush, &s);
    outcome = lh_sql_stream(run, p, begin, write_row, &s, &s.connection, &failure);
    call->db_time += lh_clock() - began;
    if (outcome == LH_SQL_OK) {
        lh_json_close(s.json, ']');
        lh_reply_close_envelope(s.json, call);
    }
    if (call->streaming) {
        finish(&s, outcome, &failure);
        return NULL;
    }
    if (outcome != LH_SQL_OK) {
        return s.error ? s.error : lh_failure_of_run(call, outcome, &failure);
    }
    call->buffered = s.json;
    return s.error;
}
