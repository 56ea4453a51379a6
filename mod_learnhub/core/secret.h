/* SPDX-License-Identifier: Apache-2.0 */
/* Where secrets come from: read while the configuration is, as the user that starts httpd; never logged. */
#ifndef LH_SECRET_H
#define LH_SECRET_H

#include <apr_pools.h>

typedef struct lh_credentials {
    const char *user, *password;
} lh_credentials;

/*
 * `source` is file:PATH (relative to ServerRoot; its first line), exec:COMMAND (the first line it prints), env:NAME, or
 * the secret itself. Returns NULL or what is wrong, without any part of the secret. When httpd starts it reads its
 * configuration twice: commands run in the second pass only, in the first *secret is NULL.
 */
const char *lh_secret_read(apr_pool_t *p, const char *source, const char **secret);

#endif
