/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a request brings: its query and its body, parsed and checked against the row's fields.
 * All wrong fields are reported at once. A body is not read for rows that have no fields for it.
 */
#ifndef LH_BODY_H
#define LH_BODY_H

#include "http/call.h"

/* Fills the values of the query's slots, and the set of filters that were sent. */
lh_error *lh_body_query(lh_call *call);

/* Reads the body and fills the values of its slots. */
lh_error *lh_body_read(lh_call *call);

#endif
