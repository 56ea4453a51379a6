/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Returns memory to the system. By default, glibc keeps what was freed in up to eight heaps for each core, and APR
 * keeps it for as long as a client's connection lives: a process would stay as large as its largest burst of requests
 * made it. Depends on APR only; without glibc only the pools have an effect.
 */
#ifndef LH_MEMORY_H
#define LH_MEMORY_H

#include <apr_pools.h>

/* For a new process, before it starts threads: limits the number of malloc's heaps, unless the environment variable
 * MALLOC_ARENA_MAX does, and returns blocks of 128 KB and more when they are freed. */
void lh_memory_limit(void);

/* A pool with an allocator of its own: destroying it frees its memory. */
apr_pool_t *lh_memory_pool(apr_pool_t *parent);

/* Notes that `bytes` of memory have been freed in small blocks. */
void lh_memory_freed(apr_size_t bytes);

/* Returns freed memory to the system if at least 1 MB was noted since the last call; returns 1 if so. */
int lh_memory_trim(void);

#endif
