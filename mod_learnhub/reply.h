/* SPDX-License-Identifier: Apache-2.0 */
/* The answer: rows dressed in their envelope, or a problem in the API's shape; headers; one brigade. */
#ifndef LH_REPLY_H
#define LH_REPLY_H

#include "call.h"

/* Writes the answer of a call that went well. Returns what a handler returns to httpd. */
int lh_reply_answer(lh_call *call);

/* Writes a refusal. */
int lh_reply_problem(lh_call *call, const lh_problem *problem);

/* Answers OPTIONS: `allow` is the path's Allow. */
int lh_reply_options(lh_call *call, const char *allow);

#endif
