/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts what is in progress in this process by kind and key, such as the requests of one user that wait for the model,
 * so that there is a limit for each. Threads may call all functions at once. Depends on APR only.
 */
#ifndef LH_TALLY_H
#define LH_TALLY_H

#include <apr_pools.h>

typedef struct lh_tally_entry lh_tally_entry;

/* Counts one more of `kind` and `key` until lh_tally_remove() or the end of `pool`, which has the memory that is
 * needed. Returns NULL if `limit` are counted already. */
lh_tally_entry *lh_tally_add(apr_pool_t *pool, unsigned kind, apr_uint64_t key, int limit);

/* Ends the count of an entry; NULL and a second call have no effect. Only for the thread that uses the pool. */
void lh_tally_remove(lh_tally_entry *entry);

#endif
