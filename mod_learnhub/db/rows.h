/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A row of a result as a JSON object, by column name and type. Knows APR only: cells come in PostgreSQL's binary
 * format, types are OIDs.
 *
 * - The name is the key, "creator.id" nests: columns with the same prefix must stand together.
 * - `!` and names that begin with `_` are not written.
 * - bool, integers, floats and numeric, json and jsonb (verbatim), timestamptz (in the given style), date, uuid,
 *   bytea (lower-case hex); everything else is text. A NULL is null.
 */
#ifndef LH_ROWS_H
#define LH_ROWS_H

#include "util/json.h"

typedef struct lh_column {
    const char *name;
    unsigned type;
} lh_column;

typedef struct lh_cell_value {
    const char *data; /* NULL: SQL NULL */
    int length;
} lh_cell_value;

typedef struct lh_plan lh_plan;

lh_plan *lh_rows_plan(apr_pool_t *p, const lh_column *columns, int count, lh_time_format times);

/* Writes the members of one row, without the braces: the caller may put members before or after. */
void lh_rows_members(lh_json *json, const lh_plan *plan, const lh_cell_value *cells);

/* A cell as text for a handler: "true", "42", hex for bytea; times as 2024-01-15T10:30:00.123456Z. NULL for NULL. */
const char *lh_rows_text(apr_pool_t *p, unsigned type, const lh_cell_value *cell);

#endif
