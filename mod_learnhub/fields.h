/* SPDX-License-Identifier: Apache-2.0 */
/* One value that was sent, held against its field: the same rules for JSON, forms and queries. Knows APR only. */
#ifndef LH_FIELDS_H
#define LH_FIELDS_H

#include "learnhub.h"
#include "statement.h"

typedef enum {
    LH_SENT_NOTHING,
    LH_SENT_NULL,
    LH_SENT_TEXT,
    LH_SENT_INTEGER,
    LH_SENT_BOOLEAN,
    LH_SENT_TEXTS, /* an array of strings */
    LH_SENT_OBJECT,
    LH_SENT_FILE,
    LH_SENT_NUMBER, /* with a fraction or an exponent */
    LH_SENT_OTHER
} lh_sent_kind;

typedef struct lh_sent {
    lh_sent_kind kind;
    /* Of LH_SENT_TEXT: UTF-8 without zero bytes; of LH_SENT_TEXTS and LH_SENT_OBJECT: JSON, NULL for an object that is
     * not kept; of LH_SENT_FILE: `number` bytes; of LH_SENT_NUMBER: as JSON writes it. */
    const char *text;
    apr_int64_t number; /* of LH_SENT_INTEGER and LH_SENT_BOOLEAN; of LH_SENT_TEXTS the number of entries */
} lh_sent;

/*
 * Checks what was sent and sets *value, as text for PostgreSQL; data NULL when nothing was sent and the field has no
 * initial value. `untyped`: everything comes as text, as in a query. `now` is in microseconds since 1970.
 * Returns NULL, or a sentence that says what is allowed.
 */
const char *lh_field_check(apr_pool_t *p, const lh_field *field, const lh_sent *sent, int untyped, apr_int64_t now,
                           lh_value *value);

#endif
