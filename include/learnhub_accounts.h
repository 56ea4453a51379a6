/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and checks for routes of accounts: passwords, log-ins, tokens, password resets. */
#ifndef LEARNHUB_ACCOUNTS_H
#define LEARNHUB_ACCOUNTS_H

#include "learnhub.h"

/* ---- passwords ---- */

/*
 * The `check` of a route with a new password in the field `password` or `new_password`: the password rules, with the
 * route's fields username, email, first_name and last_name as the user's own. A field with the prefix `re_` must have
 * the same value when it is sent.
 */
lh_error *lh_check_password(lh_call *call, lh_error *errors);

/* Checks `new_password` by the same rules for the account in `_username`, `_email`, `_first_name` and `_last_name` of
 * extra_sql[0]. */
extern const lh_step lh_step_check_own_password;

/* Binds `password_hash` of `password` or `new_password`. 503 when no thread may hash within LearnHubConnectionWait. */
extern const lh_step lh_step_hash_password;

/* ---- logging in ---- */

/*
 * The only way to verify a password, of the field `password` or `current_password`. An unknown user and a wrong
 * password take the same time and return the route's error `credentials`; 429 when throttled. extra_sql[0] returns one
 * row: `_id`, `_role`, `_version` and `_hash` of the account or NULLs, and in `_wait` the seconds until the throttle
 * ends, or NULL. extra_sql[1] counts a failure. Binds `user_id` and `version`; for the two statements `address`,
 * `failures` and `seconds`.
 */
extern const lh_step lh_step_log_in;

/* After the statements: adds `access_token`, `refresh_token`, `token_type` and `expires_in` to the response, for the
 * user in `_id`, `_role` and `_version`. */
extern const lh_step lh_step_issue_tokens;

/* The same without `refresh_token`. */
extern const lh_step lh_step_issue_access_token;

/* Verifies the field `refresh_token` and binds its `user_id` and `version`; otherwise the route's error `missing`. */
extern const lh_step lh_step_verify_refresh_token;

/* Generates an opaque token: binds `digest` (hex) and `lifetime` (seconds, or NULL), adds `auth_token` to the
 * response. */
extern const lh_step lh_step_new_opaque_token;

/* Binds `digest` (hex) of the token that authenticated the request; of a JWT its jti. */
extern const lh_step lh_step_bind_sent_token;

/* ---- password resets ---- */

/* Generates the token of a password-reset link: binds `digest` (hex) and `link`, in which the statement replaces
 * `{uid}`. */
extern const lh_step lh_step_new_reset_link;

/* Binds `digest` of the field `token` and runs extra_sql[0], which finds the account; the route's error `missing` when
 * it returns no row. */
extern const lh_step lh_step_find_reset_link;

#endif
