/* SPDX-License-Identifier: Apache-2.0 */
/* Focus sessions, goals and what they earn: /api/v1. The document is seeds' xp; contract section 6 settles the rest. */
#include "learnhub.h"

/* ---- the shapes ---- */

#define GOAL_COLUMNS                                                                                                   \
    "g.id, g.title, g.emoji, g.category_name AS \"category.name\", g.category_color AS \"category.color\", "           \
    "u.uuid AS \"user\", g.status, g.days_total, "                                                                     \
    "(SELECT count(DISTINCT (s.ended_at AT TIME ZONE 'UTC')::date) FROM learnhub.xp_sessions s "                       \
    "WHERE s.goal_id = g.id AND s.status = 'completed') AS days_completed "

#define EARNED_COLUMNS                                                                                                 \
    "s.started_at, s.ended_at, s.total_duration_seconds, s.focused_duration_seconds, s.xp_total, s.xp_physique, "      \
    "s.xp_energy, s.xp_logic, s.xp_creativity, s.xp_social, s.completed_reason, "                                      \
    "CASE WHEN a.id IS NOT NULL THEN json_build_object('id', a.id, 'name', a.name, 'emoji', a.emoji) END AS activity "

#define GOAL_STATUS .name = "status", .type = LH_STRING, .enum_values = "active paused completed abandoned"
#define SESSION_STATUS .name = "status", .type = LH_STRING, .enum_values = "active completed abandoned"
#define REASON                                                                                                         \
    .name = "completed_reason", .type = LH_STRING, .enum_values = "manual auto abandoned timeout crash_recovered"

static const lh_field goal_keys[] = {
    {.name = "id", .type = LH_UUID},
    {.name = "title", .type = LH_STRING},
    {.name = "emoji", .type = LH_STRING},
    {.name = "category.name", .type = LH_STRING},
    {.name = "category.color", .type = LH_COLOR},
    {.name = "user", .type = LH_UUID},
    {GOAL_STATUS},
    {.name = "days_total", .type = LH_INTEGER},
    {.name = "days_completed", .type = LH_INTEGER, .note = "UTC days on which a session of the goal was completed."},
    {0}};

static const lh_field session_activity_keys[] = {
    {.name = "id", .type = LH_UUID}, {.name = "name", .type = LH_STRING}, {.name = "emoji", .type = LH_STRING}, {0}};

/* What every ended session has; an active one has nulls and zeros there. */
#define EARNED_KEYS                                                                                                    \
    {.name = "started_at", .type = LH_TIME, .flags = LH_NULL},                                                         \
        {.name = "ended_at", .type = LH_TIME, .flags = LH_NULL},                                                       \
        {.name = "total_duration_seconds", .type = LH_INTEGER, .flags = LH_NULL},                                      \
        {.name = "focused_duration_seconds", .type = LH_INTEGER, .flags = LH_NULL},                                    \
        {.name = "xp_total", .type = LH_INTEGER}, {.name = "xp_physique", .type = LH_INTEGER},                         \
        {.name = "xp_energy", .type = LH_INTEGER}, {.name = "xp_logic", .type = LH_INTEGER},                           \
        {.name = "xp_creativity", .type = LH_INTEGER}, {.name = "xp_social", .type = LH_INTEGER},                      \
        {REASON, .flags = LH_NULL},                                                                                    \
    {                                                                                                                  \
        .name = "activity", .type = LH_OBJECT, .flags = LH_NULL, .items = session_activity_keys                        \
    }

static const lh_field history_keys[] = {{.name = "id", .type = LH_STRING}, EARNED_KEYS, {0}};
static const lh_field session_keys[] = {{.name = "id", .type = LH_STRING},
                                        {SESSION_STATUS},
                                        {.name = "user", .type = LH_UUID},
                                        {.name = "goal_id", .type = LH_UUID, .flags = LH_NULL},
                                        {.name = "device_platform", .type = LH_STRING, .flags = LH_NULL},
                                        EARNED_KEYS,
                                        {0}};
static const lh_field registered_keys[] = {{.name = "id", .type = LH_STRING}, {SESSION_STATUS}, {0}};
static const lh_field ended_keys[] = {
    {.name = "id", .type = LH_STRING}, {SESSION_STATUS}, {.name = "xp_total", .type = LH_INTEGER}, {0}};

static const lh_field xp_keys[] = {
    {.name = "user", .type = LH_UUID},
    {.name = "life_level", .type = LH_INTEGER, .note = "Level n begins at 10,000 (n - 1)^2 points."},
    {.name = "xp_total", .type = LH_INTEGER},
    {.name = "xp_physique", .type = LH_INTEGER},
    {.name = "xp_energy", .type = LH_INTEGER},
    {.name = "xp_logic", .type = LH_INTEGER},
    {.name = "xp_creativity", .type = LH_INTEGER},
    {.name = "xp_social", .type = LH_INTEGER},
    {.name = "xp_to_next_level", .type = LH_INTEGER},
    {0}};

/* ---- what comes in ---- */

#define NAME_OF(field, most) .name = field, .type = LH_STRING, .min = 1, .max = most
#define EMOJI .name = "emoji", .type = LH_STRING, .flags = LH_TRIM, .max = 16
#define CATEGORY .name = "category", .type = LH_GROUP, .flags = LH_NULL
#define CATEGORY_NAME .name = "category.name", .type = LH_STRING, .flags = LH_TRIM, .max = 100
#define CATEGORY_COLOR .name = "category.color", .type = LH_COLOR
#define DAYS .name = "days_total", .type = LH_INTEGER, .min = 1, .max = 36500
#define FIRST_COLOR "#4187a2"
#define FIRST_CATEGORY "General"

static const lh_field goal_fields[] = {{NAME_OF("title", 200), .flags = LH_REQUIRED | LH_TRIM},
                                       {EMOJI, .default_value = "\xF0\x9F\x8E\xAF"},
                                       {CATEGORY},
                                       {CATEGORY_NAME, .default_value = FIRST_CATEGORY},
                                       {CATEGORY_COLOR, .default_value = FIRST_COLOR},
                                       {DAYS, .default_value = "30"},
                                       {GOAL_STATUS, .default_value = "active"},
                                       {0}};

static const lh_field goal_changes[] = {{NAME_OF("title", 200), .flags = LH_TRIM},
                                        {EMOJI},
                                        {CATEGORY},
                                        {CATEGORY_NAME},
                                        {CATEGORY_COLOR},
                                        {DAYS},
                                        {GOAL_STATUS},
                                        {0}};

static const lh_field goal_filters[] = {{GOAL_STATUS, .where = "g.status = :status::text"}, {0}};

/* An id of ours as any API shows it. */
#define USER_ID                                                                                                        \
    .name = "user_id", .type = LH_STRING, .flags = LH_COERCE | LH_NULL, .min = 1, .max = 36,                           \
    .note = "A number, 24 hex digits or a UUID: the caller, or for services and admins anybody."
#define PLATFORM                                                                                                       \
    .name = "device_platform", .type = LH_STRING, .flags = LH_TRIM | LH_NULL, .max = 50,                               \
    .note = "Optional; what is known stays."
#define NUMBER .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647 /* the document's IntegerField */

static const lh_field register_fields[] = {
    {NAME_OF("session_id", 255), .flags = LH_REQUIRED, .note = "Printable characters without a slash."},
    {USER_ID},
    {.name = "goal_id", .type = LH_UUID, .flags = LH_REQUIRED},
    {.name = "activity_id", .type = LH_UUID, .flags = LH_REQUIRED},
    {.name = "status", .type = LH_STRING, .enum_values = "active", .note = "Need not be sent."},
    {.name = "started_at", .type = LH_TIME, .flags = LH_REQUIRED},
    {PLATFORM},
    {0}};

static const lh_field end_fields[] = {
    {USER_ID},
    {.name = "status", .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "completed abandoned"},
    {.name = "ended_at", .type = LH_TIME, .flags = LH_REQUIRED, .note = "Not before the start."},
    {.name = "total_duration_seconds", NUMBER},
    {.name = "focused_duration_seconds", NUMBER},
    {.name = "xp_total", NUMBER, .note = "Kept as sent; it need not be the sum of the parts."},
    {.name = "xp_physique", NUMBER},
    {.name = "xp_energy", NUMBER},
    {.name = "xp_logic", NUMBER},
    {.name = "xp_creativity", NUMBER},
    {.name = "xp_social", NUMBER},
    {REASON, .flags = LH_REQUIRED},
    {PLATFORM},
    {0}};

/* The id becomes a segment of a path. */
static lh_error *check_session_id(lh_call *call, lh_error *errors)
{
    const char *id = lh_param(call, "session_id");
    const unsigned char *s;

    for (s = (const unsigned char *)id; s && *s; s++) {
        if (*s == '/' || *s < ' ' || *s == 0x7F || (s[0] == 0xC2 && s[1] < 0xA0)) {
            return lh_fail_field(call, errors, "session_id", "This must be printable characters without a slash.");
        }
    }
    return errors;
}

/* ---- sessions ---- */

#define TRUSTED "c.role IN ('service', 'admin') "

/* Whose session it is: `unnamed` where the body does not say it. */
#define ASKED(unnamed)                                                                                                 \
    "WITH asked AS (SELECT c.id AS caller, " TRUSTED "AS trusted, "                                                    \
    "CASE WHEN :user_id::text IS NOT NULL THEN learnhub.user_shown_as(:user_id::text) " unnamed " END AS user_id "     \
    "FROM learnhub.users c WHERE c.id = :me::bigint), "

#define WRONG_USER                                                                                                     \
    "CASE WHEN NOT trusted AND user_id IS DISTINCT FROM caller THEN 'other' "                                          \
    "WHEN user_id IS NULL THEN CASE WHEN :user_id::text IS NULL THEN 'unnamed' ELSE 'nobody' END "

/* In a row that was there, xmax is the lock of this very statement; in one that it has made, nothing. */
#define REGISTER                                                                                                       \
    ASKED("WHEN c.role <> 'service' THEN c.id")                                                                        \
    "v AS (SELECT asked.*, " WRONG_USER "ELSE nullif(concat_ws(' ', "                                                  \
    "    CASE WHEN NOT EXISTS (SELECT 1 FROM learnhub.goals g "                                                        \
    "        WHERE g.id = :goal_id::uuid AND g.user_id = asked.user_id) THEN 'goal' END, "                             \
    "    CASE WHEN NOT EXISTS (SELECT 1 FROM learnhub.activities a WHERE a.id = :activity_id::uuid) "                  \
    "        THEN 'activity' END), '') END AS error FROM asked), "                                                     \
    "made AS (INSERT INTO learnhub.xp_sessions AS s "                                                                  \
    "    (id, user_id, goal_id, activity_id, status, started_at, device_platform) "                                    \
    "    SELECT :session_id::text, user_id, :goal_id::uuid, :activity_id::uuid, 'active', "                            \
    "        :started_at::timestamptz, :device_platform FROM v WHERE error IS NULL "                                   \
    "    ON CONFLICT (id) DO UPDATE SET goal_id = coalesce(s.goal_id, EXCLUDED.goal_id), "                             \
    "        activity_id = coalesce(s.activity_id, EXCLUDED.activity_id), "                                            \
    "        started_at = coalesce(s.started_at, EXCLUDED.started_at), "                                               \
    "        device_platform = coalesce(s.device_platform, EXCLUDED.device_platform) "                                 \
    "    WHERE s.user_id = EXCLUDED.user_id RETURNING s.id, s.status, s.xmax = 0 AS is_new) "                          \
    "SELECT coalesce(v.error, CASE WHEN made.id IS NULL THEN 'taken' END) AS \"!\", made.id, made.status, "            \
    "CASE WHEN made.is_new THEN 201 ELSE 200 END AS _status FROM v LEFT JOIN made ON true"

#define END                                                                                                            \
    ASKED("WHEN NOT " TRUSTED "THEN c.id ELSE coalesce((SELECT s.user_id FROM learnhub.xp_sessions s "                 \
          "WHERE s.id = :id::text), CASE c.role WHEN 'admin' THEN c.id END)")                                          \
    "v AS (SELECT asked.*, " WRONG_USER "END AS error FROM asked), "                                                   \
    "made AS (INSERT INTO learnhub.xp_sessions AS s (id, user_id, status, ended_at, total_duration_seconds, "          \
    "        focused_duration_seconds, xp_total, xp_physique, xp_energy, xp_logic, xp_creativity, xp_social, "         \
    "        completed_reason, device_platform) "                                                                      \
    "    SELECT :id::text, user_id, :status::text, :ended_at::timestamptz, :total_duration_seconds::int, "             \
    "        :focused_duration_seconds::int, :xp_total::int, :xp_physique::int, :xp_energy::int, :xp_logic::int, "     \
    "        :xp_creativity::int, :xp_social::int, :completed_reason, :device_platform FROM v WHERE error IS NULL "    \
    "    ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, ended_at = EXCLUDED.ended_at, "                      \
    "        total_duration_seconds = EXCLUDED.total_duration_seconds, "                                               \
    "        focused_duration_seconds = EXCLUDED.focused_duration_seconds, xp_total = EXCLUDED.xp_total, "             \
    "        xp_physique = EXCLUDED.xp_physique, xp_energy = EXCLUDED.xp_energy, xp_logic = EXCLUDED.xp_logic, "       \
    "        xp_creativity = EXCLUDED.xp_creativity, xp_social = EXCLUDED.xp_social, "                                 \
    "        completed_reason = EXCLUDED.completed_reason, "                                                           \
    "        device_platform = coalesce(EXCLUDED.device_platform, s.device_platform) "                                 \
    "    WHERE s.user_id = EXCLUDED.user_id RETURNING s.id, s.status, s.xp_total) "                                    \
    "SELECT coalesce(v.error, CASE WHEN made.id IS NULL THEN CASE WHEN v.trusted THEN 'taken' ELSE 'missing' END "     \
    "END) AS \"!\", made.id, made.status, made.xp_total FROM v LEFT JOIN made ON true"

#define USER_ERRORS                                                                                                    \
    {"other", 403, NULL, "This must be your own session."},                                                            \
        {"unnamed", 400, "user_id", "This field is required of a service."},                                           \
        {"nobody", 400, "user_id", "No user has this id."},                                                            \
    {                                                                                                                  \
        "taken", 409, NULL, "Another user's session has this id."                                                      \
    }

#define NO_SESSION "missing", 404, NULL, "Session not found."

static const lh_route_error session_errors[] = {{NO_SESSION}, {0}};
static const lh_route_error goal_errors[] = {{"missing", 404, NULL, "Goal not found."}, {0}};
/* ---- the rows ---- */

static const lh_route routes[] = {
    {.name = "xp.register",
     .method = "POST",
     .path = "/api/v1/sessions/",
     .roles = LH_MEMBER,
     .summary = "Register a session that has begun; of one that is known only gaps are filled.",
     .body = register_fields,
     .check = check_session_id,
     .sql = {REGISTER},
     .shape = LH_ONE,
     .status = 201,
     .returns = registered_keys,
     .errors =
         (const lh_route_error[]){USER_ERRORS,
                                  {"goal", 400, "goal_id", "There is no such goal."},
                                  {"activity", 400, "activity_id", "There is no such activity."},
                                  {"xp_sessions_id_check", 400, "session_id", "This is the name of something else."},
                                  {"xp_sessions_span_check", 400, "started_at", "The session has ended before."},
                                  {0}},
     .flags = LH_RETRYABLE},
    {.name = "xp.session",
     .method = "GET",
     .path = "/api/v1/sessions/{id:text}/",
     .roles = LH_MEMBER,
     .summary = "One session: the caller's, or for services and admins anybody's.",
     .sql = {"SELECT s.id, s.status, u.uuid AS \"user\", s.goal_id, s.device_platform, " EARNED_COLUMNS
             "FROM learnhub.users c JOIN learnhub.xp_sessions s ON s.user_id = c.id OR " TRUSTED
             "JOIN learnhub.users u ON u.id = s.user_id LEFT JOIN learnhub.activities a ON a.id = s.activity_id "
             "WHERE c.id = :me::bigint AND s.id = :id::text"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = session_errors},
    {.name = "xp.end",
     .method = "PUT",
     .path = "/api/v1/sessions/{id:text}/",
     .roles = LH_MEMBER,
     .summary = "Complete or abandon a session, or correct that; one that was never registered is made.",
     .body = end_fields,
     .sql = {END},
     .shape = LH_ONE,
     .returns = ended_keys,
     .errors =
         (const lh_route_error[]){USER_ERRORS,
                                  {NO_SESSION},
                                  {"xp_sessions_id_check", 404, NULL, "Session not found."},
                                  {"xp_sessions_span_check", 400, "ended_at", "This may not lie before the start."},
                                  {0}},
     .flags = LH_RETRYABLE},
    {.name = "xp.goals",
     .method = "GET",
     .path = "/api/v1/goals/",
     .roles = LH_MEMBER,
     .summary = "The caller's goals, newest first.",
     .query = goal_filters,
     .count = "SELECT count(*) FROM learnhub.goals g WHERE g.user_id = :me::bigint :filters",
     .sql = {"SELECT " GOAL_COLUMNS "FROM learnhub.goals g JOIN learnhub.users u ON u.id = g.user_id "
             "WHERE g.user_id = :me::bigint :filters "
             "ORDER BY g.created_at DESC, g.id DESC LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = goal_keys},
    {.name = "xp.goal",
     .method = "GET",
     .path = "/api/v1/goals/{id:uuid}/",
     .roles = LH_MEMBER,
     .summary = "One of the caller's goals.",
     .sql = {"SELECT " GOAL_COLUMNS "FROM learnhub.goals g JOIN learnhub.users u ON u.id = g.user_id "
             "WHERE g.id = :id::uuid AND g.user_id = :me::bigint"},
     .shape = LH_ONE,
     .returns = goal_keys,
     .errors = goal_errors},
    {.name = "xp.new_goal",
     .method = "POST",
     .path = "/api/v1/goals/",
     .roles = LH_MEMBER,
     .summary = "Set a goal.",
     .body = goal_fields,
     .sql = {"WITH g AS (INSERT INTO learnhub.goals (user_id, title, emoji, category_name, category_color, days_total, "
             "status) VALUES (:me::bigint, :title, :emoji, :category_name, :category_color, :days_total::int, :status) "
             "RETURNING *) SELECT " GOAL_COLUMNS "FROM g JOIN learnhub.users u ON u.id = g.user_id"},
     .shape = LH_ONE,
     .status = 201,
     .returns = goal_keys},
    {.name = "xp.change_goal",
     .method = "PATCH",
     .path = "/api/v1/goals/{id:uuid}/",
     .roles = LH_MEMBER,
     .summary = "Change one of the caller's goals; any of the fields.",
     .body = goal_changes,
     .sql = {"WITH g AS (UPDATE learnhub.goals SET title = coalesce(:title, title), emoji = coalesce(:emoji, emoji), "
             "category_name = coalesce(:category_name, category_name), "
             "category_color = coalesce(:category_color, category_color), "
             "days_total = coalesce(:days_total::int, days_total), status = coalesce(:status, status) "
             "WHERE id = :id::uuid AND user_id = :me::bigint RETURNING *) "
             "SELECT " GOAL_COLUMNS "FROM g JOIN learnhub.users u ON u.id = g.user_id"},
     .shape = LH_ONE,
     .returns = goal_keys,
     .errors = goal_errors},
    {.name = "xp.history",
     .method = "GET",
     .path = "/api/v1/goals/{id:uuid}/sessions/",
     .roles = LH_MEMBER,
     .summary = "The completed and abandoned sessions of a goal, the last ended first.",
     .count = "SELECT count(*) FROM learnhub.xp_sessions s WHERE s.goal_id = :id::uuid AND s.status <> 'active'",
     .sql = {"SELECT NULL::text AS \"!\" FROM learnhub.goals WHERE id = :id::uuid AND user_id = :me::bigint",
             "SELECT s.id, " EARNED_COLUMNS
             "FROM learnhub.xp_sessions s LEFT JOIN learnhub.activities a ON a.id = s.activity_id "
             "WHERE s.goal_id = :id::uuid AND s.status <> 'active' "
             "ORDER BY s.ended_at DESC, s.id DESC LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = history_keys,
     .errors = goal_errors,
     .flags = LH_UNPAGED},
    {.name = "xp.mine",
     .method = "GET",
     .path = "/api/v1/users/me/xp/",
     .roles = LH_MEMBER,
     .summary = "What the caller has earned.",
     .sql = {"SELECT u.uuid AS \"user\", l.level AS life_level, e.xp_total, e.xp_physique, e.xp_energy, e.xp_logic, "
             "e.xp_creativity, e.xp_social, 10000 * l.level * l.level - e.xp_total AS xp_to_next_level "
             "FROM learnhub.users u, LATERAL (SELECT coalesce(sum(xp_total), 0) AS xp_total, "
             "coalesce(sum(xp_physique), 0) AS xp_physique, coalesce(sum(xp_energy), 0) AS xp_energy, "
             "coalesce(sum(xp_logic), 0) AS xp_logic, coalesce(sum(xp_creativity), 0) AS xp_creativity, "
             "coalesce(sum(xp_social), 0) AS xp_social FROM learnhub.xp_ledger WHERE user_id = u.id) e, "
             "LATERAL (SELECT learnhub.life_level(e.xp_total) AS level) l WHERE u.id = :me::bigint"},
     .shape = LH_ONE,
     .returns = xp_keys},
    {0}};

const lh_route_group lh_group_xp = {.name = "xp",
                                    .title = "Focus sessions, goals and experience points",
                                    .prefixes = (const char *const[]){"/api/v1", NULL},
                                    .error_format = LH_ERRORS_DETAIL,
                                    .time_format = LH_SECONDS_Z,
                                    .routes = routes};
