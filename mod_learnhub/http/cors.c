/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cors.h"

#include <string.h>

#include "core/server_state.h"
#include "http/call.h"
#include "util/text.h"

int lh_cors(const lh_call *call)
{
    request_rec *r = call->r;
    const char *allowed = call->server->config.origins, *origin = apr_table_get(r->headers_in, "Origin");
    apr_table_t *out = r->err_headers_out;
    int any = allowed && !strcmp(allowed, "*");

    if (!allowed) {
        return 0;
    }
    if (!any) {
        apr_table_mergen(out, "Vary", "Origin");
    }
    if (!origin || (!any && !lh_text_listed(allowed, origin, strlen(origin)))) {
        return 0;
    }
    apr_table_setn(out, "Access-Control-Allow-Origin", any ? "*" : origin);
    apr_table_setn(out, "Access-Control-Expose-Headers",
                   "ETag, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, WWW-Authenticate, "
                   "Idempotent-Replayed, Idempotency-Replayed, X-Request-Id");
    return 1;
}

/* The header names that the browser asks for; NULL if it asks for none, or if one is not a token (RFC 9110). */
static const char *requested_headers(const request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "Access-Control-Request-Headers");
    const char *end = header ? ap_scan_http_token(header) : "";

    for (; *end; end = ap_scan_http_token(end + 1)) {
        if (!strchr(", \t", *end)) {
            return NULL;
        }
    }
    return header;
}

void lh_cors_preflight(const lh_call *call)
{
    apr_table_t *out = call->r->err_headers_out;
    const char *headers = requested_headers(call->r);

    if (lh_cors(call)) {
        apr_table_setn(out, "Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
        apr_table_setn(out, "Access-Control-Allow-Headers", headers ? headers : "Authorization, Content-Type");
        apr_table_setn(out, "Access-Control-Max-Age", "600");
    }
}
