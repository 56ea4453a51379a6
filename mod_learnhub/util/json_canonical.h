/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON texts that are stored as they were sent. jansson is not used for them, because it converts numbers to 64-bit
 * integers and doubles: it would round or reject long numbers and rewrite others. Depends on APR only.
 */
#ifndef LH_JSON_CANONICAL_H
#define LH_JSON_CANONICAL_H

#include <apr_pools.h>

#include "util/json_scan.h"

/* The maximum depth of nesting. */
#define LH_CANONICAL_DEPTH 200

/*
 * Finds the member `name` of the object in `text` without validating it. Returns the raw value, which is a part of
 * `text`, or NULL. If the value is valid JSON, and so is `text` with {} in its place, then `text` is valid JSON.
 */
const char *lh_canonical_member(const char *text, apr_size_t length, const char *name, apr_size_t *value_length);

/*
 * Validates `text` and sets *form to its canonical form (NULL: only validates): compact, members sorted by the bytes of
 * their names, strings with the shortest escapes, numbers as they were sent. The form is a part of `text` if that is
 * canonical already. Duplicate names are errors, and so are more than 250,000 members of an object or of objects that
 * contain each other. Returns NULL, or a clause for the client that states the error. Allocates from `p` at most three
 * times the size of the text and 64 bytes for each of these members.
 */
const char *lh_canonical_form(apr_pool_t *p, const char *text, apr_size_t length, lh_slice *form);

#endif
