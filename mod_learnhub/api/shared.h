/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions that several route files share. */
#ifndef LH_SHARED_H
#define LH_SHARED_H

#include "learnhub.h"

/* clang-format off */

/* ---- accounts ---- */

#define NAME_LENGTH 150      /* characters of a username, first or last name */
#define PASSWORD_LENGTH 1000 /* characters; a new password is limited further by lh_check_password() */

/* The errors for the codes of learnhub.taken_names(). */
#define LOGIN_NAME_ERRORS                                                                                              \
    {"users_username_key", 400, "username", "A user with that username already exists."},                              \
    {"users_email_key",    400, "email",    "A user with that e-mail already exists."}

/*
 * Failed logins are counted by client address, and by account or, if the name that was sent is unknown, by that name.
 * The counts are in the database, so that all nodes and all login routes share them. A login enters the login gate
 * before it reads the counts, so concurrent attempts can exceed the limit only by as many as the gates of all processes
 * admit. `name` is the SQL of the name that was sent.
 */
#define LOGIN_KEYS(name)                                                                                               \
    "'address ' || :address::text, "                                                                                   \
    "coalesce((SELECT 'user ' || user_id FROM learnhub.login_names WHERE name = lower(" name ")), "                    \
    "         'name ' || lower(" name "))"

/* Counts a failure for each of `keys`, in a fixed order to avoid deadlocks, and deletes up to 10 expired counts. */
#define FAILURE_COUNT                                                                                                  \
    "expired AS ("                                                                                                     \
    "    DELETE FROM learnhub.login_failures "                                                                         \
    "    WHERE key IN (SELECT key FROM learnhub.login_failures "                                                       \
    "                  WHERE since < now() - make_interval(secs => :seconds::int) "                                    \
    "                    AND key NOT IN (SELECT key FROM keys) "                                                       \
    "                  ORDER BY since LIMIT 10 "                                                                       \
    "                  FOR UPDATE SKIP LOCKED)) "                                                                      \
    "INSERT INTO learnhub.login_failures AS f (key, failures, since) "                                                 \
    "SELECT key, 1, now() FROM keys ORDER BY key "                                                                     \
    "ON CONFLICT (key) DO UPDATE "                                                                                     \
    "SET failures = CASE WHEN f.since < now() - make_interval(secs => :seconds::int) THEN 1 ELSE f.failures + 1 END, " \
    "    since = CASE WHEN f.since < now() - make_interval(secs => :seconds::int) THEN now() ELSE f.since END"

/* The extra_sql of lh_step_log_in for a login with a name. */
#define LOGIN_ACCOUNT(name)                                                                                            \
    "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version, u.password_hash AS _hash, t.wait AS _wait "     \
    "FROM (SELECT ceil(extract(epoch FROM max(f.since) + make_interval(secs => :seconds::int) - now()))::int AS wait " \
    "      FROM learnhub.login_failures f "                                                                            \
    "      WHERE f.key IN (" LOGIN_KEYS(name) ") AND f.failures >= :failures::int "                                    \
    "        AND f.since > now() - make_interval(secs => :seconds::int)) t "                                           \
    "LEFT JOIN learnhub.login_names n ON n.name = lower(" name ") "                                                    \
    "LEFT JOIN learnhub.users u ON u.id = n.user_id AND u.is_active"

#define LOGIN_FAILURE(name) "WITH keys AS (SELECT unnest(ARRAY[" LOGIN_KEYS(name) "]) AS key), " FAILURE_COUNT

/* Begins a statement after lh_step_log_in: forgets the failures of the account in `user_id`. */
#define FORGIVEN "WITH forgiven AS (DELETE FROM learnhub.login_failures WHERE key = 'user ' || :user_id::bigint) "

/* Revokes the token in `digest`, as lh_step_bind_sent_token binds it; RETURNING follows. */
#define TOKEN_REVOCATION                                                                                               \
    "WITH deleted AS (DELETE FROM learnhub.tokens WHERE digest = decode(:digest, 'hex')) "                             \
    "INSERT INTO learnhub.auth_events (token) "                                                                        \
    "VALUES (substring(decode(:digest, 'hex') FROM 1 FOR 16)) "

/* The user of a token that a step has verified, unless the account's tokens were revoked since. */
#define TOKEN_OWNER                                                                                                    \
    "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version "                                                \
    "FROM learnhub.users u "                                                                                           \
    "WHERE u.id = :user_id::bigint AND u.is_active AND u.token_version = :version::int"

/* Before a change that a trigger records in the audit log: by whom and from where. */
#define ACTING "SELECT learnhub.acting(:me::bigint, :address::text)"

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
    {.name = "pk",         .type = LH_INTEGER},                                                                        \
    {.name = "mentor",     .type = LH_INTEGER},                                                                        \
    {.name = "start_time", .type = LH_TIME},                                                                           \
    {.name = "end_time",   .type = LH_TIME}
/* clang-format on */

/* ---- coding ---- */

#define ADMIN_CALLER "(SELECT role = 'admin' FROM learnhub.users WHERE id = :me::bigint)"

/* The URL of the picture `p` of an activity; NULL without one. */
#define ACTIVITY_PHOTO_URL ":base || '/api/activities/photos/' || p.name"

/* ---- xp ---- */

/* True if the caller `c` may act for all users. */
#define TRUSTED_CALLER "c.role IN ('service', 'admin')"

#endif
