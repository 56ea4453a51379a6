/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of threads that wait for a thing, such as a connection. A thing is handed to the thread that has waited
 * longest: no other thread can take it before the woken one runs. All functions need the lock of the queue's owner.
 */
#ifndef LH_QUEUE_H
#define LH_QUEUE_H

#include <apr_time.h>
#include <pthread.h>

/* A waiting thread, on its stack. */
typedef struct lh_waiter {
    pthread_cond_t woken;
    void *thing; /* handed over, or NULL */
    struct lh_waiter *next;
} lh_waiter;

typedef struct lh_queue {
    lh_waiter *first, **last;
    int length;
} lh_queue;

void lh_queue_init(lh_queue *queue);

/* Adds the calling thread at the end. lh_queue_leave() must follow. */
void lh_queue_join(lh_queue *queue, lh_waiter *self);

/* Waits until a thing is handed over, lh_queue_wake_all() is called or `deadline` (on lh_clock()) has passed, and
 * releases `lock` meanwhile. May return earlier. */
void lh_queue_wait(lh_waiter *self, pthread_mutex_t *lock, apr_time_t deadline);

/* Removes the thread from the queue, unless handing over has removed it. Returns the thing, or NULL. */
void *lh_queue_leave(lh_queue *queue, lh_waiter *self);

/* Hands a thing to the first thread and removes it from the queue. Returns 0 when nobody waits. */
int lh_queue_hand_over(lh_queue *queue, void *thing);

/* Wakes all threads; they stay in the queue. */
void lh_queue_wake_all(const lh_queue *queue);

#endif
