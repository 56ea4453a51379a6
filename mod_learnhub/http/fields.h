/* SPDX-License-Identifier: Apache-2.0 */
/* Validates one input value against its field, by the same rules for JSON, forms and queries. Depends on APR only. */
#ifndef LH_FIELDS_H
#define LH_FIELDS_H

#include "learnhub.h"

typedef enum {
    LH_INPUT_ABSENT,
    LH_INPUT_NULL,
    LH_INPUT_STRING,
    LH_INPUT_INTEGER,
    LH_INPUT_BOOLEAN,
    LH_INPUT_STRINGS, /* an array of strings */
    LH_INPUT_OBJECT,
    LH_INPUT_FILE,
    LH_INPUT_NUMBER,   /* with a fraction or an exponent */
    LH_INPUT_CONFLICT, /* the field and its alias have different values */
    LH_INPUT_OTHER     /* any other array */
} lh_input_kind;

typedef struct lh_input {
    lh_input_kind kind;
    /* LH_INPUT_STRING: UTF-8 without zero bytes. LH_INPUT_STRINGS: JSON. LH_INPUT_OBJECT: JSON as it was sent, or NULL
     * when its text is not available. LH_INPUT_FILE: `number` bytes. LH_INPUT_NUMBER: as in JSON. */
    const char *text;
    apr_int64_t number; /* of an integer or boolean; of LH_INPUT_STRINGS the entries, of LH_INPUT_FILE the bytes */
} lh_input;

/*
 * Validates `input` and sets *value to it as text for PostgreSQL; to NULL on failure, except for a time that is not in
 * the future or not in the past as its field requires, and when it is absent and the field has no default value.
 * `untyped`: the input comes from a query or form, which have only strings, so numbers and booleans may be strings.
 * `now` is in microseconds since 1970. Returns NULL, or a sentence for the client that states what is allowed.
 */
const char *lh_field_check(apr_pool_t *p, const lh_field *field, const lh_input *input, int untyped, apr_int64_t now,
                           const char **value);

#endif
