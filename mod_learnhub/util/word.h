/* SPDX-License-Identifier: Apache-2.0 */
/* Searches texts 8 bytes, or with SSE2 (every x86-64) 16 and 64 bytes, at a time. Results are the same everywhere. */
#ifndef LH_WORD_H
#define LH_WORD_H

#include <apr.h>
#include <stddef.h>
#include <string.h>

/* ---- words: flags mark bytes by their highest bit; only the first flag is reliable ---- */

#define LH_WORD_EACH(b) (0x0101010101010101u * (apr_uint64_t)(b))

/* Flags the bytes below `b`, which is at most 128. */
#define LH_WORD_BELOW(word, b) (((word)-LH_WORD_EACH(b)) & ~(word)&LH_WORD_EACH(0x80))

/* Flags the bytes that are `b`. */
#define LH_WORD_IS(word, b) LH_WORD_BELOW((word) ^ LH_WORD_EACH(b), 1)

/* The eight bytes at `s`, the first one lowest. */
static inline apr_uint64_t lh_word_read(const char *s)
{
    apr_uint64_t word;

    memcpy(&word, s, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The index of the first flag, 0 to 7; `flags` is not 0. */
static inline int lh_word_first(apr_uint64_t flags)
{
    return __builtin_ctzll(flags) / 8;
}

/* ---- blocks: a mask has a bit for each byte, the first one lowest ---- */

#ifdef __SSE2__
#include <emmintrin.h>

#define LH_BLOCK 16
typedef __m128i lh_block;

static inline lh_block lh_block_read(const char *s)
{
    return _mm_loadu_si128((const __m128i *)(const void *)s);
}

static inline lh_block lh_block_is(lh_block block, char c)
{
    return _mm_cmpeq_epi8(block, _mm_set1_epi8(c));
}

/* The bytes that are control characters or not ASCII, quotation marks or backslashes. */
static inline unsigned lh_block_special(lh_block block)
{
    lh_block special = _mm_cmplt_epi8(block, _mm_set1_epi8(' ')); /* signed: bytes above 127 are negative */

    special = _mm_or_si128(special, _mm_or_si128(lh_block_is(block, '"'), lh_block_is(block, '\\')));
    return (unsigned)_mm_movemask_epi8(special);
}

/* The structure of 64 bytes. */
typedef struct lh_block_marks {
    apr_uint64_t quotes, backslashes, opening, closing; /* brackets of both kinds */
} lh_block_marks;

static inline lh_block_marks lh_block_mark(const char *s)
{
    lh_block_marks marks = {0, 0, 0, 0};
    int i;

    for (i = 0; i < 64; i += LH_BLOCK) {
        lh_block block = lh_block_read(s + i), bracket = _mm_or_si128(block, _mm_set1_epi8(' ')); /* [ becomes { */

        marks.quotes |= (apr_uint64_t)(unsigned)_mm_movemask_epi8(lh_block_is(block, '"')) << i;
        marks.backslashes |= (apr_uint64_t)(unsigned)_mm_movemask_epi8(lh_block_is(block, '\\')) << i;
        marks.opening |= (apr_uint64_t)(unsigned)_mm_movemask_epi8(lh_block_is(bracket, '{')) << i;
        marks.closing |= (apr_uint64_t)(unsigned)_mm_movemask_epi8(lh_block_is(bracket, '}')) << i;
    }
    return marks;
}
#endif

#endif
