/* SPDX-License-Identifier: Apache-2.0 */
#include "http/error_filter.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <httpd.h>
#include <string.h>
#include <util_filter.h>

#include "http/cors.h"
#include "http/error.h"
#include "util/json.h"

static ap_filter_rec_t *filter;

/* Puts the error before `end`, the end of the page. */
static void insert_error(const lh_call *call, apr_bucket *end)
{
    request_rec *r = call->r;
    lh_json body;

    lh_json_init(&body, r->pool, 256);
    lh_error_write(&body, lh_error_of_status(r->pool, r->status), call->group->error_format);
    ap_set_content_type(r, "application/json");
    ap_set_content_length(r, (apr_off_t)body.out.length);
    APR_BUCKET_INSERT_BEFORE(end, apr_bucket_pool_create(body.out.data, body.out.length, r->pool, end->list));
}

/* Drops the page. At its end the error replaces it; nothing is passed on before, so that the headers are those of the
 * error. */
static apr_status_t replace_page(ap_filter_t *f, apr_bucket_brigade *bb)
{
    apr_bucket *bucket = APR_BRIGADE_FIRST(bb), *next;

    for (; bucket != APR_BRIGADE_SENTINEL(bb) && !APR_BUCKET_IS_EOS(bucket); bucket = next) {
        next = APR_BUCKET_NEXT(bucket);
        apr_bucket_delete(bucket);
    }
    if (APR_BRIGADE_EMPTY(bb)) {
        return APR_SUCCESS;
    }
    insert_error(f->ctx, bucket);
    ap_remove_output_filter(f);
    return ap_pass_brigade(f->next, bb);
}

void lh_error_filter_register(void)
{
    filter = ap_register_output_filter("LEARNHUB_ERROR", replace_page, NULL, AP_FTYPE_CONTENT_SET);
}

void lh_error_filter_add(lh_call *call)
{
    lh_cors(call);
    if (call->r->status >= HTTP_BAD_REQUEST) {
        apr_table_setn(call->r->err_headers_out, "Cache-Control", "no-store");
        ap_add_output_filter_handle(filter, call, call->r, call->r->connection);
    }
}

const char *lh_error_filter_path(const request_rec *r)
{
    const char *uri = r->the_request ? strchr(r->the_request, ' ') : NULL;
    char *path;

    if (!uri || (!r->uri && r->status != HTTP_REQUEST_URI_TOO_LARGE)) {
        return NULL;
    }
    path = r->status == HTTP_REQUEST_URI_TOO_LARGE ? apr_pstrmemdup(r->pool, uri + 1, strcspn(uri + 1, " ?"))
                                                   : apr_pstrdup(r->pool, r->uri);
    ap_normalize_path(path, AP_NORMALIZE_DECODE_UNRESERVED); /* what it rejects stays as it is */
    return path;
}
