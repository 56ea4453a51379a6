/* SPDX-License-Identifier: Apache-2.0 */
/* The headers of cross-origin requests (Fetch standard), for the origins of LearnHubCORS. */
#ifndef LH_CORS_H
#define LH_CORS_H

typedef struct lh_call lh_call;

/* Sets the headers of a response. Returns 1 when the request's origin is allowed. */
int lh_cors(const lh_call *call);

/* Sets the headers of the response to a preflight: every method and every header name that it asks for is allowed. */
void lh_cors_preflight(const lh_call *call);

#endif
