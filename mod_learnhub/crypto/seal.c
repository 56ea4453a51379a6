/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/seal.h"

#include <limits.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#define NONCE_BYTES 12 /* before the encrypted text */
#define TAG_BYTES 16   /* after it */

int lh_seal(const unsigned char key[LH_SEAL_KEY_BYTES], const char *text, apr_size_t length, unsigned char *sealed)
{
    EVP_CIPHER_CTX *context = length <= INT_MAX ? EVP_CIPHER_CTX_new() : NULL;
    unsigned char *encrypted = sealed + NONCE_BYTES;
    int written, rest, ok;

    ok = context && RAND_bytes(sealed, NONCE_BYTES) == 1 &&
         EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, sealed) &&
         EVP_EncryptUpdate(context, encrypted, &written, (const unsigned char *)text, (int)length) &&
         EVP_EncryptFinal_ex(context, encrypted + written, &rest) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, encrypted + length);
    EVP_CIPHER_CTX_free(context);
    return ok;
}

int lh_unseal(const unsigned char key[LH_SEAL_KEY_BYTES], const unsigned char *sealed, apr_size_t length, char *text)
{
    EVP_CIPHER_CTX *context = length >= LH_SEAL_EXTRA && length <= INT_MAX ? EVP_CIPHER_CTX_new() : NULL;
    const unsigned char *encrypted = sealed + NONCE_BYTES;
    unsigned char *out = (unsigned char *)text;
    int size = (int)length - LH_SEAL_EXTRA, written, rest, ok;

    ok = context && EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, sealed) &&
         EVP_DecryptUpdate(context, out, &written, encrypted, size) &&
         EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, (unsigned char *)encrypted + size) &&
         EVP_DecryptFinal_ex(context, out + written, &rest) > 0;
    EVP_CIPHER_CTX_free(context);
    return ok;
}
