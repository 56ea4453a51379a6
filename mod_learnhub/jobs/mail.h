/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Composes mail messages: RFC 5322 headers and one text/plain part in UTF-8. Depends on APR only.
 *
 * - Names and subjects outside ASCII become encoded words (RFC 2047). Line breaks and other control characters in them
 *   become spaces, so that a name cannot add a header.
 * - The body is encoded as quoted-printable (RFC 2045), so it can contain any text, and no line begins with a dot.
 */
#ifndef LH_MAIL_H
#define LH_MAIL_H

#include <apr_pools.h>
#include <apr_time.h>

/* All strings are UTF-8. */
typedef struct lh_mail {
    apr_int64_t id;
    apr_time_t created;
    const char *from;    /* an address */
    const char *to;      /* an address */
    const char *to_name; /* "": none */
    const char *subject;
    const char *body; /* lines ended by LF, CR LF or CR */
} lh_mail;

/* 1 if the address can be used in headers and SMTP commands: it is not empty and has no space, control character or
 * angle bracket. */
int lh_mail_address(const char *address);

/* Composes the message, allocated from `p`, and sets *length to its bytes. Both addresses must satisfy
 * lh_mail_address(). All copies of a mail have the same Message-ID. */
const char *lh_mail_compose(apr_pool_t *p, const lh_mail *mail, apr_size_t *length);

#endif
