/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that is kept as it was sent: jansson would round its numbers. Finds a member's bytes, holds them against RFC
 * 8259, and writes the one form that all spellings of the same document share. Knows APR only.
 */
#ifndef LH_JSON_CANONICAL_H
#define LH_JSON_CANONICAL_H

#include "util/json.h"

/* Documents nested deeper are refused. */
#define LH_CANONICAL_DEPTH 200

/*
 * The bytes of the value of the member `name` of the object in `text`, or NULL. Nothing is checked: when the text with
 * these bytes replaced by another value is JSON, and the bytes are JSON, then the text is.
 */
const char *lh_canonical_member(const char *text, apr_size_t length, const char *name, apr_size_t *found);

/*
 * Writes `text` to `out` (NULL: only checks it): compact, keys sorted by their bytes, strings with the shortest
 * escapes, numbers as they are. Returns NULL or what is wrong as a sentence without its full stop; memory is `p`'s.
 */
const char *lh_canonical_write(apr_pool_t *p, const char *text, apr_size_t length, lh_json *out);

#endif
