/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that is stored about the caller, as one JSON document. It is written row by row: neither PostgreSQL nor
 * httpd has more than one record in memory. t/39-privacy.t fails for a table with a column of users that is neither
 * read here nor listed there with a reason.
 */
#include "api/shared.h"

/* clang-format off */

/* The rows of a SELECT as records of a kind. */
#define RECORDS(kind, columns, rest)                                                                                   \
    "SELECT '" kind "' AS kind, to_json(r) AS record "                                                                 \
    "FROM (SELECT " columns " FROM learnhub." rest ") r "

#define OWN "user_id = :me::bigint"

#define ACCOUNT_RECORDS                                                                                                \
    RECORDS("account",                                                                                                 \
            "id, encode(object_id, 'hex') AS object_id, uuid, username, email, email_verified_at, "                    \
            "first_name, last_name, role, requested_role, is_mentor, is_mentee, is_active, phone_number, "             \
            "learnhub.photo_url(:base, profile_photo) AS profile_photo, created_at",                                   \
            "users WHERE id = :me::bigint")                                                                            \
    "UNION ALL "                                                                                                       \
    RECORDS("profile_photo",                                                                                           \
            "learnhub.photo_url(:base, name) AS url, media_type, length(content) AS bytes, created_at",                \
            "photos WHERE " OWN)                                                                                       \
    "UNION ALL "                                                                                                       \
    RECORDS("login", "id, is_opaque, created_at, used_at, address, user_agent, ends_at", "logins WHERE " OWN)          \
    "UNION ALL "                                                                                                       \
    RECORDS("known_network", "network, used_at", "known_networks WHERE " OWN)                                          \
    "UNION ALL "                                                                                                       \
    RECORDS("unconfirmed_email", "address, created_at", "email_confirmations WHERE " OWN)                              \
    "UNION ALL "                                                                                                       \
    RECORDS("token", "created_at", "tokens WHERE " OWN)                                                                \
    "UNION ALL "                                                                                                       \
    RECORDS("password_reset", "created_at", "password_resets WHERE " OWN)                                              \
    "UNION ALL "                                                                                                       \
    RECORDS("mail", "id, to_address, to_name, subject, state, created_at, sent_at", "outbox WHERE " OWN)               \
    "UNION ALL "                                                                                                       \
    /* Without the address of another user, such as an admin. */                                                       \
    RECORDS("audit",                                                                                                   \
            "at, event, actor_id AS actor, detail, "                                                                   \
            "CASE WHEN actor_id IS NULL OR actor_id = user_id THEN address END AS address",                            \
            "audit_log WHERE " OWN)

#define PRACTICE_RECORDS                                                                                               \
    RECORDS("problem",                                                                                                 \
            "encode(id, 'hex') AS id, title, description, difficulty, categories, estimated_time, requirements, "      \
            "constraints, hints, created_at, updated_at",                                                              \
            "problems WHERE created_by = :me::bigint")                                                                 \
    "UNION ALL "                                                                                                       \
    RECORDS("practice_session",                                                                                        \
            "encode(id, 'hex') AS id, encode(problem_id, 'hex') AS problem_id, status, time_spent, diagram_hash, "     \
            "diagram_data, chat_messages, last_saved_at, started_at, ended_at, created_at, updated_at",                \
            "practice_sessions WHERE " OWN)                                                                            \
    "UNION ALL "                                                                                                       \
    RECORDS("submission",                                                                                              \
            "encode(id, 'hex') AS id, encode(problem_id, 'hex') AS problem_id, encode(session_id, 'hex') AS "          \
            "session_id, status, score, time_spent, diagram_data, strengths, improvements, missing_components, "       \
            "chat_messages, submitted_at, updated_at",                                                                 \
            "submissions WHERE " OWN)                                                                                  \
    "UNION ALL "                                                                                                       \
    RECORDS("evaluation", "asked_at, evaluation", "evaluations WHERE " OWN)                                            \
    "UNION ALL "                                                                                                       \
    RECORDS("model_use", "purpose, taken AS times", "model_turns WHERE " OWN)

#define TUTORING_RECORDS                                                                                               \
    RECORDS("tutoring_session",                                                                                        \
            "id, title, description, starts_at, max_participants, participant_count, status, created_at, updated_at",  \
            "tutoring_sessions WHERE creator_id = :me::bigint")                                                        \
    "UNION ALL "                                                                                                       \
    RECORDS("tutoring_participation",                                                                                  \
            "p.session_id, s.title, s.starts_at, s.status, p.role, p.joined_at",                                       \
            "tutoring_participants p JOIN learnhub.tutoring_sessions s ON s.id = p.session_id "                        \
            "WHERE p.user_id = :me::bigint")

#define MENTORING_RECORDS                                                                                              \
    RECORDS("mentor_profile", "about_me, skills, team_number", "mentor_profiles WHERE " OWN)                           \
    "UNION ALL "                                                                                                       \
    RECORDS("mentee_profile", "team_number", "mentee_profiles WHERE " OWN)                                             \
    "UNION ALL "                                                                                                       \
    RECORDS("notification_settings",                                                                                   \
            "session_requested, session_confirmed, session_canceled, fifteen_minute_alert, sixty_minute_alert",        \
            "notification_settings WHERE " OWN)                                                                        \
    "UNION ALL "                                                                                                       \
    RECORDS("availability", "id, starts_at, ends_at, deleted_at", "availabilities WHERE mentor_id = :me::bigint")      \
    "UNION ALL "                                                                                                       \
    RECORDS("mentoring_session",                                                                                       \
            "id, availability_id, mentor_id, mentee_id, starts_at, session_length, status, changed_by, meeting_url, "  \
            "created_at, updated_at",                                                                                  \
            "mentoring_sessions WHERE mentor_id = :me::bigint OR mentee_id = :me::bigint")

#define CODING_RECORDS                                                                                                 \
    RECORDS("coding_session", "id, session_name, seconds, source, status, credits_awarded, created_at",                \
            "coding_sessions WHERE " OWN)                                                                              \
    "UNION ALL "                                                                                                       \
    RECORDS("eco_activity",                                                                                            \
            "a.id, a.kind, a.seconds, a.description, a.location, a.status, a.point_parts / 3600 AS points, "           \
            "a.performed_at, a.created_at, a.verified_at, " ACTIVITY_PHOTO_URL " AS photo",                            \
            "eco_activities a LEFT JOIN learnhub.activity_photos p ON p.activity_id = a.id "                           \
            "WHERE a.user_id = :me::bigint")                                                                           \
    "UNION ALL "                                                                                                       \
    RECORDS("credit_spending", "id, amount, reason, created_at", "credit_spendings WHERE " OWN)                        \
    "UNION ALL "                                                                                                       \
    RECORDS("redemption", "id, reward_id, spending_id, created_at", "redemptions WHERE " OWN)                          \
    "UNION ALL "                                                                                                       \
    RECORDS("coding_profile", "github_username, on_leaderboard, unlocked_credits", "coding_profiles WHERE " OWN)

#define XP_RECORDS                                                                                                     \
    RECORDS("goal",                                                                                                    \
            "id, title, description, emoji, category_name, category_color, days_total, finish_by, status, "            \
            "created_at, updated_at",                                                                                  \
            "goals WHERE " OWN)                                                                                        \
    "UNION ALL "                                                                                                       \
    RECORDS("focus_session",                                                                                           \
            "id, goal_id, activity_id, status, started_at, ended_at, total_duration_seconds, "                         \
            "focused_duration_seconds, xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social, "         \
            "completed_reason, device_platform, created_at",                                                           \
            "xp_sessions WHERE " OWN)

static const lh_field record_keys[] = {
    {.name = "kind",   .type = LH_STRING, .object = "Record", .example = "coding_profile",
     .note = "Such as account or practice_session."},
    {.name = "record", .type = LH_OBJECT, .note = "The keys depend on the kind.",
     .example = "{\"github_username\": \"octocat\", \"on_leaderboard\": true, \"unlocked_credits\": 15}"},
    {0}};

static const lh_route routes[] = {
    {.name = "auth.export", .method = "GET", .path = "/auth/users/me/export/",
     .summary = "Get everything that is stored about the caller.",
     .roles = LH_MEMBER,
     .flags = LH_STREAMED,
     .sql = {ACCOUNT_RECORDS "UNION ALL " PRACTICE_RECORDS "UNION ALL " TUTORING_RECORDS "UNION ALL "
             MENTORING_RECORDS "UNION ALL " CODING_RECORDS "UNION ALL " XP_RECORDS},
     .shape = LH_ALL,
     .key = "records",
     .returns = record_keys},

    {0}};

const lh_route_group lh_group_account_data = {
    .name = "auth",
    .title = "What is stored about an account",
    .prefixes = (const char *const[]){NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .always = 1,
    .routes = routes};

/* clang-format on */
