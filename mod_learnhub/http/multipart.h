/* SPDX-License-Identifier: Apache-2.0 */
/*
 * multipart/form-data (RFC 7578, RFC 2046) as browsers and HTTP libraries send it, read strictly: what two readers
 * could understand in two ways is refused. Knows APR only.
 *
 * - The body begins with its boundary and ends with its last one; lines end with CRLF, headers are not folded.
 * - Every part has a name of its own; names and texts are UTF-8 without zero bytes. A part with a filename is a file,
 *   whatever is in it, another one is a text.
 * - Headers but Content-Disposition and Content-Type mean nothing; an encoding of the content is refused.
 */
#ifndef LH_MULTIPART_H
#define LH_MULTIPART_H

#include <apr_pools.h>
#include <apr_tables.h>

#define LH_MULTIPART_PARTS 64     /* of one body, at most */
#define LH_MULTIPART_HEADERS 4096 /* bytes of one part's headers, at most */

typedef struct lh_part {
    const char *name;
    const char *filename; /* as it was sent, for nothing but display; NULL: a text */
    const char *type;     /* what Content-Type says, "text/plain" when there is none */
    const char *data;     /* lies in the body: not copied, not ended by a zero byte */
    apr_size_t length;
} lh_part;

/*
 * The parts of `body`, an array of lh_part, in their order; `content_type` is the header's value. Returns NULL, or a
 * sentence that says what is wrong and names the part by its number.
 */
const char *lh_multipart_parse(apr_pool_t *p, const char *content_type, const char *body, apr_size_t length,
                               apr_array_header_t **parts);

#endif
