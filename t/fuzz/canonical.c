/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that is stored as it was sent. It is valid if and only if jansson accepts it; its canonical form is the same
 * document, not longer, and its own canonical form.
 */
#include "util/json_canonical.h"

#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "util/json_scan.h"

/* jansson rejects numbers that a double cannot hold: *unknown is 1. */
static json_t *parse(const char *data, apr_size_t size, int *unknown)
{
    json_error_t error;
    json_t *root = NULL;

    *unknown = 0;
    if (memchr(data, '\0', size)) {
        return NULL; /* jansson ignores a zero byte and what follows */
    }
    root = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (!root && json_error_code(&error) == json_error_numeric_overflow) {
        root = json_loadb(data, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    }
    *unknown = !root && json_error_code(&error) == json_error_numeric_overflow;
    return root;
}

static void check_form(apr_pool_t *p, lh_slice form, apr_size_t size, const json_t *root)
{
    char *copy = malloc(form.length ? form.length : 1); /* without a zero byte at its end */
    lh_slice again;
    json_t *same;
    int unknown;

    memcpy(copy, form.data, form.length);
    REQUIRE(form.length <= size);
    REQUIRE(!lh_canonical_form(p, copy, form.length, &again));
    REQUIRE(again.length == form.length && !memcmp(again.data, form.data, form.length));
    same = parse(copy, form.length, &unknown);
    REQUIRE(!root == !same && (!root || json_equal(root, same)));
    json_decref(same);
    free(copy);
}

/* A member is a part of the text, and is valid if the text is. */
static void check_member(apr_pool_t *p, const char *text, apr_size_t size, int valid)
{
    apr_size_t length = 0;
    const char *value = lh_canonical_member(text, size, "d", &length);

    REQUIRE(!value || (value >= text && value + length <= text + size));
    REQUIRE(!value || !valid || !lh_canonical_form(p, value, length, NULL));
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *text = malloc(size ? size : 1); /* without a zero byte at its end */
    int unknown, depth;
    json_t *root = parse(data, size, &unknown);
    const char *why;
    lh_slice form;

    memcpy(text, data, size);
    why = lh_canonical_form(p, text, size, &form);
    REQUIRE(!why == !lh_canonical_form(p, text, size, NULL));
    if (!unknown) {
        lh_scan_count(text, size, &depth);
        REQUIRE(!why == !!root || (root && depth > LH_CANONICAL_DEPTH));
    }
    if (!why) {
        check_form(p, form, size, root);
    }
    check_member(p, text, size, !why);
    json_decref(root);
    free(text);
}
