/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Test Anything Protocol for C programs: main() calls tap_begin(), then the checks from one thread, and ends with
 * `return tap_end();`, which prints the plan. A program that crashes prints no plan and fails.
 */
#ifndef LH_TAP_H
#define LH_TAP_H

#include <apr_general.h>
#include <apr_pools.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int tap_count, tap_failed;

/* Destroyed by tap_end(), so that leaks are detected. */
static apr_pool_t *tap_pool;

/* Whether long loops run in small: under valgrind they would take minutes. */
static inline int tap_quick(void)
{
    return getenv("TAP_QUICK") != NULL;
}

static inline void tap_begin(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    apr_initialize();
    apr_pool_create(&tap_pool, NULL);
}

/* Prints one result; `name` is a printf format without a line break. Returns `good`. */
__attribute__((format(printf, 2, 3))) static inline int ok(int good, const char *name, ...)
{
    va_list arguments;

    tap_failed += !good;
    printf("%sok %d - ", good ? "" : "not ", ++tap_count);
    va_start(arguments, name);
    vprintf(name, arguments);
    va_end(arguments);
    putchar('\n');
    return good;
}

/* NULL equals only NULL. */
static inline int is_str(const char *got, const char *expected, const char *name)
{
    int good = got && expected ? !strcmp(got, expected) : got == expected;

    if (!ok(good, "%s", name)) {
        printf("#      got: %s\n# expected: %s\n", got ? got : "(null)", expected ? expected : "(null)");
    }
    return good;
}

static inline int is_int(long long got, long long expected, const char *name)
{
    if (!ok(got == expected, "%s", name)) {
        printf("#      got: %lld\n# expected: %lld\n", got, expected);
    }
    return got == expected;
}

static inline int tap_end(void)
{
    apr_pool_destroy(tap_pool);
    apr_terminate();
    printf("1..%d\n", tap_count);
    return tap_failed > 0;
}

#endif
