/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fuzz target for libFuzzer: the first line of the input is a Content-Type, the rest a body. Invariants: parts lie
 * within the body and the limits, and parts that are written to a new body parse to the same parts. The README of
 * mod_learnhub/ has the command. t/unit/multipart.c runs the corpus and mutations of it with the other tests.
 */
#include "http/multipart.h"

#include <apr_general.h>
#include <apr_strings.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

#define REQUIRE(condition)                                                                                             \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* `text` as a quoted string, the inverse of read_value() in multipart.c. */
static const char *quoted(apr_pool_t *p, const char *text)
{
    char *out = apr_palloc(p, 2 * strlen(text) + 3), *to = out;

    *to++ = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\') {
            *to++ = '\\';
        }
        *to++ = *text;
    }
    memcpy(to, "\"", 2);
    return out;
}

static void append(char *body, apr_size_t *length, const char *bytes, apr_size_t count)
{
    memcpy(body + *length, bytes, count);
    *length += count;
}

/* Writes a body with the boundary "again"; 0 when a part contains it, or when quoting makes headers too long. */
static int write_again(apr_pool_t *p, const apr_array_header_t *parts, char *body, apr_size_t *length)
{
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const lh_part *part = &APR_ARRAY_IDX(parts, i, lh_part);
        const char *head = apr_pstrcat(p, "--again\r\nContent-Disposition: form-data; name=", quoted(p, part->name),
                                       part->filename ? "; filename=" : "",
                                       part->filename ? quoted(p, part->filename) : "", "\r\n\r\n", NULL);

        if (memmem(part->data, part->length, "--again", 7) || strlen(head) > LH_MULTIPART_HEADERS) {
            return 0;
        }
        append(body, length, head, strlen(head));
        append(body, length, part->data, part->length);
        append(body, length, "\r\n", 2);
    }
    append(body, length, "--again--\r\n", 11);
    return 1;
}

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

static void check_again(apr_pool_t *p, const apr_array_header_t *parts, apr_size_t size)
{
    char *body = apr_palloc(p, 2 * size + 256 * ((apr_size_t)parts->nelts + 1));
    apr_array_header_t *again;
    apr_size_t length = 0;
    int i;

    if (!write_again(p, parts, body, &length)) {
        return;
    }
    REQUIRE(!lh_multipart_parse(p, "multipart/form-data; boundary=again", body, length, &again));
    REQUIRE(again->nelts == parts->nelts);
    for (i = 0; i < parts->nelts; i++) {
        const lh_part *a = &APR_ARRAY_IDX(parts, i, lh_part), *b = &APR_ARRAY_IDX(again, i, lh_part);
        REQUIRE(same_text(a->name, b->name) && same_text(a->filename, b->filename));
        REQUIRE(a->length == b->length && !memcmp(a->data, b->data, a->length));
    }
}

static void check_parts(apr_pool_t *p, const char *type, const char *body, apr_size_t length)
{
    apr_array_header_t *parts;
    const char *why = lh_multipart_parse(p, type, body, length, &parts);
    int i;

    REQUIRE(parts->nelts <= LH_MULTIPART_PARTS);
    for (i = 0; i < parts->nelts; i++) {
        const lh_part *part = &APR_ARRAY_IDX(parts, i, lh_part);
        REQUIRE(part->data >= body && part->data + part->length <= body + length);
        REQUIRE(*part->name && lh_utf8_valid(part->name, strlen(part->name)));
        REQUIRE(part->filename || lh_utf8_valid(part->data, part->length));
    }
    if (!why) {
        check_again(p, parts, length);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static apr_pool_t *root;
    const char *text = (const char *)data, *line = size ? memchr(text, '\n', size) : NULL;
    apr_size_t head = line ? (apr_size_t)(line - text) : 0;
    apr_pool_t *pool;
    char *body;

    if (!line) {
        return 0;
    }
    if (!root) {
        apr_initialize();
        apr_pool_create(&root, NULL);
    }
    apr_pool_create(&pool, root);
    body = malloc(size - head); /* an exact block, so that AddressSanitizer detects reads past its end */
    memcpy(body, line + 1, size - head - 1);
    check_parts(pool, apr_pstrmemdup(pool, text, head), body, size - head - 1);
    free(body);
    apr_pool_destroy(pool);
    return 0;
}
