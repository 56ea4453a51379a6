/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mail as it goes over the wire: RFC 5322 headers, one text/plain part in UTF-8. Knows APR only.
 *
 * - Names and subjects beyond ASCII become encoded words (RFC 2047). A line break or another control character in them
 *   becomes a space: nobody adds a header through a name.
 * - The body is quoted-printable (RFC 2045), which carries any text and keeps dots away from the start of lines.
 */
#ifndef LH_MAIL_H
#define LH_MAIL_H

#include <apr_pools.h>
#include <apr_time.h>

/* All texts are UTF-8. */
typedef struct lh_mail {
    apr_int64_t id;
    apr_time_t created;
    const char *from;    /* an address */
    const char *to;      /* an address */
    const char *to_name; /* "" when there is none */
    const char *subject;
    const char *body; /* lines ended by LF, CR LF or CR */
} lh_mail;

/* 1 when it can stand in a header and in SMTP's commands: no white space, control character or angle bracket. */
int lh_mail_address(const char *address);

/* The message; *length gets its bytes. Both addresses have passed lh_mail_address(). */
const char *lh_mail_compose(apr_pool_t *p, const lh_mail *mail, apr_size_t *length);

#endif
