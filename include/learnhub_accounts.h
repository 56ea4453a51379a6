/* SPDX-License-Identifier: Apache-2.0 */
/* Steps and checks for routes of accounts: passwords, logins, tokens, mailed links. */
#ifndef LEARNHUB_ACCOUNTS_H
#define LEARNHUB_ACCOUNTS_H

#include "learnhub.h"

/* ---- passwords ---- */

/* The error of a username that is somebody else's e-mail address. */
#define LH_USERNAME_RULE "This may have an @ only if it is the e-mail address of the account."

/*
 * The `check` of a route with a new password in the field `password` or `new_password`. The password must satisfy the
 * rules and differ from the fields username, email, first_name and last_name, if the route has them. The repeated
 * password, the field with the prefix `re_`, `confirm_password` or `password2`, must be equal when it is sent. A
 * username with an @ must be the e-mail address, if both are sent.
 */
lh_error *lh_check_password(lh_call *call, lh_error *errors);

/* The `check` of a sign-up: lh_check_password(), but if the password's rules are the only error, it is 422 with one
 * sentence instead of a list of fields. */
lh_error *lh_check_signup(lh_call *call, lh_error *errors);

/* The `check` of a registration: lh_check_password(), and `email` is required unless `username` is an e-mail
 * address. */
lh_error *lh_check_registration(lh_call *call, lh_error *errors);

/* Checks the new password by the same rules, for the account in the columns `_username`, `_email`, `_first_name` and
 * `_last_name` of extra_sql[0], which an earlier step has run. */
extern const lh_step lh_step_check_own_password;

/* Binds `password_hash`, the bcrypt hash of `password` or `new_password`. 503 when too many threads are hashing for
 * longer than LearnHubConnectionWait. */
extern const lh_step lh_step_hash_password;

/* ---- logging in ---- */

/* The `check` of a login with the fields `username` and `email`, one of which is required. If both are absent, the
 * error is about the first field of the body. */
lh_error *lh_check_login_name(lh_call *call, lh_error *errors);

/*
 * Verifies the password in the field `password` or `current_password`. Passwords must not be verified in any other way:
 * this step throttles failures (429), and takes the same time for an unknown user as for a wrong password, both the
 * route's error `credentials`. extra_sql[0] counts the attempt and returns one row: `_id`, `_role`, `_version` and
 * `_hash` of an active account or NULLs, `_account`, the id of any account, and `_wait`, the seconds until the throttle
 * ends, or NULL; `_noted` if this must be logged; `_known` if the account has logged in from here. extra_sql[1] runs
 * after a failure. Binds the limits `failures`, `seconds`, `address_failures` and `address_seconds` (NULLs: Off), after
 * a failure `account`, on success `user_id`, `version`, `known`, `verified_hash` and, if the stored hash is of another
 * kind or cost than new ones, `rehash`; the route's statements must give the attempt back.
 */
extern const lh_step lh_step_log_in;

/*
 * For a change of the login names `username` and `email`: verifies the field `current_password` as lh_step_log_in does,
 * but only if one of the names that were sent differs from the stored one. Then it is required; otherwise it is
 * ignored, and `user_id` and `version` remain NULL. extra_sql: the statements of lh_step_log_in, then one that returns
 * a row if a name differs. The statements of the route must reject a change without `version`.
 */
extern const lh_step lh_step_log_in_to_change;

/* Binds for learnhub.begin_login(): `access_ttl` and `refresh_ttl`, the lifetimes of tokens in seconds, and `agent`,
 * the first 200 bytes of the User-Agent header (NULL if it is absent or not printable ASCII). */
extern const lh_step lh_step_new_login;

/* The steps lh_step_issue_... run after the statements, for the user in `_id`, `_role` and `_version`. The tokens
 * belong to the login in `_login`; `_refresh` is the jti of the refresh token. */

/* Adds `access_token`, `refresh_token`, `token_type` and `expires_in` to the response. */
extern const lh_step lh_step_issue_tokens;

/* Adds `access` and `refresh` to the response. */
extern const lh_step lh_step_issue_pair;

/* Adds an object `tokens` with `access` and `refresh` to the response. */
extern const lh_step lh_step_issue_tokens_object;

/* The steps lh_step_refresh_... are the same after learnhub.refresh_login(); the route's error `missing` if `_reused`
 * is true. This one adds `access_token`, `token_type` and `expires_in` to the response. */
extern const lh_step lh_step_refresh_access_token;

/* Adds `access` and `refresh`. */
extern const lh_step lh_step_refresh_pair;

/* Verifies the token in the field `refresh_token` or `refresh` and binds its `user_id`, `version`, `login` (NULL
 * without a sid) and `refresh_id` (its jti), and the parameters of lh_step_new_login; the route's error `missing` when
 * it is invalid. The statements check whether it is revoked. */
extern const lh_step lh_step_verify_refresh_token;

/* Verifies a token of any kind in the field `token` and binds its `user_id` and `version`, and for a refresh token its
 * `login` and `refresh_id`, otherwise NULL. 401 when it is invalid, or a revoked access or opaque token; 503 when
 * revocations cannot be read. The statements check whether a refresh token is revoked. */
extern const lh_step lh_step_verify_token;

/* Generates an opaque token: binds `digest` (hex) and `lifetime` (the seconds without a use after which it expires, or
 * NULL: never), and `agent` as lh_step_new_login; adds `auth_token` to the response. */
extern const lh_step lh_step_new_opaque_token;

/* Binds of the token that authenticated the request: `login` (NULL: none, it is of an older version), `digest` (hex;
 * for a JWT its jti), and `until` (the Unix time when it expires). */
extern const lh_step lh_step_bind_sent_token;

/* ---- mailed links ---- */

/* Binds `link`, the URL of a password-reset link with {uid} and {token}. */
extern const lh_step lh_step_bind_reset_link;

/* Binds `activation_link`, the URL of a link that confirms an e-mail address, with {uid} and {token}; NULL if
 * LearnHubVerifyEmail is Off. */
extern const lh_step lh_step_bind_activation_link;

/* Binds `digest` (hex) of the field `token`. */
extern const lh_step lh_step_bind_link_digest;

/* Binds `digest` of the field `token` and runs extra_sql[0], which finds the account; the route's error `missing` when
 * it returns no row. */
extern const lh_step lh_step_find_reset_link;

#endif
