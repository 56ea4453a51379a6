/* SPDX-License-Identifier: Apache-2.0 */
#include "util/gate.h"

#include <apr_atomic.h>
#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

/* What the queues of several gates have together. */
typedef struct queues {
    volatile apr_uint32_t waiting;
    apr_uint32_t waiting_max;
} queues;

struct lh_gate {
    apr_thread_mutex_t *mutex; /* protects the counters */
    apr_thread_cond_t *left;   /* signalled when a thread leaves */
    int free, waiting, queue_max;
    queues *common; /* or NULL */
};

lh_gate *lh_gate_create(apr_pool_t *p, int width, int queue_max)
{
    lh_gate *gate = apr_pcalloc(p, sizeof(*gate));

    gate->free = width;
    gate->queue_max = queue_max;
    if (apr_thread_mutex_create(&gate->mutex, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS ||
        apr_thread_cond_create(&gate->left, p) != APR_SUCCESS) {
        return NULL;
    }
    return gate;
}

void lh_gate_limit_queues(apr_pool_t *p, lh_gate *const *gates, int count, int queue_max)
{
    queues *common = apr_pcalloc(p, sizeof(*common));
    int i;

    common->waiting_max = (apr_uint32_t)queue_max;
    for (i = 0; i < count; i++) {
        gates[i]->common = common;
    }
}

/* Adds the thread to the queue if there is room. The caller holds the mutex. */
static int join_queue(lh_gate *gate)
{
    queues *common = gate->common;

    if (gate->waiting >= gate->queue_max) {
        return 0;
    }
    if (common && apr_atomic_inc32(&common->waiting) >= common->waiting_max) {
        apr_atomic_dec32(&common->waiting);
        return 0;
    }
    gate->waiting++;
    return 1;
}

static void leave_queue(lh_gate *gate)
{
    gate->waiting--;
    if (gate->common) {
        apr_atomic_dec32(&gate->common->waiting);
    }
}

static void wait_for_place(lh_gate *gate, apr_time_t deadline)
{
    apr_time_t now;

    while (gate->free == 0 && (now = apr_time_now()) < deadline) {
        apr_thread_cond_timedwait(gate->left, gate->mutex, deadline - now); /* may wake up spuriously */
    }
}

apr_status_t lh_gate_enter(lh_gate *gate, apr_interval_time_t timeout)
{
    apr_time_t deadline = apr_time_now() + timeout;
    apr_status_t rv = APR_SUCCESS;

    apr_thread_mutex_lock(gate->mutex);
    if (gate->free == 0 && join_queue(gate)) {
        wait_for_place(gate, deadline);
        leave_queue(gate);
    }
    if (gate->free > 0) {
        gate->free--;
    }
    else {
        rv = APR_TIMEUP;
    }
    apr_thread_mutex_unlock(gate->mutex);
    return rv;
}

void lh_gate_leave(lh_gate *gate)
{
    apr_thread_mutex_lock(gate->mutex);
    gate->free++;
    apr_thread_cond_signal(gate->left);
    apr_thread_mutex_unlock(gate->mutex);
}
