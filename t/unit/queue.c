/* SPDX-License-Identifier: Apache-2.0 */
/* The queue of threads that wait for a thing: order, leaving, and deadlines. */
#include "db/queue.h"

#include "tap.h"
#include "util/clock.h"

static void test_order(void)
{
    lh_waiter a, b, c;
    lh_queue queue;
    int x, y;

    lh_queue_init(&queue);
    ok(!lh_queue_hand_over(&queue, &x), "nothing is handed over when nobody waits");
    lh_queue_join(&queue, &a);
    lh_queue_join(&queue, &b);
    lh_queue_join(&queue, &c);
    is_int(queue.length, 3, "three threads wait");
    ok(lh_queue_hand_over(&queue, &x) && a.thing == &x && !b.thing && !c.thing, "the first thread gets a thing");
    is_int(queue.length, 2, "it is no longer in the queue");
    ok(!lh_queue_leave(&queue, &b), "a thread that leaves early has no thing");
    ok(lh_queue_hand_over(&queue, &y) && c.thing == &y, "the next thread gets the next thing");
    ok(lh_queue_leave(&queue, &a) == &x && lh_queue_leave(&queue, &c) == &y, "both leave with their things");
    ok(!queue.first && queue.last == &queue.first && queue.length == 0, "the queue is empty");
}

/* The last thread leaves: the end of the queue must be the one before it. */
static void test_end(void)
{
    lh_waiter a, b, c;
    lh_queue queue;
    int x, y;

    lh_queue_init(&queue);
    lh_queue_join(&queue, &a);
    lh_queue_join(&queue, &b);
    lh_queue_leave(&queue, &b);
    lh_queue_join(&queue, &c);
    lh_queue_hand_over(&queue, &x);
    lh_queue_hand_over(&queue, &y);
    ok(a.thing == &x && c.thing == &y, "a thread that joins after the last one has left is served in turn");
    lh_queue_leave(&queue, &a);
    lh_queue_leave(&queue, &c);
}

static void test_deadline(void)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    apr_time_t deadline = lh_clock() + apr_time_from_msec(20);
    lh_waiter self;
    lh_queue queue;

    lh_queue_init(&queue);
    lh_queue_join(&queue, &self);
    pthread_mutex_lock(&lock);
    while (lh_clock() < deadline) {
        lh_queue_wait(&self, &lock, deadline);
    }
    pthread_mutex_unlock(&lock);
    ok(!lh_queue_leave(&queue, &self), "a wait ends at its deadline");
}

int main(void)
{
    tap_begin();
    test_order();
    test_end();
    test_deadline();
    return tap_end();
}
