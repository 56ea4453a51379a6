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
    {"users_email_key", 400, "email", "A user with that e-mail already exists."}

/* clang-format on */

/* Locks the caller's account: changes of what one user has are serialised. */
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

/* The caller `c` may act for all users. */
#define TRUSTED_CALLER "c.role IN ('service', 'admin')"

#endif
