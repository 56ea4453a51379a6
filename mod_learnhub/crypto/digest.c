/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <apr_escape.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <string.h>

/* Fetched once for each process: OpenSSL looks the algorithm of EVP_sha256() up for every digest. NULL on failure. */
static const EVP_MD *sha256(void)
{
    static _Atomic(EVP_MD *) fetched;
    EVP_MD *algorithm = atomic_load(&fetched), *none = NULL;

    if (!algorithm) {
        algorithm = EVP_MD_fetch(NULL, "SHA2-256", NULL);
        if (algorithm && !atomic_compare_exchange_strong(&fetched, &none, algorithm)) {
            EVP_MD_free(algorithm);
            algorithm = none;
        }
    }
    return algorithm;
}

int lh_digest(const char *text, unsigned char digest[LH_DIGEST_SIZE])
{
    const EVP_MD *algorithm = sha256();

    return algorithm && EVP_Digest(text, strlen(text), digest, NULL, algorithm, NULL);
}

const char *lh_digest_hex(apr_pool_t *p, const char *text)
{
    unsigned char digest[LH_DIGEST_SIZE];

    return lh_digest(text, digest) ? apr_pescape_hex(p, digest, sizeof(digest), 0) : NULL;
}
