/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: the rules for new ones, and bcrypt. Depends on APR only. */
#ifndef LH_PASSWORD_H
#define LH_PASSWORD_H

#include <apr_pools.h>

/*
 * Checks a new password: 8 to 72 bytes, not only digits, and not equal to one of the user's `names` or, if that is an
 * e-mail address, to the part before the @. The comparison ignores case. `names` has `count` entries; NULL entries are
 * skipped. Returns NULL, or a sentence for the client without its subject: "must not consist of digits only."
 */
const char *lh_password_error(const char *password, const char *const *names, int count);

/* A bcrypt hash ("$2y$...") with a new salt and a cost of 4 to 15; NULL when no random bytes are available. */
const char *lh_password_hash(apr_pool_t *p, const char *password, int cost);

/*
 * 1 when the password matches the hash. A NULL hash never matches, but takes as long as a hash of `cost`, so that the
 * response time does not reveal whether a user exists.
 */
int lh_password_matches(const char *password, const char *hash, int cost);

#endif
