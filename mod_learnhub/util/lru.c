/* SPDX-License-Identifier: Apache-2.0 */
#include "util/lru.h"

#include <apr_atomic.h>
#include <apr_general.h>
#include <apr_siphash.h>
#include <apr_thread_mutex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/counters.h"

#define SHARDS 8 /* each has its own lock and its own part of the bytes */
#define ENTRY_PART 16
#define ENTRY_MAX 65536
#define BYTES_PER_SLOT 1024 /* of the store, for one slot of a table: about one entry */
#define ALLOCATION 16       /* bytes that malloc() adds to an entry */

struct lh_lru_entry {
    lh_lru_entry *next;          /* in its slot */
    lh_lru_entry *newer, *older; /* by use; guarded by the lock of the shard */
    apr_uint64_t hash;
    apr_size_t size; /* of everything */
    apr_size_t key_offset, key_length;
    volatile apr_uint32_t refs;
    int stored; /* guarded by the lock of the shard */
    _Alignas(max_align_t) char value[];
};

typedef struct shard {
    apr_thread_mutex_t *lock;
    lh_lru_entry **slots;
    lh_lru_entry *newest, *oldest;
    apr_size_t bytes;
} shard;

struct lh_lru {
    unsigned char secret[APR_SIPHASH_KSIZE];
    apr_size_t shard_max, entry_max; /* bytes */
    apr_size_t mask;                 /* the number of slots of a shard - 1 */
    shard shards[SHARDS];
};

/* ---- entries ---- */

void *lh_lru_value(lh_lru_entry *entry)
{
    return entry->value;
}

void lh_lru_release(lh_lru_entry *entry)
{
    if (!apr_atomic_dec32(&entry->refs)) {
        free(entry);
    }
}

static apr_uint64_t hash_of(const lh_lru *lru, const void *key, apr_size_t length)
{
    return apr_siphash24(key, length, lru->secret);
}

lh_lru_entry *lh_lru_make(const lh_lru *lru, const void *key, apr_size_t key_length, apr_size_t size)
{
    apr_size_t all = sizeof(lh_lru_entry) + size + key_length + ALLOCATION;
    lh_lru_entry *entry = all <= lru->entry_max ? malloc(all - ALLOCATION) : NULL;

    if (entry) {
        memset(entry, 0, sizeof(*entry));
        entry->hash = hash_of(lru, key, key_length);
        entry->size = all;
        entry->key_offset = size;
        entry->key_length = key_length;
        entry->refs = 1;
        memcpy(entry->value + size, key, key_length);
    }
    return entry;
}

/* ---- shards; the caller holds the lock ---- */

static shard *shard_of(lh_lru *lru, apr_uint64_t hash)
{
    return &lru->shards[hash % SHARDS];
}

static lh_lru_entry **slot_of(const lh_lru *lru, shard *s, apr_uint64_t hash)
{
    return &s->slots[hash / SHARDS & lru->mask];
}

static lh_lru_entry *find(const lh_lru *lru, shard *s, apr_uint64_t hash, const void *key, apr_size_t length)
{
    lh_lru_entry *entry = *slot_of(lru, s, hash);

    while (entry && (entry->hash != hash || entry->key_length != length ||
                     memcmp(entry->value + entry->key_offset, key, length) != 0)) {
        entry = entry->next;
    }
    return entry;
}

static void unlink_use(shard *s, lh_lru_entry *entry)
{
    *(entry->newer ? &entry->newer->older : &s->newest) = entry->older;
    *(entry->older ? &entry->older->newer : &s->oldest) = entry->newer;
}

static void link_newest(shard *s, lh_lru_entry *entry)
{
    entry->newer = NULL;
    entry->older = s->newest;
    *(s->newest ? &s->newest->newer : &s->oldest) = entry;
    s->newest = entry;
}

static void drop(const lh_lru *lru, shard *s, lh_lru_entry *entry)
{
    lh_lru_entry **place = slot_of(lru, s, entry->hash);

    while (*place != entry) {
        place = &(*place)->next;
    }
    *place = entry->next;
    unlink_use(s, entry);
    entry->stored = 0;
    s->bytes -= entry->size;
    lh_gauge_add(LH_GAUGE_CACHE_BYTES, -(apr_int64_t)entry->size);
    lh_lru_release(entry);
}

/* ---- the store ---- */

static apr_status_t clear(void *context)
{
    lh_lru *lru = context;
    int i;

    for (i = 0; i < SHARDS; i++) {
        while (lru->shards[i].newest) {
            drop(lru, &lru->shards[i], lru->shards[i].newest);
        }
    }
    return APR_SUCCESS;
}

lh_lru *lh_lru_create(apr_pool_t *p, apr_size_t bytes)
{
    lh_lru *lru = apr_pcalloc(p, sizeof(*lru));
    apr_size_t slots = 1, fixed;
    int i;

    while (slots * SHARDS * BYTES_PER_SLOT < bytes) {
        slots *= 2;
    }
    fixed = sizeof(*lru) / SHARDS + slots * sizeof(lh_lru_entry *);
    lru->mask = slots - 1;
    lru->shard_max = bytes / SHARDS > fixed ? bytes / SHARDS - fixed : 0;
    lru->entry_max = bytes / ENTRY_PART < ENTRY_MAX ? bytes / ENTRY_PART : ENTRY_MAX;
    apr_generate_random_bytes(lru->secret, sizeof(lru->secret));
    for (i = 0; i < SHARDS; i++) {
        lru->shards[i].slots = apr_pcalloc(p, slots * sizeof(lh_lru_entry *));
        if (apr_thread_mutex_create(&lru->shards[i].lock, APR_THREAD_MUTEX_DEFAULT, p) != APR_SUCCESS) {
            return NULL;
        }
    }
    apr_pool_pre_cleanup_register(p, lru, clear);
    return lru;
}

void lh_lru_add(lh_lru *lru, lh_lru_entry *entry)
{
    shard *s = shard_of(lru, entry->hash);
    lh_lru_entry *same, **slot = slot_of(lru, s, entry->hash);

    apr_thread_mutex_lock(s->lock);
    same = find(lru, s, entry->hash, entry->value + entry->key_offset, entry->key_length);
    if (same) {
        drop(lru, s, same);
    }
    entry->next = *slot;
    *slot = entry;
    link_newest(s, entry);
    entry->stored = 1;
    s->bytes += entry->size;
    lh_gauge_add(LH_GAUGE_CACHE_BYTES, (apr_int64_t)entry->size);
    while (s->bytes > lru->shard_max) {
        drop(lru, s, s->oldest);
    }
    apr_thread_mutex_unlock(s->lock);
}

lh_lru_entry *lh_lru_find(lh_lru *lru, const void *key, apr_size_t key_length)
{
    apr_uint64_t hash = hash_of(lru, key, key_length);
    shard *s = shard_of(lru, hash);
    lh_lru_entry *entry;

    apr_thread_mutex_lock(s->lock);
    entry = find(lru, s, hash, key, key_length);
    if (entry) {
        apr_atomic_inc32(&entry->refs);
        unlink_use(s, entry);
        link_newest(s, entry);
    }
    apr_thread_mutex_unlock(s->lock);
    return entry;
}

void lh_lru_drop(lh_lru *lru, lh_lru_entry *entry)
{
    shard *s = shard_of(lru, entry->hash);

    apr_thread_mutex_lock(s->lock);
    if (entry->stored) {
        drop(lru, s, entry);
    }
    apr_thread_mutex_unlock(s->lock);
}

apr_size_t lh_lru_bytes(lh_lru *lru)
{
    apr_size_t bytes = sizeof(*lru);
    int i;

    for (i = 0; i < SHARDS; i++) {
        apr_thread_mutex_lock(lru->shards[i].lock);
        bytes += lru->shards[i].bytes + (lru->mask + 1) * sizeof(lh_lru_entry *);
        apr_thread_mutex_unlock(lru->shards[i].lock);
    }
    return bytes;
}
