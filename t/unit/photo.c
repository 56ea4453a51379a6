/* SPDX-License-Identifier: Apache-2.0 */
/* Recognition of image files: the smallest files of each type, and variants with one error each. */
#include "util/photo.h"

#include "tap.h"

#include <apr_strings.h>

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
    CASE("png, width 2^31 - 1", PNG("\x7F\xFF\xFF\xFF", "\0\0\0\1"), "image/png"),
    CASE("png, width 2^31", PNG("\x80\0\0\0", "\0\0\0\1"), NULL),
    CASE("png, width 0", PNG("\0\0\0\0", "\0\0\0\1"), NULL),
    CASE("png, height 0", PNG("\0\0\0\1", "\0\0\0\0"), NULL),
    CASE("png, a signature with LF instead of CR LF", "\x89PNG\n\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\x06\0\0\0crc!",
         NULL),
    CASE("png, depth 0", "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\0\x06\0\0\0crc!", NULL),
    CASE("jpeg", JPEG("\xFF\xC0", "\0\1\0\1"), "image/jpeg"),
    CASE("jpeg, progressive", JPEG("\xFF\xC2", "\1\0\1\0"), "image/jpeg"),
    CASE("jpeg, height 0", JPEG("\xFF\xC0", "\0\0\0\1"), NULL),
    CASE("jpeg, width 0", JPEG("\xFF\xC0", "\0\1\0\0"), NULL),
    CASE("jpeg, DHT instead of a frame header", JPEG("\xFF\xC4", "\0\1\0\1"), NULL),
    CASE("jpeg, a scan before the frame header", JPEG("\xFF\xDA", "\0\1\0\1"), NULL),
    CASE("jpeg, EOI before the frame header", "\xFF\xD8\xFF\xD9\0\0\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("jpeg, a segment longer than the file", "\xFF\xD8\xFF\xE0\xFF\xFF\0\0\xFF\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0",
         NULL),
    CASE("jpeg, a segment of length 0", "\xFF\xD8\xFF\xE0\0\0\0\0\xFF\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0", NULL),
    CASE("jpeg, a segment without a marker", "\xFF\xD8\xFF\xE0\0\2\x01\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0", NULL),
    CASE("jpeg, three bytes", "\xFF\xD8\xFF", NULL),
    CASE("gif 89a", GIF("89a", "\1\0\1\0", "\0") "\x21", "image/gif"),
    CASE("gif 87a", GIF("87a", "\0\1\0\1", "\0") "\x2C", "image/gif"),
    CASE("gif 88a", GIF("88a", "\1\0\1\0", "\0") "\x2C", NULL),
    CASE("gif, with a colour table", GIF("89a", "\1\0\1\0", "\x80") "abcdef\x2C", "image/gif"),
    CASE("gif, a truncated colour table", GIF("89a", "\1\0\1\0", "\x81") "abcdef\x2C", NULL),
    CASE("gif, without a block", GIF("89a", "\1\0\1\0", "\0"), NULL),
    CASE("gif, a trailer instead of a block", GIF("89a", "\1\0\1\0", "\0") "\x3B", NULL),
    CASE("gif, width 0", GIF("89a", "\0\0\1\0", "\0") "\x2C", NULL),
    CASE("gif, height 0", GIF("89a", "\1\0\0\0", "\0") "\x2C", NULL),
    CASE("webp, lossy", LOSSY("\0", "\1\0\1\0"), "image/webp"),
    CASE("webp, width 0 with a scale", LOSSY("\0", "\0\x40\1\0"), NULL),
    CASE("webp, height 0", LOSSY("\0", "\1\0\0\0"), NULL),
    CASE("webp, not a key frame", LOSSY("\1", "\1\0\1\0"), NULL),
    CASE("webp, lossless", LOSSLESS("\x10"), "image/webp"),
    CASE("webp, lossless of another version", LOSSLESS("\x30"), NULL),
    CASE("webp, extended", EXTENDED("\xA"), "image/webp"),
    CASE("webp, an extended header of another size", EXTENDED("\xB"), NULL),
    CASE("webp, shorter than its RIFF size", RIFF("\x17", "VP8X\xA\0\0\0") "\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("webp, another chunk", RIFF("\x16", "VP9 \xA\0\0\0") "\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("wave", "RIFF\x16\0\0\0WAVEVP8X\xA\0\0\0\0\0\0\0\0\0\0\0\0\0", NULL),
    CASE("svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>", NULL),
    CASE("html", "<html><script>alert(1)</script></html>", NULL),
    CASE("bmp", "BM\x3A\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\1\0\0\0\1\0\0\0\1\0\x18\0", NULL),
    CASE("an empty file", "", NULL),
};

/* Each prefix is in a block of its own, so that the sanitizers detect reads beyond it. */
static void test_prefixes(const char *name, const char *bytes, apr_size_t length)
{
    apr_size_t part, recognized = 0;

    for (part = 0; part < length; part++) {
        char *block = malloc(part ? part : 1);
        memcpy(block, bytes, part);
        recognized += lh_photo_type(block, part) != NULL;
        free(block);
    }
    ok(recognized == 0, "%s: no prefix is recognized", name);
}

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(lh_photo_type(cases[i].bytes, cases[i].length), cases[i].type,
               apr_psprintf(tap_pool, "%s: %s", cases[i].name, cases[i].type ? cases[i].type : "not recognized"));
        if (cases[i].type) {
            test_prefixes(cases[i].name, cases[i].bytes, cases[i].length);
        }
    }
    return tap_end();
}
