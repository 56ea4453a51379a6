/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the body of a successful call: its rows as JSON in the envelope of the route's shape and group. */
#ifndef LH_ENVELOPE_H
#define LH_ENVELOPE_H

#include "http/call.h"

typedef struct lh_plan lh_plan;
typedef struct lh_cell_value lh_cell_value;

/* Writes the whole body. */
void lh_envelope_write(lh_json *json, const lh_call *call);

/* ---- for bodies that are written while their rows arrive ---- */

/* State for writing the rows of one result. Initialise it to {NULL, NULL}; the first lh_envelope_row() sets it. */
typedef struct lh_envelope_rows {
    lh_plan *plan;
    lh_cell_value *cells;
} lh_envelope_rows;

/* Write the parts before and after the response's value: the envelope, and the object with the route's key. */
void lh_envelope_open(lh_json *json, const lh_call *call);
void lh_envelope_close(lh_json *json, const lh_call *call);

/* Writes one row as an object. */
void lh_envelope_row(lh_json *json, const lh_call *call, lh_envelope_rows *rows, const lh_result *result, int row);

#endif
