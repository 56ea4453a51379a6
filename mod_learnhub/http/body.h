/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input of a request: its query and its body (JSON, form or multipart), parsed and validated against the route's
 * fields. One error lists all invalid fields.
 */
#ifndef LH_BODY_H
#define LH_BODY_H

#include "http/call.h"

/* Validates the query; sets its values and call->filters. */
lh_error *lh_body_query(lh_call *call);

/* Reads and validates the body, if the route has body fields, and sets their values; then runs the route's check. */
lh_error *lh_body_read(lh_call *call);

#endif
