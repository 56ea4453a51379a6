/* SPDX-License-Identifier: Apache-2.0 */
/* Recognizes image files by their first bytes, without decoding them. Depends on APR only. */
#ifndef LH_PHOTO_H
#define LH_PHOTO_H

#include <apr.h>

/*
 * Returns "image/jpeg", "image/png", "image/webp" or "image/gif" when the bytes start with a complete header of such a
 * file and its width and height are not 0; otherwise NULL.
 */
const char *lh_photo_type(const char *data, apr_size_t length);

#endif
