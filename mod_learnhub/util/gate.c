/* SPDX-License-Identifier: Apache-2.0 */
#include "util/gate.h"

#include <apr_thread_cond.h>
#include <apr_thread_mutex.h>

struct lh_gate {
    apr_thread_mutex_t *mutex; /* protects the counters */
    apr_thread_cond_t *left;   /* signalled when a thread leaves */
    int free, waiting, queue_max;
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

apr_status_t lh_gate_enter(lh_gate *gate, apr_interval_time_t timeout)
{
    apr_time_t deadline = apr_time_now() + timeout, now;
    apr_status_t rv = APR_SUCCESS;

    apr_thread_mutex_lock(gate->mutex);
    gate->waiting++;
    while (gate->free == 0 && gate->waiting <= gate->queue_max && (now = apr_time_now()) < deadline) {
        apr_thread_cond_timedwait(gate->left, gate->mutex, deadline - now); /* may wake up spuriously */
    }
    gate->waiting--;
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
