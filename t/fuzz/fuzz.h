/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fuzz targets share. A target defines fuzz(); fuzz.c calls it for libFuzzer with each input. t/12-fuzz.t runs all
 * targets for a short time, `make -f Makefile.apxs fuzz` for as long as wanted.
 */
#ifndef LH_FUZZ_H
#define LH_FUZZ_H

#include <apr_pools.h>
#include <stdio.h>
#include <stdlib.h>

/* A property of the code. */
#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                                  \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/*
 * Tries one input. `data` is a block of exactly `size` bytes and a zero byte. `p` is destroyed afterwards; in fuzz.c
 * each allocation from it is a block of its own, so that AddressSanitizer detects accesses beyond its end.
 */
void fuzz(apr_pool_t *p, char *data, apr_size_t size);

/* Lives as long as the process, for what a target makes once. */
extern apr_pool_t *fuzz_root;

#endif
