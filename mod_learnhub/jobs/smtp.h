/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends mails to one mail server, with libcurl. Depends on APR and libcurl.
 *
 * STARTTLS is used if the server offers it. The certificate of a server with TLS is always verified. To a server on
 * another machine a password is sent over TLS only, and if TLS is required, everything else too.
 */
#ifndef LH_SMTP_H
#define LH_SMTP_H

#include <apr_pools.h>
#include <apr_time.h>

#include "core/secret.h"

typedef enum {
    LH_SMTP_SENT,
    LH_SMTP_REJECTED, /* this mail was rejected permanently: 5xx to RCPT or DATA */
    LH_SMTP_LATER,    /* this mail was rejected temporarily: 4xx to RCPT or DATA */
    LH_SMTP_DOWN,     /* not sent: connection, TLS or login failed, reply 421, or timeout */
    LH_SMTP_UNKNOWN,  /* the whole message was sent, but no reply arrived */
    LH_SMTP_STOPPED   /* not sent, because lh_smtp_stop returned 1 */
} lh_smtp_outcome;

/* Called repeatedly while a mail is being sent: 1 aborts it, unless the whole message has been sent. */
typedef int lh_smtp_stop(void);

typedef struct lh_smtp lh_smtp;

/* Initialises libcurl until `pconf` is destroyed. Called in post_config. */
apr_status_t lh_smtp_prepare(apr_pool_t *pconf);

/* Creates a client for one thread, without connecting. It keeps its connection between mails, until `p` is destroyed.
 * `login` may be NULL. `tls`: 1 if a server on another machine must offer TLS. Returns NULL if libcurl is out of
 * memory. */
lh_smtp *lh_smtp_open(apr_pool_t *p, const char *url, const lh_credentials *login, int tls, lh_smtp_stop *stop);

typedef struct lh_envelope {
    const char *from, *to; /* addresses that satisfy lh_mail_address() */
    const char *message;
    apr_size_t length;         /* of the message, in bytes */
    apr_interval_time_t limit; /* microseconds from connecting to the last reply */
} lh_envelope;

/* Why a mail was not sent: two texts of one line without secrets, valid as long as the client. */
typedef struct lh_smtp_cause {
    const char *reply;   /* the server's reply, which may contain addresses, or the summary */
    const char *summary; /* without addresses: the reply's code, or what failed */
} lh_smtp_cause;

/* Sends a mail; sets *why if it is not sent. */
lh_smtp_outcome lh_smtp_send(lh_smtp *smtp, const lh_envelope *envelope, lh_smtp_cause *why);

#endif
