/* SPDX-License-Identifier: Apache-2.0 */
/*
 * If-Match of PUT, PATCH and DELETE (RFC 9110): the condition is the ETag of what GET returns to the caller.
 *
 * The run of such a request begins with a guard: the lock of the path's GET route, which keeps other transactions from
 * changing the object, and the GET route's statements. If their response has another ETag, or is an error, nothing is
 * changed and the response is 412.
 */
#ifndef LH_CONDITION_H
#define LH_CONDITION_H

#include "db/sql_run.h"
#include "http/call.h"

typedef struct lh_condition {
    lh_call view; /* of the GET route */
    const char *if_match;
    int guard; /* statements; 0: the request has no condition */
    int met;   /* set by the run */
} lh_condition;

/* 412 if the request is a PUT, PATCH or DELETE with If-Match and its path has no GET. */
lh_error *lh_condition_check(const lh_call *call);

/* Prepares the condition of the request and stores its statements. Returns their number, 0 without If-Match. */
int lh_condition_begin(lh_condition *condition, const lh_call *call, const lh_statement **statements);

/* Sets the guard of the run. Without a condition, does nothing. */
void lh_condition_guard(lh_condition *condition, lh_sql_run *run);

/* 412 if the guard of the run did not accept. */
lh_error *lh_condition_result(const lh_condition *condition);

#endif
