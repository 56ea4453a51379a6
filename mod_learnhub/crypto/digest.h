/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and random tokens, by OpenSSL. */
#ifndef LH_DIGEST_H
#define LH_DIGEST_H

#include <apr_pools.h>

#define LH_DIGEST_SIZE 32
#define LH_TOKEN_KEY 16 /* bytes of a digest, or of a jti, that identify a token */

/* 0 when OpenSSL fails. */
int lh_digest(const char *data, apr_size_t length, unsigned char digest[LH_DIGEST_SIZE]);

/* Lower-case hex. */
const char *lh_digest_hex(apr_pool_t *p, const unsigned char *bytes, apr_size_t length);

/* 40 hex digits from the CSPRNG; NULL when it fails. */
const char *lh_digest_token(apr_pool_t *p);

#endif
