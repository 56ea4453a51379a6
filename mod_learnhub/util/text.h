/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, percent-encoding, lists, and the formats of ids, e-mail addresses, numbers and times. Depends on APR only. */
#ifndef LH_TEXT_H
#define LH_TEXT_H

#include <apr_pools.h>
#include <apr_time.h>

/* The length in bytes of the character at `s`; `left`, more than 0, is the number of bytes from `s` to the end. 0 when
 * the character is not well-formed UTF-8 (RFC 3629) or is a zero byte. */
apr_size_t lh_utf8_character(const unsigned char *s, apr_size_t left);

/* Writes the character `c` (at most 0x10FFFF) as 1 to 4 bytes; returns the position after them. */
char *lh_utf8_put(char *out, unsigned c);

/* Returns the first byte that is not printable ASCII or is a quotation mark or a backslash, or `end`. */
const char *lh_text_skip_plain(const char *s, const char *end);

/* The same, but skips well-formed UTF-8 as well. */
const char *lh_text_skip_valid(const char *s, const char *end);

/* 1 when the bytes are well-formed UTF-8 without a zero byte. */
int lh_utf8_valid(const char *text, apr_size_t length);

/* The number of characters; the text must be well-formed UTF-8. */
apr_size_t lh_utf8_length(const char *text);

/* Decodes %XX, and + as a space. NULL when an escape is malformed or the result is not valid (lh_utf8_valid()). */
char *lh_text_decode(apr_pool_t *p, const char *text, apr_size_t length);

/* Removes white space (of ASCII, U+00A0, U+2000 to U+200B, U+3000) at both ends, in place. Returns the new start. */
char *lh_text_trim(char *text);

/* A list is a string of words separated by spaces. */

/* Returns the first word of the list and its length, and advances `*list` past it. NULL when no word is left, or when
 * `*list` is NULL. */
const char *lh_text_word(const char **list, apr_size_t *length);

/* 1 when the list contains `word`. */
int lh_text_listed(const char *list, const char *word, apr_size_t length);

/* The index of `word` in the list, ignoring case; -1 when the list does not contain it. */
int lh_text_index(const char *list, const char *word);

/* 1 when the text contains a character that is not shown: a control character, a format character
 * such as those of zero width and those that change the direction, a variation selector, a tag, or a filler. */
int lh_text_has_invisible(const char *text);

/* 1 when the text has one @, a local part, a domain with a dot, at most 254 bytes, and neither white space nor
 * invisible characters. */
int lh_text_is_email(const char *text);

int lh_text_is_object_id(const char *text); /* 24 hex digits */
int lh_text_is_uuid(const char *text);      /* 8-4-4-4-12 hex digits */

/* Parses a decimal integer with an optional minus sign. Returns 0 when the text has another form or does not fit. */
int lh_text_integer(const char *text, apr_int64_t *value);

/* The seconds of HH:MM:SS, at most 99:59:59; -1 when the text has another form. */
int lh_text_duration(const char *text);

/* Parses a decimal number with at most two decimals and no exponent, in hundredths. Returns 0 when the text has another
 * form. */
int lh_text_hundredths(const char *text, apr_int64_t *value);

/*
 * Parses an ISO 8601 time: YYYY-MM-DD, or YYYY-MM-DD(T| )HH:MM[:SS[.f...]][Z|+HH[[:]MM]], in the years 1 to 9999; UTC
 * without an offset. *micros is in microseconds since 1970; further digits of the fraction are ignored. Returns 0 when
 * the text has another form.
 */
int lh_text_time(const char *text, apr_int64_t *micros);

#endif
