/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first line of the input is a Content-Type, the rest a body. Parts lie within the body and the limits, and parts
 * that are written to a new body parse to the same parts. t/unit/multipart.c runs the corpus as well.
 */
#include "http/multipart.h"

#include <apr_strings.h>
#include <string.h>

#include "fuzz.h"
#include "util/text.h"

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

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *line = memchr(data, '\n', size), *body;
    apr_size_t length;

    if (!line) {
        return;
    }
    length = size - (apr_size_t)(line + 1 - data);
    body = malloc(length ? length : 1); /* without a zero byte at its end */
    memcpy(body, line + 1, length);
    check_parts(p, apr_pstrmemdup(p, data, (apr_size_t)(line - data)), body, length);
    free(body);
}
