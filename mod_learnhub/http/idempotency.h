/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idempotency-Key of LH_IDEMPOTENT routes: the response of the first request with a key is stored in the transaction of
 * its change, and a repeated request gets it and changes nothing.
 *
 * - A key belongs to a route and a user; without authentication, to a route and the network of the client.
 * - A repeated request is one whose path, query and body have the same values after validation. They are compared by an
 *   HMAC, because the body of a sign-up contains a password. Responses, which can contain tokens, are encrypted. The
 *   keys for both are derived from those of LearnHubJWTSecret, so that all nodes have them.
 * - The run of such a request has a guard, which locks the key and looks for a stored response, and a closing statement
 *   that stores the response. Therefore it can be retried although its outcome is unknown.
 * - Requests whose route has steps before its statements also claim the key before these (http/claim.h).
 * - Errors are not stored: the client may repeat the request with the same key.
 */
#ifndef LH_IDEMPOTENCY_H
#define LH_IDEMPOTENCY_H

#include "db/sql_run.h"
#include "db/statement.h"
#include "http/call.h"

/* The slots of the values of statements. */
enum {
    LH_KEY_ID,
    LH_KEY_USER,
    LH_KEY_ROUTE,
    LH_KEY_DIGEST,
    LH_KEY_STATUS,
    LH_KEY_TYPE,
    LH_KEY_TOO_LONG,
    LH_KEY_BODY,
    LH_KEY_TTL,   /* seconds */
    LH_KEY_OWNER, /* of the claim */
    LH_KEY_CLAIM, /* its seconds */
    LH_KEY_SLOTS
};

typedef enum {
    LH_KEY_FREE,   /* the request may make its change */
    LH_KEY_BUSY,   /* another request with the key is in progress */
    LH_KEY_OTHER,  /* the key was used for another request */
    LH_KEY_LOST,   /* the response to the same request was too long to be stored */
    LH_KEY_REPLAYS /* the response to the same request is in call->kept */
} lh_key_state;

typedef struct lh_idempotency {
    const char *values[LH_KEY_SLOTS];
    unsigned char id[32];
    const char *request; /* what the HMAC is of */
    int claimed;         /* this request has a claim in the database */
} lh_idempotency;

extern const lh_slots lh_idempotency_slots;

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_idempotency_compile(lh_statements *registry, const char **why);

/* Sets call->idempotency if the route is LH_IDEMPOTENT and the request has an Idempotency-Key; a validation error if
 * that is malformed. To be called after the request was validated and before steps run. */
lh_error *lh_idempotency_read(lh_call *call);

/* Decides from the result of a function of 0022_idempotency.sql. LH_KEY_REPLAYS sets call->kept. */
lh_key_state lh_idempotency_state(lh_call *call, const lh_result *result);

/* The error of a state; NULL for LH_KEY_FREE and LH_KEY_REPLAYS. */
lh_error *lh_idempotency_error(const lh_call *call, lh_key_state state);

/* The guard and the closing statement of the run of a call with call->idempotency. */
const lh_statement *lh_idempotency_guard(void);
const lh_statement *lh_idempotency_closing(void);

/* Sets the values of the closing statement from the response that the call is about to send: of a successful call whose
 * steps have run. Sets call->kept unless the response is long. Returns 0 when OpenSSL fails. */
int lh_idempotency_keep(lh_call *call);

/* Makes the closing statement fail, so that the transaction is rolled back: for a response that cannot be made. */
void lh_idempotency_abort(lh_call *call);

#endif
