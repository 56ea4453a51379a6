/* SPDX-License-Identifier: Apache-2.0 */
/* The logins of an account, which clients show as its sessions: a list, and their end. */
#include "api/shared.h"
#include "learnhub_accounts.h"

/* clang-format off */

static const lh_field session_keys[] = {
    {.name = "id",           .type = LH_UUID, .object = "LoginSession"},
    {.name = "created_at",   .type = LH_TIME},
    {.name = "last_used_at", .type = LH_TIME, .note = "Within some minutes."},
    {.name = "address",      .type = LH_STRING, .flags = LH_NULL, .note = "Of the login or its last refresh."},
    {.name = "user_agent",   .type = LH_STRING, .flags = LH_NULL},
    {.name = "current",      .type = LH_BOOLEAN, .note = "The login of the token that was sent."},
    {0}};

static const lh_route session_routes[] = {
    {.name = "auth.sessions", .method = "GET", .path = "/auth/sessions/",
     .summary = "List the caller's logins, newest first.",
     .roles = LH_MEMBER,
     .before = {&lh_step_bind_sent_token},
     .sql = {"SELECT id, created_at, used_at AS last_used_at, address, user_agent, "
             "       id IS NOT DISTINCT FROM :login::uuid AS current "
             "FROM learnhub.logins "
             "WHERE user_id = :me::bigint AND (ends_at IS NULL OR ends_at > now()) "
             "ORDER BY created_at DESC, id "
             "LIMIT 200"}, /* there are at most 100, except for logins that were made before the limit existed */
     .shape = LH_ALL,
     .returns = session_keys},

    {.name = "auth.end_session", .method = "DELETE", .path = "/auth/sessions/{id:uuid}/",
     .summary = "End a login of the caller.",
     .roles = LH_MEMBER,
     .flags = LH_REVOKES,
     .sql = {"SELECT 'login_ended user ' || :me::bigint AS _audit, "
             "       learnhub.record('login_ended', :me::bigint, :me::bigint, :address::text, 'login ' || ended)::text "
             "           AS _done "
             "FROM learnhub.end_logins(:me::bigint, :id::uuid, false) ended"},
     .shape = LH_NOTHING},

    {.name = "auth.end_other_sessions", .method = "DELETE", .path = "/auth/sessions/",
     .summary = "End all logins of the caller but that of the token that was sent.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE | LH_REVOKES,
     .before = {&lh_step_bind_sent_token},
     .sql = {"SELECT CASE WHEN e.logins > 0 THEN 'login_ended user ' || :me::bigint END AS _audit, "
             "       CASE WHEN e.logins > 0 "
             "            THEN learnhub.record('login_ended', :me::bigint, :me::bigint, :address::text, "
             "                                 e.logins || ' other logins')::text "
             "       END AS _done "
             "FROM (SELECT count(*) AS logins FROM learnhub.end_logins(:me::bigint, :login::uuid, true)) e"},
     .shape = LH_NOTHING},

    {0}};

const lh_route_group lh_group_sessions = {
    .name = "auth",
    .title = "The logins of an account",
    .prefixes = (const char *const[]){NULL}, /* below the prefix of lh_group_auth */
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .always = 1,
    .routes = session_routes};

/* clang-format on */
