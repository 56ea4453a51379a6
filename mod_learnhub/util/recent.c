/* SPDX-License-Identifier: Apache-2.0 */
#include "util/recent.h"

#include <apr_shm.h>
#include <string.h>

#define ENTRIES 16384 /* a power of two */

/* Each entry is one word: the upper half tells the keys of the entry apart, the lower half is the hash of the value. 0:
 * the entry is free. */
static apr_uint64_t *entries; /* in shared memory */

apr_status_t lh_recent_share(apr_pool_t *pconf)
{
    apr_shm_t *shm;
    apr_status_t rv = apr_shm_create(&shm, ENTRIES * sizeof(*entries), NULL, pconf);

    entries = rv == APR_SUCCESS ? apr_shm_baseaddr_get(shm) : NULL;
    if (entries) {
        memset(entries, 0, ENTRIES * sizeof(*entries));
    }
    return rv;
}

/* FNV-1a */
static apr_uint64_t hash(const char *text)
{
    apr_uint64_t value = 14695981039346656037u;

    for (; *text; text++) {
        value = (value ^ (unsigned char)*text) * 1099511628211u;
    }
    return value;
}

static apr_uint64_t entry_of(apr_uint64_t key, const char *value)
{
    return (key & 0xFFFFFFFF00000000u) | (hash(value) >> 32);
}

int lh_recent_differs(const char *key, const char *value)
{
    apr_uint64_t hashed = hash(key), found;

    if (!entries) {
        return 0;
    }
    found = __atomic_load_n(&entries[hashed % ENTRIES], __ATOMIC_RELAXED);
    return found >> 32 == hashed >> 32 && found != entry_of(hashed, value);
}

void lh_recent_set(const char *key, const char *value)
{
    apr_uint64_t hashed = hash(key);

    if (entries) {
        __atomic_store_n(&entries[hashed % ENTRIES], entry_of(hashed, value), __ATOMIC_RELAXED);
    }
}
