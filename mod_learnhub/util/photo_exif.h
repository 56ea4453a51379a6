/* SPDX-License-Identifier: Apache-2.0 */
/* The orientation in an Exif block: the only part of it that photos keep. Depends on APR only. */
#ifndef LH_PHOTO_EXIF_H
#define LH_PHOTO_EXIF_H

#include <apr.h>

#define LH_PHOTO_EXIF 26 /* bytes of a TIFF structure with an orientation only */

/* An unsigned number of `bytes` bytes, at most 4. */
unsigned lh_photo_exif_number(const unsigned char *s, int bytes, int big_endian);

/*
 * Sets `tiff` to a structure that contains nothing but the orientation of an Exif block, with or without its heading
 * "Exif". Returns 0 if the block has no orientation, that of a picture as it is stored (1), or an invalid one.
 */
int lh_photo_exif_reduce(const unsigned char *exif, apr_size_t length, unsigned char tiff[LH_PHOTO_EXIF]);

#endif
