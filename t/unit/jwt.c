/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Web Tokens: signed tokens verify, all others are rejected. Cases follow RFC 8725 and known vulnerabilities. */
#include "crypto/jwt.h"

#include "crypto/mac.h"
#include "jwt_cases.h"
#include "learnhub.h"
#include "tap.h"
#include "util/role.h"

#include <apr_encode.h>
#include <apr_strings.h>

static lh_jwt_keys *keys;
static const lh_jwt_rules rules = {"learnhub", NULL, NOW};

static const char *base64url(const char *data, apr_size_t length)
{
    return apr_pencode_base64(tap_pool, data, (apr_ssize_t)length, APR_ENCODE_BASE64URL, NULL);
}

static const char *sign_text(const char *text, const char *secret)
{
    lh_mac *hmac = lh_mac_hmac(tap_pool, secret, strlen(secret));
    unsigned char mac[LH_HMAC_BYTES];

    lh_mac_sign(hmac, NULL, text, strlen(text), mac);
    return apr_pstrcat(tap_pool, text, ".", base64url((const char *)mac, sizeof(mac)), NULL);
}

/* A token with this header and payload, signed with the secret. */
static const char *make_token(const char *header, const char *payload, const char *secret)
{
    return sign_text(
        apr_pstrcat(tap_pool, base64url(header, strlen(header)), ".", base64url(payload, strlen(payload)), NULL),
        secret);
}

/* "good", or the reason why the token is rejected. */
static const char *result_of(const lh_jwt_rules *with, lh_jwt_type type, const char *token)
{
    lh_claims claims;
    const char *why = NULL;
    apr_status_t rv = lh_jwt_verify(tap_pool, keys, with, type, token, &claims, &why);

    return rv == APR_SUCCESS ? why ? "success with a reason" : "good" : why ? why : "failure without a reason";
}

static void is_result(const char *token, const char *expected, const char *name)
{
    is_str(result_of(&rules, LH_JWT_ACCESS, token), expected, apr_psprintf(tap_pool, "%s (%s)", name, expected));
}

/* ---- keys ---- */

static void test_keys(void)
{
    lh_jwt_keys *none = lh_jwt_keys_make(tap_pool);
    char longest[66];

    memset(longest, 'k', 65);
    longest[65] = '\0';
    ok(lh_jwt_keys_add(none, NULL, "short", 5) != NULL, "keys: a short secret is rejected");
    ok(lh_jwt_keys_add(none, NULL, SECRET, 31) != NULL, "keys: a secret of 31 bytes is rejected");
    ok(lh_jwt_keys_add(none, "", SECRET, 40) != NULL, "keys: an empty kid is rejected");
    ok(lh_jwt_keys_add(none, "../key", SECRET, 40) != NULL, "keys: a kid with a slash is rejected");
    ok(lh_jwt_keys_add(none, "a\"b", SECRET, 40) != NULL, "keys: a kid with a quote is rejected");
    ok(lh_jwt_keys_add(none, longest, SECRET, 40) != NULL, "keys: a kid of 65 characters is rejected");
    is_int(lh_jwt_keys_count(none), 0, "keys: rejected keys are not counted");
    is_str(lh_jwt_keys_add(none, longest + 1, SECRET, 32), NULL,
           "keys: a kid of 64 characters and a secret of 32 bytes are accepted");
    is_str(lh_jwt_keys_add(none, NULL, SECRET, 40), NULL, "keys: a secret without a kid is accepted");
    ok(lh_jwt_keys_add(none, NULL, SECRET, 40) != NULL, "keys: the same secret twice without a kid is rejected");
    is_str(lh_jwt_keys_add(none, "A-Z_a.z9", OTHER, 40), NULL,
           "keys: a kid of letters, digits, dot, underscore and hyphen is accepted");
    ok(lh_jwt_keys_add(none, "A-Z_a.z9", SECRET, 40) != NULL, "keys: a kid that exists already is rejected");
    is_int(lh_jwt_keys_count(none), 3, "keys: accepted keys are counted");
    keys = lh_jwt_keys_make(tap_pool);
    is_result(make_token(HEADER, CLAIMS, SECRET), "kid is not configured", "keys: without keys no token is accepted");
    ok(!lh_jwt_sign(tap_pool, keys, &rules, &(lh_claims){.role = LH_ADMIN}), "keys: without keys nothing is signed");
    lh_jwt_keys_add(keys, "k1", SECRET, 40);
}

static void test_roles(void)
{
    is_str(lh_role_name(LH_SERVICE), "service", "roles: LH_SERVICE has the name service");
    is_str(lh_role_name(LH_STUDENT | LH_ADMIN), NULL, "roles: a combination of roles has no name");
    is_int(lh_role_of("instructor"), LH_INSTRUCTOR, "roles: instructor is a role");
    is_int(lh_role_of("admi"), 0, "roles: a part of a name is not a role");
    is_int(lh_role_of(NULL), 0, "roles: NULL is not a role");
}

/* ---- signing ---- */

static const char *part_of(const char *token, int index)
{
    apr_size_t length;

    for (; index > 0; index--) {
        token = strchr(token, '.') + 1;
    }
    length = strcspn(token, ".");
    return apr_pdecode_base64(tap_pool, token, (apr_ssize_t)length, APR_ENCODE_NONE, NULL);
}

static void test_round_trip(void)
{
    lh_jwt_rules with = {"learnhub", "site", NOW};
    lh_claims in = {.type = LH_JWT_REFRESH,
                    .subject = APR_INT64_MAX,
                    .role = LH_INSTRUCTOR,
                    .version = 2147483647,
                    .issued = NOW,
                    .expires = NOW + 1},
              out;
    const char *token = lh_jwt_sign(tap_pool, keys, &with, &in), *why, *first = apr_pstrdup(tap_pool, in.id);

    is_str(part_of(token, 0), HEADER, "signing: the header");
    is_str(part_of(token, 1),
           apr_psprintf(tap_pool,
                        "{\"iss\":\"learnhub\",\"sub\":\"9223372036854775807\",\"type\":\"refresh\",\"iat\":1700000000,"
                        "\"exp\":1700000001,\"jti\":\"%s\",\"role\":\"instructor\",\"ver\":2147483647,"
                        "\"aud\":\"site\"}",
                        in.id),
           "signing: the claims");
    is_int(lh_jwt_verify(tap_pool, keys, &with, LH_JWT_REFRESH, token, &out, &why), APR_SUCCESS,
           "signing: the token verifies");
    ok(out.type == in.type && out.subject == in.subject && out.role == in.role && out.version == in.version &&
           out.issued == in.issued && out.expires == in.expires && !strcmp(out.id, in.id),
       "signing: verification returns the signed claims");
    is_int((long long)strspn(in.id, "0123456789abcdef"), 32, "signing: the id has 32 hex digits");
    in.id[0] = '\0';
    lh_jwt_sign(tap_pool, keys, &with, &in);
    ok(strcmp(first, in.id) != 0, "signing: two tokens have different ids");
    with.issuer = with.audience = NULL;
    token = lh_jwt_sign(tap_pool, keys, &with, &in);
    ok(strstr(part_of(token, 1), "\"iss\":\"learnhub\"") != NULL, "signing: the default issuer is learnhub");
}

static void test_login(void)
{
    lh_claims in = {.type = LH_JWT_ACCESS, .subject = 7, .role = LH_STUDENT, .expires = NOW + 1, .id = ID}, out;
    const char *token, *why;

    memcpy(in.login, "\x01login of 16 byt", sizeof(in.login));
    token = lh_jwt_sign(tap_pool, keys, &rules, &in);
    is_str(in.id, ID, "login: an id that is set remains");
    ok(strstr(part_of(token, 1), "\"sid\":\"016c6f67696e206f6620313620627974\"") != NULL,
       "login: sid is its id in hex");
    is_int(lh_jwt_verify(tap_pool, keys, &rules, LH_JWT_ACCESS, token, &out, &why), APR_SUCCESS, "login: it verifies");
    ok(!memcmp(in.login, out.login, sizeof(in.login)), "login: verification returns the login");
    memset(in.login, 0, sizeof(in.login));
    token = lh_jwt_sign(tap_pool, keys, &rules, &in);
    ok(!strstr(part_of(token, 1), "sid"), "login: a token without a login has no sid");
    lh_jwt_verify(tap_pool, keys, &rules, LH_JWT_ACCESS, token, &out, &why);
    ok(!memcmp(in.login, out.login, sizeof(in.login)), "login: a token without sid has no login");
}

/* ---- signatures and form ---- */

static void test_every_change(void)
{
    const char *token = make_token(HEADER, CLAIMS, SECRET);
    apr_size_t length = strlen(token), i;
    char *changed = apr_pstrdup(tap_pool, token);
    int wrong = 0, bit;

    is_result(token, "good", "form: the original token");
    for (i = 0; i < length; i++) {
        for (bit = 0; bit < 8; bit++) {
            changed[i] = (char)(token[i] ^ 1 << bit);
            wrong += !strcmp(result_of(&rules, LH_JWT_ACCESS, changed), "good");
        }
        changed[i] = token[i];
    }
    is_int(wrong, 0, "form: a change of any single bit is detected");
    for (i = 0; i < length; i++) {
        wrong += !strcmp(result_of(&rules, LH_JWT_ACCESS, apr_pstrmemdup(tap_pool, token, i)), "good");
    }
    is_int(wrong, 0, "form: a truncated token is rejected");
}

static void test_form(void)
{
    const char *good = make_token(HEADER, CLAIMS, SECRET), *last = strrchr(good, '.') + 1;
    apr_size_t signature = (apr_size_t)(last - good);
    const char *header = apr_pstrmemdup(tap_pool, good, strcspn(good, "."));
    const char *payload = apr_pstrmemdup(tap_pool, strchr(good, '.') + 1, signature - strlen(header) - 2);
    char *huge = apr_palloc(tap_pool, 100000);

    memset(huge, 'A', 99999);
    huge[99999] = '\0';
    is_result("", "it does not have three parts", "form: an empty token");
    is_result("..", "it does not have three parts", "form: three empty parts");
    is_result("a", "it does not have three parts", "form: one part");
    is_result(apr_pstrmemdup(tap_pool, good, signature - 1), "it does not have three parts", "form: two parts");
    is_result(apr_pstrmemdup(tap_pool, good, signature), "it does not have three parts", "form: an empty signature");
    is_result(apr_pstrcat(tap_pool, good, ".", NULL), "it does not have three parts", "form: a trailing dot");
    is_result(apr_pstrcat(tap_pool, good, ".AAAA.AAAA", NULL), "it does not have three parts",
              "form: five parts, as in JWE");
    is_result(apr_pstrcat(tap_pool, ".", good, NULL), "it does not have three parts", "form: a leading dot");
    is_result(apr_pstrcat(tap_pool, good, "=", NULL), "the signature is malformed", "form: padding of the signature");
    is_result(apr_pstrcat(tap_pool, good, " ", NULL), "the signature is malformed", "form: a trailing space");
    is_result(apr_pstrcat(tap_pool, good, "\n", NULL), "the signature is malformed", "form: a trailing newline");
    is_result(apr_pstrcat(tap_pool, " ", good, NULL), "the header is not a JSON object", "form: a leading space");
    is_result(apr_pstrcat(tap_pool, payload, ".", header, ".", last, NULL), "alg is not HS256",
              "form: header and payload swapped");
    is_result(apr_pstrcat(tap_pool, header, ".", last, ".", payload, NULL), "the signature is malformed",
              "form: payload and signature swapped");
    is_result(apr_pstrcat(tap_pool, header, ".", header, ".", last, NULL), "the signature is wrong",
              "form: the header in place of the payload");
    is_result(huge, "the token is too long", "form: a token of 99999 bytes");
    is_result(apr_pstrmemdup(tap_pool, huge, LH_JWT_TOKEN_MAX + 1), "the token is too long",
              "form: a token one byte above the maximum");
    is_result(apr_pstrmemdup(tap_pool, huge, LH_JWT_TOKEN_MAX), "it does not have three parts",
              "form: a token of the maximum length");
}

/* A signature has 43 characters for 256 bits: two bits of the last character are unused. */
static void test_last_character(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *token = apr_pstrdup(tap_pool, make_token(HEADER, CLAIMS, SECRET)), *last = token + strlen(token) - 1;
    int i, good = 0;

    for (i = 0; i < 64; i++) {
        *last = alphabet[i];
        good += !strcmp(result_of(&rules, LH_JWT_ACCESS, token), "good");
    }
    is_int(good, 1, "form: only one of the 64 possible last characters is good");
}

/* Replaces each - and _ of a token by + or /, one at a time, with a new signature. Returns how many of these tokens are
 * good, and adds their number to *count. */
static int count_good_replacements(const char *token, int *count)
{
    char *content = apr_pstrmemdup(tap_pool, token, (apr_size_t)(strrchr(token, '.') - token)), *c;
    int good = 0;

    for (c = content; *c; c++) {
        if (*c == '-' || *c == '_') {
            *c = *c == '-' ? '+' : '/';
            good += !strcmp(result_of(&rules, LH_JWT_ACCESS, sign_text(content, SECRET)), "good");
            *c = *c == '+' ? '-' : '_';
            ++*count;
        }
    }
    return good;
}

static void test_other_alphabet(void)
{
    int i, count = 0, good = 0, originals = 0;

    for (i = 0; i < 100; i++) {
        static const char format[] = CLAIMS_BUT("\"x\":\"%c~?\xC3\xBF>>??%d\",\"sub\":\"42\"," REST);
        const char *claims = apr_psprintf(tap_pool, format, 'a' + i % 26, i);
        const char *token = make_token(HEADER, claims, SECRET);

        originals += !strcmp(result_of(&rules, LH_JWT_ACCESS, token), "good");
        good += count_good_replacements(token, &count);
    }
    is_int(originals, 100, "alphabet: tokens with - and _ are good");
    ok(count > 100, "alphabet: %d characters were replaced", count);
    is_int(good, 0, "alphabet: tokens with + or / are rejected");
}

/* ---- headers ---- */

static void test_headers(void)
{
    const char *unsecured;
    apr_size_t i;

    for (i = 0; i < sizeof(header_cases) / sizeof(header_cases[0]); i++) {
        is_result(make_token(header_cases[i].header, CLAIMS, SECRET), header_cases[i].expected,
                  apr_pstrcat(tap_pool, "header ", header_cases[i].header, NULL));
    }
    is_result(make_token(HEADER, CLAIMS, OTHER), "the signature is wrong", "header: signed with another secret");
    is_result(make_token("{\"alg\":\"HS256\"}", CLAIMS, OTHER), "the signature is wrong",
              "header: signed with another secret, no kid");
    unsecured = base64url("{\"alg\":\"none\"}", 14);
    unsecured = apr_pstrcat(tap_pool, unsecured, ".", base64url(CLAIMS, strlen(CLAIMS)), ".", NULL);
    is_result(unsecured, "it does not have three parts", "header: an unsecured token (RFC 7519, 6)");
}

/* ---- claims ---- */

static const char *with_instead(const struct claim_case *c)
{
    const char *at = strstr(CLAIMS, c->claim);

    return apr_psprintf(tap_pool, "%.*s%s%s", (int)(at - CLAIMS), CLAIMS, c->instead, at + strlen(c->claim));
}

static void test_claims(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(claims_cases) / sizeof(claims_cases[0]); i++) {
        is_result(make_token(HEADER, claims_cases[i].payload, SECRET), claims_cases[i].expected,
                  apr_pstrcat(tap_pool, "payload ", claims_cases[i].payload, NULL));
    }
    for (i = 0; i < sizeof(claim_cases) / sizeof(claim_cases[0]); i++) {
        is_result(make_token(HEADER, with_instead(&claim_cases[i]), SECRET), claim_cases[i].expected,
                  apr_psprintf(tap_pool, "claim %s", claim_cases[i].instead));
    }
}

/* jansson would ignore the zero byte and what follows. */
static void test_zero_byte(void)
{
    static const char header[] = HEADER, payload[] = CLAIMS;
    const char *first = base64url(header, sizeof(header) - 1), *second = base64url(payload, sizeof(payload));

    is_result(sign_text(apr_pstrcat(tap_pool, first, ".", second, NULL), SECRET), "the payload is not a JSON object",
              "claims: a zero byte after the object");
}

static void test_hostile_payloads(void)
{
    char deep[2801];
    const char *header = base64url(HEADER, strlen(HEADER));

    memset(deep, '[', 2800);
    deep[2800] = '\0';
    is_result(make_token(HEADER, deep, SECRET), "the payload is not a JSON object", "payload: 2800 open brackets");
    is_result(sign_text(apr_pstrcat(tap_pool, header, ".", base64url(CLAIMS "\0", strlen(CLAIMS) + 1), NULL), SECRET),
              "the payload is not a JSON object", "payload: a zero byte after the object");
    is_result(sign_text(apr_pstrcat(tap_pool, header, ".", "A", NULL), SECRET), "the payload is not a JSON object",
              "payload: one character (6 bits)");
    is_result(sign_text(apr_pstrcat(tap_pool, header, ".", base64url(CLAIMS, strlen(CLAIMS)), "=", NULL), SECRET),
              "the payload is not a JSON object", "payload: padding");
}

static void test_rules(void)
{
    lh_claims claims, before;
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(rules_cases) / sizeof(rules_cases[0]); i++) {
        const struct rules_case *c = &rules_cases[i];

        is_str(result_of(&c->rules, c->type, make_token(HEADER, c->payload, SECRET)), c->expected,
               apr_psprintf(tap_pool, "rules: %s (%s)", c->name, c->expected));
    }
    memset(&claims, 0x55, sizeof(claims));
    before = claims;
    lh_jwt_verify(tap_pool, keys, &rules, LH_JWT_REFRESH, make_token(HEADER, CLAIMS, SECRET), &claims, &why);
    ok(!memcmp(&claims, &before, sizeof(claims)), "rules: a rejected token leaves the claims unchanged");
}

/* ---- rotation ---- */

static void test_rotation(void)
{
    lh_jwt_keys *old = keys, *mixed = lh_jwt_keys_make(tap_pool);
    lh_claims claims = {
        .type = LH_JWT_ACCESS, .subject = 7, .role = LH_ADMIN, .version = 0, .issued = NOW, .expires = NOW + 60};
    const char *before = lh_jwt_sign(tap_pool, old, &rules, &claims), *after;

    lh_jwt_keys_add(mixed, "k2", OTHER, 40);
    keys = mixed;
    is_result(before, "kid is not configured", "rotation: a token of a removed key");
    lh_jwt_keys_add(mixed, "k1", SECRET, 40);
    is_result(before, "good", "rotation: a token of the second key");
    after = lh_jwt_sign(tap_pool, mixed, &rules, &claims);
    ok(strstr(part_of(after, 0), "\"kid\":\"k2\"") != NULL, "rotation: the first key signs");
    is_result(after, "good", "rotation: a token of the first key");
    is_result(make_token("{\"alg\":\"HS256\"}", CLAIMS, SECRET), "good",
              "rotation: a token of the second key, without kid");
    is_result(make_token("{\"alg\":\"HS256\"}", CLAIMS, OTHER), "good",
              "rotation: a token of the first key, without kid");
    is_result(make_token("{\"alg\":\"HS256\",\"kid\":\"k2\"}", CLAIMS, SECRET), "the signature is wrong",
              "rotation: a token with the kid of another key");
    is_result(make_token(HEADER, CLAIMS, OTHER), "the signature is wrong",
              "rotation: a token with the header and kid of another key");
    keys = old;
    is_result(after, "kid is not configured", "rotation: a token of a key that is not configured yet");
}

/* Keys for other purposes depend on the label and on the key of the server, not on its position. */
static void test_derived_keys(void)
{
    lh_jwt_keys *one = lh_jwt_keys_make(tap_pool), *two = lh_jwt_keys_make(tap_pool);
    unsigned char first[LH_HMAC_BYTES], other[LH_HMAC_BYTES];

    ok(!lh_jwt_keys_derive(one, 0, "a", first), "derive: nothing without a key");
    lh_jwt_keys_add(one, NULL, SECRET, 40);
    lh_jwt_keys_add(two, NULL, OTHER, 40);
    lh_jwt_keys_add(two, NULL, SECRET, 40);
    ok(lh_jwt_keys_derive(one, 0, "a", first) && lh_jwt_keys_derive(two, 1, "a", other) &&
           !memcmp(first, other, sizeof(first)),
       "derive: servers derive the same key from the same secret");
    ok(lh_jwt_keys_derive(two, 0, "a", other) && memcmp(first, other, sizeof(first)),
       "derive: the first secret gives another key");
    ok(lh_jwt_keys_derive(one, 0, "b", other) && memcmp(first, other, sizeof(first)),
       "derive: another label gives another key");
    ok(!lh_jwt_keys_derive(one, 1, "a", other) && !lh_jwt_keys_derive(two, 2, "a", other),
       "derive: nothing from a key that does not exist");
}

/* Servers that list the same secrets without kid, in any order, accept each other's tokens. */
static void test_derived(void)
{
    lh_jwt_keys *old = keys, *one = lh_jwt_keys_make(tap_pool), *two = lh_jwt_keys_make(tap_pool);
    lh_claims claims = {
        .type = LH_JWT_ACCESS, .subject = 7, .role = LH_ADMIN, .version = 0, .issued = NOW, .expires = NOW + 60};
    const char *header;

    lh_jwt_keys_add(one, NULL, SECRET, 40);
    lh_jwt_keys_add(two, NULL, OTHER, 40);
    lh_jwt_keys_add(two, NULL, SECRET, 40);
    keys = two;
    is_result(lh_jwt_sign(tap_pool, one, &rules, &claims), "good",
              "derived kid: a token of a server with the same secrets in another order");
    header = part_of(lh_jwt_sign(tap_pool, one, &rules, &claims), 0);
    is_int((long long)strspn(strstr(header, "\"kid\":\"") + 7, "0123456789abcdef"), 16,
           "derived kid: it has 16 hex digits");
    keys = old;
}

/* RFC 4231, test cases 2 and 6. */
static void test_hmac(void)
{
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    unsigned char mac[LH_HMAC_BYTES];
    char longest[131];

    memset(longest, 0xAA, sizeof(longest));
    lh_mac_sign(lh_mac_hmac(tap_pool, "Jefe", 4), NULL, "what do ya want for nothing?", 28, mac);
    ok(!memcmp(mac, "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7", 16), "HMAC, RFC 4231 case 2");
    lh_mac_sign(lh_mac_hmac(tap_pool, longest, sizeof(longest)), NULL, text, strlen(text), mac);
    ok(!memcmp(mac, "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f", 16), "HMAC, RFC 4231 case 6");
}

int main(void)
{
    tap_begin();
    test_hmac();
    test_keys();
    test_roles();
    test_round_trip();
    test_login();
    test_every_change();
    test_form();
    test_last_character();
    test_other_alphabet();
    test_headers();
    test_claims();
    test_zero_byte();
    test_hostile_payloads();
    test_rules();
    test_rotation();
    test_derived_keys();
    test_derived();
    return tap_end();
}
