/* SPDX-License-Identifier: Apache-2.0 */
#include "http/form.h"

#include <apr_general.h>
#include <string.h>

#include "util/text.h"

typedef struct pair {
    const char *name, *value;
} pair;

/* The pair in `length` bytes; returns 0 if it is invalid. */
static int decode(apr_pool_t *p, const char *text, apr_size_t length, pair *to)
{
    apr_size_t name = strcspn(text, "=&");
    const char *value = text + name + (text[name] == '=');

    to->name = lh_text_decode(p, text, name);
    to->value = lh_text_decode(p, value, (apr_size_t)(text + length - value));
    return to->name && to->value;
}

const char *lh_form_parse(apr_pool_t *p, const char *text, apr_array_header_t **parsed)
{
    apr_array_header_t *pairs = apr_array_make(p, 8, sizeof(pair));

    for (text += strspn(text, "&"); *text; text += strspn(text, "&")) {
        apr_size_t length = strcspn(text, "&");

        if (pairs->nelts == LH_FORM_PAIRS) {
            return "has more than " APR_STRINGIFY(LH_FORM_PAIRS) " values.";
        }
        if (!decode(p, text, length, apr_array_push(pairs))) {
            return "has an invalid percent-escape or is not UTF-8.";
        }
        text += length;
    }
    *parsed = pairs;
    return NULL;
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
