/* SPDX-License-Identifier: Apache-2.0 */
/* A monotonic clock, unaffected by changes of the system's time. Depends on APR only. */
#ifndef LH_CLOCK_H
#define LH_CLOCK_H

#include <apr_time.h>
#include <pthread.h>
#include <semaphore.h>

/* Microseconds since an unspecified point in the past; deadlines are points on this clock. */
apr_time_t lh_clock(void);

/* Condition variables on this clock: those of APR use the wall clock, which may be changed. */
void lh_clock_cond_init(pthread_cond_t *cond);

/* Waits for `cond`, at most until `deadline` on lh_clock(). */
void lh_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, apr_time_t deadline);

/* Locks the mutex, waiting at most until `deadline` on lh_clock(). Returns 1, or 0 after the deadline. */
int lh_clock_lock(pthread_mutex_t *lock, apr_time_t deadline);

/* Waits for `semaphore`, at most until `deadline` on lh_clock(). Returns 1, or 0 after the deadline. */
int lh_clock_wait_semaphore(sem_t *semaphore, apr_time_t deadline);

#endif
