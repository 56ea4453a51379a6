/* SPDX-License-Identifier: Apache-2.0 */
#include "db/queue.h"

#include <stddef.h>

#include "util/clock.h"

void lh_queue_init(lh_queue *queue)
{
    queue->first = NULL;
    queue->last = &queue->first;
    queue->length = 0;
}

void lh_queue_join(lh_queue *queue, lh_waiter *self)
{
    lh_clock_cond_init(&self->woken);
    self->thing = NULL;
    self->next = NULL;
    *queue->last = self;
    queue->last = &self->next;
    queue->length++;
}

void lh_queue_wait(lh_waiter *self, pthread_mutex_t *lock, apr_time_t deadline)
{
    lh_clock_wait(&self->woken, lock, deadline);
}

/* `link` points to the waiter to be removed. */
static void remove_at(lh_queue *queue, lh_waiter **link)
{
    *link = (*link)->next;
    if (!*link) {
        queue->last = link;
    }
    queue->length--;
}

void *lh_queue_leave(lh_queue *queue, lh_waiter *self)
{
    lh_waiter **link = &queue->first;

    while (!self->thing && *link != self) {
        link = &(*link)->next;
    }
    if (!self->thing) {
        remove_at(queue, link);
    }
    pthread_cond_destroy(&self->woken);
    return self->thing;
}

int lh_queue_hand_over(lh_queue *queue, void *thing)
{
    lh_waiter *first = queue->first;

    if (!first) {
        return 0;
    }
    remove_at(queue, &queue->first);
    first->thing = thing;
    pthread_cond_signal(&first->woken);
    return 1;
}

void lh_queue_wake_all(const lh_queue *queue)
{
    lh_waiter *waiter;

    for (waiter = queue->first; waiter; waiter = waiter->next) {
        pthread_cond_signal(&waiter->woken);
    }
}
