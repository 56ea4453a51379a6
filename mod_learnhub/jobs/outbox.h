/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends the mails of the table outbox (conf/schema/0002_outbox.sql).
 *
 * - A mail is claimed by one statement and is ours for a minute, while no lock is held. A process that ends meanwhile
 *   loses it: others try it again, but for a mail that may go out at most once, which counts as failed.
 * - What is refused for good has failed; anything else is tried again after 1, 4, 16 ... seconds, at most 6 hours,
 *   until LearnHubMailTries. A mail that failed stays, with the reason, and has one line in the log.
 * - When the mail server cannot be used at all, that costs one mail a try, and the others wait.
 */
#ifndef LH_OUTBOX_H
#define LH_OUTBOX_H

#include <apr_pools.h>

#include "db/statement.h"

typedef struct lh_server lh_server;

/* Registers the statements. Returns 1, or 0 and *why. */
int lh_outbox_compile(lh_statements *registry, const char **why);

/* The job: sends what is due, as long as it takes some seconds. Without LearnHubSMTP mails wait. */
void lh_outbox_send(const lh_server *server, apr_pool_t *p);

#endif
