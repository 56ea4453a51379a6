/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the steps and statements of a call. */
#ifndef LH_RUN_H
#define LH_RUN_H

#include "http/call.h"

typedef struct lh_statement lh_statement;

/* Runs the route: the steps before its statements, the statements, the steps after them. */
lh_error *lh_run(lh_call *call);

/* Runs one of the module's own statements, which may be executed twice. */
lh_error *lh_run_statement(lh_call *call, const lh_statement *statement, const char *const *values, lh_result **result);

#endif
