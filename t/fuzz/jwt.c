/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token, or a header and a payload in two lines, which are signed with a valid key. No token is accepted that a
 * straightforward second check rejects, and the accepted claims are those that it reads.
 */
#include "crypto/jwt.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <jansson.h>
#include <openssl/hmac.h>
#include <string.h>

#include "fuzz.h"
#include "learnhub.h"

#define NOW 1700000000
#define SECRET "an example secret of forty bytes, or so."

static lh_jwt_keys *keys;
static const lh_jwt_rules rules = {"learnhub", "hub", NOW};

static const char *encode(apr_pool_t *p, const void *data, apr_size_t length)
{
    return apr_pencode_base64_binary(p, data, (apr_ssize_t)length, APR_ENCODE_BASE64URL, NULL);
}

static const char *signature(apr_pool_t *p, const char *content)
{
    unsigned char mac[32];

    HMAC(EVP_sha256(), SECRET, (int)strlen(SECRET), (const unsigned char *)content, strlen(content), mac, NULL);
    return encode(p, mac, sizeof(mac));
}

/* ---- the second check ---- */

/* Decodes a part; text that is not what encode() writes for the bytes is rejected. */
static json_t *object(apr_pool_t *p, const char *part)
{
    apr_size_t length = 0;
    const unsigned char *bytes = apr_pdecode_base64_binary(p, part, APR_ENCODE_STRING, APR_ENCODE_NONE, &length);
    json_t *root = bytes && !strcmp(encode(p, bytes, length), part) && !memchr(bytes, '\0', length)
                       ? json_loadb((const char *)bytes, length, JSON_REJECT_DUPLICATES, NULL)
                       : NULL;

    if (!json_is_object(root)) {
        json_decref(root);
        root = NULL;
    }
    return root;
}

static int is_text(const json_t *root, const char *name, const char *expected)
{
    const char *text = json_string_value(json_object_get(root, name));

    return text && !strcmp(text, expected) && json_string_length(json_object_get(root, name)) == strlen(expected);
}

static int has_audience(const json_t *root)
{
    const json_t *list = json_object_get(root, "aud");
    size_t i;

    for (i = 0; i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        if (text && !strcmp(text, "hub")) {
            return 1;
        }
    }
    return is_text(root, "aud", "hub");
}

static int header_is_good(const json_t *header)
{
    const char *type = json_string_value(json_object_get(header, "typ"));

    return is_text(header, "alg", "HS256") && !json_object_get(header, "crit") &&
           (!json_object_get(header, "kid") || is_text(header, "kid", "k1")) &&
           (!json_object_get(header, "typ") || (type && !strcasecmp(type, "JWT")));
}

static int payload_is_good(const json_t *payload, const lh_claims *claims)
{
    const char *subject = json_string_value(json_object_get(payload, "sub")), *role, *id;
    const json_t *expires = json_object_get(payload, "exp"), *version = json_object_get(payload, "ver");
    const json_t *issued = json_object_get(payload, "iat"), *before = json_object_get(payload, "nbf");

    role = json_string_value(json_object_get(payload, "role"));
    id = json_string_value(json_object_get(payload, "jti"));
    return is_text(payload, "iss", "learnhub") && is_text(payload, "type", "access") && has_audience(payload) &&
           json_is_integer(expires) && json_integer_value(expires) > NOW &&
           claims->expires == json_integer_value(expires) &&
           (!issued || (json_is_integer(issued) && json_integer_value(issued) <= NOW + LH_JWT_CLOCK_SKEW)) &&
           (!before || (json_is_integer(before) && json_integer_value(before) <= NOW)) &&
           claims->issued == json_integer_value(issued) && json_is_integer(version) &&
           claims->version == json_integer_value(version) && claims->version >= 0 && role && *role && subject &&
           claims->subject > 0 && claims->subject == strtoll(subject, NULL, 10) && *subject != '0' &&
           strspn(subject, "0123456789") == strlen(subject) && id && strlen(id) == 32 && !strcmp(id, claims->id) &&
           strspn(id, "0123456789abcdef") == 32;
}

static int is_good(apr_pool_t *p, const char *token, const lh_claims *claims)
{
    const char *dot = strchr(token, '.'), *second = dot ? strchr(dot + 1, '.') : NULL;
    json_t *header, *payload;
    int good;

    if (!second || strcmp(second + 1, signature(p, apr_pstrmemdup(p, token, (apr_size_t)(second - token))))) {
        return 0;
    }
    header = object(p, apr_pstrmemdup(p, token, (apr_size_t)(dot - token)));
    payload = object(p, apr_pstrmemdup(p, dot + 1, (apr_size_t)(second - dot - 1)));
    good = header_is_good(header) && payload_is_good(payload, claims);
    json_decref(header);
    json_decref(payload);
    return good;
}

/* ---- inputs ---- */

/* The token: the input itself, or its two lines as header and payload. */
static const char *token_of(apr_pool_t *p, const char *data, apr_size_t size)
{
    const char *line = memchr(data, '\n', size), *content;

    if (!line) {
        return data;
    }
    content = apr_pstrcat(p, encode(p, data, (apr_size_t)(line - data)), ".",
                          encode(p, line + 1, size - (apr_size_t)(line + 1 - data)), NULL);
    return apr_pstrcat(p, content, ".", signature(p, content), NULL);
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    const char *token, *why = NULL;
    lh_claims claims;
    apr_status_t rv;

    if (!keys) {
        keys = lh_jwt_keys_make(fuzz_root);
        REQUIRE(!lh_jwt_keys_add(keys, "k1", SECRET, strlen(SECRET)));
    }
    token = strdup(token_of(p, data, size));
    rv = lh_jwt_verify(p, keys, &rules, LH_JWT_ACCESS, token, &claims, &why);
    REQUIRE((rv == APR_SUCCESS) == !why);
    if (!why) {
        const char *again = lh_jwt_sign(p, keys, &rules, &claims);
        lh_claims same;

        REQUIRE(strlen(token) <= LH_JWT_TOKEN_MAX && is_good(p, token, &claims));
        REQUIRE(lh_jwt_verify(p, keys, &rules, LH_JWT_ACCESS, again, &same, &why) == APR_SUCCESS);
        REQUIRE(same.subject == claims.subject && same.role == claims.role && same.version == claims.version &&
                same.expires == claims.expires && !memcmp(same.login, claims.login, sizeof(same.login)));
    }
    free((char *)token);
}
