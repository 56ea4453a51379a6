/* SPDX-License-Identifier: Apache-2.0 */
#include "util/photo_exif.h"

#include <string.h>

#define ORIENTATION 0x0112
#define SHORT 3 /* the type of its value */

/* A TIFF structure with one entry; the orientation is at ORIENTATION_AT. */
static const unsigned char oriented[] = "MM\0*\0\0\0\10\0\1\1\x12\0\3\0\0\0\1\0\0\0\0\0\0\0";
#define ORIENTATION_AT 19

unsigned lh_photo_exif_number(const unsigned char *s, int bytes, int big_endian)
{
    unsigned number = 0;
    int i;

    for (i = 0; i < bytes; i++) {
        number = number << 8 | s[big_endian ? i : bytes - 1 - i];
    }
    return number;
}

/* The orientation in the first directory of a TIFF structure, 2 to 8, or 0. */
static unsigned orientation_of(const unsigned char *tiff, apr_size_t length)
{
    apr_size_t at, count;
    int big;

    if (length < 8 || (memcmp(tiff, "MM\0*", 4) && memcmp(tiff, "II*\0", 4))) {
        return 0;
    }
    big = *tiff == 'M';
    at = lh_photo_exif_number(tiff + 4, 4, big);
    if (at > length || length - at < 2) {
        return 0;
    }
    count = lh_photo_exif_number(tiff + at, 2, big);
    for (at += 2; count > 0 && length - at >= 12; count--, at += 12) {
        if (lh_photo_exif_number(tiff + at, 2, big) == ORIENTATION) {
            unsigned type = lh_photo_exif_number(tiff + at + 2, 2, big);
            unsigned value = lh_photo_exif_number(tiff + at + 8, 2, big);
            return type == SHORT && value >= 2 && value <= 8 ? value : 0;
        }
    }
    return 0;
}

int lh_photo_exif_reduce(const unsigned char *exif, apr_size_t length, unsigned char tiff[LH_PHOTO_EXIF])
{
    unsigned orientation;

    if (length >= 6 && !memcmp(exif, "Exif\0\0", 6)) {
        exif += 6;
        length -= 6;
    }
    orientation = orientation_of(exif, length);
    if (!orientation) {
        return 0;
    }
    memcpy(tiff, oriented, LH_PHOTO_EXIF);
    tiff[ORIENTATION_AT] = (unsigned char)orientation;
    return 1;
}
