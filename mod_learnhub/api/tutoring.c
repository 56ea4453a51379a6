/* SPDX-License-Identifier: Apache-2.0 */
/* Group tutoring sessions: /api/sessions. */
#include "api/shared.h"

/* clang-format off */

/* ---- SQL ---- */

#define SESSION_COLUMNS                                                                                                \
    "s.id, s.title, s.description, s.starts_at AS date, s.max_participants, c.id AS \"creator.id\", "                  \
    "c.first_name AS \"creator.first_name\", c.last_name AS \"creator.last_name\", "                                   \
    "c.email AS \"creator.email\", c.role AS \"creator.role\", "

#define CAN_JOIN "s.status = 'upcoming' AND s.starts_at > now() AND s.participant_count < s.max_participants "

#define SEAT_COLUMNS                                                                                                   \
    "s.participant_count >= s.max_participants AS is_full, "                                                           \
    "s.max_participants - s.participant_count AS available_spots, "                                                    \
    CAN_JOIN "AS can_join "

/* When can_join turns; at most a day, as infinite times cannot be subtracted. */
#define SEAT_EXPIRY                                                                                                    \
    ", CASE WHEN " CAN_JOIN                                                                                            \
    "       THEN (extract(epoch FROM least(s.starts_at, now() + interval '1 day') - now()) * 1000000)::bigint "        \
    "  END AS _expires "

#define LISTED_COLUMNS SESSION_COLUMNS "s.status, s.created_at, s.updated_at, s.participant_count, " SEAT_COLUMNS

/* The name of the counts in list_counts, or NULL if filters select sessions that it does not count. */
#define COUNTED                                                                                                        \
    "CASE WHEN num_nonnulls(:date_from::timestamptz, :date_to::timestamptz, :creator::bigint) = 0 THEN 'tutoring' END"

/* The participants, at most 20, are one column of JSON. */
#define SESSION_DETAIL                                                                                                 \
    "SELECT " SESSION_COLUMNS                                                                                          \
    "       coalesce((SELECT json_agg(json_build_object('id', p.id, "                                                  \
    "                     'user', json_build_object('id', u.id, 'first_name', u.first_name, "                          \
    "                         'last_name', u.last_name, 'email', u.email, 'role', u.role), "                           \
    "                     'joined_at', learnhub.iso_seconds(p.joined_at), 'role', p.role) ORDER BY p.id) "             \
    "                 FROM learnhub.tutoring_participants p "                                                          \
    "                 JOIN learnhub.users u ON u.id = p.user_id "                                                      \
    "                 WHERE p.session_id = s.id), '[]') AS participants, "                                             \
    "       s.status, s.created_at, s.updated_at, " SEAT_COLUMNS                                                       \
    "FROM learnhub.tutoring_sessions s "                                                                               \
    "JOIN learnhub.users c ON c.id = s.creator_id "                                                                    \
    "WHERE s.id = :id::bigint"

/* Locks the session and reports why the caller cannot change it. */
#define SESSION_CHANGE_LOCK                                                                                            \
    "SELECT CASE WHEN creator_id <> :me::bigint THEN 'creator' "                                                       \
    "            WHEN status IN ('completed', 'cancelled') THEN 'over' "                                               \
    "            WHEN :max_participants::int < participant_count THEN 'seats' "                                        \
    "       END AS \"!\" "                                                                                             \
    "FROM learnhub.tutoring_sessions "                                                                                 \
    "WHERE id = :id::bigint "                                                                                          \
    "FOR UPDATE"

/* Repeats the conditions of SESSION_CHANGE_LOCK: statements run even if an earlier one reports an error. */
#define SESSION_CHANGE                                                                                                 \
    "UPDATE learnhub.tutoring_sessions "                                                                               \
    "SET title = coalesce(:title, title), "                                                                            \
    "    description = coalesce(:description, description), "                                                          \
    "    starts_at = coalesce(:date::timestamptz, starts_at), "                                                        \
    "    max_participants = coalesce(:max_participants::int, max_participants), "                                      \
    "    updated_at = now() "                                                                                          \
    "WHERE id = :id::bigint AND creator_id = :me::bigint AND status IN ('upcoming', 'ongoing') "                       \
    "  AND coalesce(:max_participants::int, max_participants) >= participant_count"

#define SESSION_NOT_FOUND {"missing", 404, NULL, "Session not found."}

/* The examples of sessions have six seats and one participant; these have none. */
#define NO_PARTICIPANTS (const lh_route_example[]){{"participants", "[]", 0}, {"available_spots", "6", 0}, {0}}

/* In this state nobody can join. */
#define CLOSED(status) (const lh_route_example[]){{"status", status, 0}, {"can_join", "false", 0}, {0}}

/* ---- keys of responses ---- */

static const lh_field participant_keys[] = {
    {.name = "id",              .type = LH_INTEGER, .object = "Participant"},
    {.name = "user.id",         .type = LH_INTEGER, .example = "2"},
    {.name = "user.first_name", .type = LH_STRING, .example = "Amara"},
    {.name = "user.last_name",  .type = LH_STRING, .example = "Diallo"},
    {.name = "user.email",      .type = LH_EMAIL, .example = "amara@example.com"},
    {.name = "user.role",       .type = LH_STRING, .enum_values = ROLE_NAMES},
    {.name = "joined_at",       .type = LH_TIME},
    {.name = "role",            .type = LH_STRING, .enum_values = "student tutor"},
    {0}};

#define SESSION_KEYS                                                                                                   \
    {.name = "title",              .type = LH_STRING},                                                                 \
    {.name = "description",        .type = LH_STRING},                                                                 \
    {.name = "date",               .type = LH_TIME},                                                                   \
    {.name = "max_participants",   .type = LH_INTEGER},                                                                \
    {.name = "creator.id",         .type = LH_INTEGER},                                                                \
    {.name = "creator.first_name", .type = LH_STRING},                                                                 \
    {.name = "creator.last_name",  .type = LH_STRING},                                                                 \
    {.name = "creator.email",      .type = LH_EMAIL},                                                                  \
    {.name = "creator.role",       .type = LH_STRING, .enum_values = ROLE_NAMES, .example = "instructor"}

#define SEAT_KEYS                                                                                                      \
    {.name = "is_full",            .type = LH_BOOLEAN, .example = "false"},                                            \
    {.name = "available_spots",    .type = LH_INTEGER, .example = "5"},                                                \
    {.name = "can_join",           .type = LH_BOOLEAN,                                                                 \
     .note = "Upcoming, in the future and not full; independent of the caller."}

static const lh_field detail_keys[] = {
    {.name = "id",                 .type = LH_INTEGER, .object = "TutoringSession"},
    SESSION_KEYS,
    {.name = "participants",       .type = LH_LIST, .items = participant_keys},
    {.name = "status",             .type = LH_STRING, .enum_values = "upcoming ongoing completed cancelled"},
    {.name = "created_at",         .type = LH_TIME},
    {.name = "updated_at",         .type = LH_TIME},
    SEAT_KEYS,
    {0}};

static const lh_field listed_keys[] = {
    {.name = "id",                 .type = LH_INTEGER, .object = "TutoringSessionSummary"},
    SESSION_KEYS,
    {.name = "status",             .type = LH_STRING, .enum_values = "upcoming ongoing completed cancelled"},
    {.name = "created_at",         .type = LH_TIME},
    {.name = "updated_at",         .type = LH_TIME},
    {.name = "participant_count",  .type = LH_INTEGER},
    SEAT_KEYS,
    {0}};

/* ---- fields of requests ---- */

/* A description has at most 10000 characters: a page of the list contains up to 100. */
static const lh_field session_fields[] = {
    {.name = "title",            .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 200},
    {.name = "description",      .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 10000},
    {.name = "date",             .type = LH_TIME, .flags = LH_REQUIRED | LH_FUTURE},
    {.name = "max_participants", .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 2, .max = 20},
    {0}};

static const lh_field patch_fields[] = {
    {.name = "title",            .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = 200},
    {.name = "description",      .type = LH_STRING, .min = 1, .max = 10000},
    {.name = "date",             .type = LH_TIME, .flags = LH_FUTURE},
    {.name = "max_participants", .type = LH_INTEGER, .min = 2, .max = 20},
    {0}};

static const lh_field session_filters[] = {
    {.name = "status",    .type = LH_STRING, .enum_values = "upcoming ongoing completed cancelled",
     .where = "s.status = :status::text"},
    {.name = "date_from", .type = LH_TIME, .where = "s.starts_at >= :date_from::timestamptz",
     .note = "Inclusive; a plain date is its midnight."},
    {.name = "date_to",   .type = LH_TIME, .where = "s.starts_at <= :date_to::timestamptz",
     .note = "Inclusive; a plain date is its midnight."},
    {.name = "creator", .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX, .where = "s.creator_id = :creator::bigint"},
    {0}};

/* ---- routes ---- */

static const lh_route routes[] = {
    {.name = "tutoring.list", .method = "GET", .path = "/api/sessions/",
     .summary = "List all sessions, newest first.",
     .roles = LH_MEMBER,
     .flags = LH_SHORT | LH_STANDBY,
     .query = session_filters,
     .count = "SELECT CASE WHEN " COUNTED " IS NULL "
              "            THEN (SELECT count(*) FROM learnhub.tutoring_sessions s WHERE true :filters) "
              "            ELSE " LIST_COUNT("tutoring", ":status") " END",
     .sql = {"SELECT " LISTED_COLUMNS SEAT_EXPIRY
             "FROM learnhub.tutoring_sessions s "
             "JOIN learnhub.users c ON c.id = s.creator_id "
             "WHERE true :filters "
             "ORDER BY s.created_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .deep_sql = DEEP_PAGE("learnhub.tutoring_sessions", "s", COUNTED, ":status", ":offset")
                 "SELECT " LISTED_COLUMNS SEAT_EXPIRY
                 "FROM page "
                 "JOIN learnhub.tutoring_sessions s ON s.id = page.id "
                 "JOIN learnhub.users c ON c.id = s.creator_id "
                 "ORDER BY s.created_at DESC, s.id DESC",
     .depends = "tutoring creators",
     .shape = LH_PAGE,
     .returns = listed_keys},

    {.name = "tutoring.my", .method = "GET", .path = "/api/sessions/my_sessions/",
     .summary = "List the sessions that the caller created or joined, newest first.",
     .roles = LH_MEMBER,
     .count = "SELECT count(*) "
              "FROM learnhub.tutoring_sessions "
              "WHERE id IN (SELECT id FROM learnhub.tutoring_sessions WHERE creator_id = :me::bigint "
              "             UNION SELECT session_id FROM learnhub.tutoring_participants WHERE user_id = :me::bigint)",
     .sql = {"SELECT " LISTED_COLUMNS
             "FROM learnhub.tutoring_sessions s "
             "JOIN learnhub.users c ON c.id = s.creator_id "
             "WHERE s.id IN (SELECT id FROM learnhub.tutoring_sessions WHERE creator_id = :me::bigint "
             "               UNION SELECT session_id FROM learnhub.tutoring_participants WHERE user_id = :me::bigint) "
             "ORDER BY s.created_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = listed_keys},

    {.name = "tutoring.created", .method = "GET", .path = "/api/sessions/created_sessions/",
     .summary = "List the sessions that the caller created, newest first.",
     .roles = LH_MEMBER,
     .count = "SELECT count(*) "
              "FROM learnhub.tutoring_sessions "
              "WHERE creator_id = :me::bigint",
     .sql = {"SELECT " LISTED_COLUMNS
             "FROM learnhub.tutoring_sessions s "
             "JOIN learnhub.users c ON c.id = s.creator_id "
             "WHERE " OF_CALLER("s.creator_id")
             "ORDER BY s.creator_id, s.created_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = listed_keys},

    {.name = "tutoring.joined", .method = "GET", .path = "/api/sessions/joined_sessions/",
     .summary = "List the sessions that the caller joined, newest first.",
     .roles = LH_MEMBER,
     .count = "SELECT count(*) "
              "FROM learnhub.tutoring_sessions "
              "WHERE id IN (SELECT session_id FROM learnhub.tutoring_participants WHERE user_id = :me::bigint)",
     .sql = {"SELECT " LISTED_COLUMNS
             "FROM learnhub.tutoring_sessions s "
             "JOIN learnhub.users c ON c.id = s.creator_id "
             "WHERE s.id IN (SELECT session_id FROM learnhub.tutoring_participants WHERE user_id = :me::bigint) "
             "ORDER BY s.created_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = listed_keys},

    {.name = "tutoring.get", .method = "GET", .path = "/api/sessions/{id:int}/",
     .summary = "Get a session with its participants.",
     .roles = LH_MEMBER,
     .flags = LH_SHORT,
     .lock = "SELECT FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint "
             "FOR UPDATE",
     .sql = {SESSION_DETAIL},
     .shape = LH_ONE,
     .returns = detail_keys,
     .errors = (const lh_route_error[]){SESSION_NOT_FOUND, {0}}},

    {.name = "tutoring.participants", .method = "GET", .path = "/api/sessions/{id:int}/participants/",
     .summary = "List the participants in the order of joining.",
     .roles = LH_MEMBER,
     .sql = {"SELECT NULL::text AS \"!\" "
             "FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint",

             "SELECT p.id, u.id AS \"user.id\", u.first_name AS \"user.first_name\", "
             "       u.last_name AS \"user.last_name\", u.email AS \"user.email\", u.role AS \"user.role\", "
             "       p.joined_at, p.role "
             "FROM learnhub.tutoring_participants p "
             "JOIN learnhub.users u ON u.id = p.user_id "
             "WHERE p.session_id = :id::bigint "
             "ORDER BY p.id"},
     .shape = LH_ALL,
     .returns = participant_keys,
     .errors = (const lh_route_error[]){SESSION_NOT_FOUND, {0}}},

    {.name = "tutoring.create", .method = "POST", .path = "/api/sessions/",
     .summary = "Create a session.",
     .roles = LH_INSTRUCTOR | LH_ADMIN,
     .flags = LH_IDEMPOTENT,
     .body = session_fields,
     .sql = {"WITH s AS ("
             "    INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, creator_id) "
             "    VALUES (:title, :description, :date::timestamptz, :max_participants::int, :me::bigint) "
             "    RETURNING *) "
             "SELECT " SESSION_COLUMNS "'[]'::json AS participants, s.status, s.created_at, s.updated_at, " SEAT_COLUMNS
             "FROM s "
             "JOIN learnhub.users c ON c.id = s.creator_id"},
     .shape = LH_ONE,
     .status = 201,
     .returns = detail_keys,
     .examples = NO_PARTICIPANTS,
     .errors = (const lh_route_error[]){
         {"role", 403, NULL, "Only instructors can create sessions."},
         {0}}},

    {.name = "tutoring.update", .method = "PUT", .path = "/api/sessions/{id:int}/",
     .summary = "Change all fields of a session.",
     .roles = LH_MEMBER,
     .body = session_fields,
     .sql = {SESSION_CHANGE_LOCK, SESSION_CHANGE, SESSION_DETAIL},
     .shape = LH_ONE,
     .returns = detail_keys,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"creator", 403, NULL,               "Only the creator can change this session."},
         {"over",    400, NULL,               "Completed and cancelled sessions cannot be changed."},
         {"seats",   400, "max_participants", "This must be at least the number of participants."},
         {0}}},

    {.name = "tutoring.patch", .method = "PATCH", .path = "/api/sessions/{id:int}/",
     .summary = "Change some fields of a session.",
     .roles = LH_MEMBER,
     .body = patch_fields,
     .sql = {SESSION_CHANGE_LOCK, SESSION_CHANGE, SESSION_DETAIL},
     .shape = LH_ONE,
     .returns = detail_keys,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"creator", 403, NULL,               "Only the creator can change this session."},
         {"over",    400, NULL,               "Completed and cancelled sessions cannot be changed."},
         {"seats",   400, "max_participants", "This must be at least the number of participants."},
         {0}}},

    {.name = "tutoring.delete", .method = "DELETE", .path = "/api/sessions/{id:int}/",
     .summary = "Delete an upcoming or cancelled session.",
     .roles = LH_MEMBER,
     .sql = {"SELECT CASE WHEN creator_id <> :me::bigint THEN 'creator' "
             "            WHEN status IN ('ongoing', 'completed') THEN 'begun' "
             "       END AS \"!\" "
             "FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint "
             "FOR UPDATE",

             "DELETE FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint AND creator_id = :me::bigint AND status IN ('upcoming', 'cancelled') "
             "RETURNING id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"creator", 403, NULL, "Only the creator can delete this session."},
         {"begun",   400, NULL, "Ongoing and completed sessions cannot be deleted."},
         {0}}},

    {.name = "tutoring.join", .method = "POST", .path = "/api/sessions/{id:int}/join/",
     .summary = "Join a session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     /* The lock needs a statement of its own, so that the next one sees all participants who joined before it. */
     .sql = {"SELECT id FROM learnhub.tutoring_sessions WHERE id = :id::bigint FOR UPDATE",

             "WITH verdict AS ("
             "    SELECT s.id, "
             "           CASE WHEN s.creator_id = :me::bigint THEN 'own' "
             "                WHEN EXISTS (SELECT FROM learnhub.tutoring_participants p "
             "                             WHERE p.session_id = s.id AND p.user_id = :me::bigint) THEN 'joined' "
             "                WHEN s.participant_count >= s.max_participants THEN 'full' "
             "                WHEN s.status <> 'upcoming' OR s.starts_at <= now() THEN 'closed' "
             "           END AS error "
             "    FROM learnhub.tutoring_sessions s "
             "    WHERE s.id = :id::bigint), "
             "entry AS ("
             "    INSERT INTO learnhub.tutoring_participants (session_id, user_id, role) "
             "    SELECT v.id, u.id, CASE u.role WHEN 'instructor' THEN 'tutor' ELSE 'student' END "
             "    FROM verdict v "
             "    JOIN learnhub.users u ON u.id = :me::bigint "
             "    WHERE v.error IS NULL "
             "    RETURNING session_id), "
             "seat AS ("
             "    UPDATE learnhub.tutoring_sessions s "
             "    SET participant_count = s.participant_count + 1 "
             "    FROM entry "
             "    WHERE s.id = entry.session_id) "
             "SELECT error AS \"!\" FROM verdict",

             SESSION_DETAIL},
     .shape = LH_ONE,
     .status = 201,
     .message = "Successfully joined the session",
     .key = "session",
     .returns = detail_keys,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"own",    400, NULL, "You cannot join your own session."},
         {"joined", 400, NULL, "You have already joined this session."},
         {"full",   400, NULL, "This session is full."},
         {"closed", 400, NULL, "This session can no longer be joined."},
         {0}}},

    {.name = "tutoring.leave", .method = "POST", .path = "/api/sessions/{id:int}/leave/",
     .summary = "Leave a session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .sql = {"SELECT id FROM learnhub.tutoring_sessions WHERE id = :id::bigint FOR UPDATE",

             "WITH verdict AS ("
             "    SELECT s.id, "
             "           CASE WHEN NOT EXISTS (SELECT FROM learnhub.tutoring_participants p "
             "                                 WHERE p.session_id = s.id AND p.user_id = :me::bigint) THEN 'absent' "
             "                WHEN s.status IN ('ongoing', 'completed') THEN 'begun' "
             "           END AS error "
             "    FROM learnhub.tutoring_sessions s "
             "    WHERE s.id = :id::bigint), "
             "entry AS ("
             "    DELETE FROM learnhub.tutoring_participants p "
             "    USING verdict v "
             "    WHERE p.session_id = v.id AND p.user_id = :me::bigint AND v.error IS NULL "
             "    RETURNING p.session_id), "
             "seat AS ("
             "    UPDATE learnhub.tutoring_sessions s "
             "    SET participant_count = s.participant_count - 1 "
             "    FROM entry "
             "    WHERE s.id = entry.session_id) "
             "SELECT error AS \"!\" FROM verdict",

             SESSION_DETAIL},
     .shape = LH_ONE,
     .message = "Successfully left the session",
     .key = "session",
     .returns = detail_keys,
     .examples = NO_PARTICIPANTS,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"absent", 400, NULL, "You have not joined this session."},
         {"begun",  400, NULL, "Ongoing and completed sessions cannot be left."},
         {0}}},

    {.name = "tutoring.cancel", .method = "POST", .path = "/api/sessions/{id:int}/cancel/",
     .summary = "Cancel an upcoming or ongoing session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .sql = {"SELECT CASE WHEN creator_id <> :me::bigint THEN 'creator' "
             "            WHEN status NOT IN ('upcoming', 'ongoing') THEN 'state' "
             "       END AS \"!\" "
             "FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint "
             "FOR UPDATE",

             "UPDATE learnhub.tutoring_sessions "
             "SET status = 'cancelled', updated_at = now() "
             "WHERE id = :id::bigint AND creator_id = :me::bigint AND status IN ('upcoming', 'ongoing')",

             SESSION_DETAIL},
     .shape = LH_ONE,
     .message = "Session cancelled successfully",
     .key = "session",
     .returns = detail_keys,
     .examples = CLOSED("cancelled"),
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"creator", 403, NULL, "Only the creator can cancel this session."},
         {"state",   400, NULL, "Completed and cancelled sessions cannot be cancelled."},
         {0}}},

    {.name = "tutoring.start", .method = "POST", .path = "/api/sessions/{id:int}/start/",
     .summary = "Start an upcoming session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .sql = {"SELECT CASE WHEN creator_id <> :me::bigint THEN 'creator' "
             "            WHEN status <> 'upcoming' THEN 'state' "
             "       END AS \"!\" "
             "FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint "
             "FOR UPDATE",

             "UPDATE learnhub.tutoring_sessions "
             "SET status = 'ongoing', updated_at = now() "
             "WHERE id = :id::bigint AND creator_id = :me::bigint AND status = 'upcoming'",

             SESSION_DETAIL},
     .shape = LH_ONE,
     .message = "Session started successfully",
     .key = "session",
     .returns = detail_keys,
     .examples = CLOSED("ongoing"),
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"creator", 403, NULL, "Only the creator can start this session."},
         {"state",   400, NULL, "Only upcoming sessions can be started."},
         {0}}},

    {.name = "tutoring.complete", .method = "POST", .path = "/api/sessions/{id:int}/complete/",
     .summary = "Complete an ongoing session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .sql = {"SELECT CASE WHEN creator_id <> :me::bigint THEN 'creator' "
             "            WHEN status <> 'ongoing' THEN 'state' "
             "       END AS \"!\" "
             "FROM learnhub.tutoring_sessions "
             "WHERE id = :id::bigint "
             "FOR UPDATE",

             "UPDATE learnhub.tutoring_sessions "
             "SET status = 'completed', updated_at = now() "
             "WHERE id = :id::bigint AND creator_id = :me::bigint AND status = 'ongoing'",

             SESSION_DETAIL},
     .shape = LH_ONE,
     .message = "Session completed successfully",
     .key = "session",
     .returns = detail_keys,
     .examples = CLOSED("completed"),
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"creator", 403, NULL, "Only the creator can complete this session."},
         {"state",   400, NULL, "Only ongoing sessions can be completed."},
         {0}}},

    {0}};

const lh_route_group lh_group_tutoring = {
    .name = "tutoring",
    .title = "Group tutoring sessions",
    .prefixes = (const char *const[]){"/api/sessions", NULL},
    .error_format = LH_ERRORS_FLAT,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */
