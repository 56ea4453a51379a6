/* SPDX-License-Identifier: Apache-2.0 */
#include "util/counters.h"

#include <apr_strings.h>
#include <unistd.h>

#include "util/shared.h"

#define PROCESSES_MAX 4096 /* further ones have counters, but no gauges */

typedef struct copy {
    _Alignas(LH_SHARED_LINE) apr_uint64_t values[LH_COUNTERS];
} copy;

typedef struct process {
    _Alignas(LH_SHARED_LINE) pid_t pid; /* 0: free */
    apr_int64_t gauges[LH_GAUGES];
} process;

typedef struct shared_counters {
    apr_time_t since;
    int process_count;
    lh_backlog backlogs[LH_BACKLOGS];
    copy copies[LH_COUNTERS_COPIES];
    process processes[];
} shared_counters;

/* For changes before lh_counters_begin() and after the end of a process. */
static copy unshared_copy;
static process unshared_process;

static shared_counters *shared;
static copy *own_copy = &unshared_copy;
static process *own_process = &unshared_process;

apr_status_t lh_counters_share(apr_pool_t *process_pool, int processes, const char *layout)
{
    int count = processes < 1 ? 1 : processes < PROCESSES_MAX ? processes : PROCESSES_MAX;
    apr_size_t size = sizeof(shared_counters) + sizeof(process) * (apr_size_t)count;
    const char *key;
    void *memory;
    apr_pool_t *p;
    apr_status_t rv;

    apr_pool_create(&p, process_pool);
    key = apr_psprintf(p, "learnhub:counters:%" APR_SIZE_T_FMT ":%d:%d %s", size, LH_COUNTERS, LH_GAUGES, layout);
    rv = lh_shared_memory(process_pool, key, size, &memory);
    apr_pool_destroy(p);
    if (rv == APR_SUCCESS) {
        shared = memory;
        shared->process_count = count;
        shared->since = shared->since ? shared->since : apr_time_now();
    }
    return rv;
}

/* ---- processes ---- */

/* Child processes belong to the process group of httpd. The id of one that was killed may be that of another program
 * later. */
static int runs(pid_t pid)
{
    return pid && getpgid(pid) == getpgrp();
}

/* Takes a place that is free, whose process has ended, or that an earlier process with the same id had. */
static int take(process *place, pid_t self)
{
    pid_t before = __atomic_load_n(&place->pid, __ATOMIC_RELAXED);

    return (before == self || !runs(before)) &&
           __atomic_compare_exchange_n(&place->pid, &before, self, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static apr_status_t leave(void *unused)
{
    process *place = own_process;

    (void)unused;
    __atomic_store_n(&own_process, &unshared_process, __ATOMIC_RELAXED);
    __atomic_store_n(&place->pid, 0, __ATOMIC_RELEASE);
    return APR_SUCCESS;
}

void lh_counters_begin(apr_pool_t *pchild)
{
    pid_t self = getpid();
    int i, gauge;

    if (!shared) {
        return;
    }
    own_copy = &shared->copies[self % LH_COUNTERS_COPIES];
    for (i = 0; i < shared->process_count; i++) {
        if (take(&shared->processes[i], self)) {
            own_process = &shared->processes[i];
            for (gauge = 0; gauge < LH_GAUGES; gauge++) {
                lh_gauge_set(gauge, 0);
            }
            apr_pool_cleanup_register(pchild, NULL, leave, apr_pool_cleanup_null);
            return;
        }
    }
}

/* ---- changes ---- */

void lh_counter_add(int counter, apr_uint64_t count)
{
    __atomic_fetch_add(&own_copy->values[counter], count, __ATOMIC_RELAXED);
}

int lh_counters_copy(void)
{
    return own_copy == &unshared_copy ? 0 : (int)(own_copy - shared->copies);
}

void lh_gauge_add(int gauge, apr_int64_t count)
{
    process *place = __atomic_load_n(&own_process, __ATOMIC_RELAXED);

    __atomic_fetch_add(&place->gauges[gauge], count, __ATOMIC_RELAXED);
}

void lh_gauge_set(int gauge, apr_int64_t value)
{
    process *place = __atomic_load_n(&own_process, __ATOMIC_RELAXED);

    __atomic_store_n(&place->gauges[gauge], value, __ATOMIC_RELAXED);
}

/* ---- reading ---- */

apr_uint64_t lh_counter_sum(int counter)
{
    apr_uint64_t sum = 0;
    int i;

    for (i = 0; shared && i < LH_COUNTERS_COPIES; i++) {
        sum += __atomic_load_n(&shared->copies[i].values[counter], __ATOMIC_RELAXED);
    }
    return sum;
}

/* The next process that runs, from number *at on; NULL after the last one. */
static process *next_process(int *at)
{
    while (shared && *at < shared->process_count) {
        process *place = &shared->processes[(*at)++];

        if (runs(__atomic_load_n(&place->pid, __ATOMIC_ACQUIRE))) {
            return place;
        }
    }
    return NULL;
}

apr_int64_t lh_gauge_sum(int gauge)
{
    apr_int64_t sum = 0;
    process *place;
    int at = 0;

    while ((place = next_process(&at))) {
        sum += __atomic_load_n(&place->gauges[gauge], __ATOMIC_RELAXED);
    }
    return sum;
}

apr_int64_t lh_gauge_lowest(int gauge)
{
    apr_int64_t lowest = 0;
    process *place;
    int at = 0;

    while ((place = next_process(&at))) {
        apr_int64_t value = __atomic_load_n(&place->gauges[gauge], __ATOMIC_RELAXED);

        lowest = value && (!lowest || value < lowest) ? value : lowest;
    }
    return lowest;
}

apr_int64_t lh_counters_value(lh_counters_source from, int number)
{
    return from == LH_COUNTER     ? (apr_int64_t)lh_counter_sum(number)
           : from == LH_GAUGE_SUM ? lh_gauge_sum(number)
                                  : lh_gauge_lowest(number);
}

int lh_counters_processes(void)
{
    int count = 0, at = 0;

    while (next_process(&at)) {
        count++;
    }
    return count;
}

apr_time_t lh_counters_since(void)
{
    return shared ? shared->since : 0;
}

lh_backlog *lh_counters_backlog(int database)
{
    return shared && database < LH_BACKLOGS ? &shared->backlogs[database] : NULL;
}
