/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's own profile and its photo: mentoring's /myprofile. */
#include "learnhub.h"

#define MAX_NAME 150

static const lh_field profile_keys[] = {
    {.name = "pk", .type = LH_INTEGER},
    {.name = "username", .type = LH_STRING},
    {.name = "first_name", .type = LH_STRING},
    {.name = "last_name", .type = LH_STRING},
    {.name = "email", .type = LH_EMAIL},
    {.name = "phone_number", .type = LH_PHONE, .flags = LH_NULL},
    {.name = "profile_photo",
     .type = LH_STRING,
     .flags = LH_NULL,
     .note = "An absolute URL; it needs no token, and what it shows never changes."},
    {.name = "is_mentor", .type = LH_BOOLEAN},
    {.name = "is_mentee", .type = LH_BOOLEAN},
    {.name = "is_active",
     .type = LH_BOOLEAN,
     .note = "Read-only: who switched it off could not come back. Admins can change it."},
    {0}};

static const lh_field changes[] = {{.name = "username", .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = MAX_NAME},
                                   {.name = "first_name", .type = LH_STRING, .flags = LH_TRIM, .max = MAX_NAME},
                                   {.name = "last_name", .type = LH_STRING, .flags = LH_TRIM, .max = MAX_NAME},
                                   {.name = "email", .type = LH_EMAIL},
                                   {.name = "phone_number", .type = LH_PHONE, .flags = LH_CLEARABLE},
                                   {.name = "profile_photo", .type = LH_PHOTO, .flags = LH_CLEARABLE},
                                   {.name = "is_mentor", .type = LH_BOOLEAN, .flags = LH_COERCE},
                                   {.name = "is_mentee", .type = LH_BOOLEAN, .flags = LH_COERCE},
                                   {0}};

#define PROFILE                                                                                                        \
    "SELECT u.id AS pk, u.username, u.first_name, u.last_name, u.email, u.phone_number, "                              \
    "learnhub.photo_url(:base, u.profile_photo) AS profile_photo, u.is_mentor, u.is_mentee, u.is_active "              \
    "FROM learnhub.users u WHERE u.id = :me::bigint"

#define LOCK "SELECT id FROM learnhub.users WHERE id = :me::bigint FOR UPDATE"

/* Refused with both names when both are taken; two who ask for one name at once are told apart by its constraint. */
#define CHANGE                                                                                                         \
    "WITH v AS (SELECT concat_ws(' ', "                                                                                \
    "    CASE WHEN bool_or(name = lower(:username::text)) THEN 'users_username_key' END, "                             \
    "    CASE WHEN bool_or(name = lower(:email::text)) THEN 'users_email_key' END) AS codes "                          \
    "  FROM learnhub.login_names "                                                                                     \
    "  WHERE name IN (lower(:username::text), lower(:email::text)) AND user_id <> :me::bigint), "                      \
    "photo AS (INSERT INTO learnhub.photos AS p (user_id, name, media_type, content) SELECT u.id, "                    \
    "    learnhub.photo_name(:profile_photo_type), :profile_photo_type, decode(:profile_photo::text, 'hex') "          \
    "  FROM v, learnhub.users u WHERE codes = '' AND u.id = :me::bigint AND :profile_photo::text <> '' "               \
    "  ON CONFLICT (user_id) DO UPDATE SET name = excluded.name, media_type = excluded.media_type, "                   \
    "    content = excluded.content, created_at = excluded.created_at RETURNING name), "                               \
    "gone AS (DELETE FROM learnhub.photos p USING v "                                                                  \
    "  WHERE codes = '' AND :profile_photo::text = '' AND p.user_id = :me::bigint), "                                  \
    "done AS (UPDATE learnhub.users u SET username = coalesce(:username, u.username), "                                \
    "  email = coalesce(:email, u.email), first_name = coalesce(:first_name, u.first_name), "                          \
    "  last_name = coalesce(:last_name, u.last_name), "                                                                \
    "  phone_number = nullif(coalesce(:phone_number, u.phone_number), ''), "                                           \
    "  profile_photo = CASE WHEN :profile_photo::text IS NULL THEN u.profile_photo "                                   \
    "    ELSE (SELECT name FROM photo) END, "                                                                          \
    "  is_mentor = coalesce(:is_mentor::boolean, u.is_mentor), "                                                       \
    "  is_mentee = coalesce(:is_mentee::boolean, u.is_mentee) "                                                        \
    "  FROM v WHERE codes = '' AND u.id = :me::bigint) "                                                               \
    "SELECT nullif(codes, '') AS \"!\" FROM v"

static const lh_route routes[] = {
    {.name = "profile.get",
     .method = "GET",
     .path = "/myprofile/",
     .roles = LH_MEMBER,
     .summary = "The caller's profile.",
     .sql = {PROFILE},
     .shape = LH_ONE,
     .returns = profile_keys},
    {.name = "profile.update",
     .method = "PATCH",
     .path = "/myprofile/",
     .roles = LH_MEMBER,
     .summary = "Change any of the profile's fields.",
     .body = changes,
     .accepts = LH_MULTIPART | LH_JSON,
     .sql = {LOCK, CHANGE, PROFILE},
     .shape = LH_ONE,
     .returns = profile_keys,
     .errors =
         (const lh_route_error[]){{"users_username_key", 400, "username", "A user with that username already exists."},
                                  {"users_email_key", 400, "email", "A user with that e-mail already exists."},
                                  {0}}},
    {.name = "profile.photo",
     .method = "GET",
     .path = "/myprofile/photos/{name:text}",
     .summary = "A photo, for whoever knows its URL; a photo that was replaced is gone.",
     .sql = {"SELECT media_type AS _type, name AS _tag, content AS _content FROM learnhub.photos WHERE name = :name"},
     .shape = LH_BYTES},
    {0}};

/* A part of mentoring: LearnHubAPI switches both. */
const lh_route_group lh_group_profile = {.name = "mentoring",
                                         .title = "Profiles",
                                         .prefixes = (const char *const[]){"/myprofile", NULL},
                                         .error_format = LH_ERRORS_DETAIL,
                                         .time_format = LH_SECONDS_Z,
                                         .routes = routes};
