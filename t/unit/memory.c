/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is returned to the system. */
#include "util/memory.h"

#include "tap.h"

static void test_pool(void)
{
    apr_pool_t *parent, *p;

    apr_pool_create(&parent, tap_pool);
    p = lh_memory_pool(parent);
    ok(apr_pool_allocator_get(p) != apr_pool_allocator_get(parent), "a pool has an allocator of its own");
    ok(apr_palloc(p, 100000) != NULL, "it provides memory");
    apr_pool_destroy(p);
    lh_memory_pool(parent);
    apr_pool_destroy(parent);
    ok(1, "it ends with its parent");
}

static void test_trim(void)
{
    ok(!lh_memory_trim(), "nothing is trimmed at first");
    lh_memory_freed(1024 * 1024 - 1);
    ok(!lh_memory_trim(), "less than 1 MB is not worth it");
    lh_memory_freed(1);
    ok(lh_memory_trim(), "1 MB is");
    ok(!lh_memory_trim(), "once");
}

int main(void)
{
    tap_begin();
    lh_memory_limit();
    test_pool();
    test_trim();
    return tap_end();
}
