/* SPDX-License-Identifier: Apache-2.0 */
/* Group tutoring sessions: /api/sessions. The document is seeds' tutoring; contract section 3 settles the rest. */
#include "learnhub.h"

/* ---- the shapes ---- */

#define CREATOR_COLUMNS                                                                                                \
    "c.id AS \"creator.id\", c.first_name AS \"creator.first_name\", c.last_name AS \"creator.last_name\", "           \
    "c.email AS \"creator.email\", c.role AS \"creator.role\", "

#define SEAT_COLUMNS                                                                                                   \
    "s.participant_count >= s.max_participants AS is_full, "                                                           \
    "s.max_participants - s.participant_count AS available_spots, "                                                    \
    "s.status = 'upcoming' AND s.starts_at > now() AND s.participant_count < s.max_participants AS can_join "

/* The whole object. Its participants are few (20 at most), so PostgreSQL may make their JSON. */
#define DETAIL_OF_PATH                                                                                                 \
    "SELECT s.id, s.title, s.description, s.starts_at AS date, s.max_participants, " CREATOR_COLUMNS                   \
    "coalesce((SELECT json_agg(json_build_object('id', p.id, 'user', json_build_object('id', u.id, "                   \
    "'first_name', u.first_name, 'last_name', u.last_name, 'email', u.email, 'role', u.role), "                        \
    "'joined_at', learnhub.iso_seconds(p.joined_at), 'role', p.role) ORDER BY p.id) "                                  \
    "FROM learnhub.tutoring_participants p JOIN learnhub.users u ON u.id = p.user_id WHERE p.session_id = s.id), "     \
    "'[]') AS participants, s.status, s.created_at, s.updated_at, " SEAT_COLUMNS                                       \
    "FROM learnhub.tutoring_sessions s JOIN learnhub.users c ON c.id = s.creator_id WHERE s.id = :id::bigint"

#define LISTED                                                                                                         \
    "SELECT s.id, s.title, s.description, s.starts_at AS date, s.max_participants, " CREATOR_COLUMNS                   \
    "s.status, s.created_at, s.updated_at, s.participant_count, " SEAT_COLUMNS                                         \
    "FROM learnhub.tutoring_sessions s JOIN learnhub.users c ON c.id = s.creator_id WHERE "
#define COUNTED "SELECT count(*) FROM learnhub.tutoring_sessions s WHERE "
#define NEWEST_FIRST " ORDER BY s.created_at DESC, s.id DESC LIMIT :limit::bigint OFFSET :offset::bigint"

#define CREATED "s.creator_id = :me::bigint"
#define JOINED "s.id IN (SELECT session_id FROM learnhub.tutoring_participants WHERE user_id = :me::bigint)"
#define CREATED_OR_JOINED                                                                                              \
    "s.id IN (SELECT id FROM learnhub.tutoring_sessions WHERE creator_id = :me::bigint "                               \
    "UNION SELECT session_id FROM learnhub.tutoring_participants WHERE user_id = :me::bigint)"

static const lh_field person_keys[] = {
    {.name = "id", .type = LH_INTEGER},       {.name = "first_name", .type = LH_STRING},
    {.name = "last_name", .type = LH_STRING}, {.name = "email", .type = LH_EMAIL},
    {.name = "role", .type = LH_STRING},      {0}};

static const lh_field participant_keys[] = {{.name = "id", .type = LH_INTEGER},
                                            {.name = "user.id", .type = LH_INTEGER},
                                            {.name = "user.first_name", .type = LH_STRING},
                                            {.name = "user.last_name", .type = LH_STRING},
                                            {.name = "user.email", .type = LH_EMAIL},
                                            {.name = "user.role", .type = LH_STRING},
                                            {.name = "joined_at", .type = LH_TIME},
                                            {.name = "role", .type = LH_STRING, .enum_values = "student tutor"},
                                            {0}};

#define COMMON_KEYS                                                                                                    \
    {.name = "id", .type = LH_INTEGER}, {.name = "title", .type = LH_STRING},                                          \
        {.name = "description", .type = LH_STRING}, {.name = "date", .type = LH_TIME},                                 \
        {.name = "max_participants", .type = LH_INTEGER},                                                              \
        {.name = "creator", .type = LH_OBJECT, .items = person_keys},                                                  \
        {.name = "status", .type = LH_STRING, .enum_values = "upcoming ongoing completed cancelled"},                  \
        {.name = "created_at", .type = LH_TIME}, {.name = "updated_at", .type = LH_TIME},                              \
        {.name = "is_full", .type = LH_BOOLEAN}, {.name = "available_spots", .type = LH_INTEGER},                      \
    {                                                                                                                  \
        .name = "can_join", .type = LH_BOOLEAN, .note = "Upcoming, in the future and not full; whoever asks."          \
    }

static const lh_field detail_keys[] = {
    COMMON_KEYS, {.name = "participants", .type = LH_LIST, .items = participant_keys}, {0}};
static const lh_field listed_keys[] = {COMMON_KEYS, {.name = "participant_count", .type = LH_INTEGER}, {0}};

/* ---- what comes in ---- */

#define TITLE .name = "title", .type = LH_STRING, .min = 1, .max = 200
#define DESCRIPTION .name = "description", .type = LH_STRING, .min = 1, .max = 10000 /* a page holds 100 of them */
#define DATE .name = "date", .type = LH_TIME
#define SEATS .name = "max_participants", .type = LH_INTEGER, .min = 2, .max = 20

static const lh_field all_fields[] = {{TITLE, .flags = LH_REQUIRED | LH_TRIM},
                                      {DESCRIPTION, .flags = LH_REQUIRED},
                                      {DATE, .flags = LH_REQUIRED | LH_FUTURE},
                                      {SEATS, .flags = LH_REQUIRED},
                                      {0}};

static const lh_field any_fields[] = {
    {TITLE, .flags = LH_TRIM}, {DESCRIPTION}, {DATE, .flags = LH_FUTURE}, {SEATS}, {0}};

static const lh_field filters[] = {
    {.name = "status",
     .type = LH_STRING,
     .enum_values = "upcoming ongoing completed cancelled",
     .where = "s.status = :status::text"},
    {.name = "date_from",
     .type = LH_TIME,
     .where = "s.starts_at >= :date_from::timestamptz",
     .note = "Inclusive; a plain date is its midnight."},
    {.name = "date_to",
     .type = LH_TIME,
     .where = "s.starts_at <= :date_to::timestamptz",
     .note = "Inclusive; a plain date is its midnight."},
    {.name = "creator", .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX, .where = "s.creator_id = :creator::bigint"},
    {0}};

/* ---- the changes: each locks the session first, so that the next statement sees it as it is ---- */

#define LOCK "SELECT id FROM learnhub.tutoring_sessions WHERE id = :id::bigint FOR UPDATE"

#define NOT_YOURS "CASE WHEN s.creator_id <> :me::bigint THEN 'creator' "

/* A change of the creator's: `error` continues the CASE, `change` is the SET list. */
#define CHANGE(error, change)                                                                                          \
    "WITH v AS (SELECT s.id, " NOT_YOURS error " END AS error "                                                        \
    "FROM learnhub.tutoring_sessions s WHERE s.id = :id::bigint), "                                                    \
    "done AS (UPDATE learnhub.tutoring_sessions s SET " change ", updated_at = now() "                                 \
    "FROM v WHERE s.id = v.id AND v.error IS NULL) SELECT error AS \"!\" FROM v"

#define UPDATE                                                                                                         \
    CHANGE("WHEN s.status IN ('completed', 'cancelled') THEN 'over' "                                                  \
           "WHEN :max_participants::int < s.participant_count THEN 'seats'",                                           \
           "title = coalesce(:title, title), description = coalesce(:description, description), "                      \
           "starts_at = coalesce(:date::timestamptz, starts_at), "                                                     \
           "max_participants = coalesce(:max_participants::int, max_participants)")

#define JOIN                                                                                                           \
    "WITH v AS (SELECT s.id, CASE WHEN s.creator_id = :me::bigint THEN 'own' "                                         \
    "WHEN EXISTS (SELECT 1 FROM learnhub.tutoring_participants p "                                                     \
    "             WHERE p.session_id = s.id AND p.user_id = :me::bigint) THEN 'joined' "                               \
    "WHEN s.participant_count >= s.max_participants THEN 'full' "                                                      \
    "WHEN s.status <> 'upcoming' OR s.starts_at <= now() THEN 'closed' END AS error "                                  \
    "FROM learnhub.tutoring_sessions s WHERE s.id = :id::bigint), "                                                    \
    "entry AS (INSERT INTO learnhub.tutoring_participants (session_id, user_id, role) "                                \
    "          SELECT v.id, u.id, CASE u.role WHEN 'instructor' THEN 'tutor' ELSE 'student' END "                      \
    "          FROM v JOIN learnhub.users u ON u.id = :me::bigint WHERE v.error IS NULL RETURNING session_id), "       \
    "seat AS (UPDATE learnhub.tutoring_sessions s SET participant_count = s.participant_count + 1 "                    \
    "         FROM entry WHERE s.id = entry.session_id) "                                                              \
    "SELECT error AS \"!\" FROM v"

#define LEAVE                                                                                                          \
    "WITH v AS (SELECT s.id, CASE WHEN NOT EXISTS (SELECT 1 FROM learnhub.tutoring_participants p "                    \
    "             WHERE p.session_id = s.id AND p.user_id = :me::bigint) THEN 'absent' "                               \
    "WHEN s.status IN ('ongoing', 'completed') THEN 'begun' END AS error "                                             \
    "FROM learnhub.tutoring_sessions s WHERE s.id = :id::bigint), "                                                    \
    "entry AS (DELETE FROM learnhub.tutoring_participants p USING v "                                                  \
    "          WHERE p.session_id = v.id AND p.user_id = :me::bigint AND v.error IS NULL RETURNING p.session_id), "    \
    "seat AS (UPDATE learnhub.tutoring_sessions s SET participant_count = s.participant_count - 1 "                    \
    "         FROM entry WHERE s.id = entry.session_id) "                                                              \
    "SELECT error AS \"!\" FROM v"

#define DELETE                                                                                                         \
    "WITH v AS (SELECT s.id, " NOT_YOURS "WHEN s.status IN ('ongoing', 'completed') THEN 'begun' END AS error "        \
    "FROM learnhub.tutoring_sessions s WHERE s.id = :id::bigint), "                                                    \
    "done AS (DELETE FROM learnhub.tutoring_sessions s USING v WHERE s.id = v.id AND v.error IS NULL) "                \
    "SELECT error AS \"!\" FROM v"

#define MISSING                                                                                                        \
    {                                                                                                                  \
        "missing", 404, NULL, "Session not found."                                                                     \
    }

static const lh_route_error not_found[] = {MISSING, {0}};

static const lh_route_error update_errors[] = {
    MISSING,
    {"creator", 403, NULL, "Only the creator can change this session."},
    {"over", 400, NULL, "Completed and cancelled sessions cannot be changed."},
    {"seats", 400, "max_participants", "This may not be below the number of those who have joined already."},
    {0}};

/* The prefix of one line of a row that changes a session's state and answers with it. */
#define ACTION(word)                                                                                                   \
    .name = "tutoring." word, .method = "POST", .path = "/api/sessions/{id:int}/" word "/", .roles = LH_MEMBER

static const lh_route routes[] = {
    {.name = "tutoring.list",
     .method = "GET",
     .path = "/api/sessions/",
     .roles = LH_MEMBER,
     .summary = "All sessions, newest created first.",
     .query = filters,
     .count = COUNTED "true :filters",
     .sql = {LISTED "true :filters" NEWEST_FIRST},
     .shape = LH_PAGE,
     .returns = listed_keys},
    {.name = "tutoring.my",
     .method = "GET",
     .path = "/api/sessions/my_sessions/",
     .roles = LH_MEMBER,
     .summary = "The sessions the caller created or joined.",
     .count = COUNTED CREATED_OR_JOINED,
     .sql = {LISTED CREATED_OR_JOINED NEWEST_FIRST},
     .shape = LH_PAGE,
     .returns = listed_keys},
    {.name = "tutoring.created",
     .method = "GET",
     .path = "/api/sessions/created_sessions/",
     .roles = LH_MEMBER,
     .summary = "The sessions the caller created.",
     .count = COUNTED CREATED,
     .sql = {LISTED CREATED NEWEST_FIRST},
     .shape = LH_PAGE,
     .returns = listed_keys},
    {.name = "tutoring.joined",
     .method = "GET",
     .path = "/api/sessions/joined_sessions/",
     .roles = LH_MEMBER,
     .summary = "The sessions the caller takes part in.",
     .count = COUNTED JOINED,
     .sql = {LISTED JOINED NEWEST_FIRST},
     .shape = LH_PAGE,
     .returns = listed_keys},
    {.name = "tutoring.get",
     .method = "GET",
     .path = "/api/sessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "One session with its participants.",
     .sql = {DETAIL_OF_PATH},
     .shape = LH_ONE,
     .returns = detail_keys,
     .errors = not_found},
    {.name = "tutoring.participants",
     .method = "GET",
     .path = "/api/sessions/{id:int}/participants/",
     .roles = LH_MEMBER,
     .summary = "Who takes part, in order of joining.",
     .sql =
         {"SELECT NULL::text AS \"!\" FROM learnhub.tutoring_sessions WHERE id = :id::bigint",
          "SELECT p.id, u.id AS \"user.id\", u.first_name AS \"user.first_name\", u.last_name AS \"user.last_name\", "
          "u.email AS \"user.email\", u.role AS \"user.role\", p.joined_at, p.role "
          "FROM learnhub.tutoring_participants p JOIN learnhub.users u ON u.id = p.user_id "
          "WHERE p.session_id = :id::bigint ORDER BY p.id"},
     .shape = LH_ALL,
     .returns = participant_keys,
     .errors = not_found},
    {.name = "tutoring.create",
     .method = "POST",
     .path = "/api/sessions/",
     .roles = LH_INSTRUCTOR | LH_ADMIN,
     .summary = "Create a session.",
     .body = all_fields,
     .sql = {"WITH s AS (INSERT INTO learnhub.tutoring_sessions (title, description, starts_at, max_participants, "
             "creator_id) "
             "VALUES (:title, :description, :date::timestamptz, :max_participants::int, :me::bigint) RETURNING *) "
             "SELECT s.id, s.title, s.description, s.starts_at AS date, s.max_participants, " CREATOR_COLUMNS
             "'[]'::json AS participants, s.status, s.created_at, s.updated_at, " SEAT_COLUMNS
             "FROM s JOIN learnhub.users c ON c.id = s.creator_id"},
     .shape = LH_ONE,
     .status = 201,
     .returns = detail_keys,
     .errors = (const lh_route_error[]){{"role", 403, NULL, "Only instructors can create sessions."}, {0}}},
    {.name = "tutoring.update",
     .method = "PUT",
     .path = "/api/sessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Change a session; all four fields.",
     .body = all_fields,
     .sql = {LOCK, UPDATE, DETAIL_OF_PATH},
     .shape = LH_ONE,
     .returns = detail_keys,
     .errors = update_errors},
    {.name = "tutoring.patch",
     .method = "PATCH",
     .path = "/api/sessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Change a session; any of the fields.",
     .body = any_fields,
     .sql = {LOCK, UPDATE, DETAIL_OF_PATH},
     .shape = LH_ONE,
     .returns = detail_keys,
     .errors = update_errors},
    {.name = "tutoring.delete",
     .method = "DELETE",
     .path = "/api/sessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Delete a session that has not begun.",
     .sql = {LOCK, DELETE},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){MISSING,
                                        {"creator", 403, NULL, "Only the creator can delete this session."},
                                        {"begun", 400, NULL, "Ongoing and completed sessions cannot be deleted."},
                                        {0}}},
    {ACTION("join"), .summary = "Take a seat.", .sql = {LOCK, JOIN, DETAIL_OF_PATH}, .shape = LH_ONE, .status = 201,
     .message = "Successfully joined the session", .key = "session", .returns = detail_keys,
     .errors = (const lh_route_error[]){MISSING,
                                        {"own", 400, NULL, "You cannot join your own session."},
                                        {"joined", 400, NULL, "You have already joined this session."},
                                        {"full", 400, NULL, "This session is full."},
                                        {"closed", 400, NULL, "This session can no longer be joined."},
                                        {0}}},
    {ACTION("leave"), .summary = "Give the seat back.", .sql = {LOCK, LEAVE, DETAIL_OF_PATH}, .shape = LH_ONE,
     .message = "Successfully left the session", .key = "session", .returns = detail_keys,
     .errors = (const lh_route_error[]){MISSING,
                                        {"absent", 400, NULL, "You have not joined this session."},
                                        {"begun", 400, NULL, "Ongoing and completed sessions cannot be left."},
                                        {0}}},
    {ACTION("cancel"), .summary = "Cancel an upcoming or ongoing session.", .shape = LH_ONE,
     .sql = {LOCK, CHANGE("WHEN s.status NOT IN ('upcoming', 'ongoing') THEN 'state'", "status = 'cancelled'"),
             DETAIL_OF_PATH},
     .message = "Session cancelled successfully", .key = "session", .returns = detail_keys,
     .errors = (const lh_route_error[]){MISSING,
                                        {"creator", 403, NULL, "Only the creator can cancel this session."},
                                        {"state", 400, NULL, "Completed and cancelled sessions cannot be cancelled."},
                                        {0}}},
    {ACTION("start"), .summary = "Start an upcoming session.", .shape = LH_ONE,
     .sql = {LOCK, CHANGE("WHEN s.status <> 'upcoming' THEN 'state'", "status = 'ongoing'"), DETAIL_OF_PATH},
     .message = "Session started successfully", .key = "session", .returns = detail_keys,
     .errors = (const lh_route_error[]){MISSING,
                                        {"creator", 403, NULL, "Only the creator can start this session."},
                                        {"state", 400, NULL, "Only upcoming sessions can be started."},
                                        {0}}},
    {ACTION("complete"), .summary = "Complete an ongoing session.", .shape = LH_ONE,
     .sql = {LOCK, CHANGE("WHEN s.status <> 'ongoing' THEN 'state'", "status = 'completed'"), DETAIL_OF_PATH},
     .message = "Session completed successfully", .key = "session", .returns = detail_keys,
     .errors = (const lh_route_error[]){MISSING,
                                        {"creator", 403, NULL, "Only the creator can complete this session."},
                                        {"state", 400, NULL, "Only ongoing sessions can be completed."},
                                        {0}}},
    {0}};

const lh_route_group lh_group_tutoring = {.name = "tutoring",
                                          .title = "Group tutoring sessions",
                                          .prefixes = (const char *const[]){"/api/sessions", NULL},
                                          .error_format = LH_ERRORS_FLAT,
                                          .time_format = LH_SECONDS_Z,
                                          .routes = routes};
