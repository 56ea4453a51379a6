/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The id of a request, by which the lines of several logs are found: the trace id of the client's header traceparent
 * (W3C Trace Context), otherwise the id of mod_unique_id. A request has none if there is neither.
 *
 * It is in the header X-Request-Id of the response, %L of ErrorLogFormat and LogFormat, and, with
 * LearnHubTraceStatements On, in the application_name of its transactions.
 */
#ifndef LH_REQUEST_ID_H
#define LH_REQUEST_ID_H

#include "http/call.h"

/* Sets call->request_id and the header of the response. */
void lh_request_id_set(lh_call *call);

/* Removes the header: another module serves the request. */
void lh_request_id_drop(lh_call *call);

#endif
