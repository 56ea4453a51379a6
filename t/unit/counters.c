/* SPDX-License-Identifier: Apache-2.0 */
/* Counters and gauges of several processes: exact sums, processes that exit or are killed, memory by layout. */
#include "util/counters.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define PLACES 4
#define CHILDREN 12
#define ADDS 5000

typedef void work(apr_pool_t *pchild);

/* Starts a child process as httpd does, which works and then waits for a byte. `ready` gets a byte before that. */
static pid_t start(work *todo, int ready[2], int go[2])
{
    char byte = 0;
    pid_t pid;

    if (pipe(ready) != 0 || pipe(go) != 0) {
        return -1;
    }
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        apr_pool_t *pchild;

        close(go[1]);
        apr_pool_create(&pchild, NULL);
        lh_counters_begin(pchild);
        todo(pchild);
        if (write(ready[1], &byte, 1) == 1 && read(go[0], &byte, 1) == 1) {
            apr_pool_destroy(pchild); /* a clean exit */
        }
        _exit(0);
    }
    close(ready[1]);
    close(go[0]);
    return pid;
}

/* Waits until a child has worked. */
static void await(const int ready[2])
{
    char byte;

    (void)(read(ready[0], &byte, 1) + 1);
    close(ready[0]);
}

static void end(pid_t pid, const int go[2], int cleanly)
{
    if (cleanly) {
        (void)(write(go[1], "x", 1) + 1);
    }
    else {
        kill(pid, SIGKILL);
    }
    waitpid(pid, NULL, 0);
    close(go[1]);
}

static void count(apr_pool_t *pchild)
{
    int i;

    (void)pchild;
    for (i = 0; i < ADDS; i++) {
        lh_counter_add(LH_COUNT_CACHE_HITS, 1);
        lh_counter_add(LH_COUNTERS - 1, 3);
    }
    lh_gauge_add(LH_GAUGE_DB_IDLE, 5);
    lh_gauge_add(LH_GAUGE_DB_IDLE, -2);
    lh_gauge_set(LH_GAUGE_SCHEMA, 22);
}

static void set_older(apr_pool_t *pchild)
{
    (void)pchild;
    lh_gauge_set(LH_GAUGE_SCHEMA, 7);
}

/* More processes than places, one after another and at once; half of them are killed. */
static void test_processes(void)
{
    pid_t pids[CHILDREN];
    int ready[CHILDREN][2], go[CHILDREN][2], i;

    for (i = 0; i < CHILDREN; i++) {
        pids[i] = start(count, ready[i], go[i]);
    }
    for (i = 0; i < CHILDREN; i++) {
        await(ready[i]);
    }
    is_int(lh_counters_processes(), PLACES, "as many processes as there are places have gauges");
    is_int(lh_gauge_sum(LH_GAUGE_DB_IDLE), PLACES * 3, "gauges are summed over them");
    is_int(lh_gauge_lowest(LH_GAUGE_SCHEMA), 22, "the lowest of equal values");
    for (i = 0; i < CHILDREN; i++) {
        end(pids[i], go[i], i % 2);
    }
    is_int((long long)lh_counter_sum(LH_COUNT_CACHE_HITS), CHILDREN * ADDS, "no count is lost, also not by kills");
    is_int((long long)lh_counter_sum(LH_COUNTERS - 1), CHILDREN * ADDS * 3, "nor of another counter");
    is_int((long long)lh_counter_sum(LH_COUNT_CACHE_MISSES), 0, "a counter that is not used is 0");
    is_int(lh_counters_processes(), 0, "no process is left");
    is_int(lh_gauge_sum(LH_GAUGE_DB_IDLE), 0, "their gauges have ended with them");
    is_int(lh_gauge_lowest(LH_GAUGE_SCHEMA), 0, "no lowest value");
}

/* A killed process leaves its place to the next one, whose gauges begin at 0. */
static void test_places(void)
{
    pid_t pid, other;
    int ready[2], go[2], ready2[2], go2[2], i, wrong = 0;

    for (i = 0; i < 2 * PLACES; i++) {
        pid = start(count, ready, go);
        await(ready);
        wrong += lh_counters_processes() != 1 || lh_gauge_sum(LH_GAUGE_DB_IDLE) != 3;
        end(pid, go, 0);
    }
    is_int(wrong, 0, "processes that were killed leave their places");
    pid = start(count, ready, go);
    await(ready);
    other = start(set_older, ready2, go2);
    await(ready2);
    is_int(lh_counters_processes(), 2, "two processes");
    is_int(lh_gauge_sum(LH_GAUGE_DB_IDLE), 3, "a new one has no gauges of an earlier one");
    is_int(lh_gauge_lowest(LH_GAUGE_SCHEMA), 7, "the lowest of two values");
    end(other, go2, 1);
    is_int(lh_gauge_lowest(LH_GAUGE_SCHEMA), 22, "and of the one that is left");
    end(pid, go, 1);
}

/* A restart finds the memory again; an upgrade with another layout gets other memory. */
static void test_layouts(apr_pool_t *process)
{
    apr_uint64_t before = lh_counter_sum(LH_COUNT_CACHE_HITS);
    apr_time_t since = lh_counters_since();
    lh_backlog *backlog = lh_counters_backlog(0);

    backlog->waiting = 4;
    ok(before > 0 && since > 0, "something was counted");
    lh_counters_share(process, PLACES, "jobs a b");
    ok(lh_counter_sum(LH_COUNT_CACHE_HITS) == before, "the same layout has the same counts");
    ok(lh_counters_since() == since, "since the same time");
    ok(lh_counters_backlog(0) == backlog && backlog->waiting == 4, "and the same measurement");
    ok(lh_counters_backlog(LH_BACKLOGS - 1) != NULL && !lh_counters_backlog(LH_BACKLOGS),
       "the number of databases is limited");
    lh_counters_share(process, PLACES, "jobs a c");
    is_int((long long)lh_counter_sum(LH_COUNT_CACHE_HITS), 0, "another layout begins at 0");
    lh_counters_share(process, PLACES, "jobs a b");
    ok(lh_counter_sum(LH_COUNT_CACHE_HITS) == before, "and does not change the first one");
}

int main(void)
{
    apr_pool_t *process;

    tap_begin();
    apr_pool_create(&process, tap_pool);
    lh_counter_add(LH_COUNT_CACHE_HITS, 1);
    lh_gauge_add(LH_GAUGE_DB_IDLE, 1);
    is_int((long long)lh_counter_sum(LH_COUNT_CACHE_HITS), 0, "without shared memory, nothing is counted");
    is_int(lh_counters_processes(), 0, "and there is no process");
    ok(lh_counters_share(process, PLACES, "jobs a b") == APR_SUCCESS, "the memory is created");
    test_processes();
    test_places();
    test_layouts(process);
    return tap_end();
}
