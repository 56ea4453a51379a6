/* SPDX-License-Identifier: Apache-2.0 */
/* Small facts about text: UTF-8, percent-encoding, the forms of ids, e-mail addresses and times. Knows APR only. */
#ifndef LH_TEXT_H
#define LH_TEXT_H

#include <apr_pools.h>
#include <apr_time.h>

/* The bytes of the character at `s`, where `left` > 0 are left; 0 when it is not well-formed (RFC 3629) or a zero. */
apr_size_t lh_utf8_character(const unsigned char *s, apr_size_t left);

/* 1 when the bytes are well-formed UTF-8 without a zero byte. */
int lh_utf8_valid(const char *text, apr_size_t length);

/* The number of characters of well-formed UTF-8. */
apr_size_t lh_utf8_length(const char *text);

/* Decodes %XX and turns + into a space; NULL when an escape is broken or the result is no text (see lh_utf8_valid). */
char *lh_text_decode(apr_pool_t *p, const char *text, apr_size_t length);

/* Without white space at both ends: ASCII's, and U+00A0, U+2000-200B, U+3000. Changes the text. */
char *lh_text_trim(char *text);

/* The next word of `*words`, which are separated by spaces, and its length; advances `*words`. NULL: no word is left,
 * or `*words` is NULL. */
const char *lh_text_word(const char **words, apr_size_t *length);

/* 1 when `word` is one of the words of `list`, which are separated by spaces. */
int lh_text_listed(const char *list, const char *word, apr_size_t length);

/* The index of `word` in the list `words`, ignoring case; -1 when the list does not contain it. */
int lh_text_index(const char *words, const char *word);

int lh_text_is_email(const char *text);     /* one @, a local part, a domain with a dot, at most 254 bytes */
int lh_text_is_object_id(const char *text); /* 24 hex digits */
int lh_text_is_uuid(const char *text);      /* 8-4-4-4-12 hex digits */

/* A decimal integer with an optional minus sign, nothing else; 0 when it is none or does not fit. */
int lh_text_integer(const char *text, apr_int64_t *value);

/* HH:MM:SS as seconds; -1 when it is none. At most 99:59:59. */
int lh_text_duration(const char *text);
/* A decimal number with at most two digits behind the point, and no exponent, in hundredths; 0 when it is none. */
int lh_text_hundredths(const char *text, apr_int64_t *value);

/*
 * ISO 8601: YYYY-MM-DD, or YYYY-MM-DD(T| )HH:MM[:SS[.f...]][Z|+HH[:]MM]; without an offset it is UTC. Years 1 to 9999.
 * Microseconds since 1970 (further digits of the fraction are cut); 0 when it is no time.
 */
int lh_text_time(const char *text, apr_int64_t *micros);

#endif
