/* SPDX-License-Identifier: Apache-2.0 */
#include "util/tally.h"

#include <pthread.h>

#define CHAINS 1024

/* One that is counted. */
struct lh_tally_entry {
    lh_tally_entry *next, **link; /* in its chain; link NULL: removed */
    apr_uint64_t key;
    unsigned kind;
};

/* Static: the pools of requests may outlive that of the process, and their cleanups need both. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static lh_tally_entry *chains[CHAINS]; /* guarded by the lock */

static lh_tally_entry **chain_of(unsigned kind, apr_uint64_t key)
{
    return &chains[((key + kind) * 0x9E3779B97F4A7C15u >> 32) % CHAINS];
}

/* Whether `limit` entries of the chain have this kind and key. */
static int is_full(const lh_tally_entry *chain, unsigned kind, apr_uint64_t key, int limit)
{
    int count = 0;

    for (; chain && count < limit; chain = chain->next) {
        count += chain->kind == kind && chain->key == key;
    }
    return count >= limit;
}

static apr_status_t remove_at_end(void *data)
{
    lh_tally_entry *entry = data;

    pthread_mutex_lock(&lock);
    if (entry->link) {
        *entry->link = entry->next;
        if (entry->next) {
            entry->next->link = entry->link;
        }
        entry->link = NULL;
    }
    pthread_mutex_unlock(&lock);
    return APR_SUCCESS;
}

lh_tally_entry *lh_tally_add(apr_pool_t *pool, unsigned kind, apr_uint64_t key, int limit)
{
    lh_tally_entry **chain = chain_of(kind, key), *entry = NULL;

    pthread_mutex_lock(&lock);
    if (!is_full(*chain, kind, key, limit)) {
        entry = apr_palloc(pool, sizeof(*entry));
        entry->kind = kind;
        entry->key = key;
        entry->next = *chain;
        entry->link = chain;
        if (*chain) {
            (*chain)->link = &entry->next;
        }
        *chain = entry;
    }
    pthread_mutex_unlock(&lock);
    if (entry) {
        apr_pool_cleanup_register(pool, entry, remove_at_end, apr_pool_cleanup_null);
    }
    return entry;
}

void lh_tally_remove(lh_tally_entry *entry)
{
    if (entry) {
        remove_at_end(entry);
    }
}
