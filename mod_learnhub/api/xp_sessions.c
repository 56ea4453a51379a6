/* SPDX-License-Identifier: Apache-2.0 */
/* Focus sessions, goals and the points that sessions earn: /api/v1. */
#include "api/shared.h"

/* clang-format off */

/* ---- statements ---- */

/* The columns of goals g with their owners u. */
#define GOAL_COLUMNS                                                                                                   \
    "g.id, g.title, g.emoji, g.description, g.category_name AS \"category.name\", "                                    \
    "g.category_color AS \"category.color\", u.uuid AS \"user\", g.status, g.days_total, "                             \
    "(SELECT count(DISTINCT (s.ended_at AT TIME ZONE 'UTC')::date) "                                                   \
    " FROM learnhub.xp_sessions s "                                                                                    \
    " WHERE s.goal_id = g.id AND s.status = 'completed') AS days_completed, "                                          \
    "to_char(g.finish_by, 'YYYY-MM-DD') AS finish_by, g.created_at, g.updated_at "

#define GOAL_STATUSES "active ongoing planned paused completed abandoned"

/* Instead of a date, clients also send these periods: weeks or months from today on (see learnhub.finish_day()). */
#define PERIODS "1w 2w 1m 6m"

/* The columns of sessions s with their activities a. */
#define EARNED_COLUMNS                                                                                                 \
    "s.started_at, s.ended_at, s.total_duration_seconds, s.focused_duration_seconds, s.xp_total, s.xp_physique, "      \
    "s.xp_energy, s.xp_logic, s.xp_creativity, s.xp_social, s.completed_reason, "                                      \
    "CASE WHEN a.id IS NOT NULL THEN json_build_object('id', a.id, 'name', a.name, 'emoji', a.emoji, 'type', a.type) " \
    "END AS activity "

/* ---- responses ---- */

#define SESSION_ID "focus-20240115-1"

static const lh_field goal_keys[] = {
    {.name = "id",             .type = LH_UUID, .object = "Goal"},
    {.name = "title",          .type = LH_STRING},
    {.name = "emoji",          .type = LH_STRING},
    {.name = "description",    .type = LH_STRING},
    {.name = "category.name",  .type = LH_STRING},
    {.name = "category.color", .type = LH_COLOR},
    {.name = "user",           .type = LH_UUID},
    {.name = "status",         .type = LH_STRING, .enum_values = GOAL_STATUSES},
    {.name = "days_total",     .type = LH_INTEGER},
    {.name = "days_completed", .type = LH_INTEGER, .note = "UTC days on which completed sessions of the goal ended."},
    {.name = "finish_by",      .type = LH_DATE,    .flags = LH_NULL},
    {.name = "created_at",     .type = LH_TIME},
    {.name = "updated_at",     .type = LH_TIME,    .note = "Of the last change of a field."},
    {0}};

/* The keys of EARNED_COLUMNS. In active sessions ended_at, durations and reason are null, and the points are 0. */
#define EARNED_KEYS                                                                                                    \
    {.name = "started_at",               .type = LH_TIME,    .flags = LH_NULL},                                        \
    {.name = "ended_at",                 .type = LH_TIME,    .flags = LH_NULL},                                        \
    {.name = "total_duration_seconds",   .type = LH_INTEGER, .flags = LH_NULL},                                        \
    {.name = "focused_duration_seconds", .type = LH_INTEGER, .flags = LH_NULL},                                        \
    {.name = "xp_total",                 .type = LH_INTEGER},                                                          \
    {.name = "xp_physique",              .type = LH_INTEGER},                                                          \
    {.name = "xp_energy",                .type = LH_INTEGER},                                                          \
    {.name = "xp_logic",                 .type = LH_INTEGER},                                                          \
    {.name = "xp_creativity",            .type = LH_INTEGER},                                                          \
    {.name = "xp_social",                .type = LH_INTEGER},                                                          \
    {.name = "completed_reason",         .type = LH_STRING,  .flags = LH_NULL,                                         \
     .enum_values = "manual auto abandoned timeout crash_recovered"},                                                  \
    {.name = "activity",                 .type = LH_OBJECT,  .flags = LH_NULL, .items = (const lh_field[]){            \
        {.name = "id",    .type = LH_UUID},                                                                            \
        {.name = "name",  .type = LH_STRING, .example = "Running"},                                                    \
        {.name = "emoji", .type = LH_STRING},                                                                          \
        {.name = "type",  .type = LH_STRING, .enum_values = "physique energy logic creativity social"},                \
        {0}}}

static const lh_field history_keys[] = {
    {.name = "id", .type = LH_STRING, .object = "PastFocusSession", .example = SESSION_ID},
    EARNED_KEYS,
    {0}};

static const lh_field session_keys[] = {
    {.name = "id",              .type = LH_STRING, .object = "FocusSession", .example = SESSION_ID},
    {.name = "status",          .type = LH_STRING, .enum_values = "active completed abandoned",
     .example = "completed"},
    {.name = "user",            .type = LH_UUID},
    {.name = "goal_id",         .type = LH_UUID,   .flags = LH_NULL},
    {.name = "device_platform", .type = LH_STRING, .flags = LH_NULL},
    EARNED_KEYS,
    {0}};

static const lh_field registered_keys[] = {
    {.name = "id",     .type = LH_STRING, .object = "RegisteredSession", .example = SESSION_ID},
    {.name = "status", .type = LH_STRING, .enum_values = "active completed abandoned"},
    {0}};

static const lh_field ended_keys[] = {
    {.name = "id",       .type = LH_STRING, .object = "EndedSession", .example = SESSION_ID},
    {.name = "status",   .type = LH_STRING, .enum_values = "active completed abandoned"},
    {.name = "xp_total", .type = LH_INTEGER},
    {0}};

static const lh_field xp_keys[] = {
    {.name = "user",             .type = LH_UUID, .object = "ExperiencePoints"},
    {.name = "life_level",       .type = LH_INTEGER, .note = "Level n begins at 10,000 (n - 1)^2 points."},
    {.name = "xp_total",         .type = LH_INTEGER},
    {.name = "xp_physique",      .type = LH_INTEGER},
    {.name = "xp_energy",        .type = LH_INTEGER},
    {.name = "xp_logic",         .type = LH_INTEGER},
    {.name = "xp_creativity",    .type = LH_INTEGER},
    {.name = "xp_social",        .type = LH_INTEGER},
    {.name = "xp_to_next_level", .type = LH_INTEGER},
    {0}};

/* ---- requests ---- */

static const lh_field goal_fields[] = {
    {.name = "title",          .type = LH_STRING,  .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 200},
    {.name = "emoji",          .type = LH_STRING,  .flags = LH_TRIM, .max = 16, .default_value = "\xF0\x9F\x8E\xAF"},
    {.name = "category",       .type = LH_GROUP,   .flags = LH_NULL},
    {.name = "category.name",  .type = LH_STRING,  .flags = LH_TRIM, .max = 100, .default_value = "General"},
    {.name = "category.color", .type = LH_COLOR,   .default_value = "#4187a2"},
    {.name = "days_total",     .type = LH_INTEGER, .min = 1, .max = 36500, .default_value = "30"},
    {.name = "status",         .type = LH_STRING,  .enum_values = GOAL_STATUSES, .default_value = "active"},
    {.name = "description",    .type = LH_STRING,  .flags = LH_CLEARABLE, .max = 2000, .default_value = ""},
    {.name = "finish_by",      .type = LH_DATE,    .flags = LH_CLEARABLE, .enum_values = PERIODS},
    {0}};

static const lh_field goal_changes[] = {
    {.name = "title",          .type = LH_STRING,  .flags = LH_TRIM, .min = 1, .max = 200},
    {.name = "emoji",          .type = LH_STRING,  .flags = LH_TRIM, .max = 16},
    {.name = "category",       .type = LH_GROUP,   .flags = LH_NULL},
    {.name = "category.name",  .type = LH_STRING,  .flags = LH_TRIM, .max = 100},
    {.name = "category.color", .type = LH_COLOR},
    {.name = "days_total",     .type = LH_INTEGER, .min = 1, .max = 36500},
    {.name = "status",         .type = LH_STRING,  .enum_values = GOAL_STATUSES},
    {.name = "description",    .type = LH_STRING,  .flags = LH_CLEARABLE, .max = 2000},
    {.name = "finish_by",      .type = LH_DATE,    .flags = LH_CLEARABLE, .enum_values = PERIODS},
    {0}};

static const lh_field goal_filters[] = {
    {.name = "status", .type = LH_STRING, .enum_values = GOAL_STATUSES,
     .where = "replace(g.status, 'ongoing', 'active') = replace(:status::text, 'ongoing', 'active')",
     .note = "active and ongoing are the same status."},
    {0}};

static const lh_field register_fields[] = {
    {.name = "session_id",      .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 255, .example = SESSION_ID,
     .note = "Printable characters without a slash."},
    {.name = "user_id",         .type = LH_STRING, .flags = LH_COERCE | LH_NULL, .min = 1, .max = 36,
     .example = "",
     .note = "A number, 24 hex digits or a UUID: the caller, or any user for the roles service and admin."},
    {.name = "goal_id",         .alias = "goal", .type = LH_UUID, .flags = LH_NULL},
    {.name = "activity_id",     .alias = "activity", .type = LH_UUID, .flags = LH_REQUIRED},
    {.name = "status",          .type = LH_STRING, .enum_values = "active", .note = "Optional."},
    {.name = "started_at",      .type = LH_TIME,   .flags = LH_REQUIRED},
    {.name = "device_platform", .type = LH_STRING, .flags = LH_TRIM | LH_NULL, .max = 50,
     .note = "Optional; does not replace a stored value."},
    {0}};

static const lh_field end_fields[] = {
    {.name = "user_id",                  .type = LH_STRING,  .flags = LH_COERCE | LH_NULL, .min = 1, .max = 36,
     .example = "",
     .note = "A number, 24 hex digits or a UUID: the caller, or any user for the roles service and admin."},
    {.name = "status",                   .type = LH_STRING,  .flags = LH_REQUIRED,
     .enum_values = "completed abandoned"},
    {.name = "ended_at",                 .type = LH_TIME,    .flags = LH_REQUIRED, .note = "Not before the start."},
    {.name = "total_duration_seconds",   .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "focused_duration_seconds", .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "xp_total",                 .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647,
     .note = "Stored as sent; it need not be the sum of the parts."},
    {.name = "xp_physique",              .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "xp_energy",                .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "xp_logic",                 .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "xp_creativity",            .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "xp_social",                .type = LH_INTEGER, .flags = LH_REQUIRED, .max = 2147483647},
    {.name = "completed_reason",         .type = LH_STRING,  .flags = LH_REQUIRED,
     .enum_values = "manual auto abandoned timeout crash_recovered"},
    {.name = "device_platform",          .type = LH_STRING,  .flags = LH_TRIM | LH_NULL, .max = 50,
     .note = "Optional; if absent, a stored value remains."},
    {0}};

/* clang-format on */

/* The id is used as a path segment. */
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

/* clang-format off */

/* ---- routes ---- */

static const lh_route routes[] = {
    {.name = "xp.register", .method = "POST", .path = "/api/v1/sessions/",
     .summary = "Register a session that has started; in an existing one, fill in the missing values.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE | LH_IDEMPOTENT,
     .body = register_fields,
     .check = check_session_id,
     /* xmax is 0 in a new row; in an existing row ON CONFLICT sets it when it locks the row. */
     .sql = {"WITH owner AS ("
             "    SELECT c.id AS caller, " TRUSTED_CALLER " AS trusted, "
             "           CASE WHEN :user_id::text IS NOT NULL THEN learnhub.user_shown_as(:user_id::text) "
             "                WHEN c.role <> 'service' THEN c.id "
             "           END AS user_id "
             "    FROM learnhub.users c "
             "    WHERE c.id = :me::bigint), "
             "verdict AS ("
             "    SELECT owner.*, "
             "           CASE WHEN NOT trusted AND user_id IS DISTINCT FROM caller THEN 'other' "
             "                WHEN user_id IS NULL AND :user_id::text IS NULL THEN 'unnamed' "
             "                WHEN user_id IS NULL THEN 'nobody' "
             "                ELSE nullif(concat_ws(' ', "
             "                  CASE WHEN :goal_id::uuid IS NOT NULL "
             "                        AND NOT EXISTS (SELECT 1 FROM learnhub.goals g "
             "                                        WHERE g.id = :goal_id::uuid AND g.user_id = owner.user_id) "
             "                       THEN 'goal' END, "
             "                  CASE WHEN NOT EXISTS (SELECT 1 FROM learnhub.activities a "
             "                                        WHERE a.id = :activity_id::uuid) "
             "                       THEN 'activity' END), '') "
             "           END AS error "
             "    FROM owner), "
             "saved AS ("
             "    INSERT INTO learnhub.xp_sessions AS s "
             "        (id, user_id, goal_id, activity_id, status, started_at, device_platform) "
             "    SELECT :session_id::text, user_id, :goal_id::uuid, :activity_id::uuid, 'active', "
             "           :started_at::timestamptz, :device_platform "
             "    FROM verdict "
             "    WHERE error IS NULL "
             "    ON CONFLICT (id) DO UPDATE "
             "    SET goal_id = coalesce(s.goal_id, excluded.goal_id), "
             "        activity_id = coalesce(s.activity_id, excluded.activity_id), "
             "        started_at = coalesce(s.started_at, excluded.started_at), "
             "        device_platform = coalesce(s.device_platform, excluded.device_platform) "
             "    WHERE s.user_id = excluded.user_id "
             "    RETURNING s.id, s.status, s.xmax = 0 AS is_new) "
             "SELECT coalesce(verdict.error, CASE WHEN saved.id IS NULL THEN 'taken' END) AS \"!\", "
             "       saved.id, saved.status, CASE WHEN saved.is_new THEN 201 ELSE 200 END AS _status "
             "FROM verdict "
             "LEFT JOIN saved ON true"},
     .shape = LH_ONE,
     .status = 201,
     .other_status = 200,
     .returns = registered_keys,
     .errors = (const lh_route_error[]){
         {"other",    403, NULL,          "You can only register your own sessions."},
         {"unnamed",  400, "user_id",     "This field is required for the role service."},
         {"nobody",   400, "user_id",     "No user has this id."},
         {"account_deleted", 400, "user_id", "No user has this id."},
         {"taken",    409, NULL,          "Another user's session has this id."},
         {"goal",     400, "goal_id",     "There is no such goal."},
         {"activity", 400, "activity_id", "There is no such activity."},
         {"xp_sessions_id_check",   400, "session_id", "This id is reserved."},
         {"xp_sessions_span_check", 400, "started_at", "The session ended before this time."},
         {0}}},

    {.name = "xp.session", .method = "GET", .path = "/api/v1/sessions/{id:text}/",
     .summary = "Get one of the caller's sessions, or for services and admins of any user.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.xp_sessions "
             "WHERE id = :id::text "
             "FOR UPDATE",
     .sql = {"SELECT s.id, s.status, u.uuid AS \"user\", s.goal_id, s.device_platform, " EARNED_COLUMNS
             "FROM learnhub.users c "
             "JOIN learnhub.xp_sessions s ON s.user_id = c.id OR " TRUSTED_CALLER " "
             "JOIN learnhub.users u ON u.id = s.user_id "
             "LEFT JOIN learnhub.activities a ON a.id = s.activity_id "
             "WHERE c.id = :me::bigint AND s.id = :id::text"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Session not found."}, {0}}},

    {.name = "xp.end", .method = "PUT", .path = "/api/v1/sessions/{id:text}/",
     .summary = "End or correct a session; create it if its registration was lost.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE,
     .body = end_fields,
     /* Without user_id it is the caller's session; for services and admins, the existing session of any user. */
     .sql = {"WITH owner AS ("
             "    SELECT c.id AS caller, " TRUSTED_CALLER " AS trusted, "
             "           CASE WHEN :user_id::text IS NOT NULL THEN learnhub.user_shown_as(:user_id::text) "
             "                WHEN NOT " TRUSTED_CALLER " THEN c.id "
             "                ELSE coalesce((SELECT s.user_id FROM learnhub.xp_sessions s WHERE s.id = :id::text), "
             "                              CASE c.role WHEN 'admin' THEN c.id END) "
             "           END AS user_id "
             "    FROM learnhub.users c "
             "    WHERE c.id = :me::bigint), "
             "verdict AS ("
             "    SELECT owner.*, "
             "           CASE WHEN NOT trusted AND user_id IS DISTINCT FROM caller THEN 'other' "
             "                WHEN user_id IS NULL AND :user_id::text IS NULL THEN 'unnamed' "
             "                WHEN user_id IS NULL THEN 'nobody' "
             "           END AS error "
             "    FROM owner), "
             "saved AS ("
             "    INSERT INTO learnhub.xp_sessions AS s "
             "        (id, user_id, status, ended_at, total_duration_seconds, focused_duration_seconds, xp_total, "
             "         xp_physique, xp_energy, xp_logic, xp_creativity, xp_social, completed_reason, device_platform) "
             "    SELECT :id::text, user_id, :status::text, :ended_at::timestamptz, :total_duration_seconds::int, "
             "           :focused_duration_seconds::int, :xp_total::int, :xp_physique::int, :xp_energy::int, "
             "           :xp_logic::int, :xp_creativity::int, :xp_social::int, :completed_reason, :device_platform "
             "    FROM verdict "
             "    WHERE error IS NULL "
             "    ON CONFLICT (id) DO UPDATE "
             "    SET status = excluded.status, "
             "        ended_at = excluded.ended_at, "
             "        total_duration_seconds = excluded.total_duration_seconds, "
             "        focused_duration_seconds = excluded.focused_duration_seconds, "
             "        xp_total = excluded.xp_total, "
             "        xp_physique = excluded.xp_physique, "
             "        xp_energy = excluded.xp_energy, "
             "        xp_logic = excluded.xp_logic, "
             "        xp_creativity = excluded.xp_creativity, "
             "        xp_social = excluded.xp_social, "
             "        completed_reason = excluded.completed_reason, "
             "        device_platform = coalesce(excluded.device_platform, s.device_platform) "
             "    WHERE s.user_id = excluded.user_id "
             "    RETURNING s.id, s.status, s.xp_total) "
             "SELECT coalesce(verdict.error, CASE WHEN saved.id IS NOT NULL THEN NULL "
             "                                    WHEN verdict.trusted THEN 'taken' ELSE 'missing' END) AS \"!\", "
             "       saved.id, saved.status, saved.xp_total "
             "FROM verdict "
             "LEFT JOIN saved ON true"},
     .shape = LH_ONE,
     .returns = ended_keys,
     .errors = (const lh_route_error[]){
         {"other",   403, NULL,      "You can only end your own sessions."},
         {"unnamed", 400, "user_id", "This field is required for the role service."},
         {"nobody",  400, "user_id", "No user has this id."},
         {"account_deleted", 400, "user_id", "No user has this id."},
         {"taken",   409, NULL,      "Another user's session has this id."},
         {"missing", 404, NULL,      "Session not found."},
         {"xp_sessions_id_check",   404, NULL,       "Session not found."},
         {"xp_sessions_span_check", 400, "ended_at", "This must not be before the start."},
         {0}}},

    {.name = "xp.goals", .method = "GET", .path = "/api/v1/goals/",
     .summary = "List the caller's goals, newest first.",
     .roles = LH_MEMBER,
     .query = goal_filters,
     .count = "SELECT count(*) "
              "FROM learnhub.goals g "
              "WHERE g.user_id = :me::bigint :filters",
     .sql = {"SELECT " GOAL_COLUMNS
             "FROM learnhub.goals g "
             "JOIN learnhub.users u ON u.id = g.user_id "
             "WHERE g.user_id = :me::bigint :filters "
             "ORDER BY g.created_at DESC, g.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = goal_keys},

    {.name = "xp.goal", .method = "GET", .path = "/api/v1/goals/{id:uuid}/",
     .summary = "Get one of the caller's goals.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.goals "
             "WHERE id = :id::uuid AND user_id = :me::bigint "
             "FOR UPDATE",
     .sql = {"SELECT " GOAL_COLUMNS
             "FROM learnhub.goals g "
             "JOIN learnhub.users u ON u.id = g.user_id "
             "WHERE g.id = :id::uuid AND g.user_id = :me::bigint"},
     .shape = LH_ONE,
     .returns = goal_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Goal not found."}, {0}}},

    {.name = "xp.new_goal", .method = "POST", .path = "/api/v1/goals/",
     .summary = "Create a goal.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = goal_fields,
     .sql = {"WITH g AS ("
             "    INSERT INTO learnhub.goals "
             "        (user_id, title, emoji, category_name, category_color, days_total, status, description, "
             "         finish_by) "
             "    VALUES (:me::bigint, :title, :emoji, :category_name, :category_color, :days_total::int, :status, "
             "            :description, learnhub.finish_day(:finish_by)) "
             "    RETURNING *) "
             "SELECT " GOAL_COLUMNS
             "FROM g "
             "JOIN learnhub.users u ON u.id = g.user_id"},
     .shape = LH_ONE,
     .status = 201,
     .returns = goal_keys,
     .examples = (const lh_route_example[]){{"days_completed", "0", 0}, {0}}},

    {.name = "xp.change_goal", .method = "PATCH", .path = "/api/v1/goals/{id:uuid}/",
     .summary = "Change any fields of one of the caller's goals.",
     .roles = LH_MEMBER,
     .body = goal_changes,
     .sql = {"WITH g AS ("
             "    UPDATE learnhub.goals "
             "    SET title = coalesce(:title, title), "
             "        emoji = coalesce(:emoji, emoji), "
             "        category_name = coalesce(:category_name, category_name), "
             "        category_color = coalesce(:category_color, category_color), "
             "        days_total = coalesce(:days_total::int, days_total), "
             "        status = coalesce(:status, status), "
             "        description = coalesce(:description, description), "
             "        finish_by = CASE WHEN :finish_by::text IS NULL THEN finish_by "
             "                         ELSE learnhub.finish_day(:finish_by) END "
             "    WHERE id = :id::uuid AND user_id = :me::bigint "
             "    RETURNING *) "
             "SELECT " GOAL_COLUMNS
             "FROM g "
             "JOIN learnhub.users u ON u.id = g.user_id"},
     .shape = LH_ONE,
     .returns = goal_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Goal not found."}, {0}}},

    {.name = "xp.history", .method = "GET", .path = "/api/v1/goals/{id:uuid}/sessions/",
     .summary = "List the ended sessions of one of the caller's goals, last ended first.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     .count = "SELECT count(*) "
              "FROM learnhub.xp_sessions s "
              "WHERE s.goal_id = :id::uuid AND s.status <> 'active'",
     .sql = {"SELECT NULL::text AS \"!\" "
             "FROM learnhub.goals "
             "WHERE id = :id::uuid AND user_id = :me::bigint",

             "SELECT s.id, " EARNED_COLUMNS
             "FROM learnhub.xp_sessions s "
             "LEFT JOIN learnhub.activities a ON a.id = s.activity_id "
             "WHERE s.goal_id = :id::uuid AND s.status <> 'active' "
             "ORDER BY s.ended_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = history_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Goal not found."}, {0}}},

    {.name = "xp.mine", .method = "GET", .path = "/api/v1/users/me/xp/",
     .summary = "Get the caller's points and level.",
     .roles = LH_MEMBER,
     .sql = {"SELECT u.uuid AS \"user\", l.level AS life_level, e.xp_total, e.xp_physique, e.xp_energy, e.xp_logic, "
             "       e.xp_creativity, e.xp_social, 10000 * l.level * l.level - e.xp_total AS xp_to_next_level "
             "FROM learnhub.users u, "
             "LATERAL (SELECT coalesce(sum(xp_total), 0) AS xp_total, "
             "                coalesce(sum(xp_physique), 0) AS xp_physique, "
             "                coalesce(sum(xp_energy), 0) AS xp_energy, "
             "                coalesce(sum(xp_logic), 0) AS xp_logic, "
             "                coalesce(sum(xp_creativity), 0) AS xp_creativity, "
             "                coalesce(sum(xp_social), 0) AS xp_social "
             "         FROM learnhub.xp_ledger "
             "         WHERE user_id = u.id) e, "
             "LATERAL (SELECT learnhub.life_level(e.xp_total) AS level) l "
             "WHERE u.id = :me::bigint"},
     .shape = LH_ONE,
     .returns = xp_keys},

    {0}};

const lh_route_group lh_group_xp = {
    .name = "xp",
    .title = "Focus sessions, goals and experience points",
    .prefixes = (const char *const[]){"/api/v1", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */
