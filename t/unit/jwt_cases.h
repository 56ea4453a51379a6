/* SPDX-License-Identifier: Apache-2.0 */
/* Headers, claims and rules of tokens, with the expected result: "good" or the reason. All are signed with SECRET. */
#ifndef LH_JWT_CASES_H
#define LH_JWT_CASES_H

#include "crypto/jwt.h"

#define NOW 1700000000
#define SECRET "an example secret of forty bytes, or so."
#define OTHER "another secret, for tokens of long ago.."
#define ID "0123456789abcdef0123456789abcdef"
#define HEADER "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"kid\":\"k1\"}"
#define CLAIMS_BUT(claims) "{\"iss\":\"learnhub\"," claims "}"
#define REST                                                                                                           \
    "\"type\":\"access\",\"iat\":1699999000,\"exp\":1700000900,\"jti\":\"" ID "\",\"role\":\"student\",\"ver\":3"
#define CLAIMS CLAIMS_BUT("\"sub\":\"42\"," REST)
#define AUDIENCE(aud) CLAIMS_BUT("\"aud\":" aud ",\"sub\":\"42\"," REST)

static const struct header_case {
    const char *header, *expected;
} header_cases[] = {
    {HEADER, "good"},
    {"{\"kid\":\"k1\",\"alg\":\"HS256\"}", "good"},
    {"{ \"alg\" : \"HS256\" }", "good"},
    {"{\"alg\":\"HS256\",\"typ\":\"jwt\"}", "good"},
    {"{\"alg\":\"HS256\",\"typ\":\"Jwt\",\"cty\":\"x\",\"jku\":\"https://evil.example/keys\"}", "good"},
    {"{\"alg\":\"none\",\"typ\":\"JWT\"}", "alg is not HS256"},
    {"{\"alg\":\"None\"}", "alg is not HS256"},
    {"{\"alg\":\"nOnE\"}", "alg is not HS256"},
    {"{\"alg\":\"\"}", "alg is not HS256"},
    {"{\"alg\":\"HS384\"}", "alg is not HS256"},
    {"{\"alg\":\"HS512\",\"kid\":\"k1\"}", "alg is not HS256"},
    {"{\"alg\":\"RS256\",\"kid\":\"k1\"}", "alg is not HS256"},
    {"{\"alg\":\"ES256\"}", "alg is not HS256"},
    {"{\"alg\":\"hs256\"}", "alg is not HS256"},
    {"{\"alg\":\"HS2567\"}", "alg is not HS256"},
    {"{\"alg\":\"HS25\"}", "alg is not HS256"},
    {"{\"alg\":\"H\"}", "alg is not HS256"},
    {"{\"alg\":\"HS256 \"}", "alg is not HS256"},
    {"{\"alg\":[\"HS256\"]}", "alg is not HS256"},
    {"{\"alg\":null}", "alg is not HS256"},
    {"{\"alg\":256}", "alg is not HS256"},
    {"{\"typ\":\"JWT\"}", "alg is not HS256"},
    {"{\"al\":\"HS256\"}", "alg is not HS256"},
    {"{\"algo\":\"HS256\"}", "alg is not HS256"},
    {"{}", "alg is not HS256"},
    {"{\"alg\":\"HS256\",\"alg\":\"HS256\"}", "the header is not a JSON object"},
    {"{\"alg\":\"none\",\"alg\":\"HS256\"}", "the header is not a JSON object"},
    {"{\"alg\":\"HS256\\u0000\"}", "the header is not a JSON object"},
    {"{\"alg\":\"HS256\"}{}", "the header is not a JSON object"},
    {"{\"alg\":\"HS256\"", "the header is not a JSON object"},
    {"[\"HS256\"]", "the header is not a JSON object"},
    {"\"HS256\"", "the header is not a JSON object"},
    {"null", "the header is not a JSON object"},
    {"{\"alg\":\"HS256\",\"x\":\"\xFF\"}", "the header is not a JSON object"},
    {"{\"alg\":\"HS256\",\"typ\":\"JWE\"}", "typ is not JWT"},
    {"{\"alg\":\"HS256\",\"typ\":\"JW\"}", "typ is not JWT"},
    {"{\"alg\":\"HS256\",\"typ\":\"at+jwt\"}", "typ is not JWT"},
    {"{\"alg\":\"HS256\",\"typ\":null}", "typ is not JWT"},
    {"{\"alg\":\"HS256\",\"crit\":[\"exp\"]}", "crit is not supported"},
    {"{\"alg\":\"HS256\",\"crit\":[]}", "crit is not supported"},
    {"{\"alg\":\"HS256\",\"crit\":null}", "crit is not supported"},
    {"{\"alg\":\"HS256\",\"kid\":\"k2\"}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":\"k\"}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":\"k11\"}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":\"K1\"}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":\"\"}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":null}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":1}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":\"../../../../dev/null\"}", "kid is not configured"},
    {"{\"alg\":\"HS256\",\"kid\":\"k1' OR '1'='1\"}", "kid is not configured"},
};

static const struct claims_case {
    const char *payload, *expected;
} claims_cases[] = {
    {"{\"iss\":\"learnhub\",\"sub\":\"1\"," REST ",\"nbf\":1700000000,\"more\":{\"x\":[1]}}", "good"},
    {"{\"iss\":\"learnhub\",\"sub\":\"9223372036854775807\"," REST "}", "good"},
    {"[]", "the payload is not a JSON object"},
    {"x", "the payload is not a JSON object"},
    {CLAIMS CLAIMS, "the payload is not a JSON object"},
    {CLAIMS_BUT("\"sub\":\"42\",\"sub\":\"1\"," REST), "the payload is not a JSON object"},
    {CLAIMS_BUT("\"sub\":\"42\\u0000\"," REST), "the payload is not a JSON object"},
    {CLAIMS_BUT("\"sub\":\"42\",\"exp\":1," REST), "the payload is not a JSON object"},
    {"{\"sub\":\"42\"," REST "}", "iss does not match"},
    {"{\"iss\":\"learnhu\",\"sub\":\"42\"," REST "}", "iss does not match"},
    {"{\"iss\":\"learnhub2\",\"sub\":\"42\"," REST "}", "iss does not match"},
    {"{\"iss\":[\"learnhub\"],\"sub\":\"42\"," REST "}", "iss does not match"},
    {"{\"is\":\"learnhub\",\"sub\":\"42\"," REST "}", "iss does not match"},
    {CLAIMS_BUT(REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":42," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"su\":\"42\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"s\":\"42\",\"subject\":\"42\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"0\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"-1\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"+1\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\" 1\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"1 \"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"042\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"0x2a\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"1e3\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"9223372036854775808\"," REST), "sub is not a user id"},
    {CLAIMS_BUT("\"sub\":\"99999999999999999999999\"," REST), "sub is not a user id"},
};

/* `instead` replaces `claim` in the good payload. */
static const struct claim_case {
    const char *claim, *instead, *expected;
} claim_cases[] = {
    {"\"exp\":1700000900", "\"exp\":1700000001", "good"},
    {"\"exp\":1700000900", "\"exp\":1700000000", "it has expired"},
    {"\"exp\":1700000900", "\"exp\":1699999999", "it has expired"},
    {"\"exp\":1700000900", "\"exp\":-1", "it has expired"},
    {"\"exp\":1700000900", "\"exp\":9223372036854775807", "good"},
    {"\"exp\":1700000900", "\"exp\":9223372036854775808", "the payload is not a JSON object"},
    {"\"exp\":1700000900", "\"exp\":\"1700000900\"", "exp is not an integer"},
    {"\"exp\":1700000900", "\"exp\":1700000900.5", "exp is not an integer"},
    {"\"exp\":1700000900", "\"exp\":1e300", "exp is not an integer"},
    {"\"exp\":1700000900", "\"exp\":true", "exp is not an integer"},
    {"\"exp\":1700000900", "\"exp\":null", "exp is not an integer"},
    {"\"exp\":1700000900", "\"expires\":1700000900", "exp is not an integer"},
    {"\"exp\":1700000900", "\"e\":1700000900,\"ex\":1700000900", "exp is not an integer"},
    {"\"exp\":1700000900", "\"EXP\":1700000900", "exp is not an integer"},
    {"\"iat\":1699999000", "\"nbf\":1700000000", "good"},
    {"\"iat\":1699999000", "\"nbf\":1700000001", "it is not valid yet"},
    {"\"iat\":1699999000", "\"nbf\":\"0\"", "nbf or iat is not an integer"},
    {"\"iat\":1699999000", "\"nbf\":null", "nbf or iat is not an integer"},
    {"\"iat\":1699999000", "\"iat\":\"0\"", "nbf or iat is not an integer"},
    {"\"iat\":1699999000", "\"iat\":1.5", "nbf or iat is not an integer"},
    {"\"iat\":1699999000", "\"iat\":1700000060", "good"},
    {"\"iat\":1699999000", "\"iat\":1700000061", "it was issued in the future"},
    {"\"iat\":1699999000", "\"iat\":9223372036854775807", "it was issued in the future"},
    {"\"iat\":1699999000", "\"iat\":-9223372036854775808", "good"},
    {"\"ver\":3", "\"ver\":3,\"sid\":\"" ID "\"", "good"},
    {"\"ver\":3", "\"ver\":3,\"sid\":\"0123\"", "sid is malformed"},
    {"\"ver\":3", "\"ver\":3,\"sid\":\"" ID "0\"", "sid is malformed"},
    {"\"ver\":3", "\"ver\":3,\"sid\":\"0123456789ABCDEF0123456789abcdef\"", "sid is malformed"},
    {"\"ver\":3", "\"ver\":3,\"sid\":null", "sid is malformed"},
    {"\"ver\":3", "\"ver\":3,\"sid\":[]", "sid is malformed"},
    {"\"type\":\"access\"", "\"type\":\"refresh\"", "type does not match"},
    {"\"type\":\"access\"", "\"type\":\"acces\"", "type does not match"},
    {"\"type\":\"access\"", "\"type\":\"access2\"", "type does not match"},
    {"\"type\":\"access\"", "\"type\":\"Access\"", "type does not match"},
    {"\"type\":\"access\"", "\"type\":0", "type does not match"},
    {"\"type\":\"access\"", "\"typ\":\"access\"", "type does not match"},
    {"\"jti\":\"" ID "\"", "\"jti\":\"0123\"", "jti is malformed"},
    {"\"jti\":\"" ID "\"", "\"jti\":\"" ID "0\"", "jti is malformed"},
    {"\"jti\":\"" ID "\"", "\"jti\":\"0123456789abcdef0123456789abcdeg\"", "jti is malformed"},
    {"\"jti\":\"" ID "\"", "\"jti\":\"0123456789ABCDEF0123456789abcdef\"", "jti is malformed"},
    {"\"jti\":\"" ID "\"", "\"jti\":1", "jti is malformed"},
    {"\"jti\":\"" ID "\"", "\"j\":\"" ID "\"", "jti is malformed"},
    {"\"role\":\"student\"", "\"role\":\"root\"", "role is unknown"},
    {"\"role\":\"student\"", "\"role\":\"studen\"", "role is unknown"},
    {"\"role\":\"student\"", "\"role\":\"Admin\"", "role is unknown"},
    {"\"role\":\"student\"", "\"role\":4", "role is unknown"},
    {"\"role\":\"student\"", "\"role\":[\"admin\"]", "role is unknown"},
    {"\"role\":\"student\"", "\"roles\":\"admin\"", "role is unknown"},
    {"\"ver\":3", "\"ver\":0", "good"},
    {"\"ver\":3", "\"ver\":2147483647", "good"},
    {"\"ver\":3", "\"ver\":2147483648", "ver is malformed"},
    {"\"ver\":3", "\"ver\":-1", "ver is malformed"},
    {"\"ver\":3", "\"ver\":\"3\"", "ver is malformed"},
    {"\"ver\":3", "\"ver\":3.0", "ver is malformed"},
    {"\"ver\":3", "\"version\":3", "ver is malformed"},
};

static const struct rules_case {
    const char *name;
    lh_jwt_rules rules;
    lh_jwt_type type;
    const char *payload, *expected;
} rules_cases[] = {
    {"the default issuer", {NULL, NULL, NOW}, LH_JWT_ACCESS, CLAIMS, "good"},
    {"no issuer, by default", {NULL, NULL, NOW}, LH_JWT_ACCESS, "{\"sub\":\"42\"," REST "}", "iss does not match"},
    {"another issuer, by default",
     {NULL, NULL, NOW},
     LH_JWT_ACCESS,
     "{\"iss\":\"evil\",\"sub\":\"42\"," REST "}",
     "iss does not match"},
    {"an access token as a refresh token", {NULL, NULL, NOW}, LH_JWT_REFRESH, CLAIMS, "type does not match"},
    {"expired exactly now", {NULL, NULL, 1700000900}, LH_JWT_ACCESS, CLAIMS, "it has expired"},
    {"one second before expiry", {NULL, NULL, 1700000899}, LH_JWT_ACCESS, CLAIMS, "good"},
    {"the audience is ignored unless configured", {NULL, NULL, NOW}, LH_JWT_ACCESS, AUDIENCE("\"x\""), "good"},
    {"a token without audience", {NULL, "site", NOW}, LH_JWT_ACCESS, CLAIMS, "aud does not match"},
    {"the configured audience", {NULL, "site", NOW}, LH_JWT_ACCESS, AUDIENCE("\"site\""), "good"},
    {"the audience among others", {NULL, "site", NOW}, LH_JWT_ACCESS, AUDIENCE("[\"x\",7,\"site\"]"), "good"},
    {"other audiences", {NULL, "site", NOW}, LH_JWT_ACCESS, AUDIENCE("[\"x\",\"site2\"]"), "aud does not match"},
    {"a prefix of the audience", {NULL, "site", NOW}, LH_JWT_ACCESS, AUDIENCE("\"sit\""), "aud does not match"},
    {"claims whose names are prefixes of aud",
     {NULL, "site", NOW},
     LH_JWT_ACCESS,
     CLAIMS_BUT("\"a\":\"site\",\"au\":\"site\",\"sub\":\"42\"," REST),
     "aud does not match"},
    {"an empty array of audiences", {NULL, "site", NOW}, LH_JWT_ACCESS, AUDIENCE("[]"), "aud does not match"},
    {"an object as audience", {NULL, "site", NOW}, LH_JWT_ACCESS, AUDIENCE("{\"site\":1}"), "aud does not match"},
};

#endif
