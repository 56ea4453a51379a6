/* SPDX-License-Identifier: Apache-2.0 */
#include "util/words.h"

#include <apr_hash.h>
#include <apr_strings.h>
#include <string.h>

#include "util/text.h"

#define STEM_MAX 48 /* bytes; longer words are cut */

struct lh_words {
    apr_pool_t *pool;
    apr_hash_t *stems;
};

/* Words that requirements contain whatever they require. */
static const char ignored[] =
    "a able about add added adding after all allow allows also an and any app application are as at based be between "
    "both but by can component components could design each ensure etc every feature features for from handle handles "
    "handling has have how if implement in into is it its least less like make many may more most must need needs new "
    "no not of on one only or other our out over per provide provides require requirement requires shall should show "
    "simple so some such support supports system systems than that the their them there they this to two under up use "
    "used uses using very via want was we what when where which while who will with within without would you your";

/* ---- words ---- */

/* The number of bytes of a letter or digit at `s`; 0 for anything else. */
static apr_size_t letter(const unsigned char *s, apr_size_t left)
{
    apr_size_t n = lh_utf8_character(s, left);

    if (n == 1) {
        return (*s >= '0' && *s <= '9') || ((*s | 32) >= 'a' && (*s | 32) <= 'z');
    }
    if (n == 0 || s[0] == 0xC2 || s[0] == 0xE2 || (s[0] == 0xE3 && s[1] == 0x80) || (s[0] == 0xF0 && s[1] == 0x9F)) {
        return 0; /* symbols, punctuation, arrows, emoji */
    }
    return n;
}

/* Appends a letter in lower case: ASCII, Latin-1, the basic Greek and Cyrillic alphabets. */
static void append_lower(unsigned char *out, const unsigned char *s, apr_size_t n)
{
    memcpy(out, s, n);
    if (n == 1 && s[0] >= 'A' && s[0] <= 'Z') {
        out[0] |= 32;
    }
    if (n == 2) {
        unsigned c = (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu);

        c += (c >= 0xC0 && c <= 0xDE && c != 0xD7) || (c >= 0x391 && c <= 0x3A9) || (c >= 0x410 && c <= 0x42F) ? 32 : 0;
        lh_utf8_put((char *)out, c);
    }
}

/*
 * Reads the next word in lower case, without a zero byte. Returns its length in bytes, or 0 at the end of the text.
 * *counts is 0 for a single character and for a number.
 */
static apr_size_t next_word(const char **text, const char *end, unsigned char *word, int *counts)
{
    const unsigned char *s = (const unsigned char *)*text, *limit = (const unsigned char *)end;
    apr_size_t length = 0, n;
    int characters = 0, letters = 0;

    while (s < limit && !letter(s, (apr_size_t)(limit - s))) {
        s++;
    }
    for (; s < limit && (n = letter(s, (apr_size_t)(limit - s))) > 0; s += n) {
        characters++;
        letters += *s > '9';
        if (length + n <= STEM_MAX) {
            append_lower(word + length, s, n);
            length += n;
        }
    }
    *counts = characters > 1 && letters > 0;
    *text = (const char *)s;
    return length;
}

/* ---- stems ---- */

static int ends(const unsigned char *word, apr_size_t length, const char *suffix)
{
    apr_size_t n = strlen(suffix);

    return length > n && !memcmp(word + length - n, suffix, n);
}

static int has_vowel(const unsigned char *word, apr_size_t length)
{
    apr_size_t i = 0;

    while (i < length && !strchr("aeiouy", word[i])) {
        i++;
    }
    return i < length;
}

/* Removes the ending of a plural: queries, classes, caches, boxes, servers. */
static apr_size_t singular(unsigned char *word, apr_size_t length)
{
    if (length > 4 && ends(word, length, "ies")) {
        return length - 2; /* keep the i: stem() also turns a final y into i */
    }
    if (ends(word, length, "sses") || ends(word, length, "ches") || ends(word, length, "shes") ||
        ends(word, length, "xes")) {
        return length - 2;
    }
    if (length > 3 && ends(word, length, "s") && !strchr("siu", word[length - 2])) {
        return length - 1;
    }
    return length;
}

/*
 * Reduces a word to its stem: removes a plural, then -ing or -ed, then -er or -or, each only if at least three letters
 * with a vowel remain, and a final -e; a final -y becomes -i. Words of another alphabet are hardly changed.
 */
static apr_size_t stem(unsigned char *word, apr_size_t length)
{
    static const char *const endings[][2] = {{"ing", "ed"}, {"er", "or"}};
    int i, j;

    length = singular(word, length);
    for (i = 0; i < 2; i++) {
        for (j = 0; j < 2; j++) {
            apr_size_t rest = length - strlen(endings[i][j]);

            if (ends(word, length, endings[i][j]) && rest >= 3 && has_vowel(word, rest)) {
                length = rest;
                if (length > 3 && word[length - 1] == word[length - 2] && !strchr("lsz", word[length - 1])) {
                    length--; /* plann-ing */
                }
                break;
            }
        }
    }
    length -= length > 3 && word[length - 1] == 'e';
    if (length > 3 && word[length - 1] == 'y') {
        word[length - 1] = 'i';
    }
    return length;
}

/* Reads the next word that counts and stores its stem. Returns the length of the stem, or 0 at the end of the text. */
static apr_size_t next_stem(const char **text, const char *end, unsigned char *word)
{
    apr_size_t length;
    int counts;

    while ((length = next_word(text, end, word, &counts)) > 0) {
        if (counts && !lh_text_listed(ignored, (const char *)word, length)) {
            return stem(word, length);
        }
    }
    return 0;
}

/* ---- sets ---- */

lh_words *lh_words_create(apr_pool_t *p)
{
    lh_words *words = apr_palloc(p, sizeof(*words));

    words->pool = p;
    words->stems = apr_hash_make(p);
    return words;
}

void lh_words_add(lh_words *words, const char *text)
{
    const char *end = text + strlen(text);
    unsigned char word[STEM_MAX];
    apr_size_t length;

    while (apr_hash_count(words->stems) < LH_WORDS_MAX && (length = next_stem(&text, end, word)) > 0) {
        if (!apr_hash_get(words->stems, word, (apr_ssize_t)length)) {
            apr_hash_set(words->stems, apr_pmemdup(words->pool, word, length), (apr_ssize_t)length, words);
        }
    }
}

int lh_words_share(const lh_words *words, const char *text)
{
    const char *end = text + strlen(text);
    unsigned char word[STEM_MAX];
    apr_size_t length;

    while ((length = next_stem(&text, end, word)) > 0) {
        if (apr_hash_get(words->stems, word, (apr_ssize_t)length)) {
            return 1;
        }
    }
    return 0;
}
