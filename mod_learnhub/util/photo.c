/* SPDX-License-Identifier: Apache-2.0 */
#include "util/photo.h"

#include <string.h>

static unsigned big16(const unsigned char *s)
{
    return (unsigned)s[0] << 8 | s[1];
}

static unsigned little16(const unsigned char *s)
{
    return (unsigned)s[1] << 8 | s[0];
}

static unsigned big32(const unsigned char *s)
{
    return big16(s) << 16 | big16(s + 2);
}

static unsigned little32(const unsigned char *s)
{
    return little16(s + 2) << 16 | little16(s);
}

/* The marker of a frame header: SOF0 to SOF15, except DHT, JPG and DAC, which have values in this range. */
static int is_frame(unsigned marker)
{
    return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

/* ITU T.81, annex B: SOI, then segments (a marker, a length, data); the frame header precedes the first scan. */
static int is_jpeg(const unsigned char *s, apr_size_t length)
{
    apr_size_t at = 2;

    if (length < 4 || memcmp(s, "\xFF\xD8\xFF", 3)) {
        return 0;
    }
    while (length - at >= 4 && s[at] == 0xFF) {
        unsigned marker = s[at + 1], size = big16(s + at + 2);

        if (marker == 0xFF) { /* a fill byte */
            at++;
            continue;
        }
        if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xDA) || size < 2 || size > length - at - 2) {
            return 0;
        }
        if (is_frame(marker)) {
            return size >= 11 && big16(s + at + 5) > 0 && big16(s + at + 7) > 0 && s[at + 9] > 0;
        }
        at += 2 + size;
    }
    return 0;
}

/* W3C PNG, 5.2 and 11.2.2: the signature, then a complete IHDR chunk, whose CRC is not verified. */
static int is_png(const unsigned char *s, apr_size_t length)
{
    return length >= 33 && !memcmp(s, "\x89PNG\r\n\x1A\n\0\0\0\rIHDR", 16) && big32(s + 16) - 1 < 0x7FFFFFFF &&
           big32(s + 20) - 1 < 0x7FFFFFFF && s[24] > 0 && s[24] <= 16 && s[25] <= 6 && s[26] == 0 && s[27] == 0 &&
           s[28] <= 1;
}

/* GIF89a, 17 to 19: the size of the screen, the colour table if the flags announce one, and the start of a block. */
static int is_gif(const unsigned char *s, apr_size_t length)
{
    apr_size_t header = 13;

    if (length < header || (memcmp(s, "GIF87a", 6) && memcmp(s, "GIF89a", 6))) {
        return 0;
    }
    if (s[10] & 0x80) {
        header += (apr_size_t)3 << ((s[10] & 7) + 1);
    }
    return little16(s + 6) > 0 && little16(s + 8) > 0 && length > header && (s[header] == 0x21 || s[header] == 0x2C);
}

/* RFC 9649, 2: RIFF with the size of the rest; then a lossy, lossless or extended image. */
static int is_webp(const unsigned char *s, apr_size_t length)
{
    if (length < 26 || memcmp(s, "RIFF", 4) || memcmp(s + 8, "WEBP", 4) || little32(s + 4) > length - 8) {
        return 0;
    }
    if (!memcmp(s + 12, "VP8L", 4)) { /* width and height are stored minus 1, so they cannot be 0 */
        return s[20] == 0x2F && s[24] >> 5 == 0;
    }
    if (length < 30) {
        return 0;
    }
    if (!memcmp(s + 12, "VP8 ", 4)) { /* a key frame (RFC 6386, 9.1); 14 bits for width and height each */
        return !(s[20] & 1) && !memcmp(s + 23, "\x9D\x01\x2A", 3) && (little16(s + 26) & 0x3FFF) > 0 &&
               (little16(s + 28) & 0x3FFF) > 0;
    }
    return !memcmp(s + 12, "VP8X", 4) && little32(s + 16) == 10; /* stored minus 1 as well */
}

const char *lh_photo_type(const char *data, apr_size_t length)
{
    const unsigned char *s = (const unsigned char *)data;

    return is_jpeg(s, length)   ? "image/jpeg"
           : is_png(s, length)  ? "image/png"
           : is_webp(s, length) ? "image/webp"
           : is_gif(s, length)  ? "image/gif"
                                : NULL;
}
