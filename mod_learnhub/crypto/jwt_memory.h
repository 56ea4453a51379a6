/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens whose signature a process has verified a moment ago, so that the next requests with the same token
 * need not verify it again. An entry never answers for revocation: callers check that for every request.
 */
#ifndef LH_JWT_MEMORY_H
#define LH_JWT_MEMORY_H

#include "crypto/jwt.h"

/* Bounded: each new token replaces an older one, and tokens of more than 512 bytes are not stored. */
typedef struct lh_jwt_memory lh_jwt_memory;

/* Creates an empty memory for the tokens of one set of keys and rules. */
lh_jwt_memory *lh_jwt_memory_create(apr_pool_t *p);

#define LH_JWT_MEMORY_PERIOD 300 /* seconds */

/* Returns 1 and sets *claims when the token is stored and expires after `now` (seconds since 1970). Also sets *is_due:
 * 1 for the first find, and then once in each period. Thread-safe. */
int lh_jwt_memory_find(lh_jwt_memory *memory, const char *token, apr_int64_t now, lh_claims *claims, int *is_due);

/* Stores a token that lh_jwt_verify() has accepted. Thread-safe. */
void lh_jwt_memory_store(lh_jwt_memory *memory, const char *token, const lh_claims *claims);

#endif
