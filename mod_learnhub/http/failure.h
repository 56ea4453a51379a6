/* SPDX-License-Identifier: Apache-2.0 */
/* Maps errors of statements to error responses: codes of `!` columns, constraints, SQLSTATEs, lost connections. */
#ifndef LH_FAILURE_H
#define LH_FAILURE_H

#include "db/sql_run.h"
#include "http/call.h"

/* The error response of a run whose outcome is not LH_SQL_OK. Logs the details, which the response does not contain. */
lh_error *lh_failure_of_run(lh_call *call, lh_sql_outcome outcome, const lh_sql_failure *failure);

/* 503 for a statement that is not executed, because the request has used up its time; `label` is the statement's. */
lh_error *lh_failure_late(lh_call *call, const char *label);

/* Logs how many lines about failures have been left out, after the last failure; called each second. */
void lh_failure_log_rest(server_rec *s);

/* The error of the first result that reports one in its `!` column, or NULL. With that column, no row is the code
 * `missing`. */
lh_error *lh_failure_in_results(lh_call *call, lh_result *const *results, int count);

#endif
