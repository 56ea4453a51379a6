/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cancel requests. Without one, a backend can work on although its connection was shut down: one that waits for a
 * synchronous standby notices neither statement_timeout nor the end of its connection, and occupies one of PostgreSQL's
 * connections until the standby is back.
 *
 * libpq sends a cancel request on a connection of its own, which blocks for as long as a hanging server likes.
 * Therefore each request has a thread, and the caller waits for it for a limited time only.
 */
#ifndef LH_CANCEL_H
#define LH_CANCEL_H

struct pg_cancel;

/* Sends a cancel request and frees it. Returns when the server has received it, or after a quarter of a second. Sends
 * nothing while eight requests wait for hanging servers. For connector threads only. */
void lh_cancel_send(struct pg_cancel *cancel);

#endif
