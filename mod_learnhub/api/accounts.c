/* SPDX-License-Identifier: Apache-2.0 */
/* Signing up, logging in and out: in practice's shapes under /users, in mentoring's under /auth. One account. */
#include "learnhub.h"
#include "learnhub_accounts.h"

#define MAX_NAME 150
#define MAX_PASSWORD 1000 /* characters that are looked at; the rules for new ones are stricter */

/* ---- practice's shapes ---- */

static const lh_field user_keys[] = {
    {.name = "id", .type = LH_OBJECT_ID},     {.name = "first_name", .type = LH_STRING},
    {.name = "last_name", .type = LH_STRING}, {.name = "email", .type = LH_EMAIL},
    {.name = "created_at", .type = LH_TIME},  {0}};

#define USER_COLUMNS "u.object_id AS id, u.first_name, u.last_name, u.email, u.created_at "

static const lh_field signup_fields[] = {
    {.name = "first_name", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = MAX_NAME},
    {.name = "last_name", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = MAX_NAME},
    {.name = "email", .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "password",
     .type = LH_STRING,
     .flags = LH_REQUIRED | LH_SECRET,
     .max = MAX_PASSWORD,
     .note = "8 to 72 bytes, not all digits, not the e-mail address."},
    {0}};

static const lh_field login_fields[] = {
    {.name = "username",
     .type = LH_STRING,
     .flags = LH_REQUIRED | LH_TRIM,
     .max = 254,
     .note = "E-mail address or username."},
    {.name = "password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = MAX_PASSWORD},
    {0}};

static const lh_field login_keys[] = {
    {.name = "access_token", .type = LH_STRING},   {.name = "refresh_token", .type = LH_STRING},
    {.name = "token_type", .type = LH_STRING},     {.name = "expires_in", .type = LH_INTEGER, .note = "Seconds."},
    {.name = "user.id", .type = LH_OBJECT_ID},     {.name = "user.first_name", .type = LH_STRING},
    {.name = "user.last_name", .type = LH_STRING}, {.name = "user.email", .type = LH_EMAIL},
    {.name = "user.created_at", .type = LH_TIME},  {0}};

static const lh_field refresh_fields[] = {
    {.name = "refresh_token", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = 4096}, {0}};

static const lh_field refresh_keys[] = {{.name = "access_token", .type = LH_STRING},
                                        {.name = "token_type", .type = LH_STRING},
                                        {.name = "expires_in", .type = LH_INTEGER},
                                        {0}};

/*
 * Failures are counted for the account, whichever of its names was typed, or for a name that is nobody's, and for the
 * address; in the database, so that all nodes share the count. The gate is entered first: no more guesses than it is
 * wide can be under way when the count reaches its limit.
 */
#define NAMED                                                                                                          \
    "'address ' || :address::text, "                                                                                   \
    "coalesce((SELECT 'user ' || user_id FROM learnhub.login_names WHERE name = lower(:username::text)), "             \
    "'name ' || lower(:username::text))"
#define CALLER "'address ' || :address::text, 'user ' || :me::bigint"
#define TIME "make_interval(secs => :seconds::int)"

#define FIND(keys, more, join)                                                                                         \
    "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version, u.password_hash AS _hash, t.wait AS _wait" more \
    " FROM (SELECT ceil(extract(epoch FROM max(f.since) + " TIME " - now()))::int AS wait "                            \
    "      FROM learnhub.login_failures f "                                                                            \
    "      WHERE f.key IN (" keys ") AND f.failures >= :failures::int AND f.since > now() - " TIME ") t " join

#define FAILED(keys)                                                                                                   \
    "WITH keys AS (SELECT unnest(ARRAY[" keys "]) AS key), "                                                           \
    "expired AS (DELETE FROM learnhub.login_failures WHERE key IN ("                                                   \
    "    SELECT key FROM learnhub.login_failures WHERE since < now() - " TIME                                          \
    " AND key NOT IN (SELECT key FROM keys) "                                                                          \
    "    ORDER BY since LIMIT 10 FOR UPDATE SKIP LOCKED)) "                                                            \
    "INSERT INTO learnhub.login_failures AS f (key, failures, since) SELECT key, 1, now() FROM keys ORDER BY key "     \
    "ON CONFLICT (key) DO UPDATE SET "                                                                                 \
    "failures = CASE WHEN f.since < now() - " TIME " THEN 1 ELSE f.failures + 1 END, "                                 \
    "since = CASE WHEN f.since < now() - " TIME " THEN now() ELSE f.since END"

/* Of a log-in by name, and of the caller's own password. */
#define LOGIN                                                                                                          \
    {                                                                                                                  \
        FIND(NAMED, "",                                                                                                \
             "LEFT JOIN learnhub.login_names n ON n.name = lower(:username::text) "                                    \
             "LEFT JOIN learnhub.users u ON u.id = n.user_id AND u.is_active"),                                        \
            FAILED(NAMED)                                                                                              \
    }
#define OWN                                                                                                            \
    {                                                                                                                  \
        FIND(CALLER, OWN_NAMES, "LEFT JOIN learnhub.users u ON u.id = :me::bigint AND u.is_active"), FAILED(CALLER)    \
    }
#define OWN_NAMES ", u.username AS _username, u.email AS _email, u.first_name AS _first_name, u.last_name AS _last_name"

/* Forgets the failures of the account that has just logged in. */
#define FORGIVEN "WITH forgiven AS (DELETE FROM learnhub.login_failures WHERE key = 'user ' || :user_id::bigint) "

static const lh_route users_routes[] = {
    {.name = "users.signup",
     .method = "POST",
     .path = "/users/signup",
     .summary = "Create an account.",
     .body = signup_fields,
     .check = lh_check_password,
     .before = {&lh_step_hash_password},
     .sql = {"INSERT INTO learnhub.users AS u (username, email, first_name, last_name, password_hash) "
             "VALUES (:email, :email, :first_name, :last_name, :password_hash) RETURNING " USER_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "User created successfully",
     .key = "user",
     .returns = user_keys,
     .errors = (const lh_route_error[]){{"users_email_key", 400, NULL, "A user with this e-mail already exists."},
                                        {"users_username_key", 400, NULL, "A user with this e-mail already exists."},
                                        {0}}},
    {.name = "users.login",
     .method = "POST",
     .path = "/users/login",
     .summary = "Get an access and a refresh token.",
     .body = login_fields,
     .accepts = LH_FORM | LH_MULTIPART, /* new FormData() sends the latter */
     .before = {&lh_step_log_in},
     .after = {&lh_step_issue_tokens},
     .extra_sql = LOGIN,
     .sql = {FORGIVEN
             "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version, u.object_id AS \"user.id\", "
             "u.first_name AS \"user.first_name\", u.last_name AS \"user.last_name\", u.email AS \"user.email\", "
             "u.created_at AS \"user.created_at\" FROM learnhub.users u WHERE u.id = :user_id::bigint AND u.is_active"},
     .shape = LH_ONE,
     .returns = login_keys,
     .errors = (const lh_route_error[]){{"credentials", 401, NULL, "Incorrect username or password."},
                                        {"missing", 401, NULL, "Incorrect username or password."},
                                        {0}}},
    {.name = "users.refresh",
     .method = "POST",
     .path = "/users/refresh",
     .summary = "Get a new access token.",
     .body = refresh_fields,
     .before = {&lh_step_verify_refresh_token},
     .after = {&lh_step_issue_access_token},
     .flags = LH_RETRYABLE,
     .sql = {"SELECT u.id AS _id, u.role AS _role, u.token_version AS _version FROM learnhub.users u "
             "WHERE u.id = :user_id::bigint AND u.is_active AND u.token_version = :version::int"},
     .shape = LH_ONE,
     .returns = refresh_keys,
     .errors = (const lh_route_error[]){{"missing", 401, NULL, "The refresh token is invalid or has expired."}, {0}}},
    {.name = "users.me",
     .method = "GET",
     .path = "/users/me",
     .summary = "The caller's account.",
     .roles = LH_MEMBER,
     .sql = {"SELECT " USER_COLUMNS "FROM learnhub.users u WHERE u.id = :me::bigint"},
     .shape = LH_ONE,
     .returns = user_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "User not found."}, {0}}},
    {0}};

const lh_route_group lh_group_users = {.name = "users",
                                       .title = "Accounts, as practice's clients know them",
                                       .prefixes = (const char *const[]){"/users", NULL},
                                       .error_format = LH_ERRORS_LOCATED,
                                       .time_format = LH_SECONDS,
                                       .always = 1,
                                       .routes = users_routes};

/* ---- mentoring's shapes ---- */

static const lh_field register_fields[] = {
    {.name = "username", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = MAX_NAME},
    {.name = "email", .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "password",
     .type = LH_STRING,
     .flags = LH_REQUIRED | LH_SECRET,
     .max = MAX_PASSWORD,
     .note = "8 to 72 bytes, not all digits, not the name or the e-mail address."},
    {.name = "re_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = MAX_PASSWORD},
    {0}};

static const lh_field register_keys[] = {{.name = "email", .type = LH_EMAIL},
                                         {.name = "username", .type = LH_STRING},
                                         {.name = "id", .type = LH_INTEGER},
                                         {0}};

static const lh_field changed_fields[] = {
    {.name = "username", .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = MAX_NAME},
    {.name = "email", .type = LH_EMAIL},
    {0}};

#define CURRENT_PASSWORD                                                                                               \
    {                                                                                                                  \
        .name = "current_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = MAX_PASSWORD           \
    }
#define NEW_PASSWORD                                                                                                   \
    {.name = "new_password",                                                                                           \
     .type = LH_STRING,                                                                                                \
     .flags = LH_REQUIRED | LH_SECRET,                                                                                 \
     .max = MAX_PASSWORD,                                                                                              \
     .note = "8 to 72 bytes, not all digits, not the name or the e-mail address."},                                    \
    {                                                                                                                  \
        .name = "re_new_password", .type = LH_STRING, .flags = LH_SECRET, .max = MAX_PASSWORD,                         \
        .note = "When it is sent it must be the same."                                                                 \
    }

static const lh_field deletion_fields[] = {CURRENT_PASSWORD, {0}};
static const lh_field password_fields[] = {NEW_PASSWORD, CURRENT_PASSWORD, {0}};
static const lh_field reset_fields[] = {{.name = "email", .type = LH_EMAIL, .flags = LH_REQUIRED}, {0}};
static const lh_field confirm_fields[] = {
    {.name = "uid", .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 100},
    {.name = "token", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .min = 1, .max = 100},
    NEW_PASSWORD,
    {0}};

static const lh_field token_keys[] = {{.name = "auth_token", .type = LH_STRING, .note = "40 hex digits."}, {0}};

/* A link that is not used up, whose time is not over, and whose owner is the one it names. */
#define LINK                                                                                                           \
    "r.digest = decode(:digest, 'hex') AND r.created_at > now() - interval '1 hour' "                                  \
    "AND r.user_id = (SELECT id FROM learnhub.users WHERE uuid::text = lower(:uid::text) AND is_active)"

#define WRONG_PASSWORD                                                                                                 \
    {                                                                                                                  \
        "credentials", 400, "current_password", "Invalid password."                                                    \
    }

static const lh_route auth_routes[] = {
    {.name = "auth.register",
     .method = "POST",
     .path = "/auth/users/",
     .summary = "Create an account.",
     .body = register_fields,
     .check = lh_check_password,
     .before = {&lh_step_hash_password},
     .sql = {"WITH taken AS (SELECT concat_ws(' ', "
             "CASE WHEN bool_or(name = lower(:username::text)) THEN 'users_username_key' END, "
             "CASE WHEN bool_or(name = lower(:email::text)) THEN 'users_email_key' END) AS codes "
             "FROM learnhub.login_names WHERE name IN (lower(:username::text), lower(:email::text))), "
             "made AS (INSERT INTO learnhub.users (username, email, password_hash) "
             "SELECT :username::text, :email::text, :password_hash FROM taken WHERE codes = '' "
             "RETURNING email, username, id) "
             "SELECT nullif(taken.codes, '') AS \"!\", made.email, made.username, made.id FROM taken LEFT JOIN made ON "
             "true"},
     .shape = LH_ONE,
     .status = 201,
     .returns = register_keys,
     .errors =
         (const lh_route_error[]){{"users_username_key", 400, "username", "A user with that username already exists."},
                                  {"users_email_key", 400, "email", "A user with that e-mail already exists."},
                                  {0}}},
    {.name = "auth.me",
     .method = "GET",
     .path = "/auth/users/me/",
     .summary = "The caller's account.",
     .roles = LH_MEMBER,
     .sql = {"SELECT email, username, id FROM learnhub.users WHERE id = :me::bigint"},
     .shape = LH_ONE,
     .returns = register_keys},
    {.name = "auth.change",
     .method = "PATCH",
     .path = "/auth/users/me/",
     .summary = "Change the e-mail address or the username.",
     .roles = LH_MEMBER,
     .body = changed_fields,
     .flags = LH_RETRYABLE,
     .sql =
         {"SELECT id FROM learnhub.users WHERE id = :me::bigint FOR UPDATE",
          "WITH taken AS (SELECT concat_ws(' ', "
          "CASE WHEN bool_or(name = lower(:username::text)) THEN 'users_username_key' END, "
          "CASE WHEN bool_or(name = lower(:email::text)) THEN 'users_email_key' END) AS codes "
          "FROM learnhub.login_names WHERE name IN (lower(:username::text), lower(:email::text)) "
          "AND user_id <> :me::bigint), "
          "changed AS (UPDATE learnhub.users u SET username = coalesce(:username::text, u.username), "
          "email = coalesce(:email::text, u.email) FROM taken WHERE codes = '' AND u.id = :me::bigint "
          "AND u.is_active RETURNING u.email, u.username, u.id) "
          "SELECT nullif(taken.codes, '') AS \"!\", c.email, c.username, c.id FROM taken LEFT JOIN changed c ON true "
          "WHERE c.id IS NOT NULL OR taken.codes <> ''"},
     .shape = LH_ONE,
     .returns = register_keys,
     .errors =
         (const lh_route_error[]){{"users_username_key", 400, "username", "A user with that username already exists."},
                                  {"users_email_key", 400, "email", "A user with that e-mail already exists."},
                                  {0}}},
    {.name = "auth.delete",
     .method = "DELETE",
     .path = "/auth/users/me/",
     .summary = "Delete the account. What others took part in stays, without a name.",
     .roles = LH_MEMBER,
     .body = deletion_fields,
     .before = {&lh_step_log_in},
     .extra_sql = OWN,
     .flags = LH_REVOKES,
     .sql = {FORGIVEN "SELECT learnhub.delete_account(:user_id::bigint)::text AS _done"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){WRONG_PASSWORD, {0}}},
    {.name = "auth.set_password",
     .method = "POST",
     .path = "/auth/users/set_password/",
     .summary = "Change the password. All tokens of the account end.",
     .roles = LH_MEMBER,
     .body = password_fields,
     .check = lh_check_password,
     .before = {&lh_step_log_in, &lh_step_check_own_password, &lh_step_hash_password},
     .extra_sql = OWN,
     .flags = LH_REVOKES,
     .sql = {FORGIVEN "UPDATE learnhub.users u SET password_hash = :password_hash WHERE u.id = :user_id::bigint "
                      "AND u.is_active AND u.token_version = :version::int RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors =
         (const lh_route_error[]){WRONG_PASSWORD,
                                  {"missing", 400, "current_password", "Invalid password."}, /* it has just changed */
                                  {0}}},
    {.name = "auth.reset_password",
     .method = "POST",
     .path = "/auth/users/reset_password/",
     .summary = "Have a link to choose a new password mailed. Says nothing of whether there is such an account.",
     .body = reset_fields,
     .before = {&lh_step_new_reset_link},
     .sql =
         {"SELECT id FROM learnhub.users WHERE lower(email) = lower(:email::text) FOR NO KEY UPDATE",
          "WITH old AS (DELETE FROM learnhub.password_resets WHERE digest IN (SELECT digest "
          "FROM learnhub.password_resets WHERE created_at < now() - interval '1 hour' LIMIT 100 "
          "FOR UPDATE SKIP LOCKED)), "
          "person AS (SELECT u.id, u.uuid, u.username FROM learnhub.users u WHERE lower(u.email) = lower(:email::text) "
          "AND u.is_active AND NOT EXISTS (SELECT FROM learnhub.password_resets r WHERE r.user_id = u.id "
          "GROUP BY r.user_id HAVING max(r.created_at) > now() - interval '1 minute' "
          "OR count(*) FILTER (WHERE r.created_at > now() - interval '1 hour') >= 5)), "
          "kept AS (INSERT INTO learnhub.password_resets (digest, user_id) "
          "SELECT decode(:digest, 'hex'), (SELECT id FROM person)) "
          "SELECT (SELECT learnhub.post_mail(id, 'Choose a new password', "
          "'Somebody asked for a new password for your account \"' || username || '\".\n\n"
          "Choose one here within an hour; the link works once:\n' || replace(:link::text, '{uid}', uuid::text) || "
          "'\n\nIf it was not you, there is nothing to do: your password stays as it is.\n', "
          "'password reset', NULL, now() + interval '1 hour') FROM person) AS _mail"},
     .shape = LH_NOTHING},
    {.name = "auth.reset_password_confirm",
     .method = "POST",
     .path = "/auth/users/reset_password_confirm/",
     .summary = "Choose a new password by the link. All tokens of the account end.",
     .body = confirm_fields,
     .check = lh_check_password,
     .before = {&lh_step_find_reset_link, &lh_step_check_own_password, &lh_step_hash_password},
     .extra_sql =
         {"SELECT u.username AS _username, u.email AS _email, u.first_name AS _first_name, "
          "u.last_name AS _last_name FROM learnhub.password_resets r JOIN learnhub.users u ON u.id = r.user_id "
          "WHERE " LINK},
     .flags = LH_REVOKES,
     .sql = {"WITH used AS (DELETE FROM learnhub.password_resets r WHERE " LINK " RETURNING r.user_id), "
             "forgiven AS (DELETE FROM learnhub.login_failures f USING used WHERE f.key = 'user ' || used.user_id) "
             "UPDATE learnhub.users u SET password_hash = :password_hash FROM used WHERE u.id = used.user_id "
             "RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors =
         (const lh_route_error[]){
             {"missing", 400, "token", "The link is invalid, has been used or has expired. Ask for a new one."}, {0}}},
    {.name = "auth.login",
     .method = "POST",
     .path = "/auth/token/login/",
     .summary = "Get an opaque token.",
     .body = login_fields,
     .before = {&lh_step_log_in, &lh_step_new_opaque_token},
     .extra_sql = LOGIN,
     .sql = {FORGIVEN
             "INSERT INTO learnhub.tokens (digest, user_id, expires_at) "
             "SELECT decode(:digest, 'hex'), u.id, now() + make_interval(secs => :lifetime::int) FROM learnhub.users u "
             "WHERE u.id = :user_id::bigint AND u.is_active RETURNING user_id AS _id"},
     .shape = LH_ONE,
     .returns = token_keys,
     .errors =
         (const lh_route_error[]){
             {"credentials", 400, "non_field_errors", "Unable to log in with provided credentials."},
             {"missing", 400, "non_field_errors", "Unable to log in with provided credentials."},
             {0}}},
    {.name = "auth.logout",
     .method = "POST",
     .path = "/auth/token/logout/",
     .summary = "End the token that was sent.",
     .roles = LH_MEMBER,
     .before = {&lh_step_bind_sent_token},
     .flags = LH_RETRYABLE | LH_REVOKES,
     .sql = {"WITH gone AS (DELETE FROM learnhub.tokens WHERE digest = decode(:digest, 'hex')) "
             "INSERT INTO learnhub.auth_events (token) VALUES (substring(decode(:digest, 'hex') FROM 1 FOR 16)) "
             "RETURNING id AS _id"},
     .shape = LH_NOTHING},
    {0}};

const lh_route_group lh_group_auth = {.name = "auth",
                                      .title = "Accounts, as mentoring's clients know them",
                                      .prefixes = (const char *const[]){"/auth", NULL},
                                      .error_format = LH_ERRORS_DETAIL,
                                      .time_format = LH_SECONDS_Z,
                                      .always = 1,
                                      .routes = auth_routes};
