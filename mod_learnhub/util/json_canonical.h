/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON texts that are stored as they were sent. jansson is not used for them, because it converts numbers to 64-bit
 * integers and doubles: it would round or reject long numbers and rewrite others. Depends on APR only.
 */
#ifndef LH_JSON_CANONICAL_H
#define LH_JSON_CANONICAL_H

#include "util/json.h"

/* The maximum depth of nesting. */
#define LH_CANONICAL_DEPTH 200

/*
 * Finds the member `name` of the object in `text` without validating it. Returns the raw value, which is a part of
 * `text`, or NULL. `text` is valid JSON if the value is, and `text` with another value in its place is.
 */
const char *lh_canonical_member(const char *text, apr_size_t length, const char *name, apr_size_t *value_length);

/*
 * Validates `text` and writes its canonical form to `out` (NULL: only validates): compact, members sorted by the bytes
 * of their names, strings with the shortest escapes, numbers as they were sent. Duplicate names are errors. Returns
 * NULL, or what is wrong: a clause for the client. Allocates from `p`.
 */
const char *lh_canonical_write(apr_pool_t *p, const char *text, apr_size_t length, lh_json *out);

#endif
