/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens are signed and verified by several threads with one key. */
#include "crypto/jwt.h"

#include "learnhub.h"
#include "tap.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <stdatomic.h>

#define THREADS 8
#define NOW 1700000000
#define SECRET "an example secret of forty bytes, or so."

static lh_jwt_keys *keys;
static const lh_jwt_rules rules = {"learnhub", NULL, NOW};
static atomic_int thread_errors;

/* Signs and verifies claims that differ between threads, so that mixed-up HMAC contexts are detected. */
static void *APR_THREAD_FUNC sign_and_verify(apr_thread_t *thread, void *data)
{
    lh_claims claims = {.type = LH_JWT_ACCESS,
                        .subject = *(int *)data + 1,
                        .role = LH_STUDENT,
                        .version = 0,
                        .issued = NOW,
                        .expires = NOW + 60},
              out;
    apr_pool_t *pool;
    const char *token, *why;
    char *broken;
    int i, rounds = tap_quick() ? 100 : 3000;

    (void)thread;
    apr_pool_create(&pool, NULL);
    for (i = 0; i < rounds; i++) {
        claims.version = i;
        claims.id[0] = '\0';
        token = lh_jwt_sign(pool, keys, &rules, &claims);
        if (lh_jwt_verify(pool, keys, &rules, LH_JWT_ACCESS, token, &out, &why) != APR_SUCCESS ||
            out.subject != claims.subject || out.version != i || strcmp(out.id, claims.id) != 0) {
            atomic_fetch_add(&thread_errors, 1);
        }
        broken = apr_pstrdup(pool, token);
        broken[strlen(token) - 5] ^= 1;
        if (lh_jwt_verify(pool, keys, &rules, LH_JWT_ACCESS, broken, &out, &why) == APR_SUCCESS) {
            atomic_fetch_add(&thread_errors, 1);
        }
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void test_threads(void)
{
    apr_thread_t *threads[THREADS];
    int numbers[THREADS], i;
    apr_status_t rv;

    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        apr_thread_create(&threads[i], NULL, sign_and_verify, &numbers[i], tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    is_int(thread_errors, 0, "threads: eight threads sign and verify with one key");
}

int main(void)
{
    tap_begin();
    keys = lh_jwt_keys_make(tap_pool);
    lh_jwt_keys_add(keys, "k1", SECRET, strlen(SECRET));
    test_threads();
    return tap_end();
}
