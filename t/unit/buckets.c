/* SPDX-License-Identifier: Apache-2.0 */
/* Token buckets: bursts, refills, reports, a full table, threads and processes that share one. */
#include "util/buckets.h"

#include "tap.h"

#include <apr_shm.h>
#include <apr_thread_proc.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#define THREADS 8
#define PROCESSES 4
#define SECOND APR_USEC_PER_SEC

static lh_buckets *table;

static lh_buckets *create(void)
{
    lh_buckets *created = NULL;
    apr_shm_t *shm;
    void *exact;

    apr_shm_create(&shm, lh_buckets_size(), NULL, tap_pool);
    is_int(lh_buckets_create(apr_shm_baseaddr_get(shm), &created), APR_SUCCESS, "a table is created");
    exact = malloc(lh_buckets_size()); /* here the sanitizers know the end */
    is_int(lh_buckets_create(exact, &(lh_buckets *){NULL}), APR_SUCCESS, "in memory of exactly this size");
    free(exact);
    return created;
}

/* Takes `count` tokens at a time; returns how many there were, and the last state. */
static int take(const lh_limit *limit, unsigned kind, apr_uint64_t key, int count, apr_time_t now,
                lh_bucket_state *state)
{
    int taken = 0;

    while (count-- > 0) {
        taken += lh_buckets_take(table, limit, kind, key, now, state);
    }
    return taken;
}

static void test_one(void)
{
    static const lh_limit limit = {10, 60 * SECOND};
    apr_time_t now = 1000 * SECOND;
    lh_bucket_state state;

    is_int(take(&limit, 1, 1, 1, now, &state), 1, "10/1m: the first request is allowed");
    is_int(state.remaining, 9, "nine remain");
    is_int(state.reset, 6 * SECOND, "the bucket is full again after a tenth of the time");
    is_int(state.wait, 0, "the next request need not wait");
    is_int(take(&limit, 1, 1, 20, now, &state), 9, "nine more are allowed");
    is_int(state.remaining, 0, "none remains");
    is_int(state.wait, 6 * SECOND, "the next one must wait for a tenth of the time");
    is_int(state.reset, 60 * SECOND, "the bucket is full after the whole time");
    is_int(take(&limit, 1, 1, 1, now + 6 * SECOND - 1, &state), 0, "a microsecond too early is refused");
    is_int(state.wait, 1, "it must wait for that microsecond");
    is_int(take(&limit, 1, 1, 2, now + 6 * SECOND, &state), 1, "then one is allowed");
    is_int(take(&limit, 1, 1, 20, now + 36 * SECOND, &state), 5, "after half of the time, half of them");
    is_int(take(&limit, 1, 1, 20, now + 3600 * SECOND, &state), 10, "after a long time, all of them, not more");
    is_int(take(&limit, 1, 1, 1, now, &state), 0, "if the clock went back, the bucket stays empty");
    is_int(state.wait, 6 * SECOND, "but not for longer than it takes to refill");
}

static void test_keys(void)
{
    static const lh_limit limit = {2, 60 * SECOND}, other = {2, 61 * SECOND}, more = {3, 60 * SECOND};
    static const lh_limit odd = {7, SECOND}, many = {1000000, SECOND};
    lh_bucket_state state;

    is_int(take(&limit, 2, 1, 3, 0, &state), 2, "a key has two tokens");
    is_int(take(&limit, 2, 2, 3, 0, &state), 2, "another key has its own");
    is_int(take(&limit, 3, 1, 3, 0, &state), 2, "so has another kind");
    is_int(take(&other, 2, 1, 3, 0, &state), 2, "and another time");
    is_int(take(&more, 2, 1, 4, 0, &state), 3, "and another number");
    is_int(take(&limit, 2, 1, 3, 0, &state), 0, "none of them has refilled the first one");
    is_int(take(&odd, 2, 1, 10, 5, &state), 7, "a number that does not divide the time");
    is_int(take(&odd, 2, 1, 10, 5 + SECOND, &state), 7, "refills completely");
    is_int(take(&many, 2, 1, 1000001, 5, &state), 1000000, "a million in a second");
}

static void test_return(void)
{
    static const lh_limit limit = {3, 60 * SECOND};
    lh_bucket_state state;

    take(&limit, 4, 1, 3, 0, &state);
    lh_buckets_return(table, &limit, 4, 1, 0);
    is_int(take(&limit, 4, 1, 3, 0, &state), 1, "a token that was put back is there");
    lh_buckets_return(table, &limit, 4, 2, 0);
    is_int(take(&limit, 4, 2, 5, 0, &state), 3, "a full bucket does not get more tokens");
    take(&limit, 4, 3, 1, 0, &state);
    lh_buckets_return(table, &limit, 4, 3, 0);
    lh_buckets_return(table, &limit, 4, 3, 0);
    is_int(take(&limit, 4, 3, 5, 0, &state), 3, "also if more are put back than were taken");
}

static void test_reports(void)
{
    static const lh_limit limit = {1, 3600 * SECOND};
    apr_time_t now = 1000 * SECOND;
    lh_bucket_state state;
    int i, reports = 0;

    take(&limit, 5, 1, 1, now, &state);
    is_int(state.refused, 0, "an allowed request is not reported");
    take(&limit, 5, 1, 1, now, &state);
    is_int(state.refused, 1, "the first refused request is reported");
    for (i = 1; i < 600; i++) {
        take(&limit, 5, 1, 1, now + i * SECOND / 10, &state);
        reports += state.refused != 0;
    }
    is_int(reports, 0, "within a minute no other one is");
    take(&limit, 5, 1, 1, now + 60 * SECOND, &state);
    is_int(state.refused, 600, "the next report is their number");
    take(&limit, 5, 1, 1, now + 61 * SECOND, &state);
    is_int(state.refused, 0, "then there is none for a minute again");
}

/* A client empties a bucket and then sends requests with many fresh keys, so that the table must forget something. */
static void test_full_table(void)
{
    static const lh_limit limit = {10, 60 * SECOND};
    apr_time_t now = 10000 * SECOND;
    lh_bucket_state state;
    apr_uint64_t key;
    int kept = 0, allowed = 0;

    for (key = 0; key < 1000; key++) {
        take(&limit, 6, key, 10, now, &state);
    }
    for (key = 1000000; key < 1100000; key++) {
        allowed += lh_buckets_take(table, &limit, 6, key, now, &state);
    }
    is_int(allowed, 100000, "100,000 new keys are allowed, although the table is full");
    for (key = 0; key < 1000; key++) {
        kept += !lh_buckets_take(table, &limit, 6, key, now, &state);
    }
    is_int(kept, 1000, "the table still knows all of the 1,000 buckets that were empty before");
    for (key = 2000000; key < 2020000; key++) {
        take(&limit, 6, key, 10, now + 120 * SECOND, &state);
    }
    for (key = 2000000, kept = 0; key < 2020000; key++) {
        kept += !lh_buckets_take(table, &limit, 6, key, now + 120 * SECOND, &state);
    }
    ok(kept > 19000, "when those are full again, the table has room for others: %d of 20,000 are known", kept);
}

/* ---- threads and processes ---- */

static const lh_limit shared_limit = {20000, 3600 * SECOND};
static atomic_int taken_by_threads;

static void *APR_THREAD_FUNC take_many(apr_thread_t *thread, void *data)
{
    lh_bucket_state state;
    int i;

    (void)thread, (void)data;
    for (i = 0; i < 4000; i++) {
        atomic_fetch_add(&taken_by_threads, lh_buckets_take(table, &shared_limit, 7, 1, 0, &state));
    }
    return NULL;
}

static void test_threads(void)
{
    apr_thread_t *threads[THREADS];
    apr_status_t rv;
    int i;

    for (i = 0; i < THREADS; i++) {
        apr_thread_create(&threads[i], NULL, take_many, NULL, tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    is_int(taken_by_threads, 20000, "eight threads get exactly the tokens of a bucket");
}

/* A process that takes tokens until there are none, at most `count`; writes their number. */
static pid_t start(int count, apr_uint64_t key, int to)
{
    lh_bucket_state state;
    pid_t pid = fork();

    if (!pid) {
        int taken = take(&shared_limit, 7, key, count, 0, &state);
        _exit(write(to, &taken, sizeof(taken)) != sizeof(taken));
    }
    return pid;
}

static void test_processes(void)
{
    int ends[2], i, taken, sum = 0;
    pid_t pids[PROCESSES];

    ok(pipe(ends) == 0, "a pipe");
    for (i = 0; i < PROCESSES; i++) {
        pids[i] = start(10000, 2, ends[1]);
    }
    for (i = 0; i < PROCESSES; i++) {
        sum += read(ends[0], &taken, sizeof(taken)) == sizeof(taken) ? taken : -100000;
        waitpid(pids[i], NULL, 0);
    }
    is_int(sum, 20000, "four processes get exactly the tokens of a bucket");
    for (i = 0; i < 20; i++) {
        pids[0] = start(100000000, 3, ends[1]);
        usleep(2000);
        kill(pids[0], SIGKILL);
        waitpid(pids[0], NULL, 0);
    }
    alarm(60); /* a lock that is left would never end */
    take(&shared_limit, 7, 3, 1, 0, &(lh_bucket_state){0});
    alarm(0);
    ok(1, "processes that are killed while they count leave no lock");
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    tap_begin();
    table = create();
    if (table) {
        test_one();
        test_keys();
        test_return();
        test_reports();
        test_full_table();
        test_threads();
        test_processes();
    }
    return tap_end();
}
