/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the statements of a call, and turns what they refuse with into problems. */
#ifndef LH_RUN_H
#define LH_RUN_H

#include "call.h"

/* Runs one statement of the machine's own, which does no harm when it runs twice. */
lh_problem *lh_run_ask(lh_call *call, const lh_statement *statement, const lh_value *values, lh_result **result);

/* 1 when the call wants all rows of an LH_WHOLE list, not a page. */
int lh_run_whole(const lh_call *call);

/* A cell as text; NULL for SQL NULL. */
const char *lh_run_cell(const lh_call *call, const lh_result *result, int row, int column);

#endif
