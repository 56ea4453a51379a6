/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of English words, compared by their stems: "Caches", "caching" and "cache" are one word. Single
 * characters, numbers, and words that say nothing about a topic ("the", "system") are ignored. Depends on APR only.
 */
#ifndef LH_WORDS_H
#define LH_WORDS_H

#include <apr_pools.h>

#define LH_WORDS_MAX 20000 /* stems in a set; further ones are ignored */

typedef struct lh_words lh_words;

/* Creates an empty set. */
lh_words *lh_words_create(apr_pool_t *p);

/* Adds the words of a text in UTF-8. */
void lh_words_add(lh_words *words, const char *text);

/* 1 when the set contains a word of the text. */
int lh_words_share(const lh_words *words, const char *text);

#endif
