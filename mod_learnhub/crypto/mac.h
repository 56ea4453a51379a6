/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message authentication codes with prepared keys that several threads may use at once: HMAC-SHA256, and GMAC, which is
 * several times as fast. Depends on APR and OpenSSL.
 */
#ifndef LH_MAC_H
#define LH_MAC_H

#include <apr_pools.h>

#define LH_HMAC_BYTES 32
#define LH_GMAC_BYTES 16
#define LH_GMAC_KEY_BYTES 16
#define LH_GMAC_NONCE_BYTES 12

typedef struct lh_mac lh_mac;

/* Prepare a key; the secret itself is not stored. NULL when OpenSSL does not provide the algorithm. */
lh_mac *lh_mac_hmac(apr_pool_t *p, const char *secret, apr_size_t length);
lh_mac *lh_mac_gmac(apr_pool_t *p, const unsigned char key[LH_GMAC_KEY_BYTES]);

/* Computes the MAC of the data. `nonce` is for GMAC only; HMAC: NULL. `out` has room for LH_HMAC_BYTES or
 * LH_GMAC_BYTES. Returns 1, or 0 when OpenSSL fails. Thread-safe. */
int lh_mac_sign(lh_mac *mac, const unsigned char *nonce, const char *data, apr_size_t length, unsigned char *out);

/* 1 when `expected` is the HMAC of the data; compares in constant time. Thread-safe. */
int lh_mac_check(lh_mac *mac, const char *data, apr_size_t length, const unsigned char expected[LH_HMAC_BYTES]);

#endif
