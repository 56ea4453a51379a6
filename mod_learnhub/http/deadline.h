/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time that one request may spend with the database: LearnHubConnectionWait for all of its waits together, and
 * LearnHubStatementTimeout for all of its statements together. What else a request waits for, such as the client, a
 * language model or a turn to hash a password, does not count.
 */
#ifndef LH_DEADLINE_H
#define LH_DEADLINE_H

#include "http/call.h"

/* 0 when the time for statements is used up: then no further one may be executed. */
int lh_deadline_allows(const lh_call *call);

/* Sets the deadlines of a run from the time that is left. If a good part is used up, the run has a statement_timeout of
 * its own, rest_ms: PostgreSQL then cancels the statement before the deadline, so that its outcome is known. */
void lh_deadline_set(const lh_call *call, lh_sql_run *run);

/* Until when the request may wait for another one, on lh_clock(). */
apr_time_t lh_deadline_of_wait(const lh_call *call);

/* Counts time that the request has spent. */
void lh_deadline_spend(lh_call *call, const lh_sql_time *time);

/* Counts a wait that began at `began` and ends now. */
void lh_deadline_waited(lh_call *call, apr_time_t began);

/* The request has all of the time again. For a long series of statements, each of which shows that PostgreSQL
 * responds. */
void lh_deadline_renew(lh_call *call);

#endif
