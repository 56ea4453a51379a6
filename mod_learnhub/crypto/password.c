/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/password.h"

#include <apr_cstr.h>
#include <apr_general.h>
#include <apr_md5.h>
#include <apr_strings.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#define SALT_BYTES 16
#define HASH_SIZE 61 /* including the terminating zero byte */

/* 1 when the password is the name, or the part before the @ of an e-mail address. */
static int is_name(const char *password, const char *name)
{
    apr_size_t local = strcspn(name, "@");

    return !apr_cstr_casecmp(password, name) ||
           (name[local] && strlen(password) == local && !apr_cstr_casecmpn(password, name, local));
}

const char *lh_password_error(const char *password, const char *const *names, int count, const lh_password_list *list)
{
    apr_size_t length = strlen(password);
    int i;

    if (length < LH_PASSWORD_BYTES_MIN || length > LH_PASSWORD_BYTES_MAX) {
        return "must have 8 to 72 bytes; a non-ASCII character has two to four.";
    }
    if (strspn(password, "0123456789") == length) {
        return "must not consist of digits only.";
    }
    for (i = 0; i < count; i++) {
        if (names[i] && is_name(password, names[i])) {
            return "must not be your name or e-mail address.";
        }
    }
    return lh_password_is_common(password, list) ? "must not be one that many people use." : NULL;
}

/* ---- hashes ---- */

const char *lh_password_hash(apr_pool_t *p, const char *password, int cost)
{
    unsigned char salt[SALT_BYTES];
    char *hash = apr_palloc(p, HASH_SIZE);

    if (apr_generate_random_bytes(salt, sizeof(salt)) != APR_SUCCESS ||
        apr_bcrypt_encode(password, (unsigned)cost, salt, sizeof(salt), hash, HASH_SIZE) != APR_SUCCESS) {
        return NULL;
    }
    return hash;
}

#define BCRYPT_ALPHABET "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
#define BCRYPT_COST_MAX 15 /* as of LearnHubBcryptCost; each step doubles the CPU time */

/* The cost of a bcrypt hash; 0 for other text. */
static int bcrypt_cost(const char *hash)
{
    int cost;

    if (strlen(hash) != HASH_SIZE - 1 || strncmp(hash, "$2", 2) || !strchr("aby", hash[2]) || hash[3] != '$' ||
        strspn(hash + 4, "0123456789") != 2 || hash[6] != '$' || strspn(hash + 7, BCRYPT_ALPHABET) != HASH_SIZE - 8) {
        return 0;
    }
    cost = atoi(hash + 4);
    return cost >= 4 && cost <= BCRYPT_COST_MAX ? cost : 0;
}

/* APR knows $2y$ only by the name that is also written $2b$. A password that bcrypt does not read to its end does not
 * match. */
static int matches_bcrypt(const char *password, const char *hash)
{
    char known[HASH_SIZE];

    apr_cpystrn(known, hash, sizeof(known));
    known[2] = known[2] == 'b' ? 'y' : known[2];
    return apr_password_validate(password, known) == APR_SUCCESS && strlen(password) <= LH_PASSWORD_BYTES_MAX;
}

#define PBKDF2_PREFIX "pbkdf2_sha256$"
#define PBKDF2_BYTES 32
#define PBKDF2_BASE64 44 /* of PBKDF2_BYTES, with one = */
#define PBKDF2_ITERATIONS_MAX 2000000
#define PBKDF2_SALT_MAX 128

typedef struct pbkdf2 {
    int iterations;
    const char *salt;
    int salt_length;
    unsigned char key[PBKDF2_BYTES + 1]; /* EVP_DecodeBlock() writes a zero for the = */
} pbkdf2;

/* Parses pbkdf2_sha256$ITERATIONS$SALT$BASE64. Returns 0 for other text. */
static int parse_pbkdf2(const char *hash, pbkdf2 *parts)
{
    const char *text = hash + strlen(PBKDF2_PREFIX), *end;
    apr_size_t digits;

    if (strncmp(hash, PBKDF2_PREFIX, strlen(PBKDF2_PREFIX))) {
        return 0;
    }
    digits = strspn(text, "0123456789");
    parts->iterations = digits <= 7 ? atoi(text) : 0;
    parts->salt = text + digits + 1;
    end = text[digits] == '$' ? strchr(parts->salt, '$') : NULL;
    if (parts->iterations < 1 || parts->iterations > PBKDF2_ITERATIONS_MAX || !end || end == parts->salt ||
        end - parts->salt > PBKDF2_SALT_MAX || strlen(end + 1) != PBKDF2_BASE64 || end[PBKDF2_BASE64] != '=') {
        return 0;
    }
    parts->salt_length = (int)(end - parts->salt);
    return EVP_DecodeBlock(parts->key, (const unsigned char *)end + 1, PBKDF2_BASE64) == (int)sizeof(parts->key);
}

static int matches_pbkdf2(const char *password, const pbkdf2 *parts)
{
    unsigned char key[PBKDF2_BYTES];

    return PKCS5_PBKDF2_HMAC(password, (int)strlen(password), (const unsigned char *)parts->salt, parts->salt_length,
                             parts->iterations, EVP_sha256(), sizeof(key), key) == 1 &&
           !CRYPTO_memcmp(key, parts->key, sizeof(key));
}

int lh_password_matches(const char *password, const char *hash, int cost)
{
    char decoy[HASH_SIZE];
    pbkdf2 parts;

    if (hash && bcrypt_cost(hash)) {
        return matches_bcrypt(password, hash);
    }
    if (hash && parse_pbkdf2(hash, &parts)) {
        return matches_pbkdf2(password, &parts);
    }
    apr_snprintf(decoy, sizeof(decoy), "$2y$%02d$%053d", cost, 0);
    (void)apr_password_validate(password, decoy);
    return 0;
}

int lh_password_is_outdated(const char *password, const char *hash, int cost)
{
    return bcrypt_cost(hash) != cost && strlen(password) <= LH_PASSWORD_BYTES_MAX;
}
