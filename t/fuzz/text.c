/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, percent-encoding, trimming, addresses, words and JSON strings, compared with straightforward versions. */
#include "util/text.h"

#include <apr_strings.h>
#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "util/json.h"
#include "util/words.h"

/* The length of the UTF-8 character at `s` by its value; 0: there is none. */
static apr_size_t character(const unsigned char *s, apr_size_t left)
{
    static const unsigned least[] = {0, 1, 0x80, 0x800, 0x10000};
    apr_size_t n = *s < 0x80 ? 1 : *s >> 5 == 6 ? 2 : *s >> 4 == 14 ? 3 : *s >> 3 == 30 ? 4 : 0, i;
    unsigned c = n == 1 ? *s : n == 2 ? *s & 31 : n == 3 ? *s & 15 : *s & 7;
    char again[4];

    if (!n || n > left) {
        return 0;
    }
    for (i = 1; i < n; i++) {
        if (s[i] >> 6 != 2) {
            return 0;
        }
        c = c << 6 | (s[i] & 63);
    }
    if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000)) {
        return 0;
    }
    REQUIRE(lh_utf8_put(again, c) == again + n && !memcmp(again, s, n));
    return n;
}

static int is_valid(const char *data, apr_size_t size)
{
    const char *s = data, *end = data + size;
    apr_size_t n = 1;

    for (; s < end && n; s += n) {
        n = character((const unsigned char *)s, (apr_size_t)(end - s));
        REQUIRE(lh_utf8_character((const unsigned char *)s, (apr_size_t)(end - s)) == n);
    }
    return s == end && n;
}

/* A block that ends where the data end, and starts at any position within a word. */
static void check_run(const char *data, apr_size_t size)
{
    char *block = malloc(size + 1), *end = block + size, *s = block;

    memcpy(block, data, size);
    while (s < end && *s >= ' ' && *s != '"' && *s != '\\') {
        s++;
    }
    REQUIRE(lh_text_skip_plain(block, end) == s && lh_text_skip_valid(block, end) <= end);
    free(block);
}

static void check_json(apr_pool_t *p, const char *data, apr_size_t size, int valid)
{
    json_t *text;
    lh_json json;

    lh_json_init(&json, p, 8);
    lh_json_string(&json, data, size);
    REQUIRE(json.out.length <= 6 * size + 2);
    text = json_loadb(json.out.data, json.out.length, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    REQUIRE(json_is_string(text));
    REQUIRE(!valid || (json_string_length(text) == size && !memcmp(json_string_value(text), data, size)));
    json_decref(text);
}

static void check_decoding(apr_pool_t *p, const char *text)
{
    const char *decoded = lh_text_decode(p, text, strlen(text));

    REQUIRE(!decoded || (strlen(decoded) <= strlen(text) && is_valid(decoded, strlen(decoded))));
    if (!strpbrk(text, "%+")) {
        REQUIRE(decoded ? !strcmp(decoded, text) : !is_valid(text, strlen(text)));
    }
}

/* Functions for texts that are UTF-8. */
static void check_valid(apr_pool_t *p, const char *text)
{
    char *trimmed = lh_text_trim(strcpy(apr_palloc(p, strlen(text) + 1), text));
    lh_words *words = lh_words_create(p);

    REQUIRE(strstr(text, trimmed) && is_valid(trimmed, strlen(trimmed)));
    REQUIRE(!strcmp(trimmed, lh_text_trim(strcpy(apr_palloc(p, strlen(trimmed) + 1), trimmed))));
    REQUIRE(!lh_text_is_email(text) || (!strcmp(trimmed, text) && strchr(text, '@') && strlen(text) <= 254));
    REQUIRE(!lh_text_has_invisible(text) || !lh_text_is_email(text));
    REQUIRE(!lh_text_is_uuid(text) || strlen(text) == 36);
    REQUIRE(!lh_text_is_object_id(text) || strlen(text) == 24);
    REQUIRE(lh_utf8_length(text) <= strlen(text));
    lh_words_add(words, text);
    lh_words_share(words, text);
}

/* Each word of a list is listed at its index, or earlier. */
static void check_list(const char *text)
{
    const char *rest = text, *word;
    apr_size_t length;
    int i;

    for (i = 0; i < 20 && (word = lh_text_word(&rest, &length)); i++) {
        char *copy = strndup(word, length);

        REQUIRE(lh_text_listed(text, word, length));
        REQUIRE(lh_text_index(text, copy) >= 0 && lh_text_index(text, copy) <= i);
        free(copy);
    }
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    int valid = !memchr(data, '\0', size) && is_valid(data, size);
    char *text = strdup(data); /* ends at the first zero byte */

    REQUIRE(lh_utf8_valid(data, size) == valid);
    check_run(data, size);
    check_run(data + (size > 8 ? size % 8 : 0), size - (size > 8 ? size % 8 : 0));
    check_json(p, data, size, valid);
    check_decoding(p, text);
    check_list(text);
    if (valid) {
        check_valid(p, text);
    }
    free(text);
}
