/* SPDX-License-Identifier: Apache-2.0 */
/* Authenticated encryption of short texts: AES-256-GCM with a random nonce. Depends on APR and OpenSSL. */
#ifndef LH_SEAL_H
#define LH_SEAL_H

#include <apr.h>

#define LH_SEAL_KEY_BYTES 32
#define LH_SEAL_EXTRA 28 /* bytes that the sealed form is longer: nonce and tag */

/* Encrypts `length` bytes; `sealed` has room for length + LH_SEAL_EXTRA. A key seals a few texts at most, so that no
 * nonce repeats. Returns 1, or 0 when OpenSSL fails. */
int lh_seal(const unsigned char key[LH_SEAL_KEY_BYTES], const char *text, apr_size_t length, unsigned char *sealed);

/* Decrypts `length` sealed bytes; `text` has room for length - LH_SEAL_EXTRA. Returns 1, or 0 if they were not sealed
 * with this key or have been changed; then `text` has no meaning. */
int lh_unseal(const unsigned char key[LH_SEAL_KEY_BYTES], const unsigned char *sealed, apr_size_t length, char *text);

#endif
