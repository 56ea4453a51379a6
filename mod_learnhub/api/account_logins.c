/* SPDX-License-Identifier: Apache-2.0 */
/* Sign-up and log-in as the front ends of tutoring, coding and xp call them: further routes of the same accounts. */
#include "api/shared.h"
#include "learnhub_accounts.h"

/* clang-format off */

/* ---- shared by the three APIs ---- */

/* If only one of username and e-mail address is sent, it is stored as both. */
#define NEW_ACCOUNT(role, requested_role)                                                                              \
    "WITH taken AS (SELECT learnhub.taken_names(:username::text, :email::text, NULL) AS codes), "                      \
    "created AS ("                                                                                                     \
    "    INSERT INTO learnhub.users "                                                                                  \
    "        (username, email, first_name, last_name, role, requested_role, password_hash) "                           \
    "    SELECT coalesce(:username::text, :email::text), coalesce(:email::text, :username::text), "                    \
    "           coalesce(:first_name::text, ''), coalesce(:last_name::text, ''), " role ", " requested_role ", "       \
    "           :password_hash "                                                                                       \
    "    FROM taken "                                                                                                  \
    "    WHERE codes = '' "                                                                                            \
    "    RETURNING id, uuid, username, email, first_name, last_name, role, token_version, created_at) "

#define LOGIN_ERRORS (const lh_route_error[]){                                                                         \
    {"credentials", 401, NULL, "Incorrect e-mail address, username or password."},                                     \
    {"missing",     401, NULL, "Incorrect e-mail address, username or password."},                                     \
    {0}}

#define REFRESH_ERRORS (const lh_route_error[]){                                                                       \
    {"missing", 401, NULL, "The refresh token is invalid or has expired."},                                            \
    {0}}

#define EITHER_NAME "coalesce(:username::text, :email::text)"

#define NEW_PASSWORD_FIELD                                                                                             \
    {.name = "password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH,                  \
     .note = "8 to 72 bytes, not all digits, not common, not the name or the e-mail address."}

#define PERSON_FIELDS                                                                                                  \
    {.name = "first_name", .type = LH_STRING, .flags = LH_NAME, .max = NAME_LENGTH},                                   \
    {.name = "last_name",  .type = LH_STRING, .flags = LH_NAME, .max = NAME_LENGTH}

static const lh_field refresh_fields[] = {
    {.name = "refresh", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = 4096},
    {0}};

static const lh_field pair_keys[] = {
    {.name = "access",  .type = LH_STRING, .object = "TokenPair"},
    {.name = "refresh", .type = LH_STRING, .example = "eyJhbGciOiJIUzI1NiJ9.e30.bmV3"},
    {0}};

/* ---- tutoring: /api/auth ---- */

/* The role of a new account that chooses :role. */
#define GRANTED_ROLE                                                                                                   \
    "CASE WHEN :role::text = ANY (string_to_array(:signup_roles::text, ' ')) THEN :role::text ELSE 'student' END"

#define NESTED_USER                                                                                                    \
    "u.id AS \"user.id\", u.email AS \"user.email\", u.username AS \"user.username\", "                                \
    "u.first_name AS \"user.first_name\", u.last_name AS \"user.last_name\", u.role AS \"user.role\", "                \
    "u.created_at AS \"user.date_joined\" "

static const lh_field tutoring_register_fields[] = {
    {.name = "email",            .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "username",         .type = LH_STRING, .flags = LH_REQUIRED | LH_NAME, .min = 1, .max = NAME_LENGTH},
    NEW_PASSWORD_FIELD,
    {.name = "confirm_password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    PERSON_FIELDS,
    {.name = "role",             .type = LH_STRING, .flags = LH_NULL | LH_EMPTY,
     .enum_values = "student instructor", .default_value = "student"},
    {0}};

static const lh_field tutoring_login_fields[] = {
    {.name = "email",    .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .max = 254,
     .note = "E-mail address or username."},
    {.name = "password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field tutoring_login_keys[] = {
    {.name = "tokens.access",    .type = LH_STRING, .object = "TutoringLogin"},
    {.name = "tokens.refresh",   .type = LH_STRING},
    {.name = "message",          .type = LH_STRING, .example = "Login successful."},
    {.name = "user.id",          .type = LH_INTEGER},
    {.name = "user.email",       .type = LH_EMAIL},
    {.name = "user.username",    .type = LH_STRING},
    {.name = "user.first_name",  .type = LH_STRING},
    {.name = "user.last_name",   .type = LH_STRING},
    {.name = "user.role",        .type = LH_STRING, .enum_values = ROLE_NAMES},
    {.name = "user.date_joined", .type = LH_TIME},
    {0}};

static const lh_field tutoring_user_keys[] = {
    {.name = "id",          .type = LH_INTEGER, .object = "TutoringUser"},
    {.name = "pk",          .type = LH_INTEGER},
    {.name = "email",       .type = LH_EMAIL},
    {.name = "username",    .type = LH_STRING},
    {.name = "first_name",  .type = LH_STRING},
    {.name = "last_name",   .type = LH_STRING},
    {.name = "role",        .type = LH_STRING, .enum_values = ROLE_NAMES},
    {.name = "date_joined", .type = LH_TIME},
    {0}};

static const lh_field logout_keys[] = {
    {.name = "detail", .type = LH_STRING, .object = "LogoutMessage", .example = "Successfully logged out."},
    {0}};

static const lh_route tutoring_routes[] = {
    {.name = "tutoring_login.register", .method = "POST", .path = "/api/auth/register/",
     .summary = "Create an account and log in; a role that is not in LearnHubSignupRoles is stored as a request.",
     .flags = LH_IDEMPOTENT,
     .body = tutoring_register_fields,
     .check = lh_check_password,
     .before = {&lh_step_hash_password, &lh_step_new_login, &lh_step_bind_activation_link},
     .sql = {NEW_ACCOUNT(GRANTED_ROLE, "nullif(:role::text, " GRANTED_ROLE ")")
             "SELECT nullif(taken.codes, '') AS \"!\", " LOGIN_COLUMNS ", "
             "       'Registration successful.' AS message, " CONFIRMATION("u") ", " NESTED_USER
             "FROM taken "
             "LEFT JOIN created u ON true "
             "LEFT JOIN " NEW_LOGIN("u.token_version") "ON true"},
     .after = {&lh_step_issue_tokens_object},
     .rate = LH_RATE_SIGNUP,
     .shape = LH_ONE,
     .status = 201,
     .returns = tutoring_login_keys,
     .examples = (const lh_route_example[]){{"message", "Registration successful.", 0}, {0}},
     .errors = (const lh_route_error[]){LOGIN_NAME_ERRORS, {0}}},

    {.name = "tutoring_login.login", .method = "POST", .path = "/api/auth/login/",
     .summary = "Log in and get an access token and a refresh token.",
     .body = tutoring_login_fields,
     .before = {&lh_step_log_in, &lh_step_new_login},
     .extra_sql = {LOGIN_ACCOUNT(":email::text"), LOGIN_FAILURE},
     .sql = {FORGIVEN
             "SELECT " LOGIN_COLUMNS ", 'Login successful.' AS message, " NESTED_USER
             "FROM learnhub.users u "
             "CROSS JOIN " NEW_LOGIN(":version::int")
             "WHERE u.id = :user_id::bigint"},
     .after = {&lh_step_issue_tokens_object},
     .rate = LH_RATE_LOGIN,
     .shape = LH_ONE,
     .returns = tutoring_login_keys,
     .errors = LOGIN_ERRORS},

    {.name = "tutoring_login.logout", .method = "POST", .path = "/api/auth/logout/",
     .summary = "End the login of the token that was sent; the refresh token in the body is ignored.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE | LH_REVOKES,
     .before = {&lh_step_bind_sent_token},
     .sql = {"SELECT 'Successfully logged out.' AS detail, "
             "       'login_ended user ' || :me::bigint AS _audit, " LOGOUT "::text AS _done"},
     .shape = LH_ONE,
     .returns = logout_keys},

    {.name = "tutoring_login.user", .method = "GET", .path = "/api/auth/user/",
     .summary = "Get the caller's account.",
     .roles = LH_MEMBER,
     .sql = {"SELECT id, id AS pk, email, username, first_name, last_name, role, created_at AS date_joined "
             "FROM learnhub.users "
             "WHERE id = :me::bigint"},
     .shape = LH_ONE,
     .returns = tutoring_user_keys},

    {.name = "tutoring_login.refresh", .method = "POST", .path = "/api/auth/token/refresh/",
     .summary = "Get a new access token and the successor of the refresh token.",
     .flags = LH_RETRYABLE,
     .body = refresh_fields,
     .before = {&lh_step_verify_refresh_token},
     .sql = {LOGIN_REFRESH("true")},
     .after = {&lh_step_refresh_pair},
     .shape = LH_ONE,
     .returns = pair_keys,
     .errors = REFRESH_ERRORS},

    {0}};

const lh_route_group lh_group_tutoring_login = {
    .name = "tutoring",
    .title = "Accounts in the formats of tutoring",
    .prefixes = (const char *const[]){"/api/auth", NULL},
    .error_format = LH_ERRORS_FLAT,
    .time_format = LH_SECONDS_Z,
    .routes = tutoring_routes};

/* ---- coding: /api/token, /api/users ---- */

/* Front ends send an empty string for the name that the user has not entered. */
static const lh_field coding_login_fields[] = {
    {.name = "email",    .type = LH_STRING, .flags = LH_TRIM | LH_NULL | LH_EMPTY, .min = 1, .max = 254,
     .note = "E-mail address or username; required without username."},
    {.name = "username", .type = LH_STRING, .flags = LH_TRIM | LH_NULL | LH_EMPTY, .min = 1, .max = 254,
     .note = "The same; used if both are sent."},
    {.name = "password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field verify_fields[] = {
    {.name = "token", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = 4096},
    {0}};

static const lh_field coding_register_fields[] = {
    {.name = "email",    .type = LH_EMAIL, .flags = LH_REQUIRED},
    {.name = "username", .type = LH_STRING, .flags = LH_NAME | LH_NULL | LH_EMPTY, .min = 1, .max = NAME_LENGTH,
     .note = "Default: the e-mail address."},
    NEW_PASSWORD_FIELD,
    PERSON_FIELDS,
    {0}};

static const lh_field coding_user_keys[] = {
    {.name = "email",    .type = LH_EMAIL, .object = "CodingUser"},
    {.name = "username", .type = LH_STRING},
    {0}};

static const lh_route token_routes[] = {
    {.name = "coding_token.login", .method = "POST", .path = "/api/token/",
     .summary = "Log in and get an access token and a refresh token.",
     .body = coding_login_fields,
     .either = "email username",
     .check = lh_check_login_name,
     .before = {&lh_step_log_in, &lh_step_new_login},
     .extra_sql = {LOGIN_ACCOUNT(EITHER_NAME), LOGIN_FAILURE},
     .sql = {FORGIVEN
             "SELECT " LOGIN_COLUMNS " "
             "FROM learnhub.users u "
             "CROSS JOIN " NEW_LOGIN(":version::int")
             "WHERE u.id = :user_id::bigint"},
     .after = {&lh_step_issue_pair},
     .rate = LH_RATE_LOGIN,
     .shape = LH_ONE,
     .returns = pair_keys,
     .errors = LOGIN_ERRORS},

    {.name = "coding_token.refresh", .method = "POST", .path = "/api/token/refresh/",
     .summary = "Get a new access token and the successor of the refresh token.",
     .flags = LH_RETRYABLE,
     .body = refresh_fields,
     .before = {&lh_step_verify_refresh_token},
     .sql = {LOGIN_REFRESH("true")},
     .after = {&lh_step_refresh_pair},
     .shape = LH_ONE,
     .returns = pair_keys,
     .errors = REFRESH_ERRORS},

    {.name = "coding_token.verify", .method = "POST", .path = "/api/token/verify/",
     .summary = "Check an access, refresh or opaque token; the response is an empty object.",
     .flags = LH_RETRYABLE,
     .body = verify_fields,
     .before = {&lh_step_verify_token},
     .sql = {"SELECT id AS _id "
             "FROM learnhub.users "
             "WHERE id = :user_id::bigint AND is_active AND token_version = :version::int "
             "  AND (:refresh_id::uuid IS NULL OR learnhub.can_refresh(id, :login::uuid, :refresh_id::uuid))"},
     .shape = LH_ONE,
     .errors = (const lh_route_error[]){
         {"missing", 401, NULL, "The token is invalid or has expired."},
         {0}}},

    {0}};

const lh_route_group lh_group_coding_token = {
    .name = "coding",
    .title = "Tokens in the formats of coding",
    .prefixes = (const char *const[]){"/api/token", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_MICROS_Z,
    .routes = token_routes};

static const lh_route coding_users_routes[] = {
    {.name = "coding_users.register", .method = "POST", .path = "/api/users/",
     .summary = "Create an account.",
     .flags = LH_IDEMPOTENT,
     .body = coding_register_fields,
     .check = lh_check_password,
     .before = {&lh_step_hash_password, &lh_step_bind_activation_link},
     .sql = {NEW_ACCOUNT("'student'", "NULL")
             "SELECT nullif(taken.codes, '') AS \"!\", u.email, u.username, " CONFIRMATION("u") " "
             "FROM taken "
             "LEFT JOIN created u ON true"},
     .rate = LH_RATE_SIGNUP,
     .shape = LH_ONE,
     .status = 201,
     .returns = coding_user_keys,
     .errors = (const lh_route_error[]){LOGIN_NAME_ERRORS, {0}}},

    {0}};

const lh_route_group lh_group_coding_users = {
    .name = "coding",
    .title = "Accounts in the formats of coding",
    .prefixes = (const char *const[]){"/api/users", NULL},
    .error_format = LH_ERRORS_ENVELOPE,
    .time_format = LH_MICROS_Z,
    .routes = coding_users_routes};

/* ---- xp: /api/v1/auth ---- */

static const lh_field xp_register_fields[] = {
    {.name = "username",         .type = LH_STRING, .flags = LH_REQUIRED | LH_NAME, .min = 1, .max = NAME_LENGTH},
    {.name = "email",            .type = LH_EMAIL, .flags = LH_NULL | LH_EMPTY,
     .note = "Required, unless the username is an e-mail address."},
    NEW_PASSWORD_FIELD,
    {.name = "password2",        .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Optional; must equal password."},
    {.name = "confirm_password", .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "The same."},
    PERSON_FIELDS,
    {0}};

static const lh_field xp_login_fields[] = {
    {.name = "username", .type = LH_STRING, .flags = LH_TRIM | LH_NULL | LH_EMPTY, .min = 1, .max = 254,
     .note = "E-mail address or username; required without email."},
    {.name = "email",    .type = LH_STRING, .flags = LH_TRIM | LH_NULL | LH_EMPTY, .min = 1, .max = 254,
     .note = "The same; ignored if both are sent."},
    {.name = "password", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .max = PASSWORD_LENGTH},
    {0}};

static const lh_field xp_user_keys[] = {
    {.name = "id",          .type = LH_UUID, .object = "XpUser"},
    {.name = "username",    .type = LH_STRING},
    {.name = "email",       .type = LH_EMAIL},
    {.name = "first_name",  .type = LH_STRING},
    {.name = "last_name",   .type = LH_STRING},
    {.name = "role",        .type = LH_STRING, .enum_values = ROLE_NAMES},
    {.name = "date_joined", .type = LH_TIME},
    {0}};

static const lh_route xp_routes[] = {
    {.name = "xp_login.register", .method = "POST", .path = "/api/v1/auth/register/",
     .summary = "Create an account and log in.",
     .flags = LH_IDEMPOTENT,
     .body = xp_register_fields,
     .check = lh_check_registration,
     .before = {&lh_step_hash_password, &lh_step_new_login, &lh_step_bind_activation_link},
     .sql = {NEW_ACCOUNT("'student'", "NULL")
             "SELECT nullif(taken.codes, '') AS \"!\", " LOGIN_COLUMNS ", " CONFIRMATION("u") " "
             "FROM taken "
             "LEFT JOIN created u ON true "
             "LEFT JOIN " NEW_LOGIN("u.token_version") "ON true"},
     .after = {&lh_step_issue_pair},
     .rate = LH_RATE_SIGNUP,
     .shape = LH_ONE,
     .status = 201,
     .returns = pair_keys,
     .errors = (const lh_route_error[]){LOGIN_NAME_ERRORS, {0}}},

    {.name = "xp_login.login", .method = "POST", .path = "/api/v1/auth/login/",
     .summary = "Log in and get an access token and a refresh token.",
     .body = xp_login_fields,
     .either = "username email",
     .check = lh_check_login_name,
     .before = {&lh_step_log_in, &lh_step_new_login},
     .extra_sql = {LOGIN_ACCOUNT(EITHER_NAME), LOGIN_FAILURE},
     .sql = {FORGIVEN
             "SELECT " LOGIN_COLUMNS " "
             "FROM learnhub.users u "
             "CROSS JOIN " NEW_LOGIN(":version::int")
             "WHERE u.id = :user_id::bigint"},
     .after = {&lh_step_issue_pair},
     .rate = LH_RATE_LOGIN,
     .shape = LH_ONE,
     .returns = pair_keys,
     .errors = LOGIN_ERRORS},

    {.name = "xp_login.refresh", .method = "POST", .path = "/api/v1/auth/refresh/",
     .summary = "Get a new access token and the successor of the refresh token.",
     .flags = LH_RETRYABLE,
     .body = refresh_fields,
     .before = {&lh_step_verify_refresh_token},
     .sql = {LOGIN_REFRESH("true")},
     .after = {&lh_step_refresh_pair},
     .shape = LH_ONE,
     .returns = pair_keys,
     .errors = REFRESH_ERRORS},

    {.name = "xp_login.me", .method = "GET", .path = "/api/v1/auth/me/",
     .summary = "Get the caller's account.",
     .roles = LH_MEMBER,
     .sql = {"SELECT uuid AS id, username, email, first_name, last_name, role, created_at AS date_joined "
             "FROM learnhub.users "
             "WHERE id = :me::bigint"},
     .shape = LH_ONE,
     .returns = xp_user_keys},

    {0}};

const lh_route_group lh_group_xp_login = {
    .name = "xp",
    .title = "Accounts in the formats of xp",
    .prefixes = (const char *const[]){NULL}, /* below the prefix of lh_group_xp */
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = xp_routes};

/* clang-format on */
