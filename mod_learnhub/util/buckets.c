/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buckets.h"

#include <apr_general.h>
#include <apr_siphash.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#define SETS 4096
#define WAYS 8
#define REPORT_INTERVAL 60 /* seconds */
#define NANOSECONDS 1000   /* of a microsecond */

/* Times are in nanoseconds on lh_clock(). */
typedef struct bucket {
    apr_uint64_t id;          /* a digest of limit, kind and key; 0: the place is free */
    apr_int64_t full_at;      /* when it has all of its tokens */
    apr_int64_t period;       /* in which an empty bucket becomes full */
    apr_uint32_t refused;     /* requests since the last report */
    apr_uint32_t reported_at; /* in seconds; 0: never */
} bucket;

typedef struct set {
    pthread_mutex_t lock;
    bucket ways[WAYS];
} set;

struct lh_buckets {
    unsigned char secret[APR_SIPHASH_KSIZE];
    set sets[SETS];
};

apr_size_t lh_buckets_size(void)
{
    return sizeof(lh_buckets);
}

apr_status_t lh_buckets_create(void *memory, lh_buckets **buckets)
{
    pthread_mutexattr_t attributes;
    apr_status_t rv;
    int i;

    *buckets = memset(memory, 0, sizeof(lh_buckets));
    rv = apr_generate_random_bytes((*buckets)->secret, sizeof((*buckets)->secret));
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    for (i = 0; i < SETS && rv == APR_SUCCESS; i++) {
        rv = pthread_mutex_init(&(*buckets)->sets[i].lock, &attributes);
    }
    pthread_mutexattr_destroy(&attributes);
    return rv;
}

/* A process that dies while it has the lock leaves whole numbers, of which each is valid. Returns 0 on failure. */
static int lock_set(set *s)
{
    int rv = pthread_mutex_lock(&s->lock);

    if (rv == EOWNERDEAD) {
        rv = pthread_mutex_consistent(&s->lock);
    }
    return rv == 0;
}

/* ---- places ---- */

static apr_uint64_t id_of(const lh_buckets *buckets, const lh_limit *limit, unsigned kind, apr_uint64_t key)
{
    const apr_uint64_t words[] = {key, kind, (apr_uint64_t)limit->requests, (apr_uint64_t)limit->time};
    apr_uint64_t id = apr_siphash24(words, sizeof(words), buckets->secret);

    return id ? id : 1;
}

/* How many nanoseconds are missing until the bucket is full. */
static apr_int64_t debt_of(const bucket *b, apr_int64_t now)
{
    apr_int64_t debt = b->full_at - now;

    return debt < 0 ? 0 : debt < b->period ? debt : b->period;
}

static double part_missing(const bucket *b, apr_int64_t now)
{
    return b->id ? (double)debt_of(b, now) / (double)b->period : 0;
}

static bucket *find(set *s, apr_uint64_t id)
{
    int i;

    for (i = 0; i < WAYS; i++) {
        if (s->ways[i].id == id) {
            return &s->ways[i];
        }
    }
    return NULL;
}

/* Replaces the fullest bucket of the set. */
static bucket *replace(set *s, apr_uint64_t id, apr_int64_t period, apr_int64_t now)
{
    bucket *fullest = &s->ways[0];
    int i;

    for (i = 1; i < WAYS; i++) {
        if (part_missing(&s->ways[i], now) < part_missing(fullest, now)) {
            fullest = &s->ways[i];
        }
    }
    memset(fullest, 0, sizeof(*fullest));
    fullest->id = id;
    fullest->full_at = now;
    fullest->period = period;
    return fullest;
}

/* ---- tokens ---- */

/* Counts a request that is refused. Returns how many to report now. */
static apr_uint32_t count_refused(bucket *b, apr_int64_t now)
{
    apr_uint32_t seconds = (apr_uint32_t)(now / NANOSECONDS / APR_USEC_PER_SEC), count = ++b->refused;

    if (b->reported_at && seconds - b->reported_at < REPORT_INTERVAL) {
        return 0;
    }
    b->refused = 0;
    b->reported_at = seconds ? seconds : 1;
    return count;
}

/* Rounds up to microseconds. */
static apr_interval_time_t to_microseconds(apr_int64_t nanoseconds)
{
    return (nanoseconds + NANOSECONDS - 1) / NANOSECONDS;
}

static int take(bucket *b, apr_int64_t token, apr_int64_t now, lh_bucket_state *state)
{
    apr_int64_t debt = debt_of(b, now), wait = debt + token - b->period;

    if (wait > 0) {
        state->wait = to_microseconds(wait);
        state->refused = count_refused(b, now);
    }
    else {
        debt += token;
        b->full_at = now + debt;
        state->remaining = (b->period - debt) / token;
    }
    state->reset = to_microseconds(debt);
    return wait <= 0;
}

int lh_buckets_take(lh_buckets *buckets, const lh_limit *limit, unsigned kind, apr_uint64_t key, apr_time_t now,
                    lh_bucket_state *state)
{
    apr_uint64_t id = id_of(buckets, limit, kind, key);
    apr_int64_t token = limit->time * NANOSECONDS / limit->requests, at = now * NANOSECONDS;
    set *s = &buckets->sets[id % SETS];
    bucket *b;
    int taken;

    memset(state, 0, sizeof(*state));
    if (!lock_set(s)) {
        return 1;
    }
    b = find(s, id);
    taken = take(b ? b : replace(s, id, token * limit->requests, at), token, at, state);
    pthread_mutex_unlock(&s->lock);
    return taken;
}

void lh_buckets_return(lh_buckets *buckets, const lh_limit *limit, unsigned kind, apr_uint64_t key, apr_time_t now)
{
    apr_uint64_t id = id_of(buckets, limit, kind, key);
    set *s = &buckets->sets[id % SETS];
    bucket *b;

    if (lock_set(s)) {
        b = find(s, id);
        if (b && b->full_at > now * NANOSECONDS) {
            b->full_at -= limit->time * NANOSECONDS / limit->requests;
        }
        pthread_mutex_unlock(&s->lock);
    }
}
