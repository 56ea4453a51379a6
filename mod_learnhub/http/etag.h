/* SPDX-License-Identifier: Apache-2.0 */
/* Entity tags of responses (RFC 9110). Depends on APR and OpenSSL only. */
#ifndef LH_ETAG_H
#define LH_ETAG_H

#include <apr_pools.h>

#include "crypto/mac.h"

/* A strong entity tag with its quotes: 128 bits in hex that depend on the body and the key. `gmac` is from
 * lh_mac_gmac(). NULL when OpenSSL fails. */
const char *lh_etag(apr_pool_t *p, lh_mac *gmac, const char *body, apr_size_t length);

/*
 * Compares a strong tag with the list in an If-Match or If-None-Match header. Returns the tag that matches as the
 * client knows it, or NULL. With `weak`, W/ in the list is ignored; otherwise weak tags do not match. `*` matches, also
 * if `etag` is NULL.
 * Everything after a malformed entry of the list is ignored. mod_deflate and mod_brotli append -gzip and -br to the tag
 * of a compressed response; a tag with one of them matches too and is returned with it.
 */
const char *lh_etag_match(apr_pool_t *p, const char *header, const char *etag, int weak);

#endif
