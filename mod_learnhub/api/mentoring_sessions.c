/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-to-one sessions: bookings and notification settings. Triggers queue the mails and maintain the booked hours of
 * the participants.
 *
 * Times in requests are truncated to seconds, the precision of responses, so that clients can send received times back.
 */
#include <string.h>

#include "api/shared.h"

/* clang-format off */

/* ---- statements ---- */

#define SESSION_SELECT                                                                                                 \
    "SELECT s.id AS pk, mentor.first_name AS mentor_first_name, mentor.last_name AS mentor_last_name, "                \
    "       s.availability_id AS mentor_availability, s.mentor_id AS mentor, s.mentee_id AS mentee, "                  \
    "       mentee.first_name AS mentee_first_name, mentee.last_name AS mentee_last_name, "                            \
    "       s.starts_at AS start_time, s.ends_at AS end_time, s.status, s.session_length "                             \
    "FROM learnhub.mentoring_sessions s "                                                                              \
    "JOIN learnhub.users mentor ON mentor.id = s.mentor_id "                                                           \
    "JOIN learnhub.users mentee ON mentee.id = s.mentee_id "

/* ---- responses ---- */

static const lh_field session_keys[] = {
    {.name = "pk",                  .type = LH_INTEGER, .object = "MentoringSession"},
    {.name = "mentor_first_name",   .type = LH_STRING},
    {.name = "mentor_last_name",    .type = LH_STRING},
    {.name = "mentor_availability", .type = LH_INTEGER},
    {.name = "mentor",              .type = LH_INTEGER},
    {.name = "mentee",              .type = LH_INTEGER},
    {.name = "mentee_first_name",   .type = LH_STRING},
    {.name = "mentee_last_name",    .type = LH_STRING},
    {.name = "start_time",          .type = LH_TIME},
    {.name = "end_time",            .type = LH_TIME, .example = "2040-01-20T16:30:00Z"},
    {.name = "status",              .type = LH_STRING, .enum_values = "Pending Confirmed Canceled"},
    {.name = "session_length",      .type = LH_INTEGER, .enum_values = "30 60", .example = "30", .note = "Minutes."},
    {0}};

/* ---- requests ---- */

static const lh_field request_fields[] = {
    {.name = "mentor_availability", .type = LH_INTEGER, .flags = LH_REQUIRED | LH_COERCE, .max = APR_INT64_MAX},
    {.name = "start_time",          .type = LH_TIME,    .flags = LH_REQUIRED | LH_FUTURE},
    {.name = "session_length",      .type = LH_INTEGER, .flags = LH_REQUIRED | LH_COERCE, .example = "30",
     .note = "Minutes: 30 or 60, as a number or a string."},
    {0}};

static const lh_field status_fields[] = {
    {.name = "status", .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "Confirmed Canceled"},

    {0}};

/* clang-format on */

static lh_error *check_length(lh_call *call, lh_error *errors)
{
    const char *length = lh_param(call, "session_length");

    return length && strcmp(length, "30") && strcmp(length, "60")
               ? lh_fail_field(call, errors, "session_length", "This must be 30 or 60.")
               : errors;
}

/* clang-format off */

/* ---- routes ---- */

static const lh_route routes[] = {
    {.name = "session.list", .method = "GET", .path = "/session/",
     .summary = "List the caller's sessions that start from 24 hours ago on, by start.",
     .roles = LH_MEMBER,
     .flags = LH_STREAMED,
     /* UNION ALL instead of OR: each half uses its own index. */
     .sql = {SESSION_SELECT
             "WHERE s.id IN ("
             "    SELECT id "
             "    FROM learnhub.mentoring_sessions "
             "    WHERE mentor_id = :me::bigint AND starts_at >= now() - interval '24 hours' "
             "    UNION ALL "
             "    SELECT id "
             "    FROM learnhub.mentoring_sessions "
             "    WHERE mentee_id = :me::bigint AND starts_at >= now() - interval '24 hours') "
             "ORDER BY s.starts_at, s.id"},
     .shape = LH_ALL,
     .returns = session_keys},

    {.name = "session.archive", .method = "GET", .path = "/archivesession/",
     .summary = "List the caller's older sessions, by start.",
     .roles = LH_MEMBER,
     .flags = LH_STREAMED,
     .sql = {SESSION_SELECT
             "WHERE s.id IN ("
             "    SELECT id "
             "    FROM learnhub.mentoring_sessions "
             "    WHERE mentor_id = :me::bigint AND starts_at < now() - interval '24 hours' "
             "    UNION ALL "
             "    SELECT id "
             "    FROM learnhub.mentoring_sessions "
             "    WHERE mentee_id = :me::bigint AND starts_at < now() - interval '24 hours') "
             "ORDER BY s.starts_at, s.id"},
     .shape = LH_ALL,
     .returns = session_keys,
     .examples = (const lh_route_example[]){
         {"start_time", "2024-01-15T16:00:00Z", 0},
         {"end_time",   "2024-01-15T16:30:00Z", 0},
         {"status",     "Confirmed", 0},
         {0}}},

    {.name = "session.request", .method = "POST", .path = "/sessionrequest/",
     .summary = "Request a session with a mentor.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = request_fields,
     .check = check_length,
     /* Locks both users in id order; otherwise concurrent bookings can deadlock in the exclusion constraint. is_active
      * is checked because this node may not know yet that the account was deactivated. */
     .sql = {"SELECT id "
             "FROM learnhub.users "
             "WHERE id IN (:me::bigint, (SELECT mentor_id "
             "                           FROM learnhub.availabilities "
             "                           WHERE id = :mentor_availability::bigint)) "
             "ORDER BY id "
             "FOR NO KEY UPDATE",

             "SELECT CASE WHEN NOT (SELECT is_active FROM learnhub.users WHERE id = :me::bigint) THEN 'inactive' "
             "            WHEN a.id IS NULL THEN 'availability' "
             "            WHEN a.mentor_id = :me::bigint THEN 'own' "
             "            WHEN a.starts_at > date_trunc('second', :start_time::timestamptz) "
             "              OR a.ends_at < date_trunc('second', :start_time::timestamptz) "
             "                             + make_interval(mins => :session_length::int) THEN 'outside' "
             "            WHEN learnhub.booked_often(:me::bigint, a.mentor_id) THEN 'often' "
             "       END AS \"!\" "
             "FROM (SELECT) one "
             "LEFT JOIN ("
             "    SELECT a.* "
             "    FROM learnhub.availabilities a "
             "    JOIN learnhub.users u ON u.id = a.mentor_id "
             "    WHERE a.id = :mentor_availability::bigint AND a.deleted_at IS NULL AND u.is_mentor AND u.is_active "
             "    FOR SHARE OF a) a ON true",

             "INSERT INTO learnhub.mentoring_sessions "
             "    (availability_id, mentor_id, mentee_id, starts_at, session_length) "
             "SELECT a.id, a.mentor_id, :me::bigint, date_trunc('second', :start_time::timestamptz), "
             "       :session_length::int "
             "FROM learnhub.availabilities a "
             "JOIN learnhub.users u ON u.id = a.mentor_id "
             "WHERE a.id = :mentor_availability::bigint AND a.deleted_at IS NULL AND u.is_mentor AND u.is_active "
             "  AND a.mentor_id <> :me::bigint "
             "  AND (SELECT is_active FROM learnhub.users WHERE id = :me::bigint) "
             "  AND a.starts_at <= date_trunc('second', :start_time::timestamptz) "
             "  AND a.ends_at >= date_trunc('second', :start_time::timestamptz) "
             "                   + make_interval(mins => :session_length::int) "
             "  AND NOT learnhub.booked_often(:me::bigint, a.mentor_id)",

             SESSION_SELECT
             "WHERE s.id = (SELECT max(id) "
             "              FROM learnhub.mentoring_sessions "
             "              WHERE mentee_id = :me::bigint AND created_at = now())"},
     .rate = LH_RATE_MAIL,
     .shape = LH_ONE,
     .status = 201,
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         {"inactive",     403, NULL, "This account is not active."},
         {"availability", 400, "mentor_availability", "There is no such availability."},
         {"own",          400, "mentor_availability", "You cannot have a session with yourself."},
         {"outside",      400, "non_field_errors", "The session must lie within the availability."},
         {"often",        400, "non_field_errors",
          "You have requested 60 sessions with this mentor within an hour. Try again later."},
         {"mentoring_hours_overlap_excl", 400, "non_field_errors",
          "You or the mentor have another session at this time."},
         {0}}},

    {.name = "session.get", .method = "GET", .path = "/sessionrequest/{id:int}/",
     .summary = "Get one of the caller's sessions.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.mentoring_sessions "
             "WHERE id = :id::bigint "
             "FOR UPDATE",
     .sql = {"SELECT CASE WHEN :me::bigint NOT IN (s.mentor_id, s.mentee_id) THEN 'participant' END AS \"!\" "
             "FROM learnhub.mentoring_sessions s "
             "WHERE s.id = :id::bigint",

             SESSION_SELECT
             "WHERE s.id = :id::bigint AND :me::bigint IN (s.mentor_id, s.mentee_id)"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         {"missing",     404, NULL, "Session not found."},
         {"participant", 403, NULL, "You are not a participant of this session."},
         {0}}},

    {.name = "session.change", .method = "PATCH", .path = "/sessionrequest/{id:int}/",
     .summary = "Confirm or cancel a session.",
     .roles = LH_MEMBER,
     .body = status_fields,
     .sql = {"SELECT CASE WHEN :me::bigint NOT IN (s.mentor_id, s.mentee_id) THEN 'participant' "
             "            WHEN :status = 'Confirmed' AND NOT (s.status = 'Pending' AND s.mentor_id = :me::bigint "
             "                                                AND s.starts_at > now()) THEN 'confirm' "
             "            WHEN :status = 'Canceled' AND NOT (s.status <> 'Canceled' "
             "                                               AND s.starts_at > now()) THEN 'cancel' "
             "       END AS \"!\" "
             "FROM learnhub.mentoring_sessions s "
             "WHERE s.id = :id::bigint "
             "FOR UPDATE",

             "UPDATE learnhub.mentoring_sessions s "
             "SET status = :status, changed_by = :me::bigint, updated_at = now(), "
             "    meeting_url = CASE :status "
             "      WHEN 'Confirmed' THEN replace(:meeting_url::text, '%s', replace(gen_random_uuid()::text, '-', '')) "
             "      ELSE s.meeting_url END "
             "WHERE s.id = :id::bigint AND :me::bigint IN (s.mentor_id, s.mentee_id) AND s.starts_at > now() "
             "  AND (:status = 'Confirmed' AND s.status = 'Pending' AND s.mentor_id = :me::bigint "
             "       OR :status = 'Canceled' AND s.status <> 'Canceled')",

             SESSION_SELECT
             "WHERE s.id = :id::bigint AND :me::bigint IN (s.mentor_id, s.mentee_id)"},
     .rate = LH_RATE_MAIL,
     .shape = LH_ONE,
     .status = 201, /* not 200: published behaviour */
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         {"missing",     404, NULL, "Session not found."},
         {"participant", 403, NULL, "You are not a participant of this session."},
         {"confirm",     400, NULL, "Only the mentor can confirm a session, while it is pending and has not started."},
         {"cancel",      400, NULL, "Only a session that has not started and is not canceled can be canceled."},
         {0}}},

    {0}};

const lh_route_group lh_group_mentoring = {
    .name = "mentoring",
    .title = "Mentoring sessions",
    .prefixes = (const char *const[]){"/session", "/archivesession", "/sessionrequest", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* ---- notification settings ---- */

/* The caller's settings; without a stored row, all are off. */
#define OWN_SETTINGS                                                                                                   \
    "SELECT u.id AS pk, u.id AS user, "                                                                                \
    "       coalesce(n.session_requested, false) AS session_requested, "                                               \
    "       coalesce(n.session_confirmed, false) AS session_confirmed, "                                               \
    "       coalesce(n.session_canceled, false) AS session_canceled, "                                                 \
    "       coalesce(n.fifteen_minute_alert, false) AS fifteen_minute_alert, "                                         \
    "       coalesce(n.sixty_minute_alert, false) AS sixty_minute_alert "                                              \
    "FROM learnhub.users u "                                                                                           \
    "LEFT JOIN learnhub.notification_settings n ON n.user_id = u.id "                                                  \
    "WHERE u.id = :me::bigint"

static const lh_field settings_keys[] = {
    {.name = "pk",                   .type = LH_INTEGER, .note = "The user's.", .object = "NotificationSettings"},
    {.name = "user",                 .type = LH_INTEGER},
    {.name = "session_requested",    .type = LH_BOOLEAN},
    {.name = "session_confirmed",    .type = LH_BOOLEAN},
    {.name = "session_canceled",     .type = LH_BOOLEAN},
    {.name = "fifteen_minute_alert", .type = LH_BOOLEAN},
    {.name = "sixty_minute_alert",   .type = LH_BOOLEAN},
    {0}};

static const lh_field settings_fields[] = {
    {.name = "session_requested",    .type = LH_BOOLEAN, .flags = LH_COERCE},
    {.name = "session_confirmed",    .type = LH_BOOLEAN, .flags = LH_COERCE},
    {.name = "session_canceled",     .type = LH_BOOLEAN, .flags = LH_COERCE},
    {.name = "fifteen_minute_alert", .type = LH_BOOLEAN, .flags = LH_COERCE},
    {.name = "sixty_minute_alert",   .type = LH_BOOLEAN, .flags = LH_COERCE},
    {0}};

static const lh_route settings_routes[] = {
    {.name = "settings.own", .method = "GET", .path = "/notificationsettings/",
     .summary = "Get the caller's notification settings.",
     .roles = LH_MEMBER,
     .sql = {OWN_SETTINGS},
     .shape = LH_ONE,
     .returns = settings_keys},

    {.name = "settings.get", .method = "GET", .path = "/notificationsettings/{id:int}/",
     .summary = "Get the caller's notification settings by pk.",
     .roles = LH_MEMBER,
     .lock = CALLER_LOCK,
     .sql = {"SELECT CASE WHEN :id::bigint <> :me::bigint THEN 'owner' END AS \"!\"",

             OWN_SETTINGS},
     .shape = LH_ONE,
     .returns = settings_keys,
     .errors = (const lh_route_error[]){{"owner", 403, NULL, "These settings belong to another user."}, {0}}},

    {.name = "settings.update", .method = "PATCH", .path = "/notificationsettings/{id:int}/",
     .summary = "Switch the caller's notifications on or off.",
     .roles = LH_MEMBER,
     .body = settings_fields,
     .sql = {CALLER_LOCK,

             "SELECT CASE WHEN :id::bigint <> :me::bigint THEN 'owner' END AS \"!\"",

             "INSERT INTO learnhub.notification_settings AS n "
             "    (user_id, session_requested, session_confirmed, session_canceled, fifteen_minute_alert, "
             "     sixty_minute_alert) "
             "SELECT :me::bigint, "
             "       coalesce(:session_requested::boolean, false), "
             "       coalesce(:session_confirmed::boolean, false), "
             "       coalesce(:session_canceled::boolean, false), "
             "       coalesce(:fifteen_minute_alert::boolean, false), "
             "       coalesce(:sixty_minute_alert::boolean, false) "
             "WHERE :id::bigint = :me::bigint "
             "ON CONFLICT (user_id) DO UPDATE "
             "SET session_requested = coalesce(:session_requested::boolean, n.session_requested), "
             "    session_confirmed = coalesce(:session_confirmed::boolean, n.session_confirmed), "
             "    session_canceled = coalesce(:session_canceled::boolean, n.session_canceled), "
             "    fifteen_minute_alert = coalesce(:fifteen_minute_alert::boolean, n.fifteen_minute_alert), "
             "    sixty_minute_alert = coalesce(:sixty_minute_alert::boolean, n.sixty_minute_alert)",

             OWN_SETTINGS},
     .shape = LH_ONE,
     .returns = settings_keys,
     .errors = (const lh_route_error[]){{"owner", 403, NULL, "These settings belong to another user."}, {0}}},

    {0}};

const lh_route_group lh_group_settings = {
    .name = "mentoring",
    .title = "Notification settings",
    .prefixes = (const char *const[]){"/notificationsettings", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = settings_routes};

/* clang-format on */
