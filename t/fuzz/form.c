/* SPDX-License-Identifier: Apache-2.0 */
/* A form or query and its fields: pairs that are encoded again are read as the same pairs. */
#include "http/form.h"

#include <apr_escape.h>

#include "fields.h"
#include "http/form.h"

typedef struct pair {
    const char *name, *value;
} pair;

/* Encodes every byte. */
static const char *encode(apr_pool_t *p, const char *text)
{
    char *out = apr_palloc(p, 3 * strlen(text) + 1), *to = out;

    for (; *text; text++, to += 3) {
        apr_snprintf(to, 4, "%%%02x", (unsigned char)*text);
    }
    *to = '\0';
    return out;
}

static void check_again(apr_pool_t *p, const apr_array_header_t *pairs)
{
    const char *text = "";
    apr_array_header_t *again;
    int i;

    for (i = 0; i < pairs->nelts && i < 20; i++) {
        const pair *one = &APR_ARRAY_IDX(pairs, i, pair);
        text = apr_pstrcat(p, text, i ? "&" : "", encode(p, one->name), "=", encode(p, one->value), NULL);
    }
    REQUIRE(!lh_form_parse(p, text, &again) && again->nelts == i);
    for (i = 0; i < again->nelts; i++) {
        const pair *a = &APR_ARRAY_IDX(pairs, i, pair), *b = &APR_ARRAY_IDX(again, i, pair);
        REQUIRE(!strcmp(a->name, b->name) && !strcmp(a->value, b->value));
    }
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *text = strdup(data); /* ends at the first zero byte */
    apr_array_header_t *pairs;
    int i;

    (void)size;
    if (!lh_form_parse(p, text, &pairs)) {
        REQUIRE(pairs->nelts <= LH_FORM_PAIRS);
        for (i = 0; i < pairs->nelts; i++) {
            const pair *one = &APR_ARRAY_IDX(pairs, i, pair);
            REQUIRE(lh_utf8_valid(one->name, strlen(one->name)) && lh_utf8_valid(one->value, strlen(one->value)));
            REQUIRE(strlen(one->name) + strlen(one->value) <= strlen(text));
        }
        check_again(p, pairs);
        for (i = 0; i < FIELDS; i++) {
            lh_input input = lh_form_input(pairs, fields[i].name);
            require_field(p, &fields[i], &input, 1);
        }
    }
    free(text);
}
