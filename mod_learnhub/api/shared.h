/* SPDX-License-Identifier: Apache-2.0 */
/* Definitions that several route files share. */
#ifndef LH_SHARED_H
#define LH_SHARED_H

#include "learnhub.h"

/* clang-format off */

/* ---- accounts ---- */

#define NAME_LENGTH 150 /* characters of a username, first or last name */

/* The errors for the codes of learnhub.taken_names(). */
#define LOGIN_NAME_ERRORS                                                                                              \
    {"users_username_key", 400, "username", "A user with that username already exists."},                              \
    {"users_email_key",    400, "email",    "A user with that e-mail already exists."}

/* A profile photo, for LH_BYTES. */
#define PHOTO_BY_NAME                                                                                                  \
    "SELECT media_type AS _type, name AS _tag, content AS _content "                                                   \
    "FROM learnhub.photos "                                                                                            \
    "WHERE name = :name"

/*
 * Stores the LH_PHOTO `field` of the user whose id `account` returns, or removes the photo if the field is empty.
 * `photo` returns the name of the new photo, which the statement writes to users.profile_photo.
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

/* ---- practice ---- */

/* A chat message of a practice session or a submission. */
#define CHAT_FIELDS (const lh_field[]){                                                                                \
    {.name = "role",    .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "user assistant"},                     \
    {.name = "content", .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 32768},                              \
    {0}}

/* clang-format on */

/* Locks the caller's account, so that concurrent changes of one user's data run one after the other. */
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
