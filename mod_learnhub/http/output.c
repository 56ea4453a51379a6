/* SPDX-License-Identifier: Apache-2.0 */
#include "http/output.h"

#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/pool.h"
#include "http/route.h"
#include "http/share.h"
#include "util/clock.h"
#include "util/memory.h"
#include "util/network.h"
#include "util/spool.h"

/* ---- the spool ---- */

/* The user, or the network of a request without one. */
static const char *owner_of(const lh_call *call)
{
    const request_rec *r = call->r;

    return call->me.id ? apr_psprintf(r->pool, "%" APR_INT64_T_FMT, call->me.id)
                       : apr_psprintf(r->pool, "network %" APR_UINT64_T_HEX_FMT, lh_network_of(r->useragent_addr));
}

/* httpd sends a file without a thread only with sendfile(): otherwise it copies 64 KB at a time and waits until the
 * client has read them. */
static int may_use_sendfile(const request_rec *r)
{
    const core_dir_config *config = ap_get_core_module_config(r->per_dir_config);

    return config->enable_sendfile != ENABLE_SENDFILE_OFF;
}

static apr_status_t append_to_spool(lh_output *output, const char *data, apr_size_t length)
{
    const lh_call *call = output->call;
    apr_status_t rv;

    if (!output->spool) {
        output->spool = lh_spool_create(call->r->pool, call->server->spools, owner_of(call), lh_output_of_change(call),
                                        may_use_sendfile(call->r));
    }
    rv = output->spool ? lh_spool_append(output->spool, data, length) : APR_ENOMEM;
    if (rv != APR_SUCCESS) {
        int full = rv == APR_FROM_OS_ERROR(EDQUOT);
        ap_log_rerror(APLOG_MARK, full ? APLOG_INFO : APLOG_WARNING, full ? APR_SUCCESS : rv, call->r,
                      LH_LOG(0064) "%s: the response cannot be spooled%s", call->route->def->name,
                      full ? ": LearnHubSpool is used up, or the share of this caller" : "");
    }
    return rv;
}

/* File buckets share their state, so the flag applies to all that a large file is split into. */
static void insert_file(const lh_output *output, apr_bucket_brigade *bb)
{
    apr_bucket *last = apr_brigade_insert_file(bb, lh_spool_file(output->spool), 0, lh_spool_length(output->spool),
                                               output->call->r->pool);

    apr_bucket_file_enable_mmap(last, 0);
}

/* ---- sending in parts ---- */

/* The time that a client has for a response in parts: SEND_TIME, and a second for each SEND_RATE bytes. */
#define SEND_TIME apr_time_from_sec(5)
#define SEND_RATE (256 * 1024)

int lh_output_of_change(const lh_call *call)
{
    return strcmp(call->route->def->method, "GET") != 0;
}

static int may_send_parts(const lh_output *output)
{
    return output->spool && !lh_share_take(output->call, LH_SHARE_SENDER) && lh_spool_send(output->spool) &&
           (!output->connection || lh_pool_stream(output->connection));
}

static int is_too_slow(const lh_output *output)
{
    return lh_clock() - output->sending_since > SEND_TIME + apr_time_from_sec(output->sent / SEND_RATE);
}

/* httpd waits for the client at most Timeout for each part, so a slow client is noticed that much later. */
static apr_status_t pass(lh_output *output)
{
    request_rec *r = output->call->r;
    apr_status_t rv = ap_pass_brigade(r->output_filters, output->bb);

    apr_brigade_cleanup(output->bb);
    if (!r->connection->aborted && is_too_slow(output)) {
        ap_log_rerror(APLOG_MARK, APLOG_INFO, 0, r,
                      LH_LOG(0095) "%s: the client reads a response that holds a thread too slowly",
                      output->call->route->def->name);
        r->connection->aborted = 1;
    }
    return r->connection->aborted ? APR_ECONNABORTED : rv;
}

/* Sends the first bucket of the file, or the first part of it: pass() looks at the time after each. */
static apr_status_t send_spooled(lh_output *output, apr_bucket_brigade *file)
{
    apr_bucket *bucket = APR_BRIGADE_FIRST(file);

    if (bucket->length > LH_OUTPUT_PART) {
        apr_bucket_split(bucket, LH_OUTPUT_PART);
    }
    output->sent += (apr_off_t)bucket->length;
    APR_BUCKET_REMOVE(bucket);
    APR_BRIGADE_INSERT_TAIL(output->bb, bucket);
    APR_BRIGADE_INSERT_TAIL(output->bb, apr_bucket_flush_create(file->bucket_alloc));
    return pass(output);
}

/* Sends the headers and what has been spooled. */
static apr_status_t start_sending(lh_output *output)
{
    request_rec *r = output->call->r;
    apr_bucket_brigade *file = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_status_t rv = APR_SUCCESS;

    output->bb = apr_brigade_create(r->pool, r->connection->bucket_alloc);
    output->sending_since = lh_clock();
    output->start(output->call);
    if (output->length) {
        insert_file(output, file);
    }
    while (rv == APR_SUCCESS && !APR_BRIGADE_EMPTY(file)) {
        rv = send_spooled(output, file);
    }
    apr_brigade_cleanup(file);
    return rv;
}

static apr_status_t send_part(lh_output *output, const char *data, apr_size_t length)
{
    APR_BRIGADE_INSERT_TAIL(output->bb,
                            apr_bucket_transient_create(data, length, output->call->r->connection->bucket_alloc));
    output->sent += (apr_off_t)length;
    return pass(output);
}

static apr_status_t write_part(void *context, const char *data, apr_size_t length)
{
    lh_output *output = context;
    apr_status_t rv;

    if (output->bb) {
        return send_part(output, data, length);
    }
    rv = output->call->r->header_only ? APR_SUCCESS : append_to_spool(output, data, length);
    if (rv == APR_SUCCESS) {
        output->length += (apr_off_t)length;
        return APR_SUCCESS;
    }
    if (!may_send_parts(output)) {
        return APR_EBUSY;
    }
    rv = start_sending(output);
    return rv == APR_SUCCESS ? send_part(output, data, length) : rv;
}

void lh_output_send_end(lh_output *output, int complete)
{
    request_rec *r = output->call->r;
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;

    if (!complete) {
        APR_BRIGADE_INSERT_TAIL(output->bb, ap_bucket_error_create(HTTP_BAD_GATEWAY, NULL, r->pool, alloc));
        r->connection->keepalive = AP_CONN_CLOSE;
    }
    APR_BRIGADE_INSERT_TAIL(output->bb, apr_bucket_eos_create(alloc));
    pass(output);
}

/* ---- the body ---- */

lh_output *lh_output_create(lh_call *call, const char *type, lh_output_start *start)
{
    lh_output *output = apr_pcalloc(call->r->pool, sizeof(*output));

    output->call = call;
    output->type = type;
    output->start = start;
    output->memory = lh_memory_pool(call->r->pool);
    lh_json_init_stream(&output->json, output->memory, LH_OUTPUT_PART, write_part, output);
    return output;
}

void lh_output_rewind(lh_output *output)
{
    if (output->spool) {
        lh_spool_rewind(output->spool);
    }
    output->length = 0;
    output->json.out.length = 0;
    output->json.out.status = APR_SUCCESS;
    output->json.last = '\0';
}

int lh_output_in_memory(const lh_output *output)
{
    return !output->length && !output->bb && output->json.out.status == APR_SUCCESS;
}

apr_status_t lh_output_end(lh_output *output)
{
    return lh_output_in_memory(output) ? APR_SUCCESS : lh_buffer_finish(&output->json.out);
}

apr_off_t lh_output_insert(lh_output *output, apr_bucket_brigade *bb)
{
    const lh_buffer *part = &output->json.out;

    if (lh_output_in_memory(output)) {
        APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_pool_create(part->data, part->length, output->memory, bb->bucket_alloc));
        return (apr_off_t)part->length;
    }
    if (output->spool) {
        insert_file(output, bb);
    }
    apr_pool_destroy(output->memory);
    output->memory = NULL;
    return output->length;
}
