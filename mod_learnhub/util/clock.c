/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <errno.h>
#include <time.h>

#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
#else
#define __tsan_acquire(semaphore) (void)(semaphore)
#endif

apr_time_t lh_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec((apr_time_t)now.tv_sec) + now.tv_nsec / 1000;
}

void lh_clock_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static struct timespec timespec_of(apr_time_t deadline)
{
    struct timespec at = {.tv_sec = (time_t)apr_time_sec(deadline), .tv_nsec = (long)apr_time_usec(deadline) * 1000};

    return at;
}

void lh_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, apr_time_t deadline)
{
    struct timespec at = timespec_of(deadline);

    pthread_cond_timedwait(cond, lock, &at);
}

int lh_clock_lock(pthread_mutex_t *lock, apr_time_t deadline)
{
    struct timespec at = timespec_of(deadline);

    return pthread_mutex_clocklock(lock, CLOCK_MONOTONIC, &at) == 0;
}

int lh_clock_wait_semaphore(sem_t *semaphore, apr_time_t deadline)
{
    struct timespec at = timespec_of(deadline);
    int rv;

    do {
        rv = sem_clockwait(semaphore, CLOCK_MONOTONIC, &at);
    } while (rv != 0 && errno == EINTR);
    if (rv == 0) {
        __tsan_acquire(semaphore); /* ThreadSanitizer knows sem_post(), but not sem_clockwait() */
    }
    return rv == 0;
}
