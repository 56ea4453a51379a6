/* SPDX-License-Identifier: Apache-2.0 */
/* The gate: its width, its queue and its timeouts, with one thread and with twelve. */
#include "util/gate.h"

#include "tap.h"

#include <apr_thread_proc.h>
#include <stdatomic.h>

#define WIDTH 3
#define THREADS 12
#define ROUNDS 40

static lh_gate *gate;
static atomic_int inside, most, entered, timed_out;

static void *APR_THREAD_FUNC pass(apr_thread_t *thread, void *data)
{
    int i, now, seen;

    (void)thread;
    for (i = 0; i < ROUNDS; i++) {
        if (lh_gate_enter(gate, *(apr_interval_time_t *)data) != APR_SUCCESS) {
            atomic_fetch_add(&timed_out, 1);
            continue;
        }
        atomic_fetch_add(&entered, 1);
        now = atomic_fetch_add(&inside, 1) + 1;
        seen = atomic_load(&most);
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
        }
        apr_sleep(1000);
        atomic_fetch_sub(&inside, 1);
        lh_gate_leave(gate);
    }
    return NULL;
}

static void run_threads(apr_interval_time_t timeout)
{
    apr_thread_t *threads[THREADS];
    apr_status_t rv;
    int i;

    inside = most = entered = timed_out = 0;
    for (i = 0; i < THREADS; i++) {
        apr_thread_create(&threads[i], NULL, pass, &timeout, tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
}

static void test_threads(void)
{
    run_threads(apr_time_from_sec(60));
    is_int(most, WIDTH, "12 threads: the maximum inside at once is 3");
    is_int(entered, THREADS * ROUNDS, "12 threads with a timeout of 60 s: all are admitted");
    run_threads(1500);
    ok(most <= WIDTH && timed_out > 0 && entered > 0, "12 threads with a timeout of 1.5 ms: %d admitted, %d timed out",
       entered, timed_out);
    is_int(entered + timed_out, THREADS * ROUNDS, "every attempt is either admitted or timed out");
}

static void test_no_queue(void)
{
    lh_gate *narrow = lh_gate_create(tap_pool, 1, 0);
    apr_time_t began = apr_time_now();

    is_int(lh_gate_enter(narrow, 0), APR_SUCCESS, "a free gate without a queue admits a thread");
    is_int(lh_gate_enter(narrow, apr_time_from_sec(600)), APR_TIMEUP, "a full gate without a queue rejects a thread");
    ok(apr_time_now() - began < apr_time_from_sec(60), "a full gate without a queue rejects immediately");
    lh_gate_leave(narrow);
}

/* ---- a queue of one ---- */

static atomic_int admitted;

/* Waits in the queue until the main thread leaves; again, if the main thread was in the queue first. */
static void *APR_THREAD_FUNC wait_in_queue(apr_thread_t *thread, void *data)
{
    int tries;

    (void)thread;
    for (tries = 0; tries < 1000 && lh_gate_enter(data, apr_time_from_sec(60)) != APR_SUCCESS; tries++) {
        apr_sleep(1000);
    }
    atomic_store(&admitted, tries < 1000);
    return NULL;
}

/* When a thread waits, the queue is full, and another one is rejected in less time than its timeout. */
static int queue_is_full(lh_gate *narrow)
{
    apr_time_t began = apr_time_now();

    return lh_gate_enter(narrow, 20000) == APR_TIMEUP && apr_time_now() - began < 20000;
}

static void test_queue(void)
{
    lh_gate *narrow = lh_gate_create(tap_pool, 1, 1);
    apr_time_t began = apr_time_now();
    apr_thread_t *thread;
    apr_status_t rv;
    int i;

    lh_gate_enter(narrow, 0);
    is_int(lh_gate_enter(narrow, 50000), APR_TIMEUP, "a full gate with a queue of one rejects a thread");
    ok(apr_time_now() - began >= 50000, "a queue of one lets a thread wait for its timeout");
    began = apr_time_now();
    is_int(lh_gate_enter(narrow, 50000), APR_TIMEUP, "a full gate with a queue of one rejects the next thread");
    ok(apr_time_now() - began >= 50000, "a thread that timed out has left the queue: the next one waits as well");
    apr_thread_create(&thread, NULL, wait_in_queue, narrow, tap_pool);
    for (i = 0; i < 200 && !queue_is_full(narrow); i++) {
        apr_sleep(10000);
    }
    ok(i < 200, "while a thread waits in a queue of one, another is rejected immediately");
    lh_gate_leave(narrow);
    apr_thread_join(&rv, thread);
    ok(atomic_load(&admitted), "the thread in the queue is admitted when another leaves");
    lh_gate_leave(narrow);
}

/* Three gates that let two threads wait together: while threads wait at two of them, the third one has no queue. */
static void test_common_limit(void)
{
    lh_gate *gates[3];
    apr_thread_t *threads[2];
    apr_time_t began;
    apr_status_t rv;
    int i, full;

    for (i = 0; i < 3; i++) {
        gates[i] = lh_gate_create(tap_pool, 1, 1);
        lh_gate_enter(gates[i], 0);
    }
    lh_gate_limit_queues(tap_pool, gates, 3, 2);
    began = apr_time_now();
    is_int(lh_gate_enter(gates[2], 50000), APR_TIMEUP, "a full gate of three rejects a thread");
    ok(apr_time_now() - began >= 50000, "the thread waits while nobody waits at the others");
    for (i = 0; i < 2; i++) {
        apr_thread_create(&threads[i], NULL, wait_in_queue, gates[i], tap_pool);
    }
    for (i = 0; i < 200 && !(queue_is_full(gates[0]) && queue_is_full(gates[1])); i++) {
        apr_sleep(10000);
    }
    for (full = 0, i = 0; i < 200 && !full; i++) {
        full = queue_is_full(gates[2]);
    }
    ok(full, "while threads wait at two gates, the third one rejects immediately");
    lh_gate_leave(gates[2]);
    is_int(lh_gate_enter(gates[2], 0), APR_SUCCESS, "when a place is free, it admits");
    for (i = 0; i < 2; i++) {
        atomic_store(&admitted, 0);
        lh_gate_leave(gates[i]);
        apr_thread_join(&rv, threads[i]);
        ok(atomic_load(&admitted), "the thread in queue %d is admitted", i + 1);
    }
    began = apr_time_now();
    is_int(lh_gate_enter(gates[2], 50000), APR_TIMEUP, "afterwards the third gate rejects a thread");
    ok(apr_time_now() - began >= 50000, "that has waited, because the other queues are empty");
}

static void test_timeouts(void)
{
    apr_time_t start;
    int i;

    gate = lh_gate_create(tap_pool, WIDTH, 1000);
    for (i = 0; i < WIDTH; i++) {
        is_int(lh_gate_enter(gate, 0), APR_SUCCESS, "a free gate admits without a timeout");
    }
    start = apr_time_now();
    is_int(lh_gate_enter(gate, 0), APR_TIMEUP, "a full gate rejects with a timeout of 0");
    is_int(lh_gate_enter(gate, -1), APR_TIMEUP, "a full gate rejects with a negative timeout");
    ok(apr_time_now() - start < 10000000, "a full gate rejects immediately if the timeout is 0 or negative");
    start = apr_time_now();
    is_int(lh_gate_enter(gate, 100000), APR_TIMEUP, "a full gate rejects with a timeout of 100 ms");
    ok(apr_time_now() - start >= 100000, "a full gate waits for the timeout of 100 ms");
    lh_gate_leave(gate);
    is_int(lh_gate_enter(gate, 0), APR_SUCCESS, "when one thread leaves, another is admitted");
    is_int(lh_gate_enter(gate, 0), APR_TIMEUP, "when one thread leaves, only one is admitted");
    for (i = 0; i < WIDTH; i++) {
        lh_gate_leave(gate);
    }
}

int main(void)
{
    tap_begin();
    test_timeouts();
    test_threads();
    test_no_queue();
    test_queue();
    test_common_limit();
    return tap_end();
}
