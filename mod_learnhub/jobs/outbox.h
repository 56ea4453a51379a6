/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the mails of the table outbox (conf/schema/0002_outbox.sql).
 *
 * - A process claims a mail with one statement and leases it for a minute; it holds no lock while it sends. If the
 *   process dies, another one retries the mail when the lease expires.
 * - A mail fails if the mail server rejects it permanently, or if it may be sent at most once and the outcome of an
 *   attempt is unknown. Otherwise it is retried after 1, 4, 16 ... seconds (at most 6 hours; 1 minute for a mail that
 *   expires), until LearnHubMailTries. A failed mail is kept with its error, and logged.
 * - If the mail server is unavailable, each run of the job tries only one mail.
 * - With LearnHubVerifyEmail, mails to unconfirmed addresses expire instead of being sent, except the confirmations.
 * - The log has the code of the mail server's reply; its text, which may contain an address, is only in the outbox.
 */
#ifndef LH_OUTBOX_H
#define LH_OUTBOX_H

#include <apr_pools.h>

#include "db/statement.h"

typedef struct lh_server lh_server;

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_outbox_compile(lh_statements *registry, const char **why);

/* The job: sends mails that are due, for a few seconds. Does nothing without LearnHubSMTP. */
void lh_outbox_send(const lh_server *server, apr_pool_t *p);

/* The job: deletes mails that were sent, have failed or have expired and are older than LearnHubKeepMails. */
void lh_outbox_prune(const lh_server *server, apr_pool_t *p);

#endif
