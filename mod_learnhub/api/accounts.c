/* SPDX-License-Identifier: Apache-2.0 */
/* Accounts, logins and passwords: /users in the formats of practice, /auth in those of mentoring. */
#include "api/shared.h"
#include "learnhub_accounts.h"

/* clang-format off */

/* ---- /users ---- */

static const lh_field user_keys[] = {
    {.name = "id",         .type = LH_OBJECT_ID, .object = "User"},
    {.name = "first_name", .type = LH_STRING},
    {.name = "last_name",  .type = LH_STRING},
    {.name = "email",      .type = LH_EMAIL},
    {.name = "created_at", .type = LH_TIME},
    {0}};

static const lh_field login_keys[] = {
    {.name = "access_token",    .type = LH_STRING, .object = "Login"},
    {.name = "refresh_token",   .type = LH_STRING},
    {.name = "token_type",      .type = LH_STRING, .enum_values = "bearer"},
    {.name = "expires_in",      .type = LH_INTEGER, .note = "Seconds."},
    {.name = "user.id",         .type = LH_OBJECT_ID},
    {.name = "user.first_name", .type = LH_STRING},
    {.name = "user.last_name",  .type = LH_STRING},
    {.name = "user.email",      .type = LH_EMAIL},
    {.name = "user.created_at", .type = LH_TIME},
    {0}};

static const lh_field refresh_keys[] = {
    {.name = "access_token", .type = LH_STRING, .object = "AccessToken"},
    {.name = "token_type",   .type = LH_STRING, .enum_values = "bearer"},
    {.name = "expires_in",   .type = LH_INTEGER, .note = "Seconds."},
    {0}};

static const lh_field signup_fields[] = {
    {.name = "first_name", .type = LH_STRING, .flags = LH_REQUIRED | LH_NAME, .min = 1, .max = NAME_LENGTH},
    {.name = "last_name",  .type = LH_STRING, .flags = LH_REQUIRED | LH_NAME, .min = 1, .max = NAME_LENGTH},
    {.name = "email",      .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "password",   .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not common, not the e-mail address."},
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
     .flags = LH_IDEMPOTENT,
     .body = signup_fields,
     .check = lh_check_signup,
     .before = {&lh_step_hash_password, &lh_step_bind_activation_link},
     .sql = {"WITH created AS ("
             "    INSERT INTO learnhub.users (username, email, first_name, last_name, password_hash) "
             "    VALUES (:email, :email, :first_name, :last_name, :password_hash) "
             "    RETURNING *) "
             "SELECT u.object_id AS id, u.first_name, u.last_name, u.email, u.created_at, " CONFIRMATION("u") " "
             "FROM created u"},
     .rate = LH_RATE_SIGNUP,
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
     .before = {&lh_step_log_in, &lh_step_new_login},
     .extra_sql = {LOGIN_ACCOUNT(":username::text"), LOGIN_FAILURE},
     .sql = {FORGIVEN
             "SELECT " LOGIN_COLUMNS ", u.object_id AS \"user.id\", "
             "       u.first_name AS \"user.first_name\", u.last_name AS \"user.last_name\", "
             "       u.email AS \"user.email\", u.created_at AS \"user.created_at\" "
             "FROM learnhub.users u "
             "CROSS JOIN " NEW_LOGIN(":version::int")
             "WHERE u.id = :user_id::bigint"},
     .after = {&lh_step_issue_tokens},
     .rate = LH_RATE_LOGIN,
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
     .sql = {LOGIN_REFRESH("false")},
     .after = {&lh_step_refresh_access_token},
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
    {.name = "email",    .type = LH_EMAIL, .object = "Account"},
    {.name = "username", .type = LH_STRING},
    {.name = "id",       .type = LH_INTEGER},
    {0}};

static const lh_field token_keys[] = {
    {.name = "auth_token", .type = LH_STRING, .note = "40 hex digits.", .object = "OpaqueToken"},
    {0}};

static const lh_field register_fields[] = {
    {.name = "username",    .type = LH_STRING, .flags = LH_REQUIRED | LH_NAME, .min = 1, .max = NAME_LENGTH},
    {.name = "email",       .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "password",    .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not common, not the name or the e-mail address."},
    {.name = "re_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field delete_fields[] = {
    {.name = "current_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field password_fields[] = {
    {.name = "new_password",     .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not common, not the name or the e-mail address."},
    {.name = "re_new_password",  .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Optional; must equal new_password."},
    {.name = "current_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field confirm_fields[] = {
    {.name = "uid",             .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 100},
    {.name = "token",           .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .min = 1, .max = 100},
    {.name = "new_password",    .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "8 to 72 bytes, not all digits, not common, not the name or the e-mail address."},
    {.name = "re_new_password", .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Optional; must equal new_password."},
    {0}};

static const lh_route auth_routes[] = {
    {.name = "auth.register", .method = "POST", .path = "/auth/users/",
     .summary = "Create an account.",
     .flags = LH_IDEMPOTENT,
     .body = register_fields,
     .check = lh_check_password,
     .before = {&lh_step_hash_password, &lh_step_bind_activation_link},
     .sql = {"WITH taken AS (SELECT learnhub.taken_names(:username::text, :email::text, NULL) AS codes), "
             "created AS ("
             "    INSERT INTO learnhub.users (username, email, password_hash) "
             "    SELECT :username::text, :email::text, :password_hash "
             "    FROM taken "
             "    WHERE codes = '' "
             "    RETURNING email, username, id, uuid) "
             "SELECT nullif(taken.codes, '') AS \"!\", u.email, u.username, u.id, " CONFIRMATION("u") " "
             "FROM taken "
             "LEFT JOIN created u ON true"},
     .rate = LH_RATE_SIGNUP,
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

    {.name = "auth.delete", .method = "DELETE", .path = "/auth/users/me/",
     .summary = "Delete the account; records shared with other users remain, anonymised.",
     .roles = LH_MEMBER,
     .flags = LH_REVOKES,
     .body = delete_fields,
     .before = {&lh_step_log_in},
     .extra_sql = {OWN_ACCOUNT, LOGIN_FAILURE},
     .sql = {ACTING " FROM learnhub.users WHERE id = :me::bigint FOR NO KEY UPDATE",

             FORGIVEN
             "SELECT NULL",

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
     .extra_sql = {OWN_ACCOUNT, LOGIN_FAILURE},
     .sql = {FORGIVEN
             "UPDATE learnhub.users u "
             "SET password_hash = :password_hash "
             "WHERE u.id = :user_id::bigint AND u.is_active AND u.token_version = :version::int "
             "RETURNING 'password_changed user ' || u.id AS _audit, "
             "          learnhub.record('password_changed', u.id, u.id, :address::text)::text AS _done"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"credentials", 400, "current_password", "Invalid password."},
         {"missing",     400, "current_password", "Invalid password."}, /* a concurrent request changed it */
         {0}}},

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
     .sql = {"SELECT u.id "
             "FROM learnhub.password_resets r "
             "JOIN learnhub.users u ON u.id = r.user_id "
             "WHERE r.digest = decode(:digest, 'hex') "
             "FOR UPDATE OF u",

             "WITH used AS ("
             "    DELETE FROM learnhub.password_resets r "
             "    WHERE " RESET_LINK_IS_VALID " "
             "    RETURNING r.user_id), "
             "forgiven AS ("
             "    DELETE FROM learnhub.login_failures f "
             "    USING used "
             "    WHERE f.key = 'user ' || used.user_id) "
             "UPDATE learnhub.users u "
             "SET password_hash = :password_hash, email_verified_at = coalesce(u.email_verified_at, now()) "
             "FROM used "
             "WHERE u.id = used.user_id "
             "RETURNING 'password_reset user ' || u.id AS _audit, "
             "          learnhub.record('password_reset', u.id, NULL, :address::text)::text AS _done"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"missing", 400, "token", "The link is invalid, has been used or has expired. Ask for a new one."},
         {0}}},

    {.name = "auth.login", .method = "POST", .path = "/auth/token/login/",
     .summary = "Log in and get an opaque token.",
     .body = login_fields,
     .before = {&lh_step_log_in, &lh_step_new_opaque_token},
     .extra_sql = {LOGIN_ACCOUNT(":username::text"), LOGIN_FAILURE},
     .sql = {FORGIVEN
             "SELECT login AS _login "
             "FROM learnhub.begin_login(:user_id::bigint, :version::int, :address::text, :agent::text, "
             "                          0, :lifetime::bigint, decode(:digest, 'hex'))"},
     .rate = LH_RATE_LOGIN,
     .shape = LH_ONE,
     .returns = token_keys,
     .errors = (const lh_route_error[]){
         {"credentials", 400, "non_field_errors", "Unable to log in with provided credentials."},
         {"missing",     400, "non_field_errors", "Unable to log in with provided credentials."},
         {0}}},

    {.name = "auth.logout", .method = "POST", .path = "/auth/token/logout/",
     .summary = "End the login of the token that was sent.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE | LH_REVOKES,
     .before = {&lh_step_bind_sent_token},
     .sql = {"SELECT 'login_ended user ' || :me::bigint AS _audit, " LOGOUT "::text AS _done"},
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
