/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mod_const, for the benchmark only.
 *
 * /const/STATUS/BYTES reads the request's body and answers with a constant body of that many bytes, written like the
 * responses of mod_learnhub: without a directory walk, in one brigade, flushed. It is the limit of httpd itself.
 * /callgrind/zero and /callgrind/dump control the counts of callgrind; without valgrind they do nothing.
 */
#include <httpd.h>

#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#define CONST "/const/"
#define CALLGRIND "/callgrind/"
#define BODY_MAX 65536 /* bytes */

extern module __attribute__((visibility("default"))) const_module;

static char filler[BODY_MAX];

static int begins_with(const request_rec *r, const char *prefix)
{
    return !strncmp(r->uri, prefix, strlen(prefix));
}

static int is_ours(const request_rec *r)
{
    return begins_with(r, CONST) || begins_with(r, CALLGRIND);
}

static int translate_name(request_rec *r)
{
    if (!is_ours(r)) {
        return DECLINED;
    }
    r->filename = (char *)"/const";
    return OK;
}

static int map_to_storage(request_rec *r)
{
    return is_ours(r) ? OK : DECLINED;
}

static int discard_body(request_rec *r)
{
    char buffer[8192];
    long length;
    int rv = ap_setup_client_block(r, REQUEST_CHUNKED_DECHUNK);

    if (rv != OK || !ap_should_client_block(r)) {
        return rv;
    }
    do {
        length = ap_get_client_block(r, buffer, sizeof(buffer));
    } while (length > 0);
    return length < 0 ? HTTP_BAD_REQUEST : OK;
}

static void send_filler(request_rec *r, apr_size_t length)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *bb = apr_brigade_create(r->pool, alloc);

    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)length);
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_immortal_create(filler, length, alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_flush_create(alloc));
    APR_BRIGADE_INSERT_TAIL(bb, apr_bucket_eos_create(alloc));
    ap_pass_brigade(r->output_filters, bb);
}

static int handle_const(request_rec *r)
{
    char *end;
    long status = strtol(r->uri + strlen(CONST), &end, 10), length = *end == '/' ? strtol(end + 1, NULL, 10) : -1;
    int rv = discard_body(r);

    if (rv != OK) {
        return rv;
    }
    if (status < 200 || status > 299 || length < 0 || length > BODY_MAX) {
        return HTTP_NOT_FOUND;
    }
    r->status = (int)status;
    send_filler(r, (apr_size_t)length);
    return OK;
}

static int handle_callgrind(request_rec *r)
{
    if (!strcmp(r->uri, CALLGRIND "zero")) {
        CALLGRIND_ZERO_STATS;
    }
    else if (!strcmp(r->uri, CALLGRIND "dump")) {
        CALLGRIND_DUMP_STATS;
    }
    else {
        return HTTP_NOT_FOUND;
    }
    send_filler(r, 0);
    return OK;
}

static int handle(request_rec *r)
{
    if (!is_ours(r)) {
        return DECLINED;
    }
    return begins_with(r, CONST) ? handle_const(r) : handle_callgrind(r);
}

static void register_hooks(apr_pool_t *p)
{
    (void)p;
    memset(filler, 'x', sizeof(filler));
    ap_hook_translate_name(translate_name, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_map_to_storage(map_to_storage, NULL, NULL, APR_HOOK_FIRST);
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_FIRST);
}

AP_DECLARE_MODULE(const) = {STANDARD20_MODULE_STUFF, NULL, NULL, NULL, NULL, NULL, register_hooks, AP_MODULE_FLAG_NONE};
