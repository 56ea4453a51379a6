/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A store of values by key, limited in bytes: the least recently used entries make room for new ones. Depends on APR
 * only.
 *
 * Entries are immutable once they are in the store, and counted references keep them alive after they were dropped, so
 * that a value can be used without a copy and without a lock. Keys may be chosen by clients: their hash has a secret.
 */
#ifndef LH_LRU_H
#define LH_LRU_H

#include <apr_pools.h>

typedef struct lh_lru lh_lru;
typedef struct lh_lru_entry lh_lru_entry;

/*
 * A store of at most `bytes`, with its tables, the entries and their overhead. An entry may have at most 1/16 of it and
 * at most 64 KB. When `p` is destroyed, the entries that nobody uses are freed. NULL when APR cannot create a lock.
 */
lh_lru *lh_lru_create(apr_pool_t *p, apr_size_t bytes);

/* An entry with room for a value of `size` bytes, which the caller fills before lh_lru_add(). NULL: it is too large, or
 * there is no memory. */
lh_lru_entry *lh_lru_make(const lh_lru *lru, const void *key, apr_size_t key_length, apr_size_t size);

/* The value, aligned for any type. */
void *lh_lru_value(lh_lru_entry *entry);

/* Stores an entry instead of one with the same key. The store takes over the caller's reference. */
void lh_lru_add(lh_lru *lru, lh_lru_entry *entry);

/* Finds an entry. The caller calls lh_lru_release() when it no longer uses it; NULL: there is none. */
lh_lru_entry *lh_lru_find(lh_lru *lru, const void *key, apr_size_t key_length);

/* Removes an entry from the store, unless it is no longer there. */
void lh_lru_drop(lh_lru *lru, lh_lru_entry *entry);

/* Frees the entry when it is not in the store and nobody else uses it. */
void lh_lru_release(lh_lru_entry *entry);

/* The bytes that the store uses. */
apr_size_t lh_lru_bytes(lh_lru *lru);

#endif
