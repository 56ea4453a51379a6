/* SPDX-License-Identifier: Apache-2.0 */
/* application/x-www-form-urlencoded, name=value&...: the format of queries and forms. Depends on APR only. */
#ifndef LH_FORM_H
#define LH_FORM_H

#include <apr_tables.h>

#include "http/fields.h"

#define LH_FORM_PAIRS 1000 /* in one text, at most */

/* Sets *pairs to the decoded pairs. Returns NULL, or the predicate of a sentence when a percent-escape is invalid, a
 * name or value is not UTF-8 (see lh_utf8_valid), or there are more than LH_FORM_PAIRS pairs that are not empty. */
const char *lh_form_parse(apr_pool_t *p, const char *text, apr_array_header_t **pairs);

/* The value of the last pair with this name; an empty value counts as absent. */
lh_input lh_form_input(const apr_array_header_t *pairs, const char *name);

#endif
