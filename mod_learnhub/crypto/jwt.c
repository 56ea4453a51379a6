/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/jwt.h"

#include <apr_encode.h>
#include <apr_escape.h>
#include <apr_strings.h>
#include <limits.h>
#include <openssl/rand.h>
#include <string.h>
#include <strings.h>

#include "crypto/mac.h"
#include "util/json.h"
#include "util/json_value.h"
#include "util/role.h"
#include "util/text.h"

#define SIGNATURE_LENGTH 43 /* of LH_HMAC_BYTES in base64url */
#define ID_BYTES 16         /* of a jti or sid */
#define KID_MAX 64          /* characters */
#define KID_DERIVED_BYTES 8 /* of a derived kid, which is written in hex */

static const unsigned char no_login[ID_BYTES];

typedef struct jwt_key {
    const char *kid;
    apr_size_t kid_length;
    const char *header; /* of the tokens that the key signs, in base64url */
    apr_size_t header_length;
    lh_mac *hmac;
    struct jwt_key *next;
} jwt_key;

struct lh_jwt_keys {
    apr_pool_t *pool;
    jwt_key *first, *last;
    int count;
};

/* A part of a token, which is not copied. */
typedef struct slice {
    const char *data;
    apr_size_t length;
} slice;

#define DEFAULT_ISSUER "learnhub"

static const char *const types[] = {[LH_JWT_ACCESS] = "access", [LH_JWT_REFRESH] = "refresh"};

/* ---- base64url without padding (RFC 4648, 5) ---- */

static const char *encode(apr_pool_t *p, const void *data, apr_size_t length)
{
    return apr_pencode_base64_binary(p, data, (apr_ssize_t)length, APR_ENCODE_BASE64URL, NULL);
}

/* The six bits of a digit; -1 when the character is not in the alphabet. */
static int sextet(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

/*
 * Decodes base64url strictly, so that a token cannot be changed and remain valid: padding, characters of the other
 * alphabet and unused bits that are not zero are errors; apr_decode_base64() accepts all of these. Writes at most
 * length * 3 / 4 bytes and returns their number, or -1.
 */
static int decode(unsigned char *out, const slice *text)
{
    unsigned pending = 0; /* its lowest `bits` bits have not been written yet */
    int bits = 0, count = 0, value;
    apr_size_t i;

    for (i = 0; i < text->length; i++) {
        value = sextet(text->data[i]);
        if (value < 0) {
            return -1;
        }
        pending = pending << 6 | (unsigned)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out[count++] = (unsigned char)(pending >> bits);
        }
    }
    return text->length % 4 == 1 || (pending & ((1u << bits) - 1)) ? -1 : count;
}

/* ---- keys ---- */

lh_jwt_keys *lh_jwt_keys_make(apr_pool_t *p)
{
    lh_jwt_keys *keys = apr_pcalloc(p, sizeof(*keys));

    keys->pool = p;
    return keys;
}

int lh_jwt_keys_count(const lh_jwt_keys *keys)
{
    return keys->count;
}

static jwt_key *find_key(const lh_jwt_keys *keys, const char *kid, apr_size_t length)
{
    jwt_key *key = keys->first;

    while (key && (key->kid_length != length || memcmp(key->kid, kid, length) != 0)) {
        key = key->next;
    }
    return key;
}

static int is_kid(const char *kid)
{
    apr_size_t length = strspn(kid, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");

    return length >= 1 && length <= KID_MAX && kid[length] == '\0';
}

int lh_jwt_keys_derive(const lh_jwt_keys *keys, int index, const char *label, unsigned char key[LH_HMAC_BYTES])
{
    const jwt_key *source = keys->first;

    for (; source && index > 0; index--) {
        source = source->next;
    }
    return source && lh_mac_sign(source->hmac, NULL, label, strlen(label), key);
}

/* Identifies a key without revealing its secret: the first bytes of HMAC(secret, "kid"). */
static const char *derive_kid(apr_pool_t *p, lh_mac *hmac)
{
    unsigned char mac[LH_HMAC_BYTES];

    return lh_mac_sign(hmac, NULL, "kid", 3, mac) ? apr_pescape_hex(p, mac, KID_DERIVED_BYTES, 0) : NULL;
}

static void append(lh_jwt_keys *keys, jwt_key *key)
{
    if (keys->last) {
        keys->last->next = key;
    }
    else {
        keys->first = key;
    }
    keys->last = key;
    keys->count++;
}

const char *lh_jwt_keys_add(lh_jwt_keys *keys, const char *kid, const char *secret, apr_size_t length)
{
    jwt_key *key;

    if (length < LH_JWT_SECRET_MIN) {
        return apr_psprintf(keys->pool, "the secret must have at least %d bytes", LH_JWT_SECRET_MIN);
    }
    if (kid && !is_kid(kid)) {
        return apr_psprintf(keys->pool, "the key id must be 1 to %d letters, digits, dots, underscores or hyphens",
                            KID_MAX);
    }
    key = apr_pcalloc(keys->pool, sizeof(*key));
    key->hmac = lh_mac_hmac(keys->pool, secret, length);
    if (key->hmac) {
        key->kid = kid ? apr_pstrdup(keys->pool, kid) : derive_kid(keys->pool, key->hmac);
    }
    if (!key->kid) {
        return "OpenSSL does not offer HMAC-SHA256";
    }
    key->kid_length = strlen(key->kid);
    if (find_key(keys, key->kid, key->kid_length)) {
        return "another key has the same id or the same secret";
    }
    key->header = apr_psprintf(keys->pool, "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"%s\"}", key->kid);
    key->header = encode(keys->pool, key->header, strlen(key->header));
    key->header_length = strlen(key->header);
    append(keys, key);
    return NULL;
}

/* ---- signing ---- */

static void write_member(lh_json *json, const char *key, const char *value)
{
    lh_json_key(json, key);
    lh_json_text(json, value);
}

static void write_number(lh_json *json, const char *key, apr_int64_t value)
{
    lh_json_key(json, key);
    lh_json_int(json, value);
}

static const char *issuer_of(const lh_jwt_rules *rules)
{
    return rules->issuer ? rules->issuer : DEFAULT_ISSUER;
}

static void write_claims(lh_json *json, const lh_jwt_rules *rules, const lh_claims *claims)
{
    char subject[24], login[2 * ID_BYTES + 1];

    apr_snprintf(subject, sizeof(subject), "%" APR_INT64_T_FMT, claims->subject);
    lh_json_open(json, '{');
    write_member(json, "iss", issuer_of(rules));
    write_member(json, "sub", subject);
    write_member(json, "type", types[claims->type]);
    write_number(json, "iat", claims->issued);
    write_number(json, "exp", claims->expires);
    write_member(json, "jti", claims->id);
    write_member(json, "role", lh_role_name(claims->role));
    write_number(json, "ver", claims->version);
    if (memcmp(claims->login, no_login, ID_BYTES)) {
        apr_escape_hex(login, claims->login, ID_BYTES, 0, NULL);
        write_member(json, "sid", login);
    }
    if (rules->audience) {
        write_member(json, "aud", rules->audience);
    }
    lh_json_close(json, '}');
}

const char *lh_jwt_sign(apr_pool_t *p, const lh_jwt_keys *keys, const lh_jwt_rules *rules, lh_claims *claims)
{
    unsigned char random[ID_BYTES], mac[LH_HMAC_BYTES];
    jwt_key *key = keys->first;
    const char *content;
    lh_json payload;

    if (!key || (!*claims->id && RAND_bytes(random, sizeof(random)) != 1)) {
        return NULL;
    }
    if (!*claims->id) {
        apr_escape_hex(claims->id, random, sizeof(random), 0, NULL);
    }
    lh_json_init(&payload, p, 512);
    write_claims(&payload, rules, claims);
    content = apr_pstrcat(p, key->header, ".", encode(p, payload.out.data, payload.out.length), NULL);
    if (!lh_mac_sign(key->hmac, NULL, content, strlen(content), mac)) {
        return NULL;
    }
    return apr_pstrcat(p, content, ".", encode(p, mac, sizeof(mac)), NULL);
}

/* ---- verifying: each check returns NULL, or the reason for lh_jwt_verify() ---- */

/* The JSON object in a part, or NULL. */
static lh_json_value *parse_part(apr_pool_t *p, const slice *part)
{
    char *text = apr_palloc(p, part->length + 1);
    int length = decode((unsigned char *)text, part);
    lh_json_parsed json = {NULL, 0, NULL};

    if (length >= 0) {
        json = lh_json_value_parse(p, text, (apr_size_t)length);
    }
    return lh_json_value_kind(json.root) == LH_JSON_OBJECT && !json.only_reals ? json.root : NULL;
}

/* 1 when the value is a string equal to `expected`; both lengths are compared, so a prefix is not equal. */
static int equals(const lh_json_value *value, const char *expected)
{
    apr_size_t length;
    const char *text = lh_json_value_string(value, &length);

    return text && length == strlen(expected) && !memcmp(text, expected, length);
}

static const char *split(const char *token, slice parts[3])
{
    const char *end;
    int i;

    if (strnlen(token, LH_JWT_TOKEN_MAX + 1) > LH_JWT_TOKEN_MAX) {
        return "the token is too long";
    }
    for (i = 0; i < 3; i++, token = *end ? end + 1 : end) {
        end = token + strcspn(token, ".");
        if (end == token || (*end == '.') != (i < 2)) {
            return "it does not have three parts";
        }
        parts[i].data = token;
        parts[i].length = (apr_size_t)(end - token);
    }
    return NULL;
}

/*
 * Sets *key to the key with the header's kid, or to NULL without a kid. `typ` and `kid` are optional; unknown members
 * other than `crit` are ignored.
 */
static const char *check_header(apr_pool_t *p, const lh_jwt_keys *keys, const slice *part, jwt_key **key)
{
    const lh_json_value *header, *type, *kid;
    const char *name;
    apr_size_t length;

    for (*key = keys->first; *key; *key = (*key)->next) {
        if ((*key)->header_length == part->length && !memcmp((*key)->header, part->data, part->length)) {
            return NULL; /* lh_jwt_sign() writes exactly this header: it need not be parsed */
        }
    }
    header = parse_part(p, part);
    type = lh_json_value_get(header, "typ");
    kid = lh_json_value_get(header, "kid");
    if (!header) {
        return "the header is not a JSON object";
    }
    if (!equals(lh_json_value_get(header, "alg"), "HS256")) {
        return "alg is not HS256";
    }
    if (type &&
        (lh_json_value_kind(type) != LH_JSON_STRING || strcasecmp(lh_json_value_string(type, NULL), "JWT") != 0)) {
        return "typ is not JWT";
    }
    if (lh_json_value_get(header, "crit")) {
        return "crit is not supported";
    }
    name = lh_json_value_string(kid, &length);
    if (name) {
        *key = find_key(keys, name, length);
    }
    return kid && !*key ? "kid is not configured" : NULL;
}

/* Verifies with the named key only, or with each key when the header names none. */
static const char *check_signature(const lh_jwt_keys *keys, jwt_key *named, const slice *content, const slice *part)
{
    unsigned char signature[LH_HMAC_BYTES + 1];
    jwt_key *key = named ? named : keys->first;

    if (part->length != SIGNATURE_LENGTH || decode(signature, part) != LH_HMAC_BYTES) {
        return "the signature is malformed";
    }
    while (key && !lh_mac_check(key->hmac, content->data, content->length, signature)) {
        key = named ? NULL : key->next;
    }
    return key ? NULL : "the signature is wrong";
}

/* The audience is a string or an array of strings. */
static int has_audience(const lh_json_value *audience, const char *expected)
{
    size_t i;

    for (i = 0; i < lh_json_value_count(audience); i++) {
        if (equals(lh_json_value_at(audience, i), expected)) {
            return 1;
        }
    }
    return equals(audience, expected);
}

/* The registered claims of RFC 7519 that do not depend on this module: iss, aud, exp, nbf, iat. */
static const char *check_registered(const lh_json_value *payload, const lh_jwt_rules *rules, lh_claims *claims)
{
    const lh_json_value *issued = lh_json_value_get(payload, "iat"), *expires = lh_json_value_get(payload, "exp");
    const lh_json_value *not_before = lh_json_value_get(payload, "nbf");

    if (!equals(lh_json_value_get(payload, "iss"), issuer_of(rules))) {
        return "iss does not match";
    }
    if (rules->audience && !has_audience(lh_json_value_get(payload, "aud"), rules->audience)) {
        return "aud does not match";
    }
    if (lh_json_value_kind(expires) != LH_JSON_INTEGER) {
        return "exp is not an integer";
    }
    if (lh_json_value_integer(expires) <= rules->now) {
        return "it has expired";
    }
    if ((not_before && lh_json_value_kind(not_before) != LH_JSON_INTEGER) ||
        (issued && lh_json_value_kind(issued) != LH_JSON_INTEGER)) {
        return "nbf or iat is not an integer";
    }
    if (not_before && lh_json_value_integer(not_before) > rules->now) {
        return "it is not valid yet";
    }
    if (issued && lh_json_value_integer(issued) > rules->now + LH_JWT_CLOCK_SKEW) {
        return "it was issued in the future";
    }
    claims->expires = lh_json_value_integer(expires);
    claims->issued = lh_json_value_integer(issued);
    return NULL;
}

/* 1 when the value is 128 bits in lower-case hex. */
static int is_id(const char *id)
{
    return id && strlen(id) == 2 * ID_BYTES && strspn(id, "0123456789abcdef") == 2 * ID_BYTES;
}

/* The claims that this module defines: type, sub, jti, role, ver, and sid, which older versions do not write. */
static const char *check_own(const lh_json_value *payload, lh_jwt_type type, lh_claims *claims)
{
    const lh_json_value *version = lh_json_value_get(payload, "ver");
    const char *subject = lh_json_value_string(lh_json_value_get(payload, "sub"), NULL);
    const char *id = lh_json_value_string(lh_json_value_get(payload, "jti"), NULL);
    const lh_json_value *login = lh_json_value_get(payload, "sid");

    if (!equals(lh_json_value_get(payload, "type"), types[type])) {
        return "type does not match";
    }
    if (!subject || *subject < '1' || !lh_text_integer(subject, &claims->subject)) {
        return "sub is not a user id";
    }
    if (!is_id(id)) {
        return "jti is malformed";
    }
    if (login && !is_id(lh_json_value_string(login, NULL))) {
        return "sid is malformed";
    }
    claims->role = lh_role_of(lh_json_value_string(lh_json_value_get(payload, "role"), NULL));
    if (claims->role == 0) {
        return "role is unknown";
    }
    if (lh_json_value_kind(version) != LH_JSON_INTEGER || lh_json_value_integer(version) < 0 ||
        lh_json_value_integer(version) > INT_MAX) {
        return "ver is malformed";
    }
    claims->type = type;
    claims->version = (int)lh_json_value_integer(version);
    memcpy(claims->id, id, sizeof(claims->id));
    if (login) {
        apr_unescape_hex(claims->login, lh_json_value_string(login, NULL), APR_ESCAPE_STRING, 0, NULL);
    }
    return NULL;
}

static const char *check_claims(apr_pool_t *p, const slice *part, const lh_jwt_rules *rules, lh_jwt_type type,
                                lh_claims *claims)
{
    const lh_json_value *payload = parse_part(p, part);
    const char *why = payload ? check_registered(payload, rules, claims) : "the payload is not a JSON object";

    return why ? why : check_own(payload, type, claims);
}

apr_status_t lh_jwt_verify(apr_pool_t *p, const lh_jwt_keys *keys, const lh_jwt_rules *rules, lh_jwt_type type,
                           const char *token, lh_claims *claims, const char **why)
{
    slice parts[3], content = {token, 0};
    jwt_key *key = NULL;
    lh_claims read;

    memset(&read, 0, sizeof(read));
    *why = split(token, parts);
    if (!*why) {
        *why = check_header(p, keys, &parts[0], &key);
    }
    if (!*why) {
        content.length = (apr_size_t)(parts[1].data + parts[1].length - token);
        *why = check_signature(keys, key, &content, &parts[2]);
    }
    if (!*why) {
        *why = check_claims(p, &parts[1], rules, type, &read);
    }
    if (!*why) {
        *claims = read;
    }
    return *why ? APR_EACCES : APR_SUCCESS;
}
