/* SPDX-License-Identifier: Apache-2.0 */
/* What is removed from image files and what is kept; files that are incomplete; then the fuzz target with mutations. */
#include "../fuzz/photo.c"

#include "tap.h"

#include <apr_strings.h>

/* ---- Exif ---- */

/* A TIFF structure with the maker of the camera, a place, and an orientation, in both byte orders. */
#define TIFF_BIG(orientation)                                                                                          \
    "MM\0*\0\0\0\x08\0\2\1\x0F\0\2\0\0\0\4Cam\0\1\x12\0\3\0\0\0\1\0" orientation "\0\0\0\0\0\0N 51.5"
#define TIFF_LITTLE(orientation)                                                                                       \
    "II*\0\x08\0\0\0\2\0\x0F\1\2\0\4\0\0\0Cam\0\x12\1\3\0\1\0\0\0" orientation "\0\0\0\0\0\0\0N 51.5"
#define TIFF_KEPT(orientation) "MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0" orientation "\0\0\0\0\0\0"

/* ---- JPEG ---- */

#define JFIF "\xFF\xE0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
#define JFIF_THUMBNAIL "\xFF\xE0\0\x13JFIF\0\1\1\0\0\1\0\1\1\1rgb"
#define JFXX "\xFF\xE0\0\x0AJFXX\0\x10th"
#define EXIF(tiff)                                                                                                     \
    "\xFF\xE1\0\x34"                                                                                                   \
    "Exif\0\0" tiff
#define EXIF_KEPT(orientation)                                                                                         \
    "\xFF\xE1\0\x22"                                                                                                   \
    "Exif\0\0" TIFF_KEPT(orientation)
#define XMP "\xFF\xE1\0\x0Chttp://x:y"
#define ICC "\xFF\xE2\0\x11ICC_PROFILE\0\1\1p"
#define MPF "\xFF\xE2\0\x06MPF\0"
#define IPTC "\xFF\xED\0\x07place"
#define ADOBE                                                                                                          \
    "\xFF\xEE\0\x0E"                                                                                                   \
    "Adobe\0d\0\0\0\0\1"
#define OTHER "\xFF\xEE\0\x04xy"
#define COMMENT "\xFF\xFE\0\5ada"
#define RESERVED "\xFF\x42\0\5ada"
#define TABLE "\xFF\xDB\0\x04tt"
#define FRAME "\xFF\xC0\0\x0B\x08\0\1\0\1\1\1\x11\0"
#define SCAN "\xFF\xDA\0\x08\1\1\0\0?\0da\xFF\0ta\xFF\xD0more"
#define EOI "\xFF\xD9"
#define JPEG(segments) "\xFF\xD8" segments
#define PICTURE TABLE FRAME SCAN

/* ---- PNG ---- */

#define PNG(chunks) "\x89PNG\r\n\x1A\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0crc!" chunks
#define CHUNK(length, type, data) "\0\0\0" length type data "crc!"
#define IDAT CHUNK("\3", "IDAT", "dat")
#define IEND CHUNK("\0", "IEND", "")
#define PNG_EXIF_KEPT                                                                                                  \
    "\0\0\0\x1A"                                                                                                       \
    "eXIf" TIFF_KEPT("\6") "\xD6\x67\x4B\x69"

/* ---- GIF ---- */

#define GIF(blocks) "GIF89a\1\0\1\0\x80\0\0abcdef" blocks
#define CONTROL "!\xF9\4\0\0\0\0\0"
#define IMAGE ",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
#define LOOP "!\xFF\x0BNETSCAPE2.0\3\1\0\0\0"
#define LOOP_AND_TEXT "!\xFF\x0BNETSCAPE2.0\4text\3\1\0\0\4more\0"
#define GIF_XMP "!\xFF\x0BXMP DataXMP\4text\0"
#define GIF_COMMENT "!\xFE\3ada\2!!\0"

/* ---- WebP ---- */

#define WEBP(size, chunks) "RIFF" size "\0\0\0WEBP" chunks
#define VP8L "VP8L\6\0\0\0/\0\0\0\x10\7"
#define VP8X(flags) "VP8X\x0A\0\0\0" flags "\0\0\0\0\0\0\0\0\0"
#define ANMF                                                                                                           \
    "ANMF\x26\0\0\0"                                                                                                   \
    "framesframesfram" VP8L "junk\0\0\0\0"
#define ANMF_KEPT                                                                                                      \
    "ANMF\x1E\0\0\0"                                                                                                   \
    "framesframesfram" VP8L

#define CASE(name, bytes, clean)                                                                                       \
    {                                                                                                                  \
        name, bytes, sizeof(bytes) - 1, clean, sizeof(clean) - 1                                                       \
    }
#define SAME(name, bytes) CASE(name, bytes, bytes)

static const struct {
    const char *name, *bytes;
    apr_size_t length;
    const char *clean;
    apr_size_t clean_length;
} cases[] = {
    SAME("jpeg", JPEG(JFIF PICTURE EOI)),
    SAME("jpeg with tables between scans", JPEG(PICTURE TABLE SCAN EOI)),
    CASE("jpeg, data after the end", JPEG(PICTURE EOI) "secret" EOI, JPEG(PICTURE EOI)),
    CASE("jpeg, a second picture after the end", JPEG(MPF PICTURE EOI) JPEG(PICTURE EOI), JPEG(PICTURE EOI)),
    CASE("jpeg, metadata", JPEG(JFIF EXIF(TIFF_BIG("\1")) XMP MPF IPTC OTHER COMMENT RESERVED PICTURE COMMENT EOI),
         JPEG(JFIF PICTURE EOI)),
    CASE("jpeg, thumbnails", JPEG(JFIF_THUMBNAIL JFXX PICTURE EOI), JPEG(JFIF PICTURE EOI)),
    SAME("jpeg, colour profile and colour transform", JPEG(JFIF ICC ADOBE PICTURE EOI)),
    CASE("jpeg, orientation", JPEG(EXIF(TIFF_BIG("\6")) PICTURE EOI), JPEG(EXIF_KEPT("\6") PICTURE EOI)),
    CASE("jpeg, orientation, little endian", JPEG(EXIF(TIFF_LITTLE("\x08")) PICTURE EOI),
         JPEG(EXIF_KEPT("\x08") PICTURE EOI)),
    CASE("jpeg, two orientations", JPEG(EXIF(TIFF_BIG("\6")) EXIF(TIFF_BIG("\3")) PICTURE EOI),
         JPEG(EXIF_KEPT("\6") PICTURE EOI)),
    CASE("jpeg, an invalid orientation", JPEG(EXIF(TIFF_BIG("\x09")) PICTURE EOI), JPEG(PICTURE EOI)),
    CASE("jpeg, a directory beyond the block",
         JPEG("\xFF\xE1\0\x10"
              "Exif\0\0II*\0\xFF\xFF\xFF\xFF" PICTURE EOI),
         JPEG(PICTURE EOI)),
    CASE("jpeg, fill bytes", JPEG("\xFF\xFF" PICTURE "\xFF" EOI), JPEG(PICTURE "\xFF" EOI)),
    CASE("jpeg without an end", JPEG(PICTURE), ""),
    CASE("jpeg, something between segments", JPEG(TABLE "x" FRAME SCAN EOI), ""),
    CASE("jpeg, a segment after the frame that is too long", JPEG(FRAME "\xFF\xFE\xFF\xFF" EOI), ""),
    CASE("jpeg, a second start", JPEG(FRAME "\xFF\xD8" SCAN EOI), ""),

    SAME("png", PNG(CHUNK("\1", "gAMA", "g") CHUNK("\4", "iCCP", "n\0\0p") IDAT IDAT IEND)),
    CASE("png, data after the end", PNG(IDAT IEND) "secret", PNG(IDAT IEND)),
    CASE("png, metadata",
         PNG(CHUNK("\4", "tEXt", "k\0vv") CHUNK("\4", "iTXt", "k\0vv") CHUNK("\4", "zTXt", "k\0vv")
                 CHUNK("\7", "tIME", "1234567") CHUNK("\2", "prVt", "ab") IDAT CHUNK("\2", "eXIf", "ab") IEND),
         PNG(IDAT IEND)),
    CASE("png, orientation", PNG(CHUNK("\x2C", "eXIf", TIFF_BIG("\6")) IDAT IEND), PNG(PNG_EXIF_KEPT IDAT IEND)),
    CASE("png without an end", PNG(IDAT), ""),
    CASE("png, an unknown critical chunk", PNG(CHUNK("\2", "ABCD", "ab") IDAT IEND), ""),
    CASE("png, a type that is not letters", PNG(CHUNK("\2", "ab1d", "ab") IDAT IEND), ""),
    CASE("png, a chunk longer than the file", PNG(CHUNK("\x7F", "IDAT", "ab") IEND), ""),
    CASE("png, an end with data", PNG(IDAT CHUNK("\2", "IEND", "ab")), ""),

    SAME("gif", GIF(LOOP CONTROL IMAGE CONTROL IMAGE ";")),
    CASE("gif, data after the end", GIF(IMAGE ";") "secret;", GIF(IMAGE ";")),
    CASE("gif, metadata", GIF(GIF_COMMENT LOOP_AND_TEXT GIF_XMP IMAGE GIF_COMMENT ";"), GIF(LOOP IMAGE ";")),
    CASE("gif without an end", GIF(IMAGE), ""),
    CASE("gif, an unknown block", GIF(IMAGE "\0;"), ""),
    CASE("gif, incomplete data", GIF(",\0\0\0\0\1\0\1\0\0\2\x7F;"), ""),
    CASE("gif, an incomplete descriptor", GIF(",\0\0;"), ""),

    SAME("webp", WEBP("\x12", VP8L)),
    CASE("webp, data after the end", WEBP("\x12", VP8L) "secret", WEBP("\x12", VP8L)),
    CASE("webp, chunks after a simple picture", WEBP("\x1E", VP8L "EXIF\4\0\0\0here"), WEBP("\x12", VP8L)),
    CASE("webp, metadata",
         WEBP("\x44", VP8X("\x0C") VP8L "EXIF\4\0\0\0here"
                                        "XMP \3\0\0\0xmp\0"
                                        "abcd\0\0\0\0"),
         WEBP("\x24", VP8X("\0") VP8L)),
    CASE("webp, orientation", WEBP("\x5A", VP8X("\x18") VP8L "EXIF\x2E\0\0\0" TIFF_LITTLE("\3") "\0\0"),
         WEBP("\x46", VP8X("\x18") VP8L "EXIF\x1A\0\0\0" TIFF_KEPT("\3"))),
    CASE("webp, frames", WEBP("\x44", VP8X("\2") ANMF), WEBP("\x3C", VP8X("\2") ANMF_KEPT)),
    CASE("webp, the last padding is missing", WEBP("\x2F", VP8X("\0") VP8L "XMP \3\0\0\0xmp"),
         WEBP("\x24", VP8X("\0") VP8L)),
    CASE("webp, a chunk longer than the file", WEBP("\x20", VP8X("\0") "VP8L\6\0\0\0/\0"), ""),
    CASE("webp, a size that ends in the header", WEBP("\2", VP8L), ""),
};

/* ---- fuzzing ---- */

#define MUTATIONS 3000

static unsigned next_random(unsigned *state, unsigned below)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % below;
}

/* Changes bytes, also to markers and small sizes, or cuts off the end. */
static void test_mutations(const char *name, const char *bytes, apr_size_t length)
{
    static const char special[] = "\xFF\xD9\xDA\xE1\0\1\2\x08;!,\x7F\x80";
    unsigned state = 2463534242u;
    apr_pool_t *p;
    int i;

    apr_pool_create(&p, tap_pool);
    for (i = 0; i < MUTATIONS; i++) {
        char *mutated = apr_pmemdup(p, bytes, length);
        apr_size_t size = next_random(&state, 8) ? length : next_random(&state, (unsigned)length) + 1;
        unsigned changes = next_random(&state, 4) + 1;
        while (changes-- > 0) {
            mutated[next_random(&state, (unsigned)size)] = next_random(&state, 2)
                                                               ? special[next_random(&state, sizeof(special) - 1)]
                                                               : (char)next_random(&state, 256);
        }
        fuzz(p, mutated, size);
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    ok(1, "%s: mutations violate no invariant", name);
}

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_size_t length = 0;
        const char *clean = clean_block(tap_pool, cases[i].bytes, cases[i].length, &length);
        int rejected = !cases[i].clean_length;

        ok(rejected ? !clean : clean && length == cases[i].clean_length && !memcmp(clean, cases[i].clean, length),
           "%s: %s", cases[i].name, rejected ? "rejected" : "cleaned");
        test_mutations(cases[i].name, cases[i].bytes, cases[i].length);
    }
    return tap_end();
}
