/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands mails over to one mail server, by libcurl. Knows APR only.
 *
 * The certificate of a server that speaks TLS is always verified. STARTTLS is used where it is offered; a password
 * goes over TLS only, but for a server on this machine.
 */
#ifndef LH_SMTP_H
#define LH_SMTP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "core/secret.h"

typedef enum {
    LH_SMTP_SENT,
    LH_SMTP_REFUSED, /* this mail, for good: 5xx to RCPT or DATA */
    LH_SMTP_LATER,   /* this mail, for now: 4xx to RCPT or DATA */
    LH_SMTP_DOWN,    /* no mail gets through: no connection, no TLS, no login, a time limit; it was not sent */
    LH_SMTP_UNKNOWN, /* all was handed over and no answer came */
    LH_SMTP_STOPPED  /* lh_smtp_stop said so; it was not sent */
} lh_smtp_outcome;

/* Asked while a mail is being sent: 1 ends it, unless all was handed over. */
typedef int lh_smtp_stop(void);

typedef struct lh_smtp lh_smtp;

/* In post_config, once: libcurl's global state, which ends with the pool. */
apr_status_t lh_smtp_prepare(apr_pool_t *pconf);

/* A conversation that one thread uses for some mails; it ends with the pool. `login` may be NULL. NULL: no memory. */
lh_smtp *lh_smtp_open(apr_pool_t *p, const char *url, const lh_credentials *login, lh_smtp_stop *stop);

typedef struct lh_envelope {
    const char *from, *to; /* addresses that passed lh_mail_address() */
    const char *message;
    apr_size_t length;
    apr_interval_time_t limit; /* for all of it */
} lh_envelope;

/* *why (in the pool) is one line without a secret, when it was not sent. */
lh_smtp_outcome lh_smtp_send(lh_smtp *smtp, const lh_envelope *envelope, const char **why);

#endif
