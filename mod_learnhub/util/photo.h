/* SPDX-License-Identifier: Apache-2.0 */
/* What kind of picture bytes are, told by the bytes. Nothing is decoded. Knows APR only. */
#ifndef LH_PHOTO_H
#define LH_PHOTO_H

#include <apr.h>

/*
 * "image/jpeg", "image/png", "image/webp" or "image/gif", when the bytes begin as such a file does and its header, with
 * a width and a height above 0, is all there; else NULL.
 */
const char *lh_photo_type(const char *data, apr_size_t length);

#endif
