/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts, logins and passwords: /users in the formats of practice, /auth in those of mentoring. */
#include "api/shared.h"
#include "learnhub_accounts.h"

/* clang-format off */

/* For changes that require the caller's password. The names are read because a new password must not equal them. */
#define OWN_ACCOUNT                                                                                                    \
    "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version, u.password_hash AS _hash, t.wait AS _wait, "    \
    "       u.username AS _username, u.email AS _email, u.first_name AS _first_name, u.last_name AS _last_name "       \
    "FROM (SELECT ceil(extract(epoch FROM max(f.since) + make_interval(secs => :seconds::int) - now()))::int AS wait " \
    "      FROM learnhub.login_failures f "                                                                            \
    "      WHERE f.key IN ('address ' || :address::text, 'user ' || :me::bigint) AND f.failures >= :failures::int "    \
    "        AND f.since > now() - make_interval(secs => :seconds::int)) t "                                           \
    "LEFT JOIN learnhub.users u ON u.id = :me::bigint AND u.is_active"

#define OWN_FAILURE                                                                                                    \
    "WITH keys AS (SELECT unnest(ARRAY['address ' || :address::text, 'user ' || :me::bigint]) AS key), " FAILURE_COUNT

/* ---- /users ---- */

static const lh_field user_keys[] = {
    {.name = "id",         .type = LH_OBJECT_ID},
    {.name = "first_name", .type = LH_STRING},
    {.name = "last_name",  .type = LH_STRING},
    {.name = "email",      .type = LH_EMAIL},
    {.name = "created_at", .type = LH_TIME},
    {0}};

static const lh_field login_keys[] = {
    {.name = "access_token",    .type = LH_STRING},
    {.name = "refresh_token",   .type = LH_STRING},
    {.name = "token_type",      .type = LH_STRING},
    {.name = "expires_in",      .type = LH_INTEGER, .note = "Seconds."},
    {.name = "user.id",         .type = LH_OBJECT_ID},
    {.name = "user.first_name", .type = LH_STRING},
    {.name = "user.last_name",  .type = LH_STRING},
    {.name = "user.email",      .type = LH_EMAIL},
    {.name = "user.created_at", .type = LH_TIME},
    {0}};

static const lh_field refresh_keys[] = {
    {.name = "access_token", .type = LH_STRING},
    {.name = "token_type",   .type = LH_STRING},
    {.name = "expires_in",   .type = LH_INTEGER, .note = "Seconds."},
    {0}};

static const lh_field signup_fields[] = {
    {.name = "first_name", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = NAME_LENGTH},
    {.name = "last_name",  .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = NAME_LENGTH},
    {.name = "email",      .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "password",   .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not the e-mail address."},
    {0}};

/* For both logins. */
static const lh_field login_fields[] = {
    {.name = "username", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .max = 254,
     .note = "E-mail address or username."},
    {.name = "password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field refresh_fields[] = {
    {.name = "refresh_token", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = 4096},
    {0}};

static const lh_route users_routes[] = {
    {.name = "users.signup", .method = "POST", .path = "/users/signup",
     .summary = "Create an account.",
     .body = signup_fields,
     .check = lh_check_signup,
     .before = {&lh_step_hash_password},
     .sql = {"INSERT INTO learnhub.users AS u (username, email, first_name, last_name, password_hash) "
             "VALUES (:email, :email, :first_name, :last_name, :password_hash) "
             "RETURNING u.object_id AS id, u.first_name, u.last_name, u.email, u.created_at"},
     .shape = LH_ONE,
     .status = 201,
     .message = "User created successfully",
     .key = "user",
     .returns = user_keys,
     .errors = (const lh_route_error[]){
         {"users_email_key",    400, NULL, "A user with this e-mail already exists."},
         {"users_username_key", 400, NULL, "A user with this e-mail already exists."},
         {0}}},

    {.name = "users.login", .method = "POST", .path = "/users/login",
     .summary = "Log in and get an access token and a refresh token.",
     .accepts = LH_FORM | LH_MULTIPART, /* browsers send FormData objects as multipart */
     .body = login_fields,
     .before = {&lh_step_log_in},
     .extra_sql = {LOGIN_ACCOUNT(":username::text"), LOGIN_FAILURE(":username::text")},
     .sql = {FORGIVEN
             "SELECT u.id AS _id, u.role AS _role, u.token_version AS _version, u.object_id AS \"user.id\", "
             "       u.first_name AS \"user.first_name\", u.last_name AS \"user.last_name\", "
             "       u.email AS \"user.email\", u.created_at AS \"user.created_at\" "
             "FROM learnhub.users u "
             "WHERE u.id = :user_id::bigint AND u.is_active"},
     .after = {&lh_step_issue_tokens},
     .shape = LH_ONE,
     .returns = login_keys,
     .errors = (const lh_route_error[]){
         {"credentials", 401, NULL, "Incorrect username or password."},
         {"missing",     401, NULL, "Incorrect username or password."},
         {0}}},

    {.name = "users.refresh", .method = "POST", .path = "/users/refresh",
     .summary = "Get a new access token.",
     .flags = LH_RETRYABLE,
     .body = refresh_fields,
     .before = {&lh_step_verify_refresh_token},
     .sql = {TOKEN_OWNER},
     .after = {&lh_step_issue_access_token},
     .shape = LH_ONE,
     .returns = refresh_keys,
     .errors = (const lh_route_error[]){
         {"missing", 401, NULL, "The refresh token is invalid or has expired."},
         {0}}},

    {.name = "users.me", .method = "GET", .path = "/users/me",
     .summary = "Get the caller's account.",
     .roles = LH_MEMBER,
     .flags = LH_SHORT,
     .sql = {"SELECT u.object_id AS id, u.first_name, u.last_name, u.email, u.created_at "
             "FROM learnhub.users u "
             "WHERE u.id = :me::bigint"},
     .depends = "user:{me}",
     .shape = LH_ONE,
     .returns = user_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "User not found."}, {0}}},

    {0}};

const lh_route_group lh_group_users = {
    .name = "users",
    .title = "Accounts in the formats of practice",
    .prefixes = (const char *const[]){"/users", NULL},
    .error_format = LH_ERRORS_LOCATED,
    .time_format = LH_SECONDS,
    .always = 1,
    .routes = users_routes};

/* ---- /auth ---- */

/* An unused and unexpired reset link of the user that it names. */
#define RESET_LINK_IS_VALID                                                                                            \
    "r.digest = decode(:digest, 'hex') AND r.created_at > now() - interval '1 hour' "                                  \
    "AND r.user_id = (SELECT id FROM learnhub.users WHERE uuid::text = lower(:uid::text) AND is_active)"

static const lh_field account_keys[] = {
    {.name = "email",    .type = LH_EMAIL},
    {.name = "username", .type = LH_STRING},
    {.name = "id",       .type = LH_INTEGER},
    {0}};

static const lh_field token_keys[] = {
    {.name = "auth_token", .type = LH_STRING, .note = "40 hex digits."},
    {0}};

static const lh_field register_fields[] = {
    {.name = "username",    .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = NAME_LENGTH},
    {.name = "email",       .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "password",    .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not the name or the e-mail address."},
    {.name = "re_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field change_fields[] = {
    {.name = "username", .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = NAME_LENGTH},
    {.name = "email",    .type = LH_EMAIL},
    {0}};

static const lh_field delete_fields[] = {
    {.name = "current_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field password_fields[] = {
    {.name = "new_password",     .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not the name or the e-mail address."},
    {.name = "re_new_password",  .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Optional; must equal new_password."},
    {.name = "current_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field reset_fields[] = {
    {.name = "email", .type = LH_EMAIL, .flags = LH_REQUIRED},
    {0}};

static const lh_field confirm_fields[] = {
    {.name = "uid",             .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 100},
    {.name = "token",           .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .min = 1, .max = 100},
    {.name = "new_password",    .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not the name or the e-mail address."},
    {.name = "re_new_password", .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Optional; must equal new_password."},
    {0}};

static const lh_route auth_routes[] = {
    {.name = "auth.register", .method = "POST", .path = "/auth/users/",
     .summary = "Create an account.",
     .body = register_fields,
     .check = lh_check_password,
     .before = {&lh_step_hash_password},
     .sql = {"WITH taken AS (SELECT learnhub.taken_names(:username::text, :email::text, NULL) AS codes), "
             "created AS ("
             "    INSERT INTO learnhub.users (username, email, password_hash) "
             "    SELECT :username::text, :email::text, :password_hash "
             "    FROM taken "
             "    WHERE codes = '' "
             "    RETURNING email, username, id) "
             "SELECT nullif(taken.codes, '') AS \"!\", created.email, created.username, created.id "
             "FROM taken "
             "LEFT JOIN created ON true"},
     .shape = LH_ONE,
     .status = 201,
     .returns = account_keys,
     .errors = (const lh_route_error[]){LOGIN_NAME_ERRORS, {0}}},

    {.name = "auth.me", .method = "GET", .path = "/auth/users/me/",
     .summary = "Get the caller's account.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.users "
             "WHERE id = :me::bigint "
             "FOR UPDATE",
     .sql = {"SELECT email, username, id "
             "FROM learnhub.users "
             "WHERE id = :me::bigint"},
     .shape = LH_ONE,
     .returns = account_keys},

    {.name = "auth.change", .method = "PATCH", .path = "/auth/users/me/",
     .summary = "Change the e-mail address or the username.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE,
     .body = change_fields,
     .sql = {"SELECT id FROM learnhub.users WHERE id = :me::bigint FOR UPDATE",

             "WITH taken AS (SELECT learnhub.taken_names(:username::text, :email::text, :me::bigint) AS codes), "
             "changed AS ("
             "    UPDATE learnhub.users u "
             "    SET username = coalesce(:username::text, u.username), email = coalesce(:email::text, u.email) "
             "    FROM taken "
             "    WHERE codes = '' AND u.id = :me::bigint AND u.is_active "
             "    RETURNING u.email, u.username, u.id) "
             "SELECT nullif(taken.codes, '') AS \"!\", changed.email, changed.username, changed.id "
             "FROM taken "
             "LEFT JOIN changed ON true "
             "WHERE changed.id IS NOT NULL OR taken.codes <> ''"},
     .shape = LH_ONE,
     .returns = account_keys,
     .errors = (const lh_route_error[]){LOGIN_NAME_ERRORS, {0}}},

    {.name = "auth.delete", .method = "DELETE", .path = "/auth/users/me/",
     .summary = "Delete the account; records shared with other users remain, anonymised.",
     .roles = LH_MEMBER,
     .flags = LH_REVOKES,
     .body = delete_fields,
     .before = {&lh_step_log_in},
     .extra_sql = {OWN_ACCOUNT, OWN_FAILURE},
     .sql = {ACTING,

             FORGIVEN
             "SELECT learnhub.delete_account(:user_id::bigint)",

             "SELECT learnhub.audited() AS _audit"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"credentials", 400, "current_password", "Invalid password."},
         {0}}},

    {.name = "auth.set_password", .method = "POST", .path = "/auth/users/set_password/",
     .summary = "Change the password and revoke all tokens of the account.",
     .roles = LH_MEMBER,
     .flags = LH_REVOKES,
     .body = password_fields,
     .check = lh_check_password,
     .before = {&lh_step_log_in, &lh_step_check_own_password, &lh_step_hash_password},
     .extra_sql = {OWN_ACCOUNT, OWN_FAILURE},
     .sql = {FORGIVEN
             "UPDATE learnhub.users u "
             "SET password_hash = :password_hash "
             "WHERE u.id = :user_id::bigint AND u.is_active AND u.token_version = :version::int "
             "RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"credentials", 400, "current_password", "Invalid password."},
         {"missing",     400, "current_password", "Invalid password."}, /* a concurrent request changed it */
         {0}}},

    {.name = "auth.reset_password", .method = "POST", .path = "/auth/users/reset_password/",
     .summary = "Mail a password-reset link; the response does not reveal whether the account exists.",
     .body = reset_fields,
     .before = {&lh_step_new_reset_link},
     /* The lock serialises the requests for an account, so that each of them counts for its limits. */
     .sql = {"SELECT id FROM learnhub.users WHERE lower(email) = lower(:email::text) FOR NO KEY UPDATE",

             "WITH expired AS ("
             "    DELETE FROM learnhub.password_resets "
             "    WHERE digest IN (SELECT digest FROM learnhub.password_resets "
             "                     WHERE created_at < now() - interval '1 hour' "
             "                     LIMIT 100 "
             "                     FOR UPDATE SKIP LOCKED)), "
             "account AS ("
             "    SELECT u.id, u.uuid, u.username "
             "    FROM learnhub.users u "
             "    WHERE lower(u.email) = lower(:email::text) AND u.is_active "
             "      AND NOT EXISTS (SELECT FROM learnhub.password_resets r "
             "                      WHERE r.user_id = u.id "
             "                      GROUP BY r.user_id "
             "                      HAVING max(r.created_at) > now() - interval '1 minute' "
             "                          OR count(*) FILTER (WHERE r.created_at > now() - interval '1 hour') >= 5)), "
             "link AS ("
             "    INSERT INTO learnhub.password_resets (digest, user_id) "
             "    SELECT decode(:digest, 'hex'), (SELECT id FROM account)) "
             "SELECT (SELECT learnhub.post_mail(id, 'Reset your password', "
             "            'A new password was requested for your account \"' || username || '\".\n\n' || "
             "            'To choose a new password, open this link within one hour. It works once:\n' || "
             "            replace(:link::text, '{uid}', uuid::text) || '\n\n' || "
             "            'If you did not request this, ignore this mail. Your password has not changed.\n', "
             "            'password reset', NULL, now() + interval '1 hour') "
             "        FROM account) AS _mail"},
     .shape = LH_NOTHING},

    {.name = "auth.reset_password_confirm", .method = "POST", .path = "/auth/users/reset_password_confirm/",
     .summary = "Set a new password with a reset link and revoke all tokens of the account.",
     .flags = LH_REVOKES,
     .body = confirm_fields,
     .check = lh_check_password,
     .before = {&lh_step_find_reset_link, &lh_step_check_own_password, &lh_step_hash_password},
     .extra_sql = {
             "SELECT u.username AS _username, u.email AS _email, "
             "       u.first_name AS _first_name, u.last_name AS _last_name "
             "FROM learnhub.password_resets r "
             "JOIN learnhub.users u ON u.id = r.user_id "
             "WHERE " RESET_LINK_IS_VALID},
     .sql = {"WITH used AS ("
             "    DELETE FROM learnhub.password_resets r "
             "    WHERE " RESET_LINK_IS_VALID " "
             "    RETURNING r.user_id), "
             "forgiven AS ("
             "    DELETE FROM learnhub.login_failures f "
             "    USING used "
             "    WHERE f.key = 'user ' || used.user_id) "
             "UPDATE learnhub.users u "
             "SET password_hash = :password_hash "
             "FROM used "
             "WHERE u.id = used.user_id "
             "RETURNING u.id AS _id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"missing", 400, "token", "The link is invalid, has been used or has expired. Ask for a new one."},
         {0}}},

    {.name = "auth.login", .method = "POST", .path = "/auth/token/login/",
     .summary = "Log in and get an opaque token.",
     .body = login_fields,
     .before = {&lh_step_log_in, &lh_step_new_opaque_token},
     .extra_sql = {LOGIN_ACCOUNT(":username::text"), LOGIN_FAILURE(":username::text")},
     .sql = {FORGIVEN
             "INSERT INTO learnhub.tokens (digest, user_id, expires_at) "
             "SELECT decode(:digest, 'hex'), u.id, now() + make_interval(secs => :lifetime::int) "
             "FROM learnhub.users u "
             "WHERE u.id = :user_id::bigint AND u.is_active "
             "RETURNING user_id AS _id"},
     .shape = LH_ONE,
     .returns = token_keys,
     .errors = (const lh_route_error[]){
         {"credentials", 400, "non_field_errors", "Unable to log in with provided credentials."},
         {"missing",     400, "non_field_errors", "Unable to log in with provided credentials."},
         {0}}},

    {.name = "auth.logout", .method = "POST", .path = "/auth/token/logout/",
     .summary = "Revoke the token that was sent.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE | LH_REVOKES,
     .before = {&lh_step_bind_sent_token},
     .sql = {TOKEN_REVOCATION
             "RETURNING id AS _id"},
     .shape = LH_NOTHING},

    {0}};

const lh_route_group lh_group_auth = {
    .name = "auth",
    .title = "Accounts in the formats of mentoring",
    .prefixes = (const char *const[]){"/auth", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .always = 1,
    .routes = auth_routes};

/* clang-format on */
