/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target for libFuzzer: the input is a file. Invariants: a cleaned picture keeps its type, is not longer than
 * allowed, is the same when it is cleaned again, and has no data after its end. The README of mod_learnhub/ has the
 * command. t/unit/photo_clean.c runs mutations of its pictures with the other tests.
 */
#include "util/photo_clean.h"

#include <apr_general.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/photo.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* In exact blocks, so that AddressSanitizer detects accesses past their ends. */
static const char *clean_block(apr_pool_t *p, const char *data, apr_size_t length, apr_size_t *clean_length)
{
    char *block = malloc(length ? length : 1);
    const char *clean;

    memcpy(block, data, length);
    clean = lh_photo_clean(p, block, length, clean_length);
    free(block);
    return clean;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    const char *text = (const char *)data, *clean, *again;
    apr_size_t length = 0, same = 0;
    apr_pool_t *pool;

    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&pool, root);
    clean = clean_block(pool, text, size, &length);
    if (clean) {
        REQUIRE(length <= size + LH_PHOTO_CLEAN_ROOM);
        REQUIRE(!strcmp(lh_photo_type(clean, length), lh_photo_type(text, size)));
        again = clean_block(pool, clean, length, &same);
        REQUIRE(again && same == length && !memcmp(again, clean, length));
        REQUIRE(!clean_block(pool, clean, length - 1, &same) || same < length);
    }
    apr_pool_destroy(pool);
    return 0;
}
