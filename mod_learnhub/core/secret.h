/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in the configuration. They are read with the rights of the user who starts httpd and are never logged. */
#ifndef LH_SECRET_H
#define LH_SECRET_H

#include <apr_pools.h>

typedef struct lh_credentials {
    const char *user, *password;
} lh_credentials;

/*
 * Reads a secret from `source`: file:PATH (the first line; PATH is relative to ServerRoot), exec:COMMAND (the first
 * line of its output), env:NAME, or the secret itself. Returns NULL, or an error message for the operator. When httpd
 * starts, it reads its configuration twice; the first time, commands are not run and *secret is NULL.
 */
const char *lh_secret_read(apr_pool_t *p, const char *source, const char **secret);

#endif
