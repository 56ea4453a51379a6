/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: the rules, bcrypt, and equal times for unknown and known users. */
#include "crypto/password.h"

#include <math.h>

#include "tap.h"

#include <apr_strings.h>
#include <time.h>

#define COST 4

/* ---- rules ---- */

static const char *const names[] = {"Ada Lovelace", NULL, "ada.lovelace@example.com", "ada.lovelace", ""};

static const struct rule_case {
    const char *name, *password;
    int allowed;
} rule_cases[] = {
    {"an empty password", "", 0},
    {"seven bytes", "abcdefg", 0},
    {"eight bytes", "abcdefgh", 1},
    {"72 bytes", "123456789012345678901234567890123456789012345678901234567890123456789abc", 1},
    {"73 bytes", "1234567890123456789012345678901234567890123456789012345678901234567890abc", 0},
    {"four characters of eight bytes", "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F", 1},
    {"eight spaces", "        ", 1},
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
        const char *error = lh_password_error(rule_cases[i].password, names, sizeof(names) / sizeof(names[0]));

        ok((error == NULL) == rule_cases[i].allowed, "password rules: %s: %s", rule_cases[i].name,
           error ? error : "allowed");
    }
    is_str(lh_password_error("Ada Lovelace", names, 0), NULL, "password rules: without names, every name is allowed");
    is_str(lh_password_error("ada.lovelace", names, 2), NULL, "password rules: names after the count are ignored");
}

/* ---- bcrypt ---- */

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
    ok(!strncmp(lh_password_hash(tap_pool, "x", 11), "$2y$11$", 7), "a hash contains a cost of two digits");
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

/*
 * The measurements alternate and the shortest of each kind is compared, to exclude the effects of other processes. The
 * next higher cost would double the time.
 */
static void test_time(void)
{
    int cost, i;

    for (cost = 8; cost <= 10; cost++) {
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
    test_hash();
    test_matches();
    test_time();
    return tap_end();
}
