/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 with keys that are set up once and used by many threads. Knows APR and OpenSSL. */
#ifndef LH_HMAC_H
#define LH_HMAC_H

#include <apr_pools.h>

#define LH_HMAC_BYTES 32

typedef struct lh_hmac lh_hmac;

/* The secret is not kept as it is. NULL when OpenSSL does not offer the algorithm. */
lh_hmac *lh_hmac_make(apr_pool_t *p, const char *secret, apr_size_t length);

/* 1, or 0 when OpenSSL fails. Any number of threads at once. */
int lh_hmac_sign(lh_hmac *hmac, const char *data, apr_size_t length, unsigned char mac[LH_HMAC_BYTES]);

/* 1 when `mac` is that of the data; compared in constant time. */
int lh_hmac_check(lh_hmac *hmac, const char *data, apr_size_t length, const unsigned char mac[LH_HMAC_BYTES]);

#endif
