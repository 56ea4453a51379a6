/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/common_password.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "util/text.h"

/* ---- lists ---- */

#define FILE_BYTES_MAX (64 * 1024 * 1024) /* unpacked */
#define READ_BYTES 65536

struct lh_password_list {
    const char *const *sorted; /* in lower case */
    int count;
};

const lh_password_list *lh_password_list_empty(apr_pool_t *p)
{
    return apr_pcalloc(p, sizeof(lh_password_list));
}

int lh_password_list_count(const lh_password_list *list)
{
    return list->count;
}

/* Letters that are not ASCII keep their case. */
static void lower(char *text)
{
    for (; *text; text++) {
        if (*text >= 'A' && *text <= 'Z') {
            *text = (char)(*text - 'A' + 'a');
        }
    }
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sets *text to the unpacked file with a zero byte behind it. Returns NULL, or why it could not be read. */
static const char *read_file(apr_pool_t *p, const char *file, char **text)
{
    gzFile in = gzopen(file, "rb");
    apr_size_t size = READ_BYTES, length = 0;
    char *grown;
    int got;

    if (!in) {
        return apr_pstrcat(p, "cannot be opened: ", strerror(errno), NULL);
    }
    *text = apr_palloc(p, size + 1);
    while ((got = gzread(in, *text + length, READ_BYTES)) > 0 && length + (apr_size_t)got <= FILE_BYTES_MAX) {
        length += (apr_size_t)got;
        if (size - length < READ_BYTES) {
            grown = apr_palloc(p, 2 * size + 1);
            memcpy(grown, *text, length);
            *text = grown;
            size *= 2;
        }
    }
    (*text)[length] = '\0';
    gzclose(in);
    return got < 0 ? "cannot be read" : got > 0 ? "has more than 64 MB" : NULL;
}

/* The passwords in `text`, one a line, which it changes. */
static apr_array_header_t *parse(apr_pool_t *p, char *text)
{
    apr_array_header_t *found = apr_array_make(p, 10000, sizeof(const char *));
    char *line, *state = NULL;

    for (line = apr_strtok(text, "\r\n", &state); line; line = apr_strtok(NULL, "\r\n", &state)) {
        apr_size_t length = strlen(line);

        if (*line != '#' && length >= LH_PASSWORD_BYTES_MIN && length <= LH_PASSWORD_BYTES_MAX) {
            lower(line);
            APR_ARRAY_PUSH(found, const char *) = apr_pstrdup(p, line);
        }
    }
    return found;
}

const char *lh_password_list_read(apr_pool_t *p, const char *file, const lh_password_list **list)
{
    lh_password_list *read = apr_pcalloc(p, sizeof(*read));
    apr_array_header_t *found;
    apr_pool_t *temporary;
    const char *why;
    char *text = NULL;

    if (apr_pool_create(&temporary, p) != APR_SUCCESS) {
        return "cannot be read";
    }
    why = read_file(temporary, file, &text);
    if (why) {
        why = apr_pstrdup(p, why);
        apr_pool_destroy(temporary);
        return why;
    }
    found = parse(p, text);
    apr_pool_destroy(temporary);
    if (!found->nelts) {
        return "has no password of 8 to 72 bytes";
    }
    qsort(found->elts, (size_t)found->nelts, sizeof(const char *), compare);
    read->sorted = (const char *const *)(const void *)found->elts;
    read->count = found->nelts;
    *list = read;
    return NULL;
}

/* ---- patterns ---- */

#define UNIT_MAX 4   /* characters that are repeated */
#define EXTRAS_MAX 6 /* characters before and after a word together */

/* Rows of keys and usual paths over them, for American, German and French keyboards. */
static const char *const paths[] = {"abcdefghijklmnopqrstuvwxyz",
                                    "0123456789012345678901234567890",
                                    "1234567890qwertyuiopasdfghjklzxcvbnm",
                                    "qwertzuiopasdfghjklyxcvbnm",
                                    "azertyuiopqsdfghjklmwxcvbn",
                                    "qwertyuiop[]asdfghjkl;'zxcvbnm,./",
                                    "!@#$%^&*()_+qwertyuiop",
                                    "1q2w3e4r5t6y7u8i9o0p",
                                    "q1w2e3r4t5y6u7i8o9p0",
                                    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik,9ol.0p;/",
                                    "qazwsxedcrfvtgbyhnujmikolp",
                                    "1qazxsw23edcvfr45tgbnhy6",
                                    "qweasdzxcrtyfghvbnuiojklm",
                                    "qwe123asd456zxc789",
                                    "123qweasdzxc",
                                    "a1b2c3d4e5f6g7h8i9j0",
                                    "1a2b3c4d5e6f7g8h9i0j",
                                    "aabbccddeeffgghhiijj",
                                    "11223344556677889900",
                                    "abc123def456ghi789",
                                    "zaq12wsxcde34rfv"};

static const char words[] =
    "abc abcd abcde abcdef access account admin administrator adobe alexander amanda andrea andrew angel anthony "
    "apple asdf asdfasdf asdfgh asdfghjkl ashley azerty bailey banana baseball basketball batman buster butterfly "
    "changeme charlie cheese chelsea chicken chocolate chris computer cookie cristina daniel default diamond "
    "donald dragon elephant flower football forever freedom friends fuckyou gfhjkm ginger google guest hannah "
    "happy harley hello hockey hottie hunter iloveu iloveyou internet jennifer jessica jesus jordan joshua justin "
    "killer king learn learner learnhub learning letmein liverpool login love lovely loveme loveyou maggie "
    "manager martin master matrix matthew merlin michael michelle monkey mustang mypassword naruto nicole ninja "
    "nothing orange pass passw passwd password passwort patrick pepper photoshop pokemon princess qazwsx qwaszx "
    "qwe qweasd qweqwe qwer qwert qwerty qwertyuiop qwertz robert root samantha samsung school secret shadow "
    "silver soccer spiderman startrek starwars student summer sunshine superman teacher temp test testing thomas "
    "tigger trustno tutor user username victoria welcome whatever william winter yellow zaq zxcvbn zxcvbnm";

#define COUNT(array) (int)(sizeof(array) / sizeof((array)[0]))

static int is_letter(char c)
{
    return c >= 'a' && c <= 'z';
}

static int is_repetition(const char *password, apr_size_t length)
{
    apr_size_t unit, i;

    for (unit = 1; unit <= UNIT_MAX; unit++) {
        for (i = unit; i < length && password[i] == password[i - unit]; i++) {
        }
        if (i == length) {
            return 1;
        }
    }
    return 0;
}

static int is_path(const char *password, apr_size_t length)
{
    char reversed[LH_PASSWORD_BYTES_MAX + 1];
    apr_size_t j;
    int i;

    for (j = 0; j < length; j++) {
        reversed[j] = password[length - 1 - j];
    }
    reversed[length] = '\0';
    for (i = 0; i < COUNT(paths); i++) {
        if (strstr(paths[i], password) || strstr(paths[i], reversed)) {
            return 1;
        }
    }
    return 0;
}

/* 1 when `c` is the letter, or a digit or sign that is often used instead of it. */
static int stands_for(char c, char letter)
{
    static const char signs[] = "a4@b8e3g9i1!l1|o0s5$t7z2";
    const char *s = strchr(signs, letter);

    if (c == letter || !s) {
        return c == letter;
    }
    for (s++; *s && !is_letter(*s); s++) {
        if (*s == c) {
            return 1;
        }
    }
    return 0;
}

static int begins_with(const char *text, const char *word, apr_size_t length)
{
    apr_size_t i;

    for (i = 0; i < length && stands_for(text[i], word[i]); i++) {
    }
    return i == length;
}

/* 1 when the password is one of `words` and at most EXTRAS_MAX other characters around it, none of them a letter. */
static int is_word(const char *password, apr_size_t length)
{
    apr_size_t start, size, end;
    const char *list, *word;

    for (start = 0; start <= EXTRAS_MAX && start < length && (!start || !is_letter(password[start - 1])); start++) {
        list = words;
        while ((word = lh_text_word(&list, &size))) {
            end = start + size;
            if (end > length || length - size > EXTRAS_MAX || !begins_with(password + start, word, size)) {
                continue;
            }
            while (end < length && !is_letter(password[end])) {
                end++;
            }
            if (end == length) {
                return 1;
            }
        }
    }
    return 0;
}

int lh_password_is_common(const char *password, const lh_password_list *list)
{
    char folded[LH_PASSWORD_BYTES_MAX + 1];
    const char *key = folded;
    apr_size_t length = strlen(password);

    if (length > LH_PASSWORD_BYTES_MAX) {
        return 0;
    }
    memcpy(folded, password, length + 1);
    lower(folded);
    return is_repetition(folded, length) || is_path(folded, length) || is_word(folded, length) ||
           (list && list->count &&
            bsearch(&key, list->sorted, (size_t)list->count, sizeof(const char *), compare) != NULL);
}
