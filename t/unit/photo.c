/* SPDX-License-Identifier: Apache-2.0 */
/* What the bytes of a picture are taken for: the smallest files of each kind, and each with one thing wrong. */
#include "util/photo.h"

#include "tap.h"

#define PNG(width, height)                                                                                             \
    "\x89PNG\r\n\x1A\n\0\0\0\rIHDR" width height "\x08\x06\0\0\0"                                                      \
    "crc!"
#define JPEG(frame, size) "\xFF\xD8\xFF\xE0\0\4ab\xFF\xFF" frame "\0\x0B\x08" size "\1\1\x11\0"
#define GIF(version, size, flags) "GIF" version size flags "\0\0"
#define RIFF(size, chunk) "RIFF" size "\0\0\0WEBP" chunk
#define LOSSY(tag, size) RIFF("\x16", "VP8 \xA\0\0\0") tag "\0\0\x9D\1\x2A" size
#define LOSSLESS(version) RIFF("\x12", "VP8L\6\0\0\0") "\x2F\0\0\0" version "\0"
#define EXTENDED(size) RIFF("\x16", "VP8X" size "\0\0\0") "\0\0\0\0\0\0\0\0\0\0"

#define CASE(name, bytes, type)                                                                                        \
    {                                                                                                                  \
        name, bytes, sizeof(bytes) - 1, type                                                                           \
    }

static const struct {
    const char *name, *bytes;
    apr_size_t length;
    const char *type;
} cases[] = {
    CASE("png", PNG("\0\0\0\1", "\0\0\0\1"), "image/png"),
    CASE("png, 2^31 - 1 wide", PNG("\x7F\xFF\xFF\xFF", "\0\0\0\1"), "image/png"),
    CASE("png, too wide", PNG("\x80\0\0\0", "\0\0\0\1"), NULL),
    CASE("png, no width", PNG("\0\0\0\0", "\0\0\0\1"), NULL),
    CASE("png, no height", PNG("\0\0\0\1", "\0\0\0\0"), NULL),
    CASE("png, a signature with a plain line end", "\x89PNG\n\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x06\0\0\0crc!",
         NULL),
    CASE("png, depth 0", "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\0\x06\0\0\0crc!", NULL),
    CASE("jpeg", JPEG("\xFF\xC0", "\0\1\0\1"), "image/jpeg"),
    CASE("jpeg, progressive", JPEG("\xFF\xC2", "\1\0\1\0"), "image/jpeg"),
    CASE("jpeg, no height", JPEG("\xFF\xC0", "\0\0\0\1"), NULL),
    CASE("jpeg, no width", JPEG("\xFF\xC0", "\0\1\0\0"), NULL),
    CASE("jpeg, tables are no frame", JPEG("\xFF\xC4", "\0\1\0\1"), NULL),
    CASE("jpeg, a scan before the frame", JPEG("\xFF\xDA", "\0\1\0\1"), NULL),
    CASE("jpeg, its end before the frame", "\xFF\xD8\xFF\xD9\0\0\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("jpeg, a segment beyond the file", "\xFF\xD8\xFF\xE0\xFF\xFF\0\0\xFF\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0", NULL),
    CASE("jpeg, a segment of no size", "\xFF\xD8\xFF\xE0\0\0\0\0\xFF\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0", NULL),
    CASE("jpeg, no marker", "\xFF\xD8\xFF\xE0\0\2\x01\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0", NULL),
    CASE("jpeg, its mark alone", "\xFF\xD8\xFF", NULL),
    CASE("gif 89a", GIF("89a", "\1\0\1\0", "\0") "\x21", "image/gif"),
    CASE("gif 87a", GIF("87a", "\0\1\0\1", "\0") "\x2C", "image/gif"),
    CASE("gif 88a", GIF("88a", "\1\0\1\0", "\0") "\x2C", NULL),
    CASE("gif, its colours", GIF("89a", "\1\0\1\0", "\x80") "abcdef\x2C", "image/gif"),
    CASE("gif, too few colours", GIF("89a", "\1\0\1\0", "\x81") "abcdef\x2C", NULL),
    CASE("gif, no block", GIF("89a", "\1\0\1\0", "\0"), NULL),
    CASE("gif, its end for a block", GIF("89a", "\1\0\1\0", "\0") "\x3B", NULL),
    CASE("gif, no width", GIF("89a", "\0\0\1\0", "\0") "\x2C", NULL),
    CASE("gif, no height", GIF("89a", "\1\0\0\0", "\0") "\x2C", NULL),
    CASE("webp, lossy", LOSSY("\0", "\1\0\1\0"), "image/webp"),
    CASE("webp, no width but a scale", LOSSY("\0", "\0\x40\1\0"), NULL),
    CASE("webp, no height", LOSSY("\0", "\1\0\0\0"), NULL),
    CASE("webp, no key frame", LOSSY("\1", "\1\0\1\0"), NULL),
    CASE("webp, lossless", LOSSLESS("\x10"), "image/webp"),
    CASE("webp, lossless of another version", LOSSLESS("\x30"), NULL),
    CASE("webp, extended", EXTENDED("\xA"), "image/webp"),
    CASE("webp, an extension of another size", EXTENDED("\xB"), NULL),
    CASE("webp, shorter than it says", RIFF("\x17", "VP8X\xA\0\0\0") "\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("webp, another chunk", RIFF("\x16", "VP9 \xA\0\0\0") "\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("wave", "RIFF\x16\0\0\0WAVEVP8X\xA\0\0\0\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>", NULL),
    CASE("html", "<html><script>alert(1)</script></html>", NULL),
    CASE("bmp", "BM\x3A\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0", NULL),
    CASE("nothing", "", NULL),
};

/* Each prefix of a file is a block of its own, so that a byte read too far is seen; none of them is a picture. */
static void test_prefixes(const char *name, const char *bytes, apr_size_t length)
{
    apr_size_t part, taken = 0;

    for (part = 0; part < length; part++) {
        char *block = malloc(part ? part : 1);
        memcpy(block, bytes, part);
        taken += lh_photo_type(block, part) != NULL;
        free(block);
    }
    ok(taken == 0, "%s: cut anywhere it is none", name);
}

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(lh_photo_type(cases[i].bytes, cases[i].length), cases[i].type, cases[i].name);
        if (cases[i].type) {
            test_prefixes(cases[i].name, cases[i].bytes, cases[i].length);
        }
    }
    return tap_end();
}
