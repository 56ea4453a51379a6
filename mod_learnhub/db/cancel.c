/* SPDX-License-Identifier: Apache-2.0 */
#include "db/cancel.h"

#include <apr_atomic.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>

#include "util/clock.h"

#define WAIT apr_time_from_msec(250)
#define THREADS_MAX 8

/* Owned by the thread and by the caller; the last one that ends its use frees it. */
typedef struct request {
    PGcancel *cancel;
    sem_t sent;
    volatile apr_uint32_t owners;
} request;

static volatile apr_uint32_t threads; /* that send a request */

static void end_use(request *r)
{
    if (apr_atomic_dec32(&r->owners) == 0) {
        PQfreeCancel(r->cancel);
        sem_destroy(&r->sent);
        free(r);
    }
}

/* Uses no memory of the pool: a process can exit while the thread waits for a hanging server. */
static void *run(void *data)
{
    char ignored[256];

    PQcancel(((request *)data)->cancel, ignored, sizeof(ignored));
    sem_post(&((request *)data)->sent);
    end_use(data);
    apr_atomic_dec32(&threads);
    return NULL;
}

/* The thread inherits from the connector that all signals are blocked. */
static int start(request *r)
{
    pthread_attr_t detached;
    pthread_t thread;
    int started;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    started = pthread_create(&thread, &detached, run, r) == 0;
    pthread_attr_destroy(&detached);
    return started;
}

void lh_cancel_send(PGcancel *cancel)
{
    request *r = malloc(sizeof(*r));

    if (!r) {
        PQfreeCancel(cancel);
        return;
    }
    r->cancel = cancel;
    r->owners = 2;
    sem_init(&r->sent, 0, 0);
    if (apr_atomic_inc32(&threads) < THREADS_MAX && start(r)) {
        lh_clock_wait_semaphore(&r->sent, lh_clock() + WAIT);
    }
    else {
        apr_atomic_dec32(&threads);
        r->owners = 1;
    }
    end_use(r);
}
