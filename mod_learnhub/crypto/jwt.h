/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens with HS256 (RFC 7515, RFC 7519), following the advice of RFC 8725. Depends on APR and OpenSSL.
 *
 * The token does not select the algorithm: a header with an `alg` other than HS256, with `crit`, or with an unknown
 * `kid` is rejected. The signature is verified, in constant time, before the payload is parsed.
 */
#ifndef LH_JWT_H
#define LH_JWT_H

#include <apr_pools.h>
#include <apr_time.h>

#include "crypto/mac.h"

/* The keys of a server. */
typedef struct lh_jwt_keys lh_jwt_keys;

#define LH_JWT_SECRET_MIN 32  /* bytes */
#define LH_JWT_TOKEN_MAX 4096 /* bytes; longer tokens are rejected without parsing */

typedef enum { LH_JWT_ACCESS, LH_JWT_REFRESH } lh_jwt_type;

typedef struct lh_claims {
    lh_jwt_type type;
    apr_int64_t subject;         /* users.id */
    unsigned role;               /* one of LH_STUDENT .. LH_SERVICE */
    int version;                 /* users.token_version; raising it in the database revokes all older tokens */
    apr_int64_t issued, expires; /* seconds since 1970; `issued` is 0 when the token has no iat */
    char id[33];                 /* jti: 128 bits in lower-case hex */
    unsigned char login[16];     /* sid: logins.id; zero bytes: a token without one, of an older version */
} lh_claims;

/* The conditions that a token must satisfy besides its signature. */
typedef struct lh_jwt_rules {
    const char *issuer;   /* iss must be equal; NULL: "learnhub" */
    const char *audience; /* aud must be equal or an array that contains it; NULL: not checked, and not in new tokens */
    apr_int64_t now;      /* seconds since 1970 */
} lh_jwt_rules;

lh_jwt_keys *lh_jwt_keys_make(apr_pool_t *p);

/*
 * Adds a key; the first one signs, all verify. With `kid` NULL the id is derived from the secret, so that all nodes
 * have the same id. Returns NULL, or an error message for the operator: the secret is shorter than LH_JWT_SECRET_MIN
 * bytes, the kid is not 1 to 64 characters of [A-Za-z0-9._-], or the kid exists already.
 */
const char *lh_jwt_keys_add(lh_jwt_keys *keys, const char *kid, const char *secret, apr_size_t length);
int lh_jwt_keys_count(const lh_jwt_keys *keys);

/* Derives a key for another purpose, named by `label`, from a key of the server: the same on all nodes. Index 0 is the
 * key that signs, the others follow in the order in which they were added. Returns 1, or 0 without such a key or when
 * OpenSSL fails. */
int lh_jwt_keys_derive(const lh_jwt_keys *keys, int index, const char *label, unsigned char key[LH_HMAC_BYTES]);

#define LH_JWT_CLOCK_SKEW 60 /* seconds that iat may be ahead of the local clock */

/* Sets claims->id to a random id if it is "", and returns the signed token; NULL without a key or if OpenSSL fails. */
const char *lh_jwt_sign(apr_pool_t *p, const lh_jwt_keys *keys, const lh_jwt_rules *rules, lh_claims *claims);

/*
 * Verifies the signature, the rules, exp and nbf (without leeway), iat, and that the token is of `type`. APR_SUCCESS:
 * *claims is set. APR_EACCES: *claims is unchanged, and *why is the first reason, for the debug log; it contains no
 * part of the token.
 */
apr_status_t lh_jwt_verify(apr_pool_t *p, const lh_jwt_keys *keys, const lh_jwt_rules *rules, lh_jwt_type type,
                           const char *token, lh_claims *claims, const char **why);

#endif
