/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC-SHA256 with prepared keys that several threads may use at once. Depends on APR and OpenSSL. */
#ifndef LH_HMAC_H
#define LH_HMAC_H

#include <apr_pools.h>

#define LH_HMAC_BYTES 32

typedef struct lh_hmac lh_hmac;

/* Prepares a key; the secret itself is not stored. NULL when OpenSSL does not provide the algorithm. */
lh_hmac *lh_hmac_make(apr_pool_t *p, const char *secret, apr_size_t length);

/* Computes the HMAC of the data. Returns 1, or 0 when OpenSSL fails. Thread-safe. */
int lh_hmac_sign(lh_hmac *hmac, const char *data, apr_size_t length, unsigned char mac[LH_HMAC_BYTES]);

/* 1 when `mac` is the HMAC of the data; compares in constant time. Thread-safe. */
int lh_hmac_check(lh_hmac *hmac, const char *data, apr_size_t length, const unsigned char mac[LH_HMAC_BYTES]);

#endif
