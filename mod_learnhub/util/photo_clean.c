/* SPDX-License-Identifier: Apache-2.0 */
#include "util/photo_clean.h"

#include <string.h>

#include "util/photo.h"
#include "util/photo_exif.h"

/* ---- reading and writing ---- */

typedef struct reader {
    const unsigned char *at, *end;
} reader;

typedef struct writer {
    unsigned char *data;
    apr_size_t length;
    int orientation; /* an Exif block has been written */
} writer;

static apr_size_t rest(const reader *in)
{
    return (apr_size_t)(in->end - in->at);
}

static void put(writer *out, const void *bytes, apr_size_t count)
{
    memcpy(out->data + out->length, bytes, count);
    out->length += count;
}

static void put_big32(writer *out, unsigned number)
{
    unsigned char bytes[] = {(unsigned char)(number >> 24), (unsigned char)(number >> 16), (unsigned char)(number >> 8),
                             (unsigned char)number};

    put(out, bytes, sizeof(bytes));
}

static void set_little32(unsigned char *s, apr_size_t number)
{
    s[0] = (unsigned char)number;
    s[1] = (unsigned char)(number >> 8);
    s[2] = (unsigned char)(number >> 16);
    s[3] = (unsigned char)(number >> 24);
}

static int starts_with(const unsigned char *s, apr_size_t length, const char *prefix, apr_size_t count)
{
    return length >= count && !memcmp(s, prefix, count);
}

/* Sets `tiff` to the orientation in an Exif block; 0: it has none, or one has been written already. */
static int reduce_exif(writer *out, const unsigned char *exif, apr_size_t length, unsigned char *tiff)
{
    if (out->orientation || !lh_photo_exif_reduce(exif, length, tiff)) {
        return 0;
    }
    out->orientation = 1;
    return 1;
}

/* ---- JPEG ---- */

#define JFIF_LENGTH 16 /* of the segment without a thumbnail */

/* Copies an application segment (with its marker) if it is needed; `body` follows its length. */
static void copy_application(writer *out, const unsigned char *segment, apr_size_t size)
{
    const unsigned char *body = segment + 4;
    apr_size_t length = size - 2;
    unsigned char tiff[LH_PHOTO_EXIF];

    switch (segment[1]) {
    case 0xE0:
        if (starts_with(body, length, "JFIF\0", 5) && size >= JFIF_LENGTH) {
            put(out, "\xFF\xE0\0\x10", 4);
            put(out, body, JFIF_LENGTH - 4);
            put(out, "\0\0", 2); /* the size of the thumbnail */
        }
        break;
    case 0xE1:
        if (starts_with(body, length, "Exif\0\0", 6) && reduce_exif(out, body, length, tiff)) {
            put(out,
                "\xFF\xE1\0\x22"
                "Exif\0\0",
                10);
            put(out, tiff, sizeof(tiff));
        }
        break;
    case 0xE2:
        if (starts_with(body, length, "ICC_PROFILE\0", 12)) {
            put(out, segment, size + 2);
        }
        break;
    case 0xEE:
        if (starts_with(body, length, "Adobe", 5)) {
            put(out, segment, size + 2);
        }
        break;
    default: break;
    }
}

/* Copies the entropy-coded data of a scan until the next marker. */
static void copy_scan(writer *out, reader *in)
{
    const unsigned char *start = in->at, *next;

    for (;;) {
        next = rest(in) >= 2 ? memchr(in->at, 0xFF, rest(in) - 1) : NULL;
        if (!next) {
            in->at = in->end;
            break;
        }
        in->at = next;
        if (next[1] != 0 && next[1] != 0xFF && (next[1] < 0xD0 || next[1] > 0xD7)) {
            break;
        }
        in->at += next[1] == 0xFF ? 1 : 2;
    }
    put(out, start, (apr_size_t)(in->at - start));
}

/* Frames, tables, scans and restart intervals. */
static int is_needed(unsigned marker)
{
    return (marker >= 0xC0 && marker <= 0xCF) || (marker >= 0xDA && marker <= 0xDF);
}

/* ITU T.81, annex B. lh_photo_type() has found SOI and a frame header. */
static int clean_jpeg(writer *out, reader *in)
{
    put(out, in->at, 2);
    in->at += 2;
    while (rest(in) >= 2 && in->at[0] == 0xFF) {
        unsigned marker = in->at[1];
        apr_size_t size;

        if (marker == 0xFF) { /* a fill byte */
            in->at++;
            continue;
        }
        if (marker == 0xD9) {
            put(out, in->at, 2);
            return 1;
        }
        size = rest(in) >= 4 ? lh_photo_exif_number(in->at + 2, 2, 1) : 0;
        if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8) || size < 2 || size > rest(in) - 2) {
            return 0;
        }
        if (marker >= 0xE0 && marker <= 0xEF) {
            copy_application(out, in->at, size);
        }
        else if (is_needed(marker)) {
            put(out, in->at, size + 2);
        }
        in->at += size + 2;
        if (marker == 0xDA) {
            copy_scan(out, in);
        }
    }
    return 0;
}

/* ---- PNG ---- */

#define PNG_SIGNATURE 8

static unsigned crc_of(const unsigned char *s, apr_size_t length)
{
    unsigned crc = 0xFFFFFFFF;
    int bit;

    for (; length > 0; length--) {
        crc ^= *s++;
        for (bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320 : 0);
        }
    }
    return ~crc;
}

static void put_exif_chunk(writer *out, const unsigned char *tiff)
{
    const unsigned char *type;

    put_big32(out, LH_PHOTO_EXIF);
    type = out->data + out->length;
    put(out, "eXIf", 4);
    put(out, tiff, LH_PHOTO_EXIF);
    put_big32(out, crc_of(type, 4 + LH_PHOTO_EXIF));
}

/* 1 if `name`, of four bytes, is one of `names`. */
static int is_one_of(const unsigned char *name, const char *names)
{
    for (; *names; names += 4) {
        if (!memcmp(name, names, 4)) {
            return 1;
        }
    }
    return 0;
}

static int is_chunk_type(const unsigned char *type)
{
    int i;

    for (i = 0; i < 4; i++) {
        if ((type[i] | 0x20) < 'a' || (type[i] | 0x20) > 'z') {
            return 0;
        }
    }
    return 1;
}

/* W3C PNG, 5.3: a length, a type, data and a CRC for each chunk; types with a capital letter are critical. */
static int clean_png(writer *out, reader *in)
{
    static const char shown[] = "IHDRPLTEIDATtRNScHRMgAMAiCCPsBITsRGBcICPmDCVcLLIbKGDhISTpHYssPLTacTLfcTLfdAT";
    unsigned char tiff[LH_PHOTO_EXIF];

    put(out, in->at, PNG_SIGNATURE);
    in->at += PNG_SIGNATURE;
    while (rest(in) >= 12) {
        const unsigned char *type = in->at + 4;
        apr_size_t length = lh_photo_exif_number(in->at, 4, 1);

        if (length > rest(in) - 12 || !is_chunk_type(type)) {
            return 0;
        }
        if (!memcmp(type, "IEND", 4)) {
            put(out, in->at, 12 + length);
            return length == 0;
        }
        if (is_one_of(type, shown)) {
            put(out, in->at, 12 + length);
        }
        else if (type[0] <= 'Z') {
            return 0; /* no decoder knows this critical chunk */
        }
        else if (!memcmp(type, "eXIf", 4) && reduce_exif(out, type + 4, length, tiff)) {
            put_exif_chunk(out, tiff);
        }
        in->at += 12 + length;
    }
    return 0;
}

/* ---- GIF ---- */

/* The size of the colour table that the flags announce. */
static apr_size_t colour_table(unsigned flags)
{
    return flags & 0x80 ? (apr_size_t)3 << ((flags & 7) + 1) : 0;
}

/* Skips data in sub-blocks, each with its length in a byte, until an empty one; 0: they are not complete. */
static int skip_blocks(reader *in)
{
    while (rest(in) > 0) {
        apr_size_t size = *in->at;

        if (size >= rest(in)) {
            return 0;
        }
        in->at += size + 1;
        if (!size) {
            return 1;
        }
    }
    return 0;
}

/* Copies the number of repetitions of an animation; the block may contain nothing else. */
static void put_repetitions(writer *out, const unsigned char *extension, const unsigned char *end)
{
    const unsigned char *block = extension + 14;

    put(out, extension, 14);
    for (; *block && block < end; block += *block + 1) {
        if (block[0] == 3 && block[1] == 1) {
            put(out, block, 4);
            break;
        }
    }
    put(out, "", 1);
}

/* GIF89a, 23 to 26: graphic control and plain text belong to the picture, comments and other applications do not. */
static int clean_extension(writer *out, reader *in)
{
    const unsigned char *start = in->at;

    if (rest(in) < 2) {
        return 0;
    }
    in->at += 2;
    if (!skip_blocks(in)) {
        return 0;
    }
    if (start[1] == 0xF9 || start[1] == 0x01) {
        put(out, start, (apr_size_t)(in->at - start));
    }
    else if (start[1] == 0xFF && in->at - start >= 15 &&
             (!memcmp(start + 2, "\13NETSCAPE2.0", 12) || !memcmp(start + 2, "\13ANIMEXTS1.0", 12))) {
        put_repetitions(out, start, in->at);
    }
    return 1;
}

/* GIF89a, 20 to 22: a descriptor, a colour table, the size of codes, and the data. */
static int copy_image(writer *out, reader *in)
{
    const unsigned char *start = in->at;
    apr_size_t head = rest(in) >= 10 ? 10 + colour_table(start[9]) + 1 : 0;

    if (!head || head > rest(in)) {
        return 0;
    }
    in->at += head;
    if (!skip_blocks(in)) {
        return 0;
    }
    put(out, start, (apr_size_t)(in->at - start));
    return 1;
}

/* lh_photo_type() has found the header and the colour table. */
static int clean_gif(writer *out, reader *in)
{
    apr_size_t header = 13 + colour_table(in->at[10]);
    int complete = 1;

    put(out, in->at, header);
    in->at += header;
    while (complete && rest(in) > 0) {
        switch (*in->at) {
        case 0x3B: put(out, in->at, 1); return 1;
        case 0x21: complete = clean_extension(out, in); break;
        case 0x2C: complete = copy_image(out, in); break;
        default: return 0;
        }
    }
    return 0;
}

/* ---- WebP ---- */

#define RIFF_HEADER 12
#define CHUNK_HEADER 8
#define FRAME_HEADER 16 /* of ANMF */
#define FLAGS_AT 20     /* in a file with VP8X */
#define FLAG_XMP 4
#define FLAG_EXIF 8

static void put_chunk(writer *out, const char *name, const unsigned char *data, apr_size_t length)
{
    unsigned char size[4];

    set_little32(size, length);
    put(out, name, 4);
    put(out, size, 4);
    put(out, data, length);
    if (length & 1) {
        put(out, "", 1);
    }
}

/* Copies the chunks of a frame of an animation that are needed. */
static int copy_frame(writer *out, reader in)
{
    apr_size_t start = out->length;

    if (rest(&in) < CHUNK_HEADER + FRAME_HEADER) {
        return 0;
    }
    put(out, in.at, CHUNK_HEADER + FRAME_HEADER);
    in.at += CHUNK_HEADER + FRAME_HEADER;
    while (rest(&in) >= CHUNK_HEADER) {
        apr_size_t length = lh_photo_exif_number(in.at + 4, 4, 0), padded = length + (length & 1);

        if (padded > rest(&in) - CHUNK_HEADER) {
            return 0;
        }
        if (is_one_of(in.at, "ALPHVP8 VP8L")) {
            put(out, in.at, CHUNK_HEADER + padded);
        }
        in.at += CHUNK_HEADER + padded;
    }
    set_little32(out->data + start + 4, out->length - start - CHUNK_HEADER);
    return rest(&in) == 0;
}

/* Copies a chunk if it is needed; 0: a frame is invalid. */
static int clean_chunk(writer *out, const unsigned char *chunk, apr_size_t length)
{
    unsigned char tiff[LH_PHOTO_EXIF];
    reader frame = {chunk, chunk + CHUNK_HEADER + length};

    if (!memcmp(chunk, "ANMF", 4)) {
        return copy_frame(out, frame);
    }
    if (is_one_of(chunk, "VP8XICCPANIMALPHVP8 VP8L")) {
        put_chunk(out, (const char *)chunk, chunk + CHUNK_HEADER, length);
    }
    else if (!memcmp(chunk, "EXIF", 4) && reduce_exif(out, chunk + CHUNK_HEADER, length, tiff)) {
        put_chunk(out, "EXIF", tiff, LH_PHOTO_EXIF);
    }
    return 1;
}

/* RFC 9649, 2.3 to 2.7: chunks of even length. Without VP8X, the file consists of the first one. */
static int clean_webp(writer *out, reader *in)
{
    int extended = !memcmp(in->at + RIFF_HEADER, "VP8X", 4);
    apr_size_t total = 8 + (apr_size_t)lh_photo_exif_number(in->at + 4, 4, 0);

    if (total < RIFF_HEADER) {
        return 0;
    }
    in->end = in->at + total;
    put(out, in->at, RIFF_HEADER);
    in->at += RIFF_HEADER;
    while (rest(in) >= CHUNK_HEADER) {
        apr_size_t length = lh_photo_exif_number(in->at + 4, 4, 0), size = CHUNK_HEADER + length + (length & 1);

        if (length > rest(in) - CHUNK_HEADER || !clean_chunk(out, in->at, length)) {
            return 0;
        }
        in->at += size < rest(in) ? size : rest(in); /* the last byte of padding may be missing */
        if (!extended) {
            break;
        }
    }
    if (extended) {
        out->data[FLAGS_AT] &= (unsigned char)~(FLAG_XMP | FLAG_EXIF);
        out->data[FLAGS_AT] |= out->orientation ? FLAG_EXIF : 0;
    }
    set_little32(out->data + 4, out->length - 8);
    return !extended || rest(in) == 0;
}

/* ---- all types ---- */

const char *lh_photo_clean(apr_pool_t *p, const char *data, apr_size_t length, apr_size_t *clean_length)
{
    static const struct {
        const char *type;
        int (*clean)(writer *out, reader *in);
    } cleaners[] = {
        {"image/jpeg", clean_jpeg}, {"image/png", clean_png}, {"image/gif", clean_gif}, {"image/webp", clean_webp}};
    const char *type = lh_photo_type(data, length);
    writer out = {.length = 0};
    reader in;
    int i = 0;

    if (!type) {
        return NULL;
    }
    while (strcmp(cleaners[i].type, type)) {
        i++;
    }
    in.at = (const unsigned char *)data;
    in.end = in.at + length;
    out.data = apr_palloc(p, length + LH_PHOTO_CLEAN_ROOM);
    if (!cleaners[i].clean(&out, &in)) {
        return NULL;
    }
    *clean_length = out.length;
    return lh_photo_type((const char *)out.data, out.length) ? (const char *)out.data : NULL;
}
