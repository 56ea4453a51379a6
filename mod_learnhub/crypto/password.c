/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/password.h"

#include <apr_cstr.h>
#include <apr_general.h>
#include <apr_md5.h>
#include <apr_strings.h>
#include <string.h>

#define BYTES_MIN 8
#define BYTES_MAX 72 /* bcrypt ignores all further bytes */
#define SALT_BYTES 16
#define HASH_SIZE 61 /* including the terminating zero byte */

/* 1 when the password is the name, or the part before the @ of an e-mail address. */
static int is_name(const char *password, const char *name)
{
    apr_size_t local = strcspn(name, "@");

    return !apr_cstr_casecmp(password, name) ||
           (name[local] && strlen(password) == local && !apr_cstr_casecmpn(password, name, local));
}

const char *lh_password_error(const char *password, const char *const *names, int count)
{
    apr_size_t length = strlen(password);
    int i;

    if (length < BYTES_MIN || length > BYTES_MAX) {
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
    return NULL;
}

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

/* The hash is computed first in every case, so that all failures take the same time. */
int lh_password_matches(const char *password, const char *hash, int cost)
{
    char decoy[HASH_SIZE];

    apr_snprintf(decoy, sizeof(decoy), "$2y$%02d$%053d", cost, 0);
    return apr_password_validate(password, hash ? hash : decoy) == APR_SUCCESS && hash && strlen(password) <= BYTES_MAX;
}
