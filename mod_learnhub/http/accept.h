/* SPDX-License-Identifier: Apache-2.0 */
/* The Accept header (RFC 9110). Depends on APR only. */
#ifndef LH_ACCEPT_H
#define LH_ACCEPT_H

/*
 * The quality, 0 to 1000, that an Accept header gives to a media type such as "text/html": that of the most specific
 * range that contains it, 0 if there is none, 1000 without the header (NULL). Malformed ranges are ignored; other
 * parameters than q are not compared.
 */
int lh_accept_quality(const char *accept, const char *type);

#endif
