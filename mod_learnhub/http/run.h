/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the steps and statements of a call, within LearnHubConnectionWait and LearnHubStatementTimeout. */
#ifndef LH_RUN_H
#define LH_RUN_H

#include "http/call.h"

typedef struct lh_statement lh_statement;

/* Runs the route: the steps before its statements, the statements, the steps after them. Returns the first error; it
 * does not roll back what was committed before, which includes all statements if one of them reported it in `!`. */
lh_error *lh_run(lh_call *call);

/* Runs a statement that belongs to no route in a transaction of its own; `values` are by slot. It is retried after a
 * lost connection, so it must be safe to run twice. */
lh_error *lh_run_statement(lh_call *call, const lh_statement *statement, const char *const *values, lh_result **result);

#endif
