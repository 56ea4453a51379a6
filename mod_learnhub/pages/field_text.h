/* SPDX-License-Identifier: Apache-2.0 */
/* Fields in words: what a client may send, and what a response contains. Depends on APR only. */
#ifndef LH_FIELD_TEXT_H
#define LH_FIELD_TEXT_H

#include "learnhub.h"

/* The type and the limits of a field of a request, such as "string, required, 1 to 150 characters". */
const char *lh_field_text_input(apr_pool_t *p, const lh_field *field);

/* The type of a key of a response, such as "integer or null". */
const char *lh_field_text_output(apr_pool_t *p, const lh_field *field);

#endif
