/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions that several route files share. */
#ifndef LH_SHARED_H
#define LH_SHARED_H

#include "learnhub.h"
#include "learnhub_accounts.h"

/* clang-format off */

/* ---- accounts ---- */

#define NAME_LENGTH 150      /* characters of a username, first or last name */
#define PASSWORD_LENGTH 1000 /* characters; a new password is limited further by lh_check_password() */

/* The errors for the codes of learnhub.taken_names() and for the trigger keep_username_own. */
#define LOGIN_NAME_ERRORS                                                                                              \
    {"users_username_key", 400, "username", "A user with that username already exists."},                              \
    {"users_email_key",    400, "email",    "A user with that e-mail already exists."},                                \
    {"users_username_own_check", 400, "username", LH_USERNAME_RULE}

/*
 * Attempts to log in are counted before the password is verified, in the database, so that all nodes and all login
 * routes share the counts (conf/schema/0018_login_attempts.sql). The extra_sql of lh_step_log_in are LOGIN_ACCOUNT or
 * OWN_ACCOUNT, and LOGIN_FAILURE. `account`: a table with the column user_id, NULL if no account has the name.
 */
#define LOGIN_ATTEMPT(columns, account, name)                                                                          \
    "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version, u.password_hash AS _hash, " columns             \
    "       n.user_id AS _account, c.wait AS _wait, c.noted AS _noted, c.known AS _known "                             \
    "FROM " account " n "                                                                                              \
    "CROSS JOIN LATERAL learnhub.claim_login(n.user_id, " name ", :address::text, :failures::int, :seconds::int, "     \
    "                                        :address_failures::int, :address_seconds::int, :me::bigint) c "           \
    "LEFT JOIN learnhub.users u ON u.id = n.user_id AND u.is_active"

/* Counts an attempt with a name and returns the account. `name` is the SQL of the name that was sent. */
#define LOGIN_ACCOUNT(name)                                                                                            \
    LOGIN_ATTEMPT("", "(SELECT l.user_id "                                                                             \
                      " FROM (SELECT) one "                                                                            \
                      " LEFT JOIN learnhub.login_names l ON l.name = lower(" name "))", name)

/* The same for the caller's own password. The names are read because a new password must not equal them. */
#define OWN_ACCOUNT                                                                                                    \
    LOGIN_ATTEMPT("u.username AS _username, u.email AS _email, "                                                       \
                  "u.first_name AS _first_name, u.last_name AS _last_name, ",                                          \
                  "(SELECT :me::bigint AS user_id)", "NULL")

/* After a failed attempt. */
#define LOGIN_FAILURE                                                                                                  \
    "SELECT learnhub.login_failed(:account::bigint, :me::bigint, :address::text, "                                     \
    "                             greatest(:seconds::int, :address_seconds::int))::text AS _done"

/* Begins a statement after lh_step_log_in: gives the attempt back, stores the network as known to the account, and
 * replaces the password's hash if the step has made a new one. Further CTEs may follow. */
#define FORGIVEN                                                                                                       \
    "WITH forgiven AS ("                                                                                               \
    "    INSERT INTO learnhub.known_networks AS k (user_id, network) "                                                 \
    "    SELECT s.user_id, s.network "                                                                                 \
    "    FROM learnhub.login_succeeded(:user_id::bigint, :address::text, :known::boolean, :verified_hash::text, "      \
    "                                  :rehash::text) s "                                                              \
    "    ON CONFLICT (user_id, network) DO UPDATE SET used_at = now()) "

/* The columns for lh_step_issue_tokens and its kind, of a user `u` and NEW_LOGIN. */
#define LOGIN_COLUMNS                                                                                                  \
    "u.id AS _id, l.role AS _role, l.version AS _version, l.login AS _login, l.refresh AS _refresh"

/* Joins a new login `l` of the user `u`; after lh_step_new_login. There is none if u.token_version is not `version`. */
#define NEW_LOGIN(version)                                                                                             \
    "LATERAL learnhub.begin_login(u.id, " version ", :address::text, :agent::text, "                                   \
    "                             :access_ttl::bigint, :refresh_ttl::bigint) l "

/* Refreshes a login after lh_step_verify_refresh_token; `rotate`: true if the response has a refresh token. */
#define LOGIN_REFRESH(rotate)                                                                                          \
    "SELECT u.id AS _id, l.role AS _role, u.token_version AS _version, "                                               \
    "       l.login AS _login, l.refresh AS _refresh, l.reused AS _reused "                                            \
    "FROM learnhub.users u "                                                                                           \
    "CROSS JOIN LATERAL learnhub.refresh_login(u.id, :login::uuid, :refresh_id::uuid, :version::int, " rotate ", "     \
    "                                          :address::text, :agent::text, "                                         \
    "                                          :access_ttl::bigint, :refresh_ttl::bigint) l "                          \
    "WHERE u.id = :user_id::bigint"

/* Ends the login of the token that was sent, after lh_step_bind_sent_token. */
#define LOGOUT "learnhub.log_out(:me::bigint, :login::uuid, :digest, :until::bigint, :address::text)"

/* The values of users.role. */
#define ROLE_NAMES "student instructor admin service"

/* ---- e-mail addresses ---- */

/* A column of the statement that creates the account `user`: mails the link in `activation_link`, unless it is NULL. */
#define CONFIRMATION(user)                                                                                             \
    "learnhub.post_confirmation(" user ".id, " user ".uuid, " user ".email, :activation_link::text)::text AS _mail"

/* Returns a row if one of the names that were sent differs: for lh_step_log_in_to_change. */
#define NAME_CHANGE                                                                                                    \
    "SELECT id "                                                                                                       \
    "FROM learnhub.users "                                                                                             \
    "WHERE id = :me::bigint AND (username <> :username::text OR email <> :email::text)"

/*
 * Begins a statement that changes the caller's login names, after the lock of the caller's row: `account` is the row if
 * the change is allowed; `verdict` has the codes of NAME_CHANGE_ERRORS, or NULL without the account.
 */
#define NAME_CHANGE_VERDICT                                                                                            \
    FORGIVEN ", "                                                                                                      \
    "verdict AS ("                                                                                                     \
    "    SELECT learnhub.login_name_codes(:me::bigint, :username::text, :email::text, :version::int, "                 \
    "                                     :activation_link::text) AS codes), "                                         \
    "account AS ("                                                                                                     \
    "    SELECT u.* "                                                                                                  \
    "    FROM verdict, learnhub.users u "                                                                              \
    "    WHERE codes = '' AND u.id = :me::bigint AND u.is_active) "

/* The new value of users.email in it. */
#define NEW_EMAIL "learnhub.email_after(u.email, :email::text, :activation_link::text)"

/* The column `_audit` of it, which also mails the confirmation and the notice. */
#define EMAIL_AUDIT                                                                                                    \
    "(SELECT learnhub.change_email(a.id, a.uuid, a.email, a.email_verified_at IS NOT NULL, :email::text, "             \
    "                              :activation_link::text, :address) "                                                 \
    " FROM account a) AS _audit"

#define NAME_CHANGE_ERRORS                                                                                             \
    LOGIN_NAME_ERRORS,                                                                                                 \
    {"credentials", 400, "current_password", "Invalid password."},                                                     \
    {"often",       400, "email", "Too many confirmations were requested. Try again in an hour."}

/* Before a change that a trigger records in the audit log: by whom and from where. */
#define ACTING "SELECT learnhub.acting(:me::bigint, :address::text)"

/* The media types of pictures. */
#define PHOTO_MEDIA "image/jpeg image/png image/webp image/gif"

/* A picture in a table of the schema learnhub, for LH_BYTES. */
#define PHOTO_BY_NAME(table)                                                                                           \
    "SELECT media_type AS _type, name AS _tag, content AS _content "                                                   \
    "FROM learnhub." table " "                                                                                         \
    "WHERE name = :name"

/*
 * Stores the LH_PHOTO `field` of a user, or removes the photo if the field is empty. The statement must have a CTE
 * `account (id)`: the owner, or no row to change nothing. `photo` returns the name of the new photo, which the
 * statement writes to users.profile_photo.
 */
#define PHOTO_CHANGE(field)                                                                                            \
    "photo AS ("                                                                                                       \
    "    INSERT INTO learnhub.photos AS p (user_id, name, media_type, content) "                                       \
    "    SELECT account.id, learnhub.photo_name(:" field "_type), :" field "_type, "                                   \
    "           decode(:" field "::text, 'hex') "                                                                      \
    "    FROM account "                                                                                                \
    "    WHERE :" field "::text <> '' "                                                                                \
    "    ON CONFLICT (user_id) DO UPDATE "                                                                             \
    "    SET name = excluded.name, media_type = excluded.media_type, content = excluded.content, "                     \
    "        created_at = excluded.created_at "                                                                        \
    "    RETURNING name), "                                                                                            \
    "removed AS ("                                                                                                     \
    "    DELETE FROM learnhub.photos p "                                                                               \
    "    USING account "                                                                                               \
    "    WHERE :" field "::text = '' AND p.user_id = account.id), "

/* ---- long lists ---- */

/*
 * Selects the caller's rows for ORDER BY `column`, ..., where an index begins with these columns. With = the planner,
 * which does not know the caller, may read the primary key or the newest rows of all users instead, if few users own
 * most of the rows; the cost would then grow with the table.
 */
#define OF_CALLER(column) column " BETWEEN :me::bigint AND :me::bigint "

/* The number of rows of `list` with the key in the parameter `key`, or of all rows when that is NULL. */
#define LIST_COUNT(list, key)                                                                                          \
    "(SELECT coalesce(sum(n.rows), 0) "                                                                                \
    " FROM learnhub.list_counts n "                                                                                    \
    " WHERE n.list = '" list "' AND n.key = coalesce(" key "::text, '') AND n.day = '-infinity')"

/*
 * Begins a deep_sql: the CTE page (id) has the ids of the page's rows, read from an index only. `table` has an index on
 * (created_at DESC, id DESC). `counted`: SQL of the list's name in list_counts, or of NULL if the filters select rows
 * that it does not count. `key`, `skipped`: parameters. A page has at most 100 rows; LIMIT 100 tells the planner.
 */
#define DEEP_PAGE(table, alias, counted, key, skipped)                                                                 \
    "WITH start AS MATERIALIZED ("                                                                                     \
    "    SELECT * FROM learnhub.page_start(" counted ", coalesce(" key "::text, ''), " skipped "::bigint)), "          \
    "page AS ("                                                                                                        \
    "    SELECT id "                                                                                                   \
    "    FROM (SELECT " alias ".id "                                                                                   \
    "          FROM " table " " alias " "                                                                              \
    "          WHERE " alias ".created_at <= (SELECT until FROM start) :filters "                                      \
    "          ORDER BY " alias ".created_at DESC, " alias ".id DESC "                                                 \
    "          LIMIT :limit::bigint OFFSET (SELECT skip FROM start)) rows "                                            \
    "    LIMIT 100) "

/* ---- practice ---- */

/* A chat message of a practice session or a submission. */
#define CHAT_FIELDS (const lh_field[]){                                                                                \
    {.name = "role",    .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "user assistant"},                     \
    {.name = "content", .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 32768},                              \
    {0}}

/* clang-format on */

/* Locks the caller's account, so that concurrent changes of one user's data run one after the other. A statement that
 * stores personal data repeats `is_active`: the account may have been deleted while the request waited for the lock. */
#define CALLER_LOCK "SELECT id FROM learnhub.users WHERE id = :me::bigint FOR NO KEY UPDATE"

/* ---- mentoring ---- */

/* clang-format off */
#define AVAILABILITY_KEYS                                                                                              \
    {.name = "pk",         .type = LH_INTEGER, .object = "Availability"},                                              \
    {.name = "mentor",     .type = LH_INTEGER},                                                                        \
    {.name = "start_time", .type = LH_TIME},                                                                           \
    {.name = "end_time",   .type = LH_TIME}
/* clang-format on */

/* ---- coding ---- */

#define ADMIN_CALLER "(SELECT role = 'admin' FROM learnhub.users WHERE id = :me::bigint)"

/* The rows of eco_kinds. */
#define ECO_KINDS "hiking walking running cycling climbing camping gardening other"

/* The description of an activity in examples. */
#define WALK "Around the lake with two friends."

/* The URL of the picture `p` of an activity; NULL without one. */
#define ACTIVITY_PHOTO_URL ":base || '/api/activities/photos/' || p.name"

/* ---- xp ---- */

/* True if the caller `c` may act for all users. */
#define TRUSTED_CALLER "c.role IN ('service', 'admin')"

#endif
