/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the body of a request into memory, within a limit: LearnHubMaxBody; for a multipart/form-data body of a route
 * with an LH_PHOTO field, LearnHubMaxPhoto plus 64 KB for the other parts. A larger body is rejected with 413 and the
 * connection is closed, as the rest of the body is not read.
 */
#ifndef LH_RECEIVE_H
#define LH_RECEIVE_H

#include "http/call.h"

/* The maximum number of bytes of a multipart body besides its photo: boundaries, headers and the other parts. */
#define LH_RECEIVE_EXTRA 65536

/* The maximum number of bytes of a body that anyone can send without authentication, whatever LearnHubMaxBody is. */
#define LH_RECEIVE_PUBLIC_MAX 16384

/* LH_JSON, LH_FORM or LH_MULTIPART, from Content-Type; LH_JSON without one. 0 for any other type, and for a charset
 * other than UTF-8. */
unsigned lh_receive_type(const request_rec *r);

/* Rejects a body whose Content-Length exceeds the limit, before any of it is read. Applies to requests without a route
 * and to routes without body fields as well. */
lh_error *lh_receive_check_length(lh_call *call);

/*
 * Reads the complete body; a zero byte follows it. 413 when it exceeds the limit; 429 when it has more than 64 KB and
 * the account or the network has too many such bodies in progress; the status of httpd's input filters (400, 408 ...)
 * when it is malformed, too slow or incomplete.
 */
lh_error *lh_receive_body(lh_call *call, char **text, apr_size_t *length);

/* Before a response: reads what has arrived of a body that was not read. If it is not complete, the connection is
 * closed after the response. An error if an input filter has sent the response, because the body is malformed. */
lh_error *lh_receive_rest(lh_call *call);

#endif
