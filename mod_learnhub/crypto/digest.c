/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/digest.h"

#include <apr_escape.h>
#include <openssl/evp.h>
#include <string.h>

int lh_digest(const char *text, unsigned char digest[LH_DIGEST_SIZE])
{
    return EVP_Digest(text, strlen(text), digest, NULL, EVP_sha256(), NULL);
}

const char *lh_digest_hex(apr_pool_t *p, const char *text)
{
    unsigned char digest[LH_DIGEST_SIZE];

    return lh_digest(text, digest) ? apr_pescape_hex(p, digest, sizeof(digest), 0) : NULL;
}
