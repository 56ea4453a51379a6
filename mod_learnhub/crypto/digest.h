/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256, by OpenSSL. */
#ifndef LH_DIGEST_H
#define LH_DIGEST_H

#include <apr_pools.h>

#define LH_DIGEST_SIZE 32 /* bytes */

/* Computes the SHA-256 of a string. Returns 1, or 0 when OpenSSL fails. Thread-safe. */
int lh_digest(const char *text, unsigned char digest[LH_DIGEST_SIZE]);

/* The SHA-256 of a string in lower-case hex; NULL when OpenSSL fails. */
const char *lh_digest_hex(apr_pool_t *p, const char *text);

#endif
