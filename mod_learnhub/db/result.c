/* SPDX-License-Identifier: Apache-2.0 */
#include "db/result.h"

#include <libpq-fe.h>
#include <string.h>

static apr_status_t clear(void *result)
{
    lh_result_clear(result);
    return APR_SUCCESS;
}

lh_result *lh_result_own(apr_pool_t *p, PGresult *pg)
{
    lh_result *result = apr_palloc(p, sizeof(*result));

    result->pg = pg;
    apr_pool_cleanup_register(p, result, clear, apr_pool_cleanup_null);
    return result;
}

void lh_result_clear(lh_result *result)
{
    PQclear(result->pg);
    result->pg = NULL;
}

apr_size_t lh_result_memory(const lh_result *result)
{
    return PQresultMemorySize(result->pg);
}

int lh_result_rows(const lh_result *result)
{
    return PQntuples(result->pg);
}

int lh_result_columns(const lh_result *result)
{
    return PQnfields(result->pg);
}

const char *lh_result_name(const lh_result *result, int column)
{
    return PQfname(result->pg, column);
}

unsigned lh_result_type(const lh_result *result, int column)
{
    return PQftype(result->pg, column);
}

int lh_result_find(const lh_result *result, const char *name)
{
    int i;

    for (i = 0; i < PQnfields(result->pg); i++) {
        if (!strcmp(PQfname(result->pg, i), name)) {
            return i;
        }
    }
    return -1;
}

const char *lh_result_cell(const lh_result *result, int row, int column, int *length)
{
    if (PQgetisnull(result->pg, row, column)) {
        *length = 0;
        return NULL;
    }
    *length = PQgetlength(result->pg, row, column);
    return PQgetvalue(result->pg, row, column);
}
