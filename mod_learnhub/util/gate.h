/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A gate limits the number of threads that do something expensive at once and the number that wait for it, so that the
 * other threads remain available for other requests. Depends on APR only.
 */
#ifndef LH_GATE_H
#define LH_GATE_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct lh_gate lh_gate;

/* A gate that admits `width` threads at a time and lets `queue_max` more wait. NULL when APR cannot create a lock. */
lh_gate *lh_gate_create(apr_pool_t *p, int width, int queue_max);

/*
 * Waits at most `timeout` microseconds for admission. APR_SUCCESS: the caller must call lh_gate_leave(). APR_TIMEUP:
 * the timeout passed, or no more threads may wait (returned immediately).
 */
apr_status_t lh_gate_enter(lh_gate *gate, apr_interval_time_t timeout);

void lh_gate_leave(lh_gate *gate);

/* Lets at most `queue_max` threads wait at all of these gates together. Call it before threads use them. */
void lh_gate_limit_queues(apr_pool_t *p, lh_gate *const *gates, int count, int queue_max);

#endif
