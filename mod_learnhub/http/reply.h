/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends responses: successful ones, errors in the group's format, headers. A response is sent in one brigade, a long
 * one as a file (see output.h).
 */
#ifndef LH_REPLY_H
#define LH_REPLY_H

#include "http/call.h"

/* A complete response without the headers that depend on the request: those of CORS. */
typedef struct lh_response {
    int status;
    const char *type; /* media type */
    const char *body; /* NULL: none */
    apr_size_t length;
    apr_pool_t *pool;          /* NULL: the body lives as long as the request; otherwise as long as this pool */
    const char *etag;          /* with its quotes; NULL: none */
    const char *cache_control; /* NULL: no such header */
} lh_response;

/*
 * Makes the response of a successful call, or returns call->kept, and returns 1. A 200 to GET has an ETag. The body
 * lives as long as the request. Returns 0 when the response is long (about 64 KB): it has no ETag, and lh_reply_long()
 * sends it.
 */
int lh_reply_make(const lh_call *call, lh_response *response);

/*
 * Sends a response. If it has an ETag, evaluates If-Match and If-None-Match of the request and sends 412 or 304 instead
 * where RFC 9110 requires it. The body is not copied if it has at most LH_OUTPUT_PART bytes: it must live as long as
 * the request. Returns what a handler returns to httpd.
 */
int lh_reply_send(lh_call *call, const lh_response *response);

/* Sends a long response of a successful call. Returns what a handler returns to httpd. */
int lh_reply_long(lh_call *call);

/* Sends an error response. Returns what a handler returns to httpd. */
int lh_reply_error(const lh_call *call, const lh_error *error);

/* Sends the response to a CORS preflight: every method and every header name that it asks for is allowed. */
int lh_reply_preflight(lh_call *call);

/* Sends the response to OPTIONS; `allow` is the path's Allow header. Returns what a handler returns to httpd. */
int lh_reply_options(lh_call *call, const char *allow);

/* Sets the notes for the access log, %{learnhub-route}n, %{learnhub-db-us}n and %{learnhub-user}n in LogFormat, when
 * the response has been made: httpd writes the log later. */
void lh_reply_notes(const lh_call *call);

/* Sets the status and the headers of a response whose body is call->output. */
void lh_reply_start(lh_call *call);

#endif
