/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens: what is signed verifies, and nothing else does. The cases follow RFC 8725 and known holes of others. */
#include "crypto/jwt.h"

#include "crypto/hmac.h"
#include "jwt_cases.h"
#include "learnhub.h"
#include "tap.h"
#include "util/role.h"

#include <apr_encode.h>
#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <stdatomic.h>

static lh_jwt_keys *keys;
static const lh_jwt_rules rules = {"learnhub", NULL, NOW};

static const char *base64url(const char *data, apr_size_t length)
{
    return apr_pencode_base64(tap_pool, data, (apr_ssize_t)length, APR_ENCODE_BASE64URL, NULL);
}

static const char *sign_text(const char *text, const char *secret)
{
    lh_hmac *hmac = lh_hmac_make(tap_pool, secret, strlen(secret));
    unsigned char mac[LH_HMAC_BYTES];

    lh_hmac_sign(hmac, text, strlen(text), mac);
    return apr_pstrcat(tap_pool, text, ".", base64url((const char *)mac, sizeof(mac)), NULL);
}

/* A token as somebody who knows the secret might make it. */
static const char *forge(const char *header, const char *payload, const char *secret)
{
    return sign_text(
        apr_pstrcat(tap_pool, base64url(header, strlen(header)), ".", base64url(payload, strlen(payload)), NULL),
        secret);
}

static const char *verdict(const lh_jwt_rules *with, lh_jwt_type type, const char *token)
{
    lh_claims claims;
    const char *why = NULL;
    apr_status_t rv = lh_jwt_verify(tap_pool, keys, with, type, token, &claims, &why);

    return rv == APR_SUCCESS ? why ? "success with a reason" : "good" : why ? why : "failure without a reason";
}

static void judged(const char *token, const char *expected, const char *name)
{
    is_str(verdict(&rules, LH_JWT_ACCESS, token), expected, name);
}

/* ---- keys ---- */

static void test_keys(void)
{
    lh_jwt_keys *none = lh_jwt_keys_make(tap_pool);
    char longest[66];

    memset(longest, 'k', 65);
    longest[65] = '\0';
    ok(lh_jwt_keys_add(none, NULL, "short", 5) != NULL, "a short secret is refused");
    ok(lh_jwt_keys_add(none, NULL, SECRET, 31) != NULL, "31 bytes are too short");
    ok(lh_jwt_keys_add(none, "", SECRET, 40) != NULL, "an empty kid");
    ok(lh_jwt_keys_add(none, "../key", SECRET, 40) != NULL, "a kid with a slash");
    ok(lh_jwt_keys_add(none, "a\"b", SECRET, 40) != NULL, "a kid with a quote");
    ok(lh_jwt_keys_add(none, longest, SECRET, 40) != NULL, "a kid of 65 characters");
    is_int(lh_jwt_keys_count(none), 0, "none of them counts");
    is_str(lh_jwt_keys_add(none, longest + 1, SECRET, 32), NULL, "64 characters, 32 bytes");
    is_str(lh_jwt_keys_add(none, NULL, SECRET, 40), NULL, "a derived kid");
    ok(lh_jwt_keys_add(none, NULL, SECRET, 40) != NULL, "the same secret again");
    is_str(lh_jwt_keys_add(none, "A-Z_a.z9", OTHER, 40), NULL, "every kind of character");
    ok(lh_jwt_keys_add(none, "A-Z_a.z9", SECRET, 40) != NULL, "a kid used twice");
    is_int(lh_jwt_keys_count(none), 3, "three keys");
    keys = lh_jwt_keys_make(tap_pool);
    judged(forge(HEADER, CLAIMS, SECRET), "kid is not configured", "without keys nothing is good");
    ok(!lh_jwt_sign(tap_pool, keys, &rules, &(lh_claims){.role = LH_ADMIN}), "without keys nothing is signed");
    lh_jwt_keys_add(keys, "k1", SECRET, 40);
}

static void test_roles(void)
{
    is_str(lh_role_name(LH_SERVICE), "service", "a role's word");
    is_str(lh_role_name(LH_STUDENT | LH_ADMIN), NULL, "two roles have none");
    is_int(lh_role_of("instructor"), LH_INSTRUCTOR, "a word's role");
    is_int(lh_role_of("admi"), 0, "half a word");
    is_int(lh_role_of(NULL), 0, "no word");
}

/* ---- what we sign ---- */

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
    lh_claims in = {LH_JWT_REFRESH, APR_INT64_MAX, LH_INSTRUCTOR, 2147483647, NOW, NOW + 1, ""}, out;
    const char *token = lh_jwt_sign(tap_pool, keys, &with, &in), *why, *first = apr_pstrdup(tap_pool, in.id);

    is_str(part_of(token, 0), HEADER, "the header");
    is_str(part_of(token, 1),
           apr_psprintf(tap_pool,
                        "{\"iss\":\"learnhub\",\"sub\":\"9223372036854775807\",\"type\":\"refresh\",\"iat\":1700000000,"
                        "\"exp\":1700000001,\"jti\":\"%s\",\"role\":\"instructor\",\"ver\":2147483647,"
                        "\"aud\":\"site\"}",
                        in.id),
           "the claims");
    is_int(lh_jwt_verify(tap_pool, keys, &with, LH_JWT_REFRESH, token, &out, &why), APR_SUCCESS, "it verifies");
    ok(out.type == in.type && out.subject == in.subject && out.role == in.role && out.version == in.version &&
           out.issued == in.issued && out.expires == in.expires && !strcmp(out.id, in.id),
       "and says what was signed");
    is_int((long long)strspn(in.id, "0123456789abcdef"), 32, "the id has 32 hex digits");
    lh_jwt_sign(tap_pool, keys, &with, &in);
    ok(strcmp(first, in.id) != 0, "each token has an id of its own");
    with.issuer = with.audience = NULL;
    token = lh_jwt_sign(tap_pool, keys, &with, &in);
    ok(strstr(part_of(token, 1), "\"iss\":\"learnhub\"") != NULL, "the default issuer");
}

/* ---- signatures and form ---- */

static void test_every_change(void)
{
    const char *token = forge(HEADER, CLAIMS, SECRET);
    apr_size_t length = strlen(token), i;
    char *changed = apr_pstrdup(tap_pool, token);
    int wrong = 0, bit;

    judged(token, "good", "the token all others differ from");
    for (i = 0; i < length; i++) {
        for (bit = 0; bit < 8; bit++) {
            changed[i] = (char)(token[i] ^ 1 << bit);
            wrong += !strcmp(verdict(&rules, LH_JWT_ACCESS, changed), "good");
        }
        changed[i] = token[i];
    }
    is_int(wrong, 0, "no bit of a token can be changed");
    for (i = 0; i < length; i++) {
        wrong += !strcmp(verdict(&rules, LH_JWT_ACCESS, apr_pstrmemdup(tap_pool, token, i)), "good");
    }
    is_int(wrong, 0, "no token can be cut");
}

static void test_form(void)
{
    const char *good = forge(HEADER, CLAIMS, SECRET), *last = strrchr(good, '.') + 1;
    apr_size_t signature = (apr_size_t)(last - good);
    const char *header = apr_pstrmemdup(tap_pool, good, strcspn(good, "."));
    const char *payload = apr_pstrmemdup(tap_pool, strchr(good, '.') + 1, signature - strlen(header) - 2);
    char *huge = apr_palloc(tap_pool, 100000);

    memset(huge, 'A', 99999);
    huge[99999] = '\0';
    judged("", "it has not three parts", "nothing");
    judged("..", "it has not three parts", "three empty parts");
    judged("a", "it has not three parts", "one part");
    judged(apr_pstrmemdup(tap_pool, good, signature - 1), "it has not three parts", "no signature");
    judged(apr_pstrmemdup(tap_pool, good, signature), "it has not three parts", "an empty signature");
    judged(apr_pstrcat(tap_pool, good, ".", NULL), "it has not three parts", "a dot behind");
    judged(apr_pstrcat(tap_pool, good, ".AAAA.AAAA", NULL), "it has not three parts", "five parts, as JWE has");
    judged(apr_pstrcat(tap_pool, ".", good, NULL), "it has not three parts", "a dot before");
    judged(apr_pstrcat(tap_pool, good, "=", NULL), "the signature has a wrong form", "padding");
    judged(apr_pstrcat(tap_pool, good, " ", NULL), "the signature has a wrong form", "a space behind");
    judged(apr_pstrcat(tap_pool, good, "\n", NULL), "the signature has a wrong form", "a line end behind");
    judged(apr_pstrcat(tap_pool, " ", good, NULL), "the header is no JSON object", "a space before");
    judged(apr_pstrcat(tap_pool, payload, ".", header, ".", last, NULL), "alg is not HS256", "swapped parts");
    judged(apr_pstrcat(tap_pool, header, ".", last, ".", payload, NULL), "the signature has a wrong form",
           "payload and signature swapped");
    judged(apr_pstrcat(tap_pool, header, ".", header, ".", last, NULL), "the signature is wrong", "the header twice");
    judged(huge, "the token is too long", "a huge token");
    judged(apr_pstrmemdup(tap_pool, huge, LH_JWT_TOKEN_MAX + 1), "the token is too long", "one byte too long");
    judged(apr_pstrmemdup(tap_pool, huge, LH_JWT_TOKEN_MAX), "it has not three parts", "the longest is read");
}

/* A signature has 43 characters for 256 bits: the last character has two bits to spare. */
static void test_one_spelling(void)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    char *token = apr_pstrdup(tap_pool, forge(HEADER, CLAIMS, SECRET)), *last = token + strlen(token) - 1;
    int i, good = 0;

    for (i = 0; i < 64; i++) {
        *last = alphabet[i];
        good += !strcmp(verdict(&rules, LH_JWT_ACCESS, token), "good");
    }
    is_int(good, 1, "one last character of 64 is good");
}

/* Spells each - and _ of a token as + and /, one by one, signed anew, and counts those that are good all the same. */
static int respelled(const char *token, int *seen)
{
    char *content = apr_pstrmemdup(tap_pool, token, (apr_size_t)(strrchr(token, '.') - token)), *c;
    int good = 0;

    for (c = content; *c; c++) {
        if (*c == '-' || *c == '_') {
            *c = *c == '-' ? '+' : '/';
            good += !strcmp(verdict(&rules, LH_JWT_ACCESS, sign_text(content, SECRET)), "good");
            *c = *c == '+' ? '-' : '_';
            ++*seen;
        }
    }
    return good;
}

static void test_other_alphabet(void)
{
    int i, seen = 0, good = 0, fine = 0;

    for (i = 0; i < 100; i++) {
        static const char format[] = CLAIMS_BUT("\"x\":\"%c~?\xC3\xBF>>??%d\",\"sub\":\"42\"," REST);
        const char *claims = apr_psprintf(tap_pool, format, 'a' + i % 26, i);
        const char *token = forge(HEADER, claims, SECRET);

        fine += !strcmp(verdict(&rules, LH_JWT_ACCESS, token), "good");
        good += respelled(token, &seen);
    }
    is_int(fine, 100, "tokens with - and _ are good");
    ok(seen > 100, "%d of these were there", seen);
    is_int(good, 0, "none of them has another spelling");
}

/* ---- headers ---- */

static void test_headers(void)
{
    const char *unsecured;
    apr_size_t i;

    for (i = 0; i < sizeof(header_cases) / sizeof(header_cases[0]); i++) {
        judged(forge(header_cases[i].header, CLAIMS, SECRET), header_cases[i].expected, header_cases[i].header);
    }
    judged(forge(HEADER, CLAIMS, OTHER), "the signature is wrong", "another secret");
    judged(forge("{\"alg\":\"HS256\"}", CLAIMS, OTHER), "the signature is wrong", "another secret, no kid");
    unsecured = base64url("{\"alg\":\"none\"}", 14);
    unsecured = apr_pstrcat(tap_pool, unsecured, ".", base64url(CLAIMS, strlen(CLAIMS)), ".", NULL);
    judged(unsecured, "it has not three parts", "an unsecured token (RFC 7519, 6)");
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
        judged(forge(HEADER, claims_cases[i].payload, SECRET), claims_cases[i].expected, claims_cases[i].payload);
    }
    for (i = 0; i < sizeof(claim_cases) / sizeof(claim_cases[0]); i++) {
        judged(forge(HEADER, with_instead(&claim_cases[i]), SECRET), claim_cases[i].expected, claim_cases[i].instead);
    }
}

/* A payload of `depth` brackets, and one with a zero byte behind the object. */
static void test_hostile_payloads(void)
{
    char deep[2801];
    const char *header = base64url(HEADER, strlen(HEADER));

    memset(deep, '[', 2800);
    deep[2800] = '\0';
    judged(forge(HEADER, deep, SECRET), "the payload is no JSON object", "2800 open brackets");
    judged(sign_text(apr_pstrcat(tap_pool, header, ".", base64url(CLAIMS "\0", strlen(CLAIMS) + 1), NULL), SECRET),
           "the payload is no JSON object", "a zero byte behind the payload");
    judged(sign_text(apr_pstrcat(tap_pool, header, ".", "A", NULL), SECRET), "the payload is no JSON object",
           "a payload of 6 bits");
    judged(sign_text(apr_pstrcat(tap_pool, header, ".", base64url(CLAIMS, strlen(CLAIMS)), "=", NULL), SECRET),
           "the payload is no JSON object", "a padded payload");
}

static void test_rules(void)
{
    lh_claims claims, before;
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(rules_cases) / sizeof(rules_cases[0]); i++) {
        const struct rules_case *c = &rules_cases[i];

        is_str(verdict(&c->rules, c->type, forge(HEADER, c->payload, SECRET)), c->expected, c->name);
    }
    memset(&claims, 0x55, sizeof(claims));
    before = claims;
    lh_jwt_verify(tap_pool, keys, &rules, LH_JWT_REFRESH, forge(HEADER, CLAIMS, SECRET), &claims, &why);
    ok(!memcmp(&claims, &before, sizeof(claims)), "a refused token leaves the claims alone");
}

/* ---- rotation ---- */

static void test_rotation(void)
{
    lh_jwt_keys *old = keys, *mixed = lh_jwt_keys_make(tap_pool);
    lh_claims claims = {LH_JWT_ACCESS, 7, LH_ADMIN, 0, NOW, NOW + 60, ""};
    const char *before = lh_jwt_sign(tap_pool, old, &rules, &claims), *after;

    lh_jwt_keys_add(mixed, "k2", OTHER, 40);
    keys = mixed;
    judged(before, "kid is not configured", "a new key alone ends the old key's tokens");
    lh_jwt_keys_add(mixed, "k1", SECRET, 40);
    judged(before, "good", "beside the new key the old one still verifies");
    after = lh_jwt_sign(tap_pool, mixed, &rules, &claims);
    ok(strstr(part_of(after, 0), "\"kid\":\"k2\"") != NULL, "the first key signs");
    judged(after, "good", "and verifies");
    judged(forge("{\"alg\":\"HS256\"}", CLAIMS, SECRET), "good", "without a kid all keys are tried");
    judged(forge("{\"alg\":\"HS256\"}", CLAIMS, OTHER), "good", "in whatever order");
    judged(forge("{\"alg\":\"HS256\",\"kid\":\"k2\"}", CLAIMS, SECRET), "the signature is wrong", "a kid is binding");
    judged(forge(HEADER, CLAIMS, OTHER), "the signature is wrong", "our own header is binding too");
    keys = old;
    judged(after, "kid is not configured", "the new key's tokens before it is known");
}

/* Two servers that name no keys and list their secrets in another order understand each other. */
static void test_derived(void)
{
    lh_jwt_keys *old = keys, *one = lh_jwt_keys_make(tap_pool), *two = lh_jwt_keys_make(tap_pool);
    lh_claims claims = {LH_JWT_ACCESS, 7, LH_ADMIN, 0, NOW, NOW + 60, ""};
    const char *header;

    lh_jwt_keys_add(one, NULL, SECRET, 40);
    lh_jwt_keys_add(two, NULL, OTHER, 40);
    lh_jwt_keys_add(two, NULL, SECRET, 40);
    keys = two;
    judged(lh_jwt_sign(tap_pool, one, &rules, &claims), "good", "derived kids follow their secrets");
    header = part_of(lh_jwt_sign(tap_pool, one, &rules, &claims), 0);
    is_int((long long)strspn(strstr(header, "\"kid\":\"") + 7, "0123456789abcdef"), 16, "they have 16 hex digits");
    keys = old;
}

/* RFC 4231, test cases 2 and 6. */
static void test_hmac(void)
{
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";
    unsigned char mac[LH_HMAC_BYTES];
    char longest[131];

    memset(longest, 0xAA, sizeof(longest));
    lh_hmac_sign(lh_hmac_make(tap_pool, "Jefe", 4), "what do ya want for nothing?", 28, mac);
    ok(!memcmp(mac, "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7", 16), "HMAC, RFC 4231 case 2");
    lh_hmac_sign(lh_hmac_make(tap_pool, longest, sizeof(longest)), text, strlen(text), mac);
    ok(!memcmp(mac, "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f", 16), "HMAC, RFC 4231 case 6");
}

/* ---- threads ---- */

#define THREADS 8
#define ROUNDS 3000

static atomic_int thread_faults;

/* Each thread has its own claims and must read them back, never a neighbour's signature. */
static void *APR_THREAD_FUNC hammer(apr_thread_t *thread, void *data)
{
    lh_claims claims = {LH_JWT_ACCESS, *(int *)data + 1, LH_STUDENT, 0, NOW, NOW + 60, ""}, out;
    apr_pool_t *pool;
    const char *token, *why;
    char *broken;
    int i;

    (void)thread;
    apr_pool_create(&pool, NULL);
    for (i = 0; i < ROUNDS; i++) {
        claims.version = i;
        token = lh_jwt_sign(pool, keys, &rules, &claims);
        if (lh_jwt_verify(pool, keys, &rules, LH_JWT_ACCESS, token, &out, &why) != APR_SUCCESS ||
            out.subject != claims.subject || out.version != i || strcmp(out.id, claims.id) != 0) {
            atomic_fetch_add(&thread_faults, 1);
        }
        broken = apr_pstrdup(pool, token);
        broken[strlen(token) - 5] ^= 1;
        if (lh_jwt_verify(pool, keys, &rules, LH_JWT_ACCESS, broken, &out, &why) == APR_SUCCESS) {
            atomic_fetch_add(&thread_faults, 1);
        }
        apr_pool_clear(pool);
    }
    apr_pool_destroy(pool);
    return NULL;
}

static void test_threads(void)
{
    apr_thread_t *threads[THREADS];
    int numbers[THREADS], i;
    apr_status_t rv;

    for (i = 0; i < THREADS; i++) {
        numbers[i] = i;
        apr_thread_create(&threads[i], NULL, hammer, &numbers[i], tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
    is_int(thread_faults, 0, "eight threads with one key");
}

int main(void)
{
    tap_begin();
    test_hmac();
    test_keys();
    test_roles();
    test_round_trip();
    test_every_change();
    test_form();
    test_one_spelling();
    test_other_alphabet();
    test_headers();
    test_claims();
    test_hostile_payloads();
    test_rules();
    test_rotation();
    test_derived();
    test_threads();
    return tap_end();
}
