/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removes from image files what is not needed to show them: places and devices in Exif, XMP, comments, thumbnails,
 * private chunks, and everything after the end of the picture. The pixels are not decoded. Depends on APR only.
 *
 * Kept: the data of the picture and of its animation, colour profiles, and the orientation. Phones store the picture as
 * the sensor saw it, and how to turn it in Exif; without it pictures would appear rotated. Therefore a picture with
 * another orientation than 1 keeps an Exif block, which contains nothing else.
 */
#ifndef LH_PHOTO_CLEAN_H
#define LH_PHOTO_CLEAN_H

#include <apr_pools.h>

/* The result is at most this much longer than the input. */
#define LH_PHOTO_CLEAN_ROOM 64

/*
 * Returns the cleaned copy of a file with a type of lh_photo_type(), and sets *clean_length. Returns NULL if the type
 * is unknown, or the structure of the file is invalid or not complete. Takes linear time.
 */
const char *lh_photo_clean(apr_pool_t *p, const char *data, apr_size_t length, apr_size_t *clean_length);

#endif
