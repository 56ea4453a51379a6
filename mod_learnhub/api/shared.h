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

/* ---- xp ---- */

/* True if the caller `c` may act for all users. */
#define TRUSTED_CALLER "c.role IN ('service', 'admin')"

#endif
