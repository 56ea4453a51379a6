/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: the rules, hashes, and equal times for unknown and known users. */
#include "crypto/password.h"

#include <math.h>

#include "tap.h"

#include <apr_strings.h>
#include <time.h>
#include <zlib.h>

#define COST 4

/* ---- rules ---- */

static const char *const names[] = {"Ada Lovelace", NULL, "ada.lovelace@example.com", "ada.lovelace", ""};

static const struct rule_case {
    const char *name, *password;
    int allowed;
} rule_cases[] = {
    {"an empty password", "", 0},
    {"seven bytes", "abcdefg", 0},
    {"eight bytes", "abcdxyz.", 1},
    {"72 bytes", "123456789012345678901234567890123456789012345678901234567890123456789abc", 1},
    {"73 bytes", "1234567890123456789012345678901234567890123456789012345678901234567890abc", 0},
    {"four characters of eight bytes", "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", 1},
    {"eight spaces", "        ", 0},
    {"eight digits", "12345678", 0},
    {"digits and a letter", "1234567x", 1},
    {"digits and a space", "1234 5678", 1},
    {"a negative number", "-12345678", 1},
    {"the user's name", "Ada Lovelace", 0},
    {"the user's name in another case", "aDA lOVELACE", 0},
    {"the e-mail address", "ada.lovelace@example.com", 0},
    {"the e-mail address in another case", "Ada.Lovelace@Example.COM", 0},
    {"the local part of the e-mail address", "ADA.LOVELACE", 0},
    {"the user's name and one more character", "Ada Lovelace!", 1},
    {"a part of the user's name", "Lovelace", 1},
};

static void test_rules(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(rule_cases) / sizeof(rule_cases[0]); i++) {
        const char *error = lh_password_error(rule_cases[i].password, names, sizeof(names) / sizeof(names[0]), NULL);

        ok((error == NULL) == rule_cases[i].allowed, "password rules: %s: %s", rule_cases[i].name,
           error ? error : "allowed");
    }
    is_str(lh_password_error("Ada Lovelace", names, 0, NULL), NULL,
           "password rules: without names, every name is allowed");
    is_str(lh_password_error("ada.lovelace", names, 2, NULL), NULL,
           "password rules: names after the count are ignored");
}

/* ---- common passwords ---- */

static const char *const common[] = {
    "password",     "PASSWORD",    "Password1", "password123",  "p4ssw0rd",  "P@$$w0rd!",    "1password",
    "passw0rd2024", "welcome1",    "W3lc0me!",  "letmein1",     "l3tm31n!",  "iloveyou",     "1loveyou!",
    "admin123",     "123admin123", "qwerty12",  "QWERTY123456", "learnhub",  "LearnHub2024", "aaaaaaaa",
    "AaAaAaAa",     "abababab",    "abcabcab",  "abcdabcd",     "xyxyxyxyx", "        ",     "abcdefgh",
    "stuvwxyz",     "hgfedcba",    "qwertyui",  "asdfghjkl",    "zxcvbnm,",  "poiuytrewq",   "1q2w3e4r",
    "1qaz2wsx",     "zaq12wsx",    "qwertzui",  "azertyuiop",   "!@#$%^&*",  "a1b2c3d4"};
static const char *const uncommon[] = {
    "correct horse", "a good password", "learn together", "passwordless", "mypassphrase",
    "xpasswordx",    "password1234567", "abcdefgi",       "abcdeabcdf",   "aaaaaaab",
    "qwertyuj",      "dragonfly",       "p4ssw0rdz",      "9.Kx_p2!",     "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F"};

/* Writes a file and returns its name. */
static const char *file_of(const char *name, const char *content)
{
    const char *path = apr_pstrcat(tap_pool, "build/unit/", name, NULL);
    FILE *out = fopen(path, "w");

    fputs(content, out);
    fclose(out);
    return path;
}

static void test_common(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        ok(lh_password_is_common(common[i], NULL), "common: %s", common[i]);
    }
    for (i = 0; i < sizeof(uncommon) / sizeof(uncommon[0]); i++) {
        ok(!lh_password_is_common(uncommon[i], NULL), "not common: %s", uncommon[i]);
    }
    ok(!lh_password_is_common("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", NULL),
       "73 bytes are not examined");
}

static void test_list(void)
{
    const char *path = file_of("list", "# comment\n\nshort\nTulips and Roses\r\nmarzipan\n#comment too\nlast line");
    const char *packed = "build/unit/list.gz";
    const lh_password_list *list = NULL, *unpacked = NULL;
    gzFile out = gzopen(packed, "w");

    is_str(lh_password_list_read(tap_pool, path, &list), NULL, "list: a file is read");
    is_int(lh_password_list_count(list), 3, "list: comments and short passwords are ignored");
    ok(lh_password_is_common("Marzipan", list) && lh_password_is_common("tulips and roses", list) &&
           lh_password_is_common("last line", list),
       "list: its passwords are common in any case");
    ok(!lh_password_is_common("marzipan2", list) && !lh_password_is_common("# comment", list), "list: others are not");
    is_str(lh_password_error("marzipan", names, 0, list), "must not be one that many people use.",
           "list: the sentence");
    ok(!lh_password_is_common("marzipan", lh_password_list_empty(tap_pool)), "list: an empty list has no passwords");
    for (int i = 0; i < 30000; i++) {
        gzprintf(out, "password of %d\n", i);
    }
    gzclose(out);
    is_str(lh_password_list_read(tap_pool, packed, &unpacked), NULL, "list: a gzipped file is read");
    is_int(lh_password_list_count(unpacked), 30000, "list: with all lines");
    ok(lh_password_is_common("password of 29999", unpacked) && lh_password_is_common("password of 0", unpacked),
       "list: the first and the last are found");
    ok(strstr(lh_password_list_read(tap_pool, "build/unit/none", &list), "No such file") != NULL, "list: no file");
    ok(lh_password_list_read(tap_pool, "build/unit", &list) != NULL, "list: a directory");
    is_str(lh_password_list_read(tap_pool, file_of("empty", "# nothing\n"), &list), "has no password of 8 to 72 bytes",
           "list: a file without passwords");
    is_str(lh_password_list_read(tap_pool, "/dev/zero", &list), "has more than 64 MB", "list: a file without an end");
}

/* ---- hashes ---- */

static double cpu_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double time_of(const char *hash, int cost)
{
    double start = cpu_seconds();

    lh_password_matches("not the password", hash, cost);
    return cpu_seconds() - start;
}

static void test_hash(void)
{
    const char *hash = lh_password_hash(tap_pool, "correct horse", COST);

    is_int((long long)strlen(hash), 60, "a hash has 60 characters");
    ok(!strncmp(hash, "$2y$04$", 7), "a hash contains its algorithm and cost");
    ok(!strncmp(lh_password_hash(tap_pool, "x", 10), "$2y$10$", 7), "a hash contains a cost of two digits");
    ok(strcmp(hash, lh_password_hash(tap_pool, "correct horse", COST)) != 0, "each hash has its own salt");
}

static void test_matches(void)
{
    const char *hash = lh_password_hash(tap_pool, "correct horse", COST), *eight;
    char *longest = apr_palloc(tap_pool, 74);

    is_int(lh_password_matches("correct horse", hash, COST), 1, "the right password matches");
    is_int(lh_password_matches("correct horse", hash, 12), 1, "the right password matches a hash of another cost");
    is_int(lh_password_matches("correct hors", hash, COST), 0, "a shorter password does not match");
    is_int(lh_password_matches("correct horsf", hash, COST), 0, "another password does not match");
    is_int(lh_password_matches("Correct horse", hash, COST), 0, "a password in another case does not match");
    is_int(lh_password_matches("", hash, COST), 0, "an empty password does not match");
    is_int(lh_password_matches("correct horse", "", COST), 0, "an empty hash never matches");
    is_int(lh_password_matches("correct horse", "correct horse", COST), 0, "a plain-text password is not a hash");
    is_int(lh_password_matches("", NULL, COST), 0, "without a hash an empty password does not match");
    is_int(lh_password_matches("correct horse", NULL, COST), 0, "without a hash no password matches");
    eight = lh_password_hash(tap_pool, "p\xC3\xA4ssw\xC3\xB6rd \xF0\x9F\x9A\x80", COST);
    is_int(lh_password_matches("p\xC3\xA4ssw\xC3\xB6rd \xF0\x9F\x9A\x80", eight, COST), 1,
           "a password with non-ASCII characters matches");
    memset(longest, 'p', 73);
    longest[72] = longest[73] = '\0';
    hash = lh_password_hash(tap_pool, longest, COST);
    is_int(lh_password_matches(longest, hash, COST), 1, "a password of 72 bytes matches");
    longest[72] = 'x';
    is_int(lh_password_matches(longest, hash, COST), 0, "a password of 73 bytes does not match a hash of its first 72");
}

#define DJANGO "pbkdf2_sha256$1000$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM="
#define BCRYPT_SALT_AND_HASH "abcdefghijklmnopqrstuuHNbAKRhpaujgo33bRWs.NLUTJO3lOy2"

static const struct hash_case {
    const char *hash;
    int matches, outdated;
} hash_cases[] = {
    {"$2b$05$" BCRYPT_SALT_AND_HASH, 1, 1},
    {"$2a$05$" BCRYPT_SALT_AND_HASH, 1, 1},
    {"$2y$05$" BCRYPT_SALT_AND_HASH, 1, 1},
    {"$2x$05$" BCRYPT_SALT_AND_HASH, 0, 1},
    {"$2b$5$" BCRYPT_SALT_AND_HASH, 0, 1},
    {"$2b$06$" BCRYPT_SALT_AND_HASH, 0, 1},
    {"$2b$03$" BCRYPT_SALT_AND_HASH, 0, 1},
    {"$2b$16$" BCRYPT_SALT_AND_HASH, 0, 1},
    {"$2b$31$" BCRYPT_SALT_AND_HASH, 0, 1},
    {"$2b$05$" BCRYPT_SALT_AND_HASH "x", 0, 1},
    {DJANGO, 1, 1},
    {"pbkdf2_sha256$1001$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$1000$asalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$1000$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1OM=", 0, 1},
    {"pbkdf2_sha256$1000$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM", 0, 1},
    {"pbkdf2_sha256$1000$aSalt$!swL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$1000$$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$0$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$-1000$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$99999999999$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"pbkdf2_sha256$1000", 0, 1},
    {"pbkdf2_sha256$", 0, 1},
    {"pbkdf2_sha512$1000$aSalt$GswL+vdu2zk0fKiZ7cLjLp8rTuekvl2sf4WNH69s1NM=", 0, 1},
    {"!", 0, 1},
    {"", 0, 1},
    {"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", 0, 1}, /* of "password" */
};

static void test_other_hashes(void)
{
    char *longest = apr_palloc(tap_pool, 74);
    apr_size_t i;

    for (i = 0; i < sizeof(hash_cases) / sizeof(hash_cases[0]); i++) {
        const char *hash = hash_cases[i].hash;

        is_int(lh_password_matches("correct horse", hash, COST), hash_cases[i].matches,
               apr_psprintf(tap_pool, "hash: %s", hash));
        is_int(lh_password_matches("correct horsf", hash, COST), 0, "hash: another password does not match");
        is_int(lh_password_is_outdated("correct horse", hash, COST), hash_cases[i].outdated, "hash: is outdated");
    }
    is_int(lh_password_is_outdated("x", lh_password_hash(tap_pool, "x", COST), COST), 0,
           "hash: a new one is not outdated");
    is_int(lh_password_is_outdated("x", lh_password_hash(tap_pool, "x", 5), COST), 1, "hash: of another cost");
    is_int(lh_password_matches("password", "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", COST), 0, "hash: SHA-1 never matches");
    memset(longest, 'p', 73);
    longest[73] = '\0';
    is_int(lh_password_is_outdated(longest, DJANGO, COST), 0, "hash: bcrypt would ignore the end of 73 bytes");
}

/* A hash that can never match takes as long as one that can. */
static void test_unusable_time(void)
{
    const char *hash = lh_password_hash(tap_pool, "correct horse", 8);
    double usable = 1e9, unusable = 1e9;
    int i;

    for (i = 0; i < 6; i++) {
        usable = fmin(usable, time_of(hash, 8));
        unusable = fmin(unusable, time_of("!", 8));
    }
    ok(unusable > usable * 0.67 && unusable < usable * 1.5, "an unusable hash takes %.1f ms, a usable one %.1f",
       unusable * 1e3, usable * 1e3);
}

/*
 * The measurements alternate and the shortest of each kind is compared, to exclude the effects of other processes. The
 * next higher cost would double the time.
 */
static void test_time(void)
{
    int cost, i;

    for (cost = tap_quick() ? 6 : 8; cost <= (tap_quick() ? 6 : 10); cost++) {
        const char *hash = lh_password_hash(tap_pool, "correct horse", cost);
        double known = 1e9, unknown = 1e9;

        for (i = 0; i < 6; i++) {
            known = fmin(known, time_of(hash, cost));
            unknown = fmin(unknown, time_of(NULL, cost));
        }
        ok(unknown > known * 0.67 && unknown < known * 1.5, "cost %d: an unknown user takes %.1f ms, a known one %.1f",
           cost, unknown * 1e3, known * 1e3);
    }
}

int main(void)
{
    tap_begin();
    test_rules();
    test_common();
    test_list();
    test_hash();
    test_other_hashes();
    test_matches();
    test_time();
    test_unusable_time();
    return tap_end();
}
