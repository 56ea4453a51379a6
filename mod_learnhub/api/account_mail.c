/* SPDX-License-Identifier: Apache-2.0 */
/* Login names and the mails about them: changes of the caller's account, mailed links. */
#include "api/shared.h"
#include "learnhub_accounts.h"

/* clang-format off */

/* An unused and unexpired link that confirms an address of the user `u`. */
#define CONFIRMATION_IS_VALID                                                                                          \
    "c.digest = decode(:digest, 'hex') AND c.created_at > now() - interval '3 days' "                                  \
    "AND u.uuid::text = lower(:uid::text) AND u.is_active"

static const lh_field account_keys[] = {
    {.name = "email",    .type = LH_EMAIL, .object = "Account"},
    {.name = "username", .type = LH_STRING},
    {.name = "id",       .type = LH_INTEGER},
    {0}};

static const lh_field change_fields[] = {
    {.name = "username",         .type = LH_STRING, .flags = LH_NAME, .min = 1, .max = NAME_LENGTH},
    {.name = "email",            .type = LH_EMAIL},
    {.name = "current_password", .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Required if the username or the e-mail address changes."},
    {0}};

static const lh_field address_fields[] = {
    {.name = "email", .type = LH_EMAIL, .flags = LH_REQUIRED},
    {0}};

static const lh_field activation_fields[] = {
    {.name = "uid",   .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 100},
    {.name = "token", .type = LH_STRING, .flags = LH_REQUIRED | LH_SECRET, .min = 1, .max = 100},
    {0}};

static const lh_route routes[] = {
    {.name = "auth.change", .method = "PATCH", .path = "/auth/users/me/",
     .summary = "Change the e-mail address or the username; with LearnHubVerifyEmail an address has to be confirmed.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE,
     .body = change_fields,
     .before = {&lh_step_log_in_to_change, &lh_step_bind_activation_link},
     .extra_sql = {OWN_ACCOUNT, LOGIN_FAILURE, NAME_CHANGE},
     .sql = {"SELECT id FROM learnhub.users WHERE id = :me::bigint FOR UPDATE",

             NAME_CHANGE_VERDICT ", "
             "changed AS ("
             "    UPDATE learnhub.users u "
             "    SET username = coalesce(:username::text, u.username), email = " NEW_EMAIL " "
             "    FROM account "
             "    WHERE u.id = account.id "
             "    RETURNING u.email, u.username, u.id) "
             "SELECT nullif(codes, '') AS \"!\", changed.email, changed.username, changed.id, " EMAIL_AUDIT " "
             "FROM verdict "
             "LEFT JOIN changed ON true "
             "WHERE codes IS NOT NULL"},
     .shape = LH_ONE,
     .returns = account_keys,
     .errors = (const lh_route_error[]){NAME_CHANGE_ERRORS, {0}}},

    {.name = "auth.activation", .method = "POST", .path = "/auth/users/activation/",
     .summary = "Confirm an e-mail address with the link that was mailed to it.",
     .body = activation_fields,
     .before = {&lh_step_bind_link_digest},
     .sql = {"SELECT u.id "
             "FROM learnhub.email_confirmations c "
             "JOIN learnhub.users u ON u.id = c.user_id "
             "WHERE c.digest = decode(:digest, 'hex') "
             "FOR UPDATE OF u",

             "WITH used AS ("
             "    DELETE FROM learnhub.email_confirmations c "
             "    USING learnhub.users u "
             "    WHERE c.user_id = u.id AND " CONFIRMATION_IS_VALID " "
             "    RETURNING c.user_id, c.address, "
             "              CASE WHEN lower(c.address) = lower(u.email) THEN 'email_confirmed' "
             "                   ELSE 'email_changed' END AS event) "
             "UPDATE learnhub.users u "
             "SET email = CASE WHEN used.event = 'email_changed' THEN used.address ELSE u.email END, "
             "    email_verified_at = now() "
             "FROM used "
             "WHERE u.id = used.user_id "
             "RETURNING u.id AS _id, used.event || ' user ' || u.id AS _audit, "
             "          learnhub.record(used.event, u.id, NULL, :address)::text AS _recorded"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"users_email_key", 400, "token", "Another account has this e-mail address."},
         {"missing", 400, "token", "The link is invalid, has been used or has expired. Ask for a new one."},
         {0}}},

    {.name = "auth.resend_activation", .method = "POST", .path = "/auth/users/resend_activation/",
     .summary = "Mail the link for an address again; the response does not reveal whether the account exists.",
     .body = address_fields,
     .before = {&lh_step_bind_activation_link},
     .sql = {"SELECT learnhub.request_mail('confirmation', :email, :address, :activation_link)::text AS _done"},
     .rate = LH_RATE_MAIL,
     .shape = LH_NOTHING},

    {.name = "auth.reset_password", .method = "POST", .path = "/auth/users/reset_password/",
     .summary = "Mail a password-reset link; the response does not reveal whether the account exists.",
     .body = address_fields,
     .before = {&lh_step_bind_reset_link},
     .sql = {"SELECT learnhub.request_mail('reset', :email, :address, :link)::text AS _done"},
     .rate = LH_RATE_MAIL,
     .shape = LH_NOTHING},

    {0}};

/* A part of `auth`. */
const lh_route_group lh_group_account_mail = {
    .name = "auth",
    .title = "Login names and mailed links",
    .prefixes = (const char *const[]){NULL}, /* below the prefix of lh_group_auth */
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .always = 1,
    .routes = routes};

/* clang-format on */
