/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the statements of a call, and turns what they refuse with into problems. */
#ifndef LH_RUN_H
#define LH_RUN_H

#include "call.h"

/* Runs one statement of the machine's own, which does no harm when it runs twice. */
lh_problem *lh_run_ask(lh_call *call, const lh_statement *statement, const lh_value *values, lh_result **result);

/* A run of a call's statements with the server's times; neither safe nor bound. */
lh_sql_run lh_run_make(const lh_call *call, const lh_statement *const *steps, int count, const lh_value *values);

/* The problem of a run that failed; the log gets what the client does not. */
lh_problem *lh_run_failed(lh_call *call, lh_sql_outcome outcome, const lh_sql_failure *failure);

/* What the `!` columns of the results refuse; NULL: nothing. */
lh_problem *lh_run_judge(lh_call *call, lh_result *const *results, int count);
/* 1 when the call wants all rows of an LH_WHOLE list, not a page. */
int lh_run_whole(const lh_call *call);

/* A cell as text; NULL for SQL NULL. */
const char *lh_run_cell(const lh_call *call, const lh_result *result, int row, int column);

#endif
