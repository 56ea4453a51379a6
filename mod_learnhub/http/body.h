/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses the query and the body (JSON, form or multipart) of a request and validates them against the route's fields.
 * One error lists all invalid fields of the query; if the query is valid, one error lists all of the body.
 */
#ifndef LH_BODY_H
#define LH_BODY_H

#include "http/call.h"

/* Validates the query; sets its values and call->filters. */
lh_error *lh_body_query(lh_call *call);

/* Reads and validates the body, if the route has body fields, and sets their values; then runs the route's check. */
lh_error *lh_body_read(lh_call *call);

#endif
