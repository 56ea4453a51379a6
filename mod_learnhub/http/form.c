/* SPDX-License-Identifier: Apache-2.0 */
#include "http/form.h"

#include <string.h>

#include "util/text.h"

typedef struct pair {
    const char *name, *value;
} pair;

apr_array_header_t *lh_form_parse(apr_pool_t *p, const char *text)
{
    apr_array_header_t *pairs = apr_array_make(p, 8, sizeof(pair));

    for (; *text; text += *text == '&') {
        apr_size_t length = strcspn(text, "&"), name = strcspn(text, "=&");
        const char *value = text + name + (text[name] == '=');
        pair *next = apr_array_push(pairs);

        next->name = lh_text_decode(p, text, name);
        next->value = lh_text_decode(p, value, (apr_size_t)(text + length - value));
        if (!next->name || !next->value) {
            return NULL;
        }
        text += length;
    }
    return pairs;
}

lh_input lh_form_input(const apr_array_header_t *pairs, const char *name)
{
    lh_input input = {LH_INPUT_ABSENT, NULL, 0};
    int i;

    for (i = pairs->nelts - 1; i >= 0; i--) {
        const pair *one = &APR_ARRAY_IDX(pairs, i, pair);
        if (!strcmp(one->name, name)) {
            if (*one->value) {
                input.kind = LH_INPUT_STRING;
                input.text = one->value;
            }
            break;
        }
    }
    return input;
}
