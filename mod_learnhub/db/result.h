/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a statement: rows in PostgreSQL's binary format. */
#ifndef LH_RESULT_H
#define LH_RESULT_H

#include <apr_pools.h>

struct pg_result;

typedef struct lh_result {
    struct pg_result *pg;
} lh_result;

/* Takes ownership of `pg`, which may be NULL: it is freed with `p`, or earlier by lh_result_clear(). */
lh_result *lh_result_own(apr_pool_t *p, struct pg_result *pg);

/* Frees the rows. May be called again. */
void lh_result_clear(lh_result *result);

/* The memory of the rows in bytes. */
apr_size_t lh_result_memory(const lh_result *result);

/* The numbers of rows and columns. */
int lh_result_rows(const lh_result *result);
int lh_result_columns(const lh_result *result);

/* The name of a column and the OID of its type; columns and rows are counted from 0. */
const char *lh_result_name(const lh_result *result, int column);
unsigned lh_result_type(const lh_result *result, int column);

/* The first column called `name`, or -1. */
int lh_result_find(const lh_result *result, const char *name);

/* A cell in PostgreSQL's binary format and its length in bytes; NULL for SQL NULL. Valid until the result is freed. */
const char *lh_result_cell(const lh_result *result, int row, int column, int *length);

#endif
