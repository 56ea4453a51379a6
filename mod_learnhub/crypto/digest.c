/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <openssl/evp.h>
#include <openssl/rand.h>

int lh_digest(const char *data, apr_size_t length, unsigned char digest[LH_DIGEST_SIZE])
{
    return EVP_Digest(data, length, digest, NULL, EVP_sha256(), NULL);
}

const char *lh_digest_hex(apr_pool_t *p, const unsigned char *bytes, apr_size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = apr_palloc(p, 2 * length + 1);
    apr_size_t i;

    for (i = 0; i < length; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    hex[2 * length] = '\0';
    return hex;
}

const char *lh_digest_token(apr_pool_t *p)
{
    unsigned char bytes[20];

    return RAND_bytes(bytes, sizeof(bytes)) == 1 ? lh_digest_hex(p, bytes, sizeof(bytes)) : NULL;
}
