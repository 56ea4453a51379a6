/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers the last value of recent keys for all child processes, in 128 KB of shared memory. It is a hint: keys share
 * entries, values are told apart by 32 bits of a hash, and the state of the database may be another one.
 */
#ifndef LH_RECENT_H
#define LH_RECENT_H

#include <apr_pools.h>

/* Creates the shared memory, before the child processes start. Without it nothing is remembered. */
apr_status_t lh_recent_share(apr_pool_t *pconf);

/* 1 when another value than `value` is remembered for `key`; 0 when `value` is, or none. */
int lh_recent_differs(const char *key, const char *value);

void lh_recent_set(const char *key, const char *value);

#endif
