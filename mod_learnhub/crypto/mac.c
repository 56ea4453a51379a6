/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/mac.h"

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
struct lh_mac {
    EVP_MAC *algorithm;
    EVP_MAC_CTX *keyed;
    _Atomic(EVP_MAC_CTX *) idle[IDLE_MAX];
};

static apr_status_t free_all(void *data)
{
    lh_mac *mac = data;
    int i;

    for (i = 0; i < IDLE_MAX; i++) {
        EVP_MAC_CTX_free(atomic_load(&mac->idle[i]));
    }
    EVP_MAC_CTX_free(mac->keyed);
    EVP_MAC_free(mac->algorithm);
    return APR_SUCCESS;
}

static lh_mac *make(apr_pool_t *p, const char *algorithm, const void *key, apr_size_t length, const OSSL_PARAM *params)
{
    lh_mac *mac = apr_pcalloc(p, sizeof(*mac));

    apr_pool_cleanup_register(p, mac, free_all, apr_pool_cleanup_null);
    mac->algorithm = EVP_MAC_fetch(NULL, algorithm, NULL);
    mac->keyed = mac->algorithm ? EVP_MAC_CTX_new(mac->algorithm) : NULL;
    return mac->keyed && EVP_MAC_init(mac->keyed, key, length, params) ? mac : NULL;
}

lh_mac *lh_mac_hmac(apr_pool_t *p, const char *secret, apr_size_t length)
{
    char digest[] = "SHA256";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
                           OSSL_PARAM_construct_end()};

    return make(p, OSSL_MAC_NAME_HMAC, secret, length, params);
}

lh_mac *lh_mac_gmac(apr_pool_t *p, const unsigned char key[LH_GMAC_KEY_BYTES])
{
    char cipher[] = "AES-128-GCM";
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_CIPHER, cipher, 0),
                           OSSL_PARAM_construct_end()};

    return make(p, OSSL_MAC_NAME_GMAC, key, LH_GMAC_KEY_BYTES, params);
}

static EVP_MAC_CTX *acquire(lh_mac *mac)
{
    EVP_MAC_CTX *context = NULL;
    int i;

    for (i = 0; i < IDLE_MAX && !context; i++) {
        if (atomic_load_explicit(&mac->idle[i], memory_order_relaxed)) {
            context = atomic_exchange(&mac->idle[i], NULL);
        }
    }
    return context ? context : EVP_MAC_CTX_dup(mac->keyed);
}

static void release(lh_mac *mac, EVP_MAC_CTX *context)
{
    EVP_MAC_CTX *none = NULL;
    int i;

    for (i = 0; i < IDLE_MAX; i++, none = NULL) {
        if (atomic_compare_exchange_strong(&mac->idle[i], &none, context)) {
            return;
        }
    }
    EVP_MAC_CTX_free(context);
}

int lh_mac_sign(lh_mac *mac, const unsigned char *nonce, const char *data, apr_size_t length, unsigned char *out)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_IV, (unsigned char *)nonce, LH_GMAC_NONCE_BYTES),
        OSSL_PARAM_construct_end()};
    EVP_MAC_CTX *context = acquire(mac);
    size_t written = 0;
    int ok;

    ok = context && EVP_MAC_init(context, NULL, 0, nonce ? params : NULL) &&
         EVP_MAC_update(context, (const unsigned char *)data, length) &&
         EVP_MAC_final(context, out, &written, nonce ? LH_GMAC_BYTES : LH_HMAC_BYTES);
    if (context) {
        release(mac, context);
    }
    return ok;
}

int lh_mac_check(lh_mac *mac, const char *data, apr_size_t length, const unsigned char expected[LH_HMAC_BYTES])
{
    unsigned char computed[LH_HMAC_BYTES];

    return lh_mac_sign(mac, NULL, data, length, computed) && CRYPTO_memcmp(computed, expected, LH_HMAC_BYTES) == 0;
}
