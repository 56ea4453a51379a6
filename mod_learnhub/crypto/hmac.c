/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdatomic.h>

#define IDLE_MAX 64 /* contexts beyond these are freed after use */

/*
 * An OpenSSL context can be used by one thread at a time, and setting its key takes three times as long as a signature.
 * A thread therefore acquires an idle context, or duplicates `keyed`, which has the key and no data; after use it
 * stores the context as idle for the next thread.
 */
struct lh_hmac {
    EVP_MAC *algorithm;
    EVP_MAC_CTX *keyed;
    _Atomic(EVP_MAC_CTX *) idle[IDLE_MAX];
};

static apr_status_t free_all(void *data)
{
    lh_hmac *hmac = data;
    int i;

    for (i = 0; i < IDLE_MAX; i++) {
        EVP_MAC_CTX_free(atomic_load(&hmac->idle[i]));
    }
    EVP_MAC_CTX_free(hmac->keyed);
    EVP_MAC_free(hmac->algorithm);
    return APR_SUCCESS;
}

lh_hmac *lh_hmac_make(apr_pool_t *p, const char *secret, apr_size_t length)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};
    lh_hmac *hmac = apr_pcalloc(p, sizeof(*hmac));

    apr_pool_cleanup_register(p, hmac, free_all, apr_pool_cleanup_null);
    hmac->algorithm = EVP_MAC_fetch(NULL, OSSL_MAC_NAME_HMAC, NULL);
    hmac->keyed = hmac->algorithm ? EVP_MAC_CTX_new(hmac->algorithm) : NULL;
    return hmac->keyed && EVP_MAC_init(hmac->keyed, (const unsigned char *)secret, length, params) ? hmac : NULL;
}

static EVP_MAC_CTX *acquire(lh_hmac *hmac)
{
    EVP_MAC_CTX *context = NULL;
    int i;

    for (i = 0; i < IDLE_MAX && !context; i++) {
        if (atomic_load_explicit(&hmac->idle[i], memory_order_relaxed)) {
            context = atomic_exchange(&hmac->idle[i], NULL);
        }
    }
    return context ? context : EVP_MAC_CTX_dup(hmac->keyed);
}

static void release(lh_hmac *hmac, EVP_MAC_CTX *context)
{
    EVP_MAC_CTX *none = NULL;
    int i;

    for (i = 0; i < IDLE_MAX; i++, none = NULL) {
        if (atomic_compare_exchange_strong(&hmac->idle[i], &none, context)) {
            return;
        }
    }
    EVP_MAC_CTX_free(context);
}

int lh_hmac_sign(lh_hmac *hmac, const char *data, apr_size_t length, unsigned char mac[LH_HMAC_BYTES])
{
    EVP_MAC_CTX *context = acquire(hmac);
    size_t written = 0;
    int ok;

    ok = context && EVP_MAC_init(context, NULL, 0, NULL) &&
         EVP_MAC_update(context, (const unsigned char *)data, length) &&
         EVP_MAC_final(context, mac, &written, LH_HMAC_BYTES) && written == LH_HMAC_BYTES;
    if (context) {
        release(hmac, context);
    }
    return ok;
}

int lh_hmac_check(lh_hmac *hmac, const char *data, apr_size_t length, const unsigned char mac[LH_HMAC_BYTES])
{
    unsigned char expected[LH_HMAC_BYTES];

    return lh_hmac_sign(hmac, data, length, expected) && CRYPTO_memcmp(expected, mac, LH_HMAC_BYTES) == 0;
}
