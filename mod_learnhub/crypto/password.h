/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: the rules for new ones, and hashes: bcrypt, and PBKDF2 in the format of Django. */
#ifndef LH_PASSWORD_H
#define LH_PASSWORD_H

#include "crypto/common_password.h"

/*
 * Checks a new password: 8 to 72 bytes, not only digits, not equal to one of the user's `names` or, if that is an
 * e-mail address, to the part before the @, and not common (lh_password_is_common(); `list` may be NULL). The
 * comparison ignores case. `names` has `count` entries; NULL entries are skipped. Returns NULL, or a sentence for the
 * client without its subject: "must not consist of digits only."
 */
const char *lh_password_error(const char *password, const char *const *names, int count, const lh_password_list *list);

/* A bcrypt hash ("$2y$...") with a new salt and a cost of 4 to 15; NULL when no random bytes are available. */
const char *lh_password_hash(apr_pool_t *p, const char *password, int cost);

/*
 * 1 when the password matches the hash: bcrypt ($2a$, $2b$ or $2y$, cost 4 to 15), or Django's
 * pbkdf2_sha256$ITERATIONS$SALT$BASE64 with at most 2,000,000 iterations. NULL and other text, such as "!", never
 * match, but take as long as bcrypt of `cost`, so that the response time does not reveal whether a user exists.
 */
int lh_password_matches(const char *password, const char *hash, int cost);

/* 1 when the hash of a password that has matched should be replaced by one of lh_password_hash(): it is of another kind
 * or cost, and bcrypt does not ignore a part of the password. */
int lh_password_is_outdated(const char *password, const char *hash, int cost);

#endif
