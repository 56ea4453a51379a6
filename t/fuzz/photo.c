/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The input is a file. A cleaned picture keeps its type, is not longer than allowed, is the same when it is cleaned
 * again, and has no data after its end. t/unit/photo_clean.c runs mutations of its pictures as well.
 */
#include "util/photo_clean.h"

#include <string.h>

#include "fuzz.h"
#include "util/photo.h"
#include "util/photo_exif.h"

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

/* The reduced block has the same orientation, and nothing else: reducing it again changes nothing. */
static void check_exif(const char *data, apr_size_t size)
{
    unsigned char tiff[LH_PHOTO_EXIF], again[LH_PHOTO_EXIF], *block = malloc(size ? size : 1);

    memcpy(block, data, size);
    if (lh_photo_exif_reduce(block, size, tiff)) {
        REQUIRE(lh_photo_exif_reduce(tiff, LH_PHOTO_EXIF, again) && !memcmp(tiff, again, LH_PHOTO_EXIF));
    }
    free(block);
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    apr_size_t length = 0, same = 0;
    const char *clean = clean_block(p, data, size, &length), *again;

    if (clean) {
        REQUIRE(length <= size + LH_PHOTO_CLEAN_ROOM);
        REQUIRE(!strcmp(lh_photo_type(clean, length), lh_photo_type(data, size)));
        again = clean_block(p, clean, length, &same);
        REQUIRE(again && same == length && !memcmp(again, clean, length));
        REQUIRE(!clean_block(p, clean, length - 1, &same) || same < length);
    }
    check_exif(data, size);
}
