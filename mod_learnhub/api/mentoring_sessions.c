/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-to-one sessions: availabilities, bookings, whose mails are wanted. The document is seeds' mentoring; contract
 * section 5 settles the rest. Mails, and the hours that people are taken, follow by triggers from what is done here.
 */
#include <string.h>

#include "learnhub.h"

/* To the second, as answers show them: what was read in one can be sent in another. */
#define START "date_trunc('second', :start_time::timestamptz)"
#define END "date_trunc('second', :end_time::timestamptz)"

/* ---- availabilities ---- */

#define AVAILABILITY "a.id AS pk, a.mentor_id AS mentor, a.starts_at AS start_time, a.ends_at AS end_time "

/* Not deleted, of a mentor who is one at present: others are kept, but neither shown nor booked. */
#define OFFERED "a.deleted_at IS NULL AND u.is_mentor AND u.is_active"

static const lh_field availability_keys[] = {{.name = "pk", .type = LH_INTEGER},
                                             {.name = "mentor", .type = LH_INTEGER},
                                             {.name = "start_time", .type = LH_TIME},
                                             {.name = "end_time", .type = LH_TIME},
                                             {0}};

static const lh_field availability_fields[] = {{.name = "start_time", .type = LH_TIME, .flags = LH_REQUIRED},
                                               {.name = "end_time", .type = LH_TIME, .flags = LH_REQUIRED | LH_FUTURE},
                                               {0}};

static const lh_field mentor_filter[] = {{.name = "mentor",
                                          .type = LH_INTEGER,
                                          .min = 0,
                                          .max = APR_INT64_MAX,
                                          .where = "a.mentor_id = :mentor::bigint",
                                          .note = "The pk of a mentor."},
                                         {0}};

/* The document spells it "availabilty"; the word itself works as well. */
#define AVAILABILITY_ROWS(name_, path_)                                                                                \
    {.name = name_ ".list",                                                                                            \
     .method = "GET",                                                                                                  \
     .path = path_,                                                                                                    \
     .roles = LH_MEMBER,                                                                                               \
     .summary = "When mentors have time: what has not ended, by start.",                                               \
     .query = mentor_filter,                                                                                           \
     .sql = {"SELECT " AVAILABILITY                                                                                    \
             "FROM learnhub.availabilities a JOIN learnhub.users u ON u.id = a.mentor_id WHERE " OFFERED               \
             " AND a.ends_at > now() :filters ORDER BY a.starts_at, a.id"},                                            \
     .shape = LH_ALL,                                                                                                  \
     .flags = LH_STREAMED,                                                                                             \
     .returns = availability_keys},                                                                                    \
        {.name = name_ ".create",                                                                                      \
         .method = "POST",                                                                                             \
         .path = path_,                                                                                                \
         .roles = LH_MEMBER,                                                                                           \
         .summary = "Offer time; only mentors can.",                                                                   \
         .body = availability_fields,                                                                                  \
         .sql = {"SELECT CASE WHEN NOT is_mentor THEN 'mentor' END AS \"!\" FROM learnhub.users "                      \
                 "WHERE id = :me::bigint FOR NO KEY UPDATE",                                                           \
                 "INSERT INTO learnhub.availabilities AS a (mentor_id, starts_at, ends_at) "                           \
                 "SELECT id, " START ", " END " FROM learnhub.users "                                                  \
                 "WHERE id = :me::bigint AND is_mentor RETURNING " AVAILABILITY},                                      \
         .shape = LH_ONE,                                                                                              \
         .status = 201,                                                                                                \
         .returns = availability_keys,                                                                                 \
         .errors = (const lh_route_error[]){                                                                           \
             {"mentor", 403, NULL, "Only mentors can offer time."},                                                    \
             {"availabilities_order_check", 400, "non_field_errors", "The end must be after the start."},              \
             {"availabilities_overlap_excl", 400, "non_field_errors",                                                  \
              "This overlaps with another availability of yours."},                                                    \
             {0}}},                                                                                                    \
    {                                                                                                                  \
        .name = name_ ".delete", .method = "DELETE", .path = path_ "{id:int}/", .roles = LH_MEMBER,                    \
        .summary = "Take an offer back: sessions to come are canceled, and their mentees are told.",                   \
        .sql = {"SELECT CASE WHEN a.mentor_id <> u.id AND u.role <> 'admin' THEN 'owner' END AS \"!\" "                \
                "FROM learnhub.availabilities a JOIN learnhub.users u ON u.id = :me::bigint "                          \
                "WHERE a.id = :id::bigint AND a.deleted_at IS NULL FOR UPDATE OF a",                                   \
                "SELECT learnhub.end_availabilities(a.mentor_id, a.id)::text AS _done "                                \
                "FROM learnhub.availabilities a JOIN learnhub.users u ON u.id = :me::bigint "                          \
                "WHERE a.id = :id::bigint AND a.deleted_at IS NULL AND (a.mentor_id = u.id OR u.role = 'admin')"},     \
        .shape = LH_NOTHING,                                                                                           \
        .errors = (const lh_route_error[]){{"missing", 404, NULL, "Availability not found."},                          \
                                           {"owner", 403, NULL, "This availability belongs to somebody else."},        \
                                           {0}},                                                                       \
    }

/* ---- sessions ---- */

#define SESSION                                                                                                        \
    "SELECT s.id AS pk, mentor.first_name AS mentor_first_name, mentor.last_name AS mentor_last_name, "                \
    "s.availability_id AS mentor_availability, s.mentor_id AS mentor, s.mentee_id AS mentee, "                         \
    "mentee.first_name AS mentee_first_name, mentee.last_name AS mentee_last_name, s.starts_at AS start_time, "        \
    "s.ends_at AS end_time, s.status, s.session_length FROM learnhub.mentoring_sessions s "                            \
    "JOIN learnhub.users mentor ON mentor.id = s.mentor_id JOIN learnhub.users mentee ON mentee.id = s.mentee_id "     \
    "WHERE "
#define MINE ":me::bigint IN (s.mentor_id, s.mentee_id)"

/* As two ranges of two indexes. */
#define MY_SESSIONS(when)                                                                                              \
    SESSION "s.id IN (SELECT id FROM learnhub.mentoring_sessions WHERE mentor_id = :me::bigint AND " when              \
            " UNION ALL SELECT id FROM learnhub.mentoring_sessions WHERE mentee_id = :me::bigint AND " when ") "

static const lh_field session_keys[] = {
    {.name = "pk", .type = LH_INTEGER},
    {.name = "mentor_first_name", .type = LH_STRING},
    {.name = "mentor_last_name", .type = LH_STRING},
    {.name = "mentor_availability", .type = LH_INTEGER},
    {.name = "mentor", .type = LH_INTEGER},
    {.name = "mentee", .type = LH_INTEGER},
    {.name = "mentee_first_name", .type = LH_STRING},
    {.name = "mentee_last_name", .type = LH_STRING},
    {.name = "start_time", .type = LH_TIME},
    {.name = "end_time", .type = LH_TIME},
    {.name = "status", .type = LH_STRING, .enum_values = "Pending Confirmed Canceled"},
    {.name = "session_length", .type = LH_INTEGER, .note = "Minutes."},
    {0}};

static const lh_field request_fields[] = {
    {.name = "mentor_availability", .type = LH_INTEGER, .flags = LH_REQUIRED | LH_COERCE, .max = APR_INT64_MAX},
    {.name = "start_time", .type = LH_TIME, .flags = LH_REQUIRED | LH_FUTURE},
    {.name = "session_length",
     .type = LH_INTEGER,
     .flags = LH_REQUIRED | LH_COERCE,
     .note = "Minutes: 30 or 60, as a number or as text."},
    {0}};

static const lh_field status_fields[] = {
    {.name = "status", .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "Confirmed Canceled"}, {0}};

static lh_error *check_length(lh_call *call, lh_error *errors)
{
    const char *length = lh_param(call, "session_length");

    return length && strcmp(length, "30") && strcmp(length, "60")
               ? lh_fail_field(call, errors, "session_length", "This must be 30 or 60.")
               : errors;
}

/*
 * Bookings of one person come one after the other: two that cross each other would otherwise wait for each other inside
 * the constraint that keeps their hours apart.
 */
#define LOCK_BOTH                                                                                                      \
    "SELECT id FROM learnhub.users WHERE id IN (:me::bigint, (SELECT mentor_id FROM learnhub.availabilities "          \
    "WHERE id = :mentor_availability::bigint)) ORDER BY id FOR NO KEY UPDATE"

#define WITHIN                                                                                                         \
    "a.starts_at <= " START " "                                                                                        \
    "AND a.ends_at >= " START " + make_interval(mins => :session_length::int)"

/* Another node may have ended this account, and this one not have heard of it. */
#define ACTIVE "(SELECT is_active FROM learnhub.users WHERE id = :me::bigint)"

#define BOOKABLE                                                                                                       \
    "FROM learnhub.availabilities a JOIN learnhub.users u ON u.id = a.mentor_id "                                      \
    "WHERE a.id = :mentor_availability::bigint AND " OFFERED

static const lh_route_error session_errors[] = {
    {"missing", 404, NULL, "Session not found."},
    {"party", 403, NULL, "Only the mentor and the mentee of a session have to do with it."},
    {"confirm", 400, NULL, "Only the mentor can confirm a session, while it is pending and has not begun."},
    {"cancel", 400, NULL, "Only a session that has not begun and is not canceled yet can be canceled."},
    {0}};

#define PARTY "WHEN " MINE " IS NOT TRUE THEN 'party' "
#define MAY_CONFIRM "s.status = 'Pending' AND s.mentor_id = :me::bigint AND s.starts_at > now()"
#define MAY_CANCEL "s.status <> 'Canceled' AND s.starts_at > now()"

static const lh_route routes[] = {
    AVAILABILITY_ROWS("availabilty", "/availabilty/"),
    AVAILABILITY_ROWS("availability", "/availability/"),
    {.name = "session.list",
     .method = "GET",
     .path = "/session/",
     .roles = LH_MEMBER,
     .summary = "The caller's sessions from 24 hours ago on, by start.",
     .sql = {MY_SESSIONS("starts_at >= now() - interval '24 hours'") "ORDER BY s.starts_at, s.id"},
     .shape = LH_ALL,
     .flags = LH_STREAMED,
     .returns = session_keys},
    {.name = "session.archive",
     .method = "GET",
     .path = "/archivesession/",
     .roles = LH_MEMBER,
     .summary = "The caller's older sessions, newest first.",
     .sql = {MY_SESSIONS("starts_at < now() - interval '24 hours'") "ORDER BY s.starts_at DESC, s.id DESC"},
     .shape = LH_ALL,
     .flags = LH_STREAMED,
     .returns = session_keys},
    {.name = "session.request",
     .method = "POST",
     .path = "/sessionrequest/",
     .roles = LH_MEMBER,
     .summary = "Ask a mentor for a session.",
     .body = request_fields,
     .check = check_length,
     .sql = {LOCK_BOTH,
             "SELECT CASE WHEN NOT " ACTIVE
             " THEN 'inactive' WHEN a.id IS NULL THEN 'availability' WHEN a.mentor_id = :me::bigint THEN 'own' "
             "WHEN NOT (" WITHIN ") THEN 'outside' END AS \"!\" "
             "FROM (SELECT) one LEFT JOIN (SELECT a.* " BOOKABLE " FOR SHARE OF a) a ON true",
             "WITH s AS (INSERT INTO learnhub.mentoring_sessions (availability_id, mentor_id, mentee_id, starts_at, "
             "session_length) SELECT a.id, a.mentor_id, :me::bigint, " START ", "
             ":session_length::int " BOOKABLE " AND a.mentor_id <> :me::bigint AND " ACTIVE " AND " WITHIN
             " RETURNING id) SELECT id AS _id FROM s",
             SESSION "s.id = (SELECT max(id) FROM learnhub.mentoring_sessions WHERE mentee_id = :me::bigint "
                     "AND created_at = now())"},
     .shape = LH_ONE,
     .status = 201,
     .returns = session_keys,
     .errors = (const lh_route_error[]){{"inactive", 403, NULL, "This account is not active."},
                                        {"availability", 400, "mentor_availability", "There is no such availability."},
                                        {"own", 400, "mentor_availability", "You cannot have a session with yourself."},
                                        {"outside", 400, "non_field_errors",
                                         "The session must lie inside of the availability."},
                                        {"mentoring_hours_overlap_excl", 400, "non_field_errors",
                                         "You or the mentor have another session at this time."},
                                        {0}}},
    {.name = "session.get",
     .method = "GET",
     .path = "/sessionrequest/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "One session of the caller's.",
     .sql = {"SELECT CASE " PARTY "END AS \"!\" FROM learnhub.mentoring_sessions s WHERE s.id = :id::bigint",
             SESSION "s.id = :id::bigint AND " MINE},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = session_errors},
    {.name = "session.change",
     .method = "PATCH",
     .path = "/sessionrequest/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Confirm or cancel a session.",
     .body = status_fields,
     .sql = {"SELECT CASE " PARTY "WHEN :status = 'Confirmed' AND NOT (" MAY_CONFIRM ") THEN 'confirm' "
             "WHEN :status = 'Canceled' AND NOT (" MAY_CANCEL ") THEN 'cancel' END AS \"!\" "
             "FROM learnhub.mentoring_sessions s WHERE s.id = :id::bigint FOR UPDATE",
             "UPDATE learnhub.mentoring_sessions s SET status = :status, changed_by = :me::bigint, updated_at = now(), "
             "meeting_url = CASE :status WHEN 'Confirmed' THEN "
             "replace(:meeting_url::text, '%s', replace(gen_random_uuid()::text, '-', '')) ELSE s.meeting_url END "
             "WHERE s.id = :id::bigint AND " MINE " AND ((:status = 'Confirmed' AND " MAY_CONFIRM ") "
             "OR (:status = 'Canceled' AND " MAY_CANCEL "))",
             SESSION "s.id = :id::bigint AND " MINE},
     .shape = LH_ONE,
     .status = 201, /* as the document says */
     .returns = session_keys,
     .errors = session_errors},
    {0}};

const lh_route_group lh_group_mentoring = {
    .name = "mentoring",
    .title = "Mentoring sessions",
    .prefixes =
        (const char *const[]){"/session", "/archivesession", "/sessionrequest", "/availabilty", "/availability", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* ---- whose mails are wanted ---- */

#define SETTINGS                                                                                                       \
    "u.id AS pk, u.id AS user, coalesce(n.session_requested, false) AS session_requested, "                            \
    "coalesce(n.session_confirmed, false) AS session_confirmed, coalesce(n.session_canceled, false) AS "               \
    "session_canceled, "                                                                                               \
    "coalesce(n.fifteen_minute_alert, false) AS fifteen_minute_alert, "                                                \
    "coalesce(n.sixty_minute_alert, false) AS sixty_minute_alert FROM learnhub.users u "                               \
    "LEFT JOIN learnhub.notification_settings n ON n.user_id = u.id WHERE u.id = :me::bigint"

#define SWITCH(name_)                                                                                                  \
    {                                                                                                                  \
        .name = name_, .type = LH_BOOLEAN, .flags = LH_COERCE                                                          \
    }
#define SWITCHES                                                                                                       \
    SWITCH("session_requested"), SWITCH("session_confirmed"), SWITCH("session_canceled"),                              \
        SWITCH("fifteen_minute_alert"), SWITCH("sixty_minute_alert")

static const lh_field settings_fields[] = {SWITCHES, {0}};
static const lh_field settings_keys[] = {
    {.name = "pk", .type = LH_INTEGER}, {.name = "user", .type = LH_INTEGER}, SWITCHES, {0}};

#define OWN "SELECT CASE WHEN :id::bigint <> :me::bigint THEN 'owner' END AS \"!\""
static const lh_route_error not_yours[] = {{"owner", 403, NULL, "These are somebody else's settings."}, {0}};

static const lh_route settings_routes[] = {
    {.name = "settings.own",
     .method = "GET",
     .path = "/notificationsettings/",
     .roles = LH_MEMBER,
     .summary = "Which mails the caller wants.",
     .sql = {"SELECT " SETTINGS},
     .shape = LH_ONE,
     .returns = settings_keys},
    {.name = "settings.get",
     .method = "GET",
     .path = "/notificationsettings/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "The same; the pk is the user's.",
     .sql = {OWN, "SELECT " SETTINGS},
     .shape = LH_ONE,
     .returns = settings_keys,
     .errors = not_yours},
    {.name = "settings.update",
     .method = "PATCH",
     .path = "/notificationsettings/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Switch mails on and off.",
     .body = settings_fields,
     .sql = {OWN,
             "INSERT INTO learnhub.notification_settings AS n (user_id, session_requested, session_confirmed, "
             "session_canceled, fifteen_minute_alert, sixty_minute_alert) SELECT :me::bigint, "
             "coalesce(:session_requested::boolean, false), coalesce(:session_confirmed::boolean, false), "
             "coalesce(:session_canceled::boolean, false), coalesce(:fifteen_minute_alert::boolean, false), "
             "coalesce(:sixty_minute_alert::boolean, false) WHERE :id::bigint = :me::bigint "
             "ON CONFLICT (user_id) DO UPDATE SET "
             "session_requested = coalesce(:session_requested::boolean, n.session_requested), "
             "session_confirmed = coalesce(:session_confirmed::boolean, n.session_confirmed), "
             "session_canceled = coalesce(:session_canceled::boolean, n.session_canceled), "
             "fifteen_minute_alert = coalesce(:fifteen_minute_alert::boolean, n.fifteen_minute_alert), "
             "sixty_minute_alert = coalesce(:sixty_minute_alert::boolean, n.sixty_minute_alert)",
             "SELECT " SETTINGS},
     .shape = LH_ONE,
     .returns = settings_keys,
     .errors = not_yours},
    {0}};

const lh_route_group lh_group_settings = {.name = "mentoring",
                                          .title = "Notification settings",
                                          .prefixes = (const char *const[]){"/notificationsettings", NULL},
                                          .error_format = LH_ERRORS_DETAIL,
                                          .time_format = LH_SECONDS_Z,
                                          .routes = settings_routes};
