/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Token buckets, for all processes of a node: how many requests a key, such as an account or a network, may make within
 * a time. A bucket of N requests in T has N tokens at first; a request takes one, and one comes back every T/N.
 *
 * The table has a fixed size, so it can forget buckets. It is divided into sets of eight, and a key belongs to one
 * set, which depends on a secret. A bucket that has all of its tokens is the same as none: its place is free. If a set
 * has no free place, a new key replaces the bucket with the largest part of its tokens.
 *
 * - Forgetting never refuses a request: it only allows more.
 * - To have an empty bucket forgotten, a client must take all tokens of seven other keys of the same set. It cannot
 *   find out which keys these are, so it needs enough keys to empty most buckets of the whole table at the same time.
 *   The limits of all these keys together allow the client far more requests than the bucket that it gets back.
 *
 * Threads and processes may call lh_buckets_take() and lh_buckets_return() at once. Depends on APR only.
 */
#ifndef LH_BUCKETS_H
#define LH_BUCKETS_H

#include <apr_errno.h>
#include <apr_time.h>

/* `requests`, at most a thousand per microsecond, in `time` microseconds. requests 0: no limit. */
typedef struct lh_limit {
    apr_int64_t requests;
    apr_interval_time_t time;
} lh_limit;

typedef struct lh_buckets lh_buckets;

/* A bucket after a request. */
typedef struct lh_bucket_state {
    apr_int64_t remaining;     /* requests that are allowed at once */
    apr_interval_time_t reset; /* microseconds until the bucket has all of its tokens */
    apr_interval_time_t wait;  /* microseconds until the next request is allowed; 0: it is now */
    apr_uint32_t refused;      /* requests to report: see lh_buckets_take() */
} lh_bucket_state;

/* The bytes of a table. */
apr_size_t lh_buckets_size(void);

/* Makes a table in lh_buckets_size() bytes of shared memory. */
apr_status_t lh_buckets_create(void *memory, lh_buckets **buckets);

/*
 * Takes a token from the bucket of `kind` and `key`; `now` is on lh_clock(). Returns 1, or 0 if there is none. Buckets
 * of different limits are different. At most once a minute for each bucket, state->refused is the number of requests
 * that it has refused since the last time, this one included; otherwise it is 0.
 */
int lh_buckets_take(lh_buckets *buckets, const lh_limit *limit, unsigned kind, apr_uint64_t key, apr_time_t now,
                    lh_bucket_state *state);

/* Puts the token of a request back that another limit has refused. */
void lh_buckets_return(lh_buckets *buckets, const lh_limit *limit, unsigned kind, apr_uint64_t key, apr_time_t now);

#endif
