/* SPDX-License-Identifier: Apache-2.0 */
/* Passwords: the rules, bcrypt, the time an unknown user takes, and the gate. */
#include "crypto/password.h"

#include <math.h>

#include "tap.h"

#include <apr_strings.h>
#include <apr_thread_proc.h>
#include <stdatomic.h>
#include <time.h>

#define COST 4

/* ---- rules ---- */

static const char *const own[] = {"Ada Lovelace", NULL, "ada.lovelace@example.com", "ada.lovelace", ""};

static const struct rule_case {
    const char *name, *password;
    int good;
} rule_cases[] = {
    {"nothing", "", 0},
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
    {"the name", "Ada Lovelace", 0},
    {"the name in another case", "aDA lOVELACE", 0},
    {"the e-mail address", "ada.lovelace@example.com", 0},
    {"the e-mail address in another case", "Ada.Lovelace@Example.COM", 0},
    {"its local part", "ADA.LOVELACE", 0},
    {"the name and more", "Ada Lovelace!", 1},
    {"a part of the name", "Lovelace", 1},
};

static void test_rules(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(rule_cases) / sizeof(rule_cases[0]); i++) {
        const char *fault = lh_password_error(rule_cases[i].password, own, sizeof(own) / sizeof(own[0]));

        ok((fault == NULL) == rule_cases[i].good, "%s: %s", rule_cases[i].name, fault ? fault : "allowed");
    }
    is_str(lh_password_error("Ada Lovelace", own, 0), NULL, "no own words, no such rule");
    is_str(lh_password_error("ada.lovelace", own, 2), NULL, "words behind the count do not count");
}

/* ---- bcrypt ---- */

static double processor_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double time_of(const char *hash, int cost)
{
    double start = processor_seconds();

    lh_password_matches("not the password", hash, cost);
    return processor_seconds() - start;
}

static void test_bcrypt(void)
{
    const char *hash = lh_password_hash(tap_pool, "correct horse", COST), *eight;
    char *longest = apr_palloc(tap_pool, 74);

    is_int((long long)strlen(hash), 60, "a hash has 60 characters");
    ok(!strncmp(hash, "$2y$04$", 7), "it names its algorithm and cost");
    ok(!strncmp(lh_password_hash(tap_pool, "x", 11), "$2y$11$", 7), "a cost of two digits");
    ok(strcmp(hash, lh_password_hash(tap_pool, "correct horse", COST)) != 0, "each has a salt of its own");
    is_int(lh_password_matches("correct horse", hash, COST), 1, "the password matches");
    is_int(lh_password_matches("correct horse", hash, 12), 1, "whatever the cost is now");
    is_int(lh_password_matches("correct hors", hash, COST), 0, "a shorter one does not");
    is_int(lh_password_matches("correct horsf", hash, COST), 0, "another does not");
    is_int(lh_password_matches("Correct horse", hash, COST), 0, "case counts");
    is_int(lh_password_matches("", hash, COST), 0, "nothing does not");
    is_int(lh_password_matches("correct horse", "", COST), 0, "an empty hash never matches");
    is_int(lh_password_matches("correct horse", "correct horse", COST), 0, "nor does a password in the clear");
    is_int(lh_password_matches("", NULL, COST), 0, "no hash: never");
    is_int(lh_password_matches("correct horse", NULL, COST), 0, "no hash: never, whatever is sent");
    eight = lh_password_hash(tap_pool, "p\xC3\xA4ssw\xC3\xB6rd \xF0\x9F\x9A\x80", COST);
    is_int(lh_password_matches("p\xC3\xA4ssw\xC3\xB6rd \xF0\x9F\x9A\x80", eight, COST), 1, "beyond ASCII");
    memset(longest, 'p', 73);
    longest[72] = longest[73] = '\0';
    hash = lh_password_hash(tap_pool, longest, COST);
    is_int(lh_password_matches(longest, hash, COST), 1, "72 bytes match");
    longest[72] = 'x';
    is_int(lh_password_matches(longest, hash, COST), 0, "one more than bcrypt reads does not");
}

/*
 * An unknown user takes the time of a known one. The measurements alternate and the shortest of each kind counts, so
 * that other processes do not matter; another cost would differ by a factor of two.
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

/* ---- the gate ---- */

#define WIDTH 3
#define THREADS 12
#define ROUNDS 40

static lh_gate *gate;
static atomic_int inside, most, entered, refused;

static void *APR_THREAD_FUNC pass(apr_thread_t *thread, void *data)
{
    int i, now, seen;

    (void)thread;
    for (i = 0; i < ROUNDS; i++) {
        if (lh_gate_enter(gate, *(apr_interval_time_t *)data) != APR_SUCCESS) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        atomic_fetch_add(&entered, 1);
        now = atomic_fetch_add(&inside, 1) + 1;
        seen = atomic_load(&most);
        while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
        }
        apr_sleep(1000);
        atomic_fetch_sub(&inside, 1);
        lh_gate_leave(gate);
    }
    return NULL;
}

static void crowd(apr_interval_time_t wait)
{
    apr_thread_t *threads[THREADS];
    apr_status_t rv;
    int i;

    inside = most = entered = refused = 0;
    for (i = 0; i < THREADS; i++) {
        apr_thread_create(&threads[i], NULL, pass, &wait, tap_pool);
    }
    for (i = 0; i < THREADS; i++) {
        apr_thread_join(&rv, threads[i]);
    }
}

static void test_crowds(void)
{
    crowd(apr_time_from_sec(60));
    is_int(most, WIDTH, "no more than its width is inside, and no less");
    is_int(entered, THREADS * ROUNDS, "everybody comes in who waits long enough");
    crowd(1500);
    ok(most <= WIDTH && refused > 0 && entered > 0, "short of time: %d entered, %d refused", entered, refused);
    is_int(entered + refused, THREADS * ROUNDS, "and each is one or the other");
}

/* Nobody may wait: a full gate refuses at once, however much time there is. */
static void test_line(void)
{
    lh_gate *narrow = lh_gate_create(tap_pool, 1, 0);
    apr_time_t began = apr_time_now();

    is_int(lh_gate_enter(narrow, 0), APR_SUCCESS, "no line, but a free gate");
    is_int(lh_gate_enter(narrow, apr_time_from_sec(600)), APR_TIMEUP, "a full gate and no line");
    ok(apr_time_now() - began < apr_time_from_sec(60), "is told at once");
    lh_gate_leave(narrow);
}

static void test_gate(void)
{
    apr_time_t start;
    int i;

    gate = lh_gate_create(tap_pool, WIDTH, 1000);
    for (i = 0; i < WIDTH; i++) {
        is_int(lh_gate_enter(gate, 0), APR_SUCCESS, "a free gate needs no waiting");
    }
    start = apr_time_now();
    is_int(lh_gate_enter(gate, 0), APR_TIMEUP, "a full gate, no time");
    is_int(lh_gate_enter(gate, -1), APR_TIMEUP, "a full gate, less than no time");
    ok(apr_time_now() - start < 50000, "both at once");
    start = apr_time_now();
    is_int(lh_gate_enter(gate, 100000), APR_TIMEUP, "a full gate, 100 ms");
    ok(apr_time_now() - start >= 100000, "they were waited for");
    lh_gate_leave(gate);
    is_int(lh_gate_enter(gate, 0), APR_SUCCESS, "who leaves makes room for one");
    is_int(lh_gate_enter(gate, 0), APR_TIMEUP, "and for one only");
    for (i = 0; i < WIDTH; i++) {
        lh_gate_leave(gate);
    }
    test_crowds();
}

int main(void)
{
    tap_begin();
    test_rules();
    test_bcrypt();
    test_time();
    test_gate();
    test_line();
    return tap_end();
}
