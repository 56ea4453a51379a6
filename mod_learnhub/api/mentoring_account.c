/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's own mentoring profile and its photo: /myprofile. */
#include "api/shared.h"
#include "learnhub_accounts.h"

/* clang-format off */

#define OWN_PROFILE                                                                                                    \
    "SELECT u.id AS pk, u.username, u.first_name, u.last_name, u.email, u.phone_number, "                              \
    "       learnhub.photo_url(:base, u.profile_photo) AS profile_photo, u.is_mentor, u.is_mentee, u.is_active "       \
    "FROM learnhub.users u "                                                                                           \
    "WHERE u.id = :me::bigint AND u.is_active"

static const lh_field profile_keys[] = {
    {.name = "pk",            .type = LH_INTEGER, .object = "Profile"},
    {.name = "username",      .type = LH_STRING},
    {.name = "first_name",    .type = LH_STRING},
    {.name = "last_name",     .type = LH_STRING},
    {.name = "email",         .type = LH_EMAIL},
    {.name = "phone_number",  .type = LH_PHONE,  .flags = LH_NULL},
    {.name = "profile_photo", .type = LH_STRING, .flags = LH_NULL,
     .note = "An absolute URL that needs no token and whose content never changes."},
    {.name = "is_mentor",     .type = LH_BOOLEAN},
    {.name = "is_mentee",     .type = LH_BOOLEAN},
    {.name = "is_active",     .type = LH_BOOLEAN,
     .note = "Read-only: users who deactivate themselves could not log in again. Admins can change it."},
    {0}};

static const lh_field profile_fields[] = {
    {.name = "username",      .type = LH_STRING,  .flags = LH_NAME, .min = 1, .max = NAME_LENGTH},
    {.name = "first_name",    .type = LH_STRING,  .flags = LH_NAME, .max = NAME_LENGTH},
    {.name = "last_name",     .type = LH_STRING,  .flags = LH_NAME, .max = NAME_LENGTH},
    {.name = "email",         .type = LH_EMAIL},
    {.name = "current_password", .type = LH_STRING, .flags = LH_SECRET, .max = PASSWORD_LENGTH,
     .note = "Required if the username or the e-mail address changes."},
    {.name = "phone_number",  .type = LH_PHONE,   .flags = LH_CLEARABLE},
    {.name = "profile_photo", .type = LH_PHOTO,   .flags = LH_CLEARABLE},
    {.name = "is_mentor",     .type = LH_BOOLEAN, .flags = LH_COERCE},
    {.name = "is_mentee",     .type = LH_BOOLEAN, .flags = LH_COERCE},
    {0}};

static const lh_route routes[] = {
    {.name = "profile.get", .method = "GET", .path = "/myprofile/",
     .summary = "Get the caller's profile.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.users "
             "WHERE id = :me::bigint "
             "FOR UPDATE",
     .sql = {OWN_PROFILE},
     .shape = LH_ONE,
     .returns = profile_keys},

    {.name = "profile.update", .method = "PATCH", .path = "/myprofile/",
     .summary = "Change any fields of the caller's profile.",
     .roles = LH_MEMBER,
     .accepts = LH_MULTIPART | LH_JSON,
     .body = profile_fields,
     .before = {&lh_step_log_in_to_change, &lh_step_bind_activation_link},
     .extra_sql = {OWN_ACCOUNT, LOGIN_FAILURE, NAME_CHANGE},
     /* `verdict` reports both names at once. Concurrent requests for the same name are decided by the trigger
      * keep_login_names. */
     .sql = {"SELECT id FROM learnhub.users WHERE id = :me::bigint FOR UPDATE",

             NAME_CHANGE_VERDICT ", "
             PHOTO_CHANGE("profile_photo")
             "changed AS ("
             "    UPDATE learnhub.users u "
             "    SET username = coalesce(:username, u.username), "
             "        email = " NEW_EMAIL ", "
             "        first_name = coalesce(:first_name, u.first_name), "
             "        last_name = coalesce(:last_name, u.last_name), "
             "        phone_number = nullif(coalesce(:phone_number, u.phone_number), ''), "
             "        profile_photo = CASE WHEN :profile_photo::text IS NULL THEN u.profile_photo "
             "                             ELSE (SELECT name FROM photo) END, "
             "        is_mentor = coalesce(:is_mentor::boolean, u.is_mentor), "
             "        is_mentee = coalesce(:is_mentee::boolean, u.is_mentee) "
             "    FROM account "
             "    WHERE u.id = account.id) "
             "SELECT nullif(codes, '') AS \"!\", " EMAIL_AUDIT " "
             "FROM verdict",

             "SELECT u.*, (SELECT a.event || ' user ' || a.user_id "
             "             FROM learnhub.audit_log a "
             "             WHERE a.user_id = u.pk AND a.event LIKE 'email_change%' AND a.at >= now() "
             "             LIMIT 1) AS _audit "
             "FROM (" OWN_PROFILE ") u"},
     .shape = LH_ONE,
     .returns = profile_keys,
     .errors = (const lh_route_error[]){NAME_CHANGE_ERRORS, {0}}},

    {.name = "profile.photo", .method = "GET", .path = "/myprofile/photos/{name:text}",
     .summary = "Get a photo by the name in its URL; replaced and removed photos are not found.",
     .sql = {PHOTO_BY_NAME("photos")},
     .shape = LH_BYTES,
     .media = PHOTO_MEDIA},

    {0}};
/* A part of `mentoring` in LearnHubAPI. */
const lh_route_group lh_group_profile = {
    .name = "mentoring",
    .title = "Profiles",
    .prefixes = (const char *const[]){"/myprofile", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */
