/* SPDX-License-Identifier: Apache-2.0 */
/* One value that was sent, held against its field: the same rules for JSON, forms and queries. Knows APR only. */
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
    LH_INPUT_NUMBER, /* with a fraction or an exponent */
    LH_INPUT_OTHER
} lh_input_kind;

typedef struct lh_input {
    lh_input_kind kind;
    /* Of LH_INPUT_STRING: UTF-8 without zero bytes; of LH_INPUT_STRINGS and LH_INPUT_OBJECT: JSON, NULL for an object that is
     * not kept; of LH_INPUT_FILE: `number` bytes; of LH_INPUT_NUMBER: as JSON writes it. */
    const char *text;
    apr_int64_t number; /* of LH_INPUT_INTEGER and LH_INPUT_BOOLEAN; of LH_INPUT_STRINGS the number of entries */
} lh_input;

/*
 * Checks what was sent and sets *value, as text for PostgreSQL; data NULL when nothing was sent and the field has no
 * initial value. `untyped`: everything comes as text, as in a query. `now` is in microseconds since 1970.
 * Returns NULL, or a sentence that says what is allowed.
 */
const char *lh_field_check(apr_pool_t *p, const lh_field *field, const lh_input *sent, int untyped, apr_int64_t now,
                           const char **value);

#endif
