/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request_id.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#define HEADER "X-Request-Id"
#define LONGEST 48 /* characters of an id: with a prefix it fits into an application_name */

/* 1 if the text begins with `length` lower-case hex digits that are not all 0, followed by `end`. */
static int is_hex(const char *text, apr_size_t length, char end)
{
    return strspn(text, "0123456789abcdef") == length && strspn(text, "0") < length && text[length] == end;
}

/* The trace id of VERSION-TRACE-PARENT-FLAGS; later versions may append members. NULL if the header is invalid. */
static const char *trace_of(const request_rec *r)
{
    const char *header = apr_table_get(r->headers_in, "traceparent");
    const char *const hex = "0123456789abcdef";

    if (!header || strspn(header, hex) != 2 || header[2] != '-' || !strncmp(header, "ff", 2) ||
        !is_hex(header + 3, 32, '-') || !is_hex(header + 36, 16, '-') || strspn(header + 53, hex) != 2 ||
        (header[55] && (header[55] != '-' || !strncmp(header, "00", 2)))) {
        return NULL;
    }
    return apr_pstrmemdup(r->pool, header + 3, 32);
}

/* The id that mod_unique_id has set, of internal redirects too. It is used in SQL, and an operator can set the variable
 * to something else. */
static const char *unique_id(const request_rec *r)
{
    const char *id = apr_table_get(r->subprocess_env, "UNIQUE_ID"), *end = id;

    while (end && (apr_isalnum(*end) || (*end && strchr("@-_.", *end)))) {
        end++;
    }
    return end && end > id && !*end && end - id <= LONGEST ? id : NULL;
}

void lh_request_id_set(lh_call *call)
{
    request_rec *r = call->r;
    const char *id = trace_of(r);

    call->request_id = id ? id : unique_id(r);
    if (call->request_id) {
        r->log_id = call->request_id;
        apr_table_setn(r->err_headers_out, HEADER, call->request_id);
    }
}

void lh_request_id_drop(lh_call *call)
{
    if (call->request_id) {
        apr_table_unset(call->r->err_headers_out, HEADER);
    }
}
