/* SPDX-License-Identifier: Apache-2.0 */
/* Maps errors of statements to error responses: codes of `!` columns, constraints, SQLSTATEs, lost connections. */
#ifndef LH_FAILURE_H
#define LH_FAILURE_H

#include "db/sql_run.h"
#include "http/call.h"

/* The error response of a run whose outcome is not LH_SQL_OK. Logs the details, which the response does not contain. */
lh_error *lh_failure_of_run(lh_call *call, lh_sql_outcome outcome, const lh_sql_failure *failure);

/* The error of the first result that reports one in its `!` column, or NULL. With that column, no row is the code
 * `missing`. */
lh_error *lh_failure_in_results(lh_call *call, lh_result *const *results, int count);

#endif
