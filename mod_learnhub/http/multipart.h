/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses multipart/form-data (RFC 7578, RFC 2046) as browsers and HTTP libraries send it. Input that parsers could
 * interpret differently is rejected. Depends on APR only.
 *
 * - The body begins with the first boundary and ends with the last one; lines end with CRLF; headers are not folded.
 * - Each part has a unique name. A part with a filename is a file, any other is a text field. Names and text fields are
 *   UTF-8 without zero bytes.
 * - A Content-Transfer-Encoding other than 7bit, 8bit or binary is rejected. Headers other than this one,
 *   Content-Disposition and Content-Type are ignored.
 */
#ifndef LH_MULTIPART_H
#define LH_MULTIPART_H

#include <apr_pools.h>
#include <apr_tables.h>

#define LH_MULTIPART_PARTS 64     /* parts of a body, at most */
#define LH_MULTIPART_HEADERS 4096 /* bytes of a part's headers with the empty line, at most */

typedef struct lh_part {
    const char *name;
    const char *filename; /* as it was sent; never use it as a path; NULL: a text field */
    const char *data;     /* points into the body; no zero byte follows */
    apr_size_t length;
} lh_part;

/*
 * Sets *parts to the parts of `body` in their order, an array of lh_part; `content_type` is the request's Content-Type.
 * Returns NULL, or a sentence for the client that states the error and the number of the part; *parts then contains the
 * parts before it.
 */
const char *lh_multipart_parse(apr_pool_t *p, const char *content_type, const char *body, apr_size_t length,
                               apr_array_header_t **parts);

#endif
