/* SPDX-License-Identifier: Apache-2.0 */
/* Counts of what is in progress: limits by kind and key, the end of a pool, twelve threads. */
#include "util/tally.h"

#include "tap.h"

#include <apr_thread_proc.h>
#include <stdatomic.h>

#define LIMIT 3
#define THREADS 12
#define ROUNDS 400

static void test_limits(void)
{
    lh_tally_entry *first = lh_tally_add(tap_pool, 1, 7, 2), *second = lh_tally_add(tap_pool, 1, 7, 2);

    ok(first && second, "two are counted within a limit of two");
    ok(!lh_tally_add(tap_pool, 1, 7, 2), "a third one is refused");
    ok(!lh_tally_add(tap_pool, 1, 7, 1), "a lower limit refuses as well");
    ok(lh_tally_add(tap_pool, 1, 7, 3) != NULL, "a higher limit admits one more");
    ok(lh_tally_add(tap_pool, 2, 7, 1) != NULL, "another kind is counted apart");
    ok(lh_tally_add(tap_pool, 1, 8, 1) != NULL, "another key is counted apart");
    ok(!lh_tally_add(tap_pool, 1, 9, 0), "a limit of none admits none");
    lh_tally_remove(first);
    lh_tally_remove(first);
    lh_tally_remove(NULL);
    ok(lh_tally_add(tap_pool, 1, 7, 3) != NULL, "one that was removed twice makes room for one");
    ok(!lh_tally_add(tap_pool, 1, 7, 3), "but not for two");
    lh_tally_remove(second);
    ok(lh_tally_add(tap_pool, 1, 7, 3) != NULL, "one from the middle of its chain makes room");
}

/* Many keys: chains with several of them. */
static void test_chains(void)
{
    apr_pool_t *pool;
    int key, added = 0, again = 0;

    apr_pool_create(&pool, tap_pool);
    for (key = 0; key < 5000; key++) {
        added += lh_tally_add(pool, 3, (apr_uint64_t)key << 40, 1) != NULL;
        again += lh_tally_add(pool, 3, (apr_uint64_t)key << 40, 1) != NULL;
    }
    is_int(added, 5000, "5,000 keys are counted");
    is_int(again, 0, "each of them once");
    apr_pool_destroy(pool);
    for (key = 0, added = 0; key < 5000; key++) {
        lh_tally_entry *entry = lh_tally_add(tap_pool, 3, (apr_uint64_t)key << 40, 1);

        added += entry != NULL;
        lh_tally_remove(entry);
    }
    is_int(added, 5000, "the end of a pool removes what it has counted");
}

/* ---- threads ---- */

static atomic_int inside, most, refused, after;

static void *APR_THREAD_FUNC count(apr_thread_t *thread, void *data)
{
    int i, now, seen;

    (void)data;
    for (i = 0; i < ROUNDS; i++) {
        apr_pool_t *pool;
        lh_tally_entry *entry;

        apr_pool_create(&pool, apr_thread_pool_get(thread));
        entry = lh_tally_add(pool, 4, 1, LIMIT);
        if (entry) {
            now = atomic_fetch_add(&inside, 1) + 1;
            seen = atomic_load(&most);
            while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
            }
            apr_sleep(50);
            atomic_fetch_sub(&inside, 1);
            if (i % 2) {
                lh_tally_remove(entry);
            }
        }
        else {
            atomic_fetch_add(&refused, 1);
        }
        apr_pool_destroy(pool);
    }
    return NULL;
}

static void test_threads(void)
{
    apr_thread_t *threads[THREADS];
    apr_status_t rv;
    int i;

    for (i = 0; i < THREADS; i++) {
        apr_thread_create(&threads[i], NULL, count, NULL, tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    is_int(most, LIMIT, "12 threads: at most 3 are counted at once");
    ok(refused > 0, "the others are refused");
    for (i = 0; i < LIMIT; i++) {
        after += lh_tally_add(tap_pool, 4, 1, LIMIT) != NULL;
    }
    is_int(after, LIMIT, "afterwards none is counted");
}

int main(void)
{
    tap_begin();
    test_limits();
    test_chains();
    test_threads();
    return tap_end();
}
