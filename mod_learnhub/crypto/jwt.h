/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Tokens, HS256 only (RFC 7515, 7519; RFC 8725 is the checklist). Knows APR, OpenSSL and jansson.
 *
 * The algorithm is this module's choice, never the token's: a header with another `alg`, with `crit`, or with a `kid`
 * that is not configured is refused. Signatures are compared in constant time before anything of the payload is read.
 */
#ifndef LH_JWT_H
#define LH_JWT_H

#include <apr_pools.h>
#include <apr_time.h>

typedef struct lh_jwt_keys lh_jwt_keys;

#define LH_JWT_SECRET_MIN 32  /* bytes */
#define LH_JWT_TOKEN_MAX 4096 /* bytes; longer ones are refused unread */

typedef enum { LH_JWT_ACCESS, LH_JWT_REFRESH } lh_jwt_type;

typedef struct lh_claims {
    lh_jwt_type type;
    apr_int64_t subject;         /* the user's id */
    unsigned role;               /* one of LH_STUDENT .. LH_SERVICE */
    int version;                 /* of the user's tokens: raising it in the database ends them */
    apr_int64_t issued, expires; /* seconds since 1970 */
    char id[33];                 /* jti: 128 random bits in hex */
} lh_claims;

/* What a token must say beside a good signature; NULL is not checked. */
typedef struct lh_jwt_rules {
    const char *issuer;   /* iss when checking and when signing; signing without one uses "learnhub" */
    const char *audience; /* aud, a string or an array that holds it */
    apr_int64_t now;      /* seconds since 1970 */
} lh_jwt_rules;

lh_jwt_keys *lh_jwt_keys_make(apr_pool_t *p);

/*
 * Adds a key; the first one signs, all verify. `kid` NULL: derived from the secret, so that rotation works without
 * naming keys. Returns NULL, or a sentence that says what is wrong (shorter than LH_JWT_SECRET_MIN bytes, a kid used
 * twice, a kid that is not 1-64 of [A-Za-z0-9._-]).
 */
const char *lh_jwt_keys_add(lh_jwt_keys *keys, const char *kid, const char *secret, apr_size_t length);
int lh_jwt_keys_count(const lh_jwt_keys *keys);

/* Fills claims->id; signs. The token, or NULL when the random source fails. */
const char *lh_jwt_sign(apr_pool_t *p, const lh_jwt_keys *keys, const lh_jwt_rules *rules, lh_claims *claims);

/* Checks all of it, exp and nbf included (no leeway), and that it is of `type`. APR_SUCCESS, or why not for the debug
 * log: *why names the first thing that is wrong and holds no part of the token. */
apr_status_t lh_jwt_verify(apr_pool_t *p, const lh_jwt_keys *keys, const lh_jwt_rules *rules, lh_jwt_type type,
                           const char *token, lh_claims *claims, const char **why);

#endif
