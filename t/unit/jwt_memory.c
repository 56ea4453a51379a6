/* SPDX-License-Identifier: Apache-2.0 */
/* Verified tokens: found until they expire, never for another token, bounded, and from several threads. */
#include "crypto/jwt_memory.h"

#include "tap.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <stdatomic.h>
#include <string.h>

#define THREADS 8
#define TOKENS 64
#define ROUNDS 20000

static lh_jwt_memory *memory;
static atomic_int found, wrong;

/* A token whose last characters differ by `number`, like signatures. */
static const char *token_of(int number)
{
    return apr_psprintf(tap_pool, "aaaa.bbbb.%08x%08xAAAAAAAA%08xA", number * 2654435761u, number, number * 40503u);
}

static lh_claims claims_of(int number, apr_int64_t expires)
{
    lh_claims claims = {.subject = number, .role = 1, .expires = expires};

    return claims;
}

static void test_one(void)
{
    lh_claims stored = claims_of(7, 1000), claims;
    int is_due;
    char *changed = apr_pstrdup(tap_pool, token_of(7));

    memory = lh_jwt_memory_create(tap_pool);
    ok(!lh_jwt_memory_find(memory, token_of(7), 10, &claims, &is_due), "a token that was not stored is not found");
    lh_jwt_memory_store(memory, token_of(7), &stored);
    ok(lh_jwt_memory_find(memory, token_of(7), 999, &claims, &is_due) && claims.subject == 7,
       "a stored token is found");
    ok(!lh_jwt_memory_find(memory, token_of(7), 1000, &claims, &is_due), "a token that has expired is not found");
    changed[0] = 'b';
    ok(!lh_jwt_memory_find(memory, changed, 10, &claims, &is_due), "a token with another first character is not found");
    ok(!lh_jwt_memory_find(memory, apr_pstrcat(tap_pool, "x", token_of(7), NULL), 10, &claims, &is_due),
       "a longer token with the same end is not found");
    ok(!lh_jwt_memory_find(memory, token_of(7) + 1, 10, &claims, &is_due),
       "a shorter token with the same end is not found");
    ok(!lh_jwt_memory_find(memory, "", 10, &claims, &is_due) &&
           !lh_jwt_memory_find(memory, "a.b.c", 10, &claims, &is_due),
       "an empty and a short token are not found");
}

static void test_bounds(void)
{
    char longest[513 + 1];
    lh_claims stored = claims_of(1, 1000), claims;
    int i, kept = 0, is_due;

    memset(longest, 'a', sizeof(longest));
    longest[513] = '\0';
    lh_jwt_memory_store(memory, longest, &stored);
    ok(!lh_jwt_memory_find(memory, longest, 10, &claims, &is_due), "a token of 513 bytes is not stored");
    longest[512] = '\0';
    lh_jwt_memory_store(memory, longest, &stored);
    ok(lh_jwt_memory_find(memory, longest, 10, &claims, &is_due), "a token of 512 bytes is stored");
    for (i = 0; i < 20000; i++) {
        stored = claims_of(i, 1000);
        lh_jwt_memory_store(memory, token_of(i), &stored);
    }
    for (i = 0; i < 20000; i++) {
        kept += lh_jwt_memory_find(memory, token_of(i), 10, &claims, &is_due) && claims.subject == i;
    }
    ok(kept > 2048 && kept <= 4096, "of 20000 tokens at most 4096 are kept (%d)", kept);
}

static void test_periods(void)
{
    static const struct {
        apr_int64_t now;
        int is_due;
    } finds[] = {{1000, 1}, {1000, 0}, {1299, 0}, {1300, 1}, {1301, 0}, {1599, 0}, {1600, 1}};
    lh_claims stored = claims_of(3, 9000), claims;
    unsigned i;

    memory = lh_jwt_memory_create(tap_pool);
    lh_jwt_memory_store(memory, token_of(3), &stored);
    for (i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
        int is_due = -1;

        lh_jwt_memory_find(memory, token_of(3), finds[i].now, &claims, &is_due);
        is_int(is_due, finds[i].is_due, "a find is due once in each period of 300 seconds");
    }
}

static void *APR_THREAD_FUNC use(apr_thread_t *thread, void *data)
{
    const char *const *tokens = data;
    int i;

    (void)thread;
    for (i = 0; i < ROUNDS; i++) {
        int number = i * 7 % TOKENS;
        lh_claims claims, stored = claims_of(number, 1000);
        int is_due;

        if (lh_jwt_memory_find(memory, tokens[number], 10, &claims, &is_due)) {
            atomic_fetch_add(&found, 1);
            if (claims.subject != number) {
                atomic_fetch_add(&wrong, 1);
            }
        }
        else {
            lh_jwt_memory_store(memory, tokens[number], &stored);
        }
    }
    return NULL;
}

static void test_threads(void)
{
    const char *tokens[TOKENS];
    apr_thread_t *threads[THREADS];
    apr_status_t rv;
    int i;

    for (i = 0; i < TOKENS; i++) {
        tokens[i] = token_of(i);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_create(&threads[i], NULL, use, tokens, tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    ok(found > THREADS * ROUNDS / 2, "8 threads find what other threads have stored");
    is_int(wrong, 0, "8 threads: no token returns the claims of another one");
}

int main(void)
{
    tap_begin();
    test_one();
    test_bounds();
    test_periods();
    test_threads();
    return tap_end();
}
