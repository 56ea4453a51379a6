/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the rows of a result as JSON objects, by column name and type. Depends on APR only: types are OIDs, cells
 * are in PostgreSQL's binary format.
 *
 * - The name of a column is its key. A dotted name nests: "creator.id" is the member `id` of the object `creator`.
 *   Columns of the same object must be adjacent.
 * - Columns whose name begins with `!` or `_` are not written.
 * - bool, integers, floats and numeric become JSON literals, and NULL becomes null. json and jsonb are copied,
 *   timestamptz is written in the plan's format, bytea in lower-case hex, uuid in its usual form, any other type as a
 *   string of its bytes.
 * - A value that JSON or the time format cannot represent (NaN, infinity, a time outside the years 1 to 9999) becomes
 *   null.
 */
#ifndef LH_ROWS_H
#define LH_ROWS_H

#include "util/json.h"

typedef struct lh_column {
    const char *name;
    unsigned type; /* OID */
} lh_column;

typedef struct lh_cell_value {
    const char *data; /* NULL: SQL NULL */
    int length;
} lh_cell_value;

/* How the rows of a result are written. */
typedef struct lh_plan lh_plan;

/* Makes the plan for a result with these columns; `times` is the format of its times. */
lh_plan *lh_rows_plan(apr_pool_t *p, const lh_column *columns, int count, lh_time_format times);

/* Writes the members of one row without the braces, so that the caller can add members before and after them. */
void lh_rows_members(lh_json *json, const lh_plan *plan, const lh_cell_value *cells);

/* A cell as text: "true", "42", bytea as hex, times as 2024-01-15T10:30:00.123456Z; NULL for SQL NULL. */
const char *lh_rows_text(apr_pool_t *p, unsigned type, const lh_cell_value *cell);

#endif
