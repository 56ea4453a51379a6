/* SPDX-License-Identifier: Apache-2.0 */
#include "util/memory.h"

#include <apr_allocator.h>
#include <stdlib.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif

#define HEAPS 4
#define LARGE_BLOCK (128 * 1024)     /* bytes */
#define WORTH_TRIMMING (1024 * 1024) /* bytes */

static apr_size_t freed; /* bytes; atomic */

void lh_memory_limit(void)
{
#ifdef __GLIBC__
    if (!getenv("MALLOC_ARENA_MAX")) {
        mallopt(M_ARENA_MAX, HEAPS);
    }
    mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK); /* otherwise it grows with each large block that is freed */
#endif
}

apr_pool_t *lh_memory_pool(apr_pool_t *parent)
{
    apr_allocator_t *allocator;
    apr_pool_t *pool;

    apr_allocator_create(&allocator); /* on failure NULL: that of the parent */
    apr_pool_create_ex(&pool, parent, NULL, allocator);
    if (allocator) {
        apr_allocator_owner_set(allocator, pool);
    }
    return pool;
}

void lh_memory_freed(apr_size_t bytes)
{
    __atomic_add_fetch(&freed, bytes, __ATOMIC_RELAXED);
}

int lh_memory_trim(void)
{
    if (__atomic_load_n(&freed, __ATOMIC_RELAXED) < WORTH_TRIMMING) {
        return 0;
    }
    __atomic_store_n(&freed, 0, __ATOMIC_RELAXED);
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    return 1;
}
