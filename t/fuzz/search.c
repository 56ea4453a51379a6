/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The expression of a search, before PostgreSQL gets it: its field, the response's copy, and whether an index helps.
 * The route's file is included for its static functions; what it calls besides is not linked.
 */
#include "api/practice_problems.c"

#include <jansson.h>

#include "fields.h"
#include "util/json.h"

/* 1 when the text has at most two characters, or three letters or digits in a row and nothing special. */
static int expected(const char *text)
{
    apr_size_t i, characters = lh_utf8_length(text), run = 0, longest = 0;

    for (i = 0; text[i]; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x80 && c < 0xC0) {
            continue;
        }
        run = c >= 0x80 || (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return characters < 3 || (longest >= 3 && text[strcspn(text, "\\^$.|?*+()[]{}")] == '\0');
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    const char *text = lh_text_decode(p, data, strlen(data)), *q;
    lh_input input = {LH_INPUT_STRING, text, 0};

    (void)size;
    if (!text || !*text) {
        return;
    }
    q = require_field(p, &search_fields[0], &input, 1);
    if (q) {
        REQUIRE(!strcmp(q, text) && lh_utf8_length(q) <= 1000);
        REQUIRE(uses_index(q) == expected(q));
    }
}
