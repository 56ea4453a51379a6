/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activities and their rates, the points that one second of an activity earns: /api/v1/activities and calculate-rates.
 * The built-in engine for rates is the SQL function learnhub.rates_by_words().
 */
#include "api/shared.h"
#include "learnhub_model.h"

/* clang-format off */

/* The columns of activities a with their own rates, which only admins can see. */
#define RATED_COLUMNS                                                                                                  \
    "a.id, a.name, a.emoji, a.category, a.color, a.type AS activity_type, "                                            \
    "CASE WHEN a.rates IS NOT NULL THEN to_json(a.rates) END AS rates"

/* ---- responses ---- */

static const lh_field rate_keys[] = {
    {.name = "physique",   .type = LH_NUMBER},
    {.name = "energy",     .type = LH_NUMBER},
    {.name = "logic",      .type = LH_NUMBER},
    {.name = "creativity", .type = LH_NUMBER},
    {.name = "social",     .type = LH_NUMBER},
    {0}};

#define ACTIVITY_KEYS                                                                                                  \
    {.name = "id",            .type = LH_UUID, .object = "Activity"},                                                  \
    {.name = "name",          .type = LH_STRING, .example = "Running"},                                                \
    {.name = "emoji",         .type = LH_STRING},                                                                      \
    {.name = "category",      .type = LH_STRING},                                                                      \
    {.name = "color",         .type = LH_COLOR},                                                                       \
    {.name = "activity_type", .type = LH_STRING, .enum_values = "physique energy logic creativity social",             \
     .note = "The dimension in which it earns the most points."}

static const lh_field activity_keys[] = {ACTIVITY_KEYS, {0}};

static const lh_field rated_activity_keys[] = {
    ACTIVITY_KEYS,
    {.name = "rates", .type = LH_OBJECT, .flags = LH_NULL, .items = rate_keys, .object = "RatedActivity",
     .note = "Null: the rates are calculated."},
    {0}};

static const lh_field calculated_keys[] = {
    {.name = "rates", .type = LH_OBJECT, .items = rate_keys, .note = "Points per second.", .object = "ActivityRates"},
    {0}};

/* ---- requests ---- */

static const lh_field activity_fields[] = {
    {.name = "name",             .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 100,
     .example = "Running"},
    {.name = "emoji",            .type = LH_STRING, .flags = LH_TRIM, .max = 16, .default_value = "\xE2\xAD\x90"},
    {.name = "category",         .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = 100,
     .default_value = "General"},
    {.name = "color",            .type = LH_COLOR,  .default_value = "#4187a2"},
    {.name = "rates",            .type = LH_GROUP,  .flags = LH_NULL},
    {.name = "rates.physique",   .type = LH_NUMBER, .max = 100},
    {.name = "rates.energy",     .type = LH_NUMBER, .max = 100},
    {.name = "rates.logic",      .type = LH_NUMBER, .max = 100},
    {.name = "rates.creativity", .type = LH_NUMBER, .max = 100},
    {.name = "rates.social",     .type = LH_NUMBER, .max = 100},
    {0}};

static const lh_field activity_changes[] = {
    {.name = "name",             .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = 100, .example = "Running"},
    {.name = "emoji",            .type = LH_STRING, .flags = LH_TRIM, .max = 16},
    {.name = "category",         .type = LH_STRING, .flags = LH_TRIM, .min = 1, .max = 100},
    {.name = "color",            .type = LH_COLOR},
    {.name = "rates",            .type = LH_GROUP,  .flags = LH_NULL},
    {.name = "rates.physique",   .type = LH_NUMBER, .max = 100},
    {.name = "rates.energy",     .type = LH_NUMBER, .max = 100},
    {.name = "rates.logic",      .type = LH_NUMBER, .max = 100},
    {.name = "rates.creativity", .type = LH_NUMBER, .max = 100},
    {.name = "rates.social",     .type = LH_NUMBER, .max = 100},
    {0}};

static const lh_field activity_filters[] = {
    {.name = "category", .type = LH_STRING, .min = 1, .max = 100,
     .where = "lower(a.category) = lower(:category::text)"},
    {.name = "q",        .type = LH_STRING, .min = 1, .max = 100,
     .where = "position(lower(:q::text) IN lower(a.name)) > 0", .note = "Part of the name, case-insensitive."},
    {0}};

static const lh_field calculate_fields[] = {
    {.name = "activity_id", .alias = "activity", .type = LH_UUID, .flags = LH_REQUIRED},
    {.name = "goal_id",     .alias = "goal", .type = LH_UUID, .flags = LH_NULL},
    {0}};

/* ---- routes ---- */

static const lh_route routes[] = {
    {.name = "xp.activities", .method = "GET", .path = "/api/v1/activities/",
     .summary = "List the activities, by name.",
     .roles = LH_MEMBER,
     .flags = LH_STANDBY,
     .query = activity_filters,
     .count = "SELECT count(*) "
              "FROM learnhub.activities a "
              "WHERE true :filters",
     .sql = {"SELECT a.id, a.name, a.emoji, a.category, a.color, a.type AS activity_type "
             "FROM learnhub.activities a "
             "WHERE true :filters "
             "ORDER BY lower(a.name), a.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = activity_keys},

    {.name = "xp.activity", .method = "GET", .path = "/api/v1/activities/{id:uuid}/",
     .summary = "Get an activity.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.activities "
             "WHERE id = :id::uuid "
             "FOR UPDATE",
     .sql = {"SELECT a.id, a.name, a.emoji, a.category, a.color, a.type AS activity_type "
             "FROM learnhub.activities a "
             "WHERE a.id = :id::uuid"},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Activity not found."}, {0}}},

    {.name = "xp.new_activity", .method = "POST", .path = "/api/v1/activities/",
     .summary = "Create an activity, optionally with rates of its own.",
     .roles = LH_ADMIN,
     .flags = LH_IDEMPOTENT,
     .body = activity_fields,
     .sql = {"INSERT INTO learnhub.activities AS a (name, emoji, category, color, rates) "
             "VALUES (:name, :emoji, :category, :color, "
             "        (:rates_physique::numeric, :rates_energy::numeric, :rates_logic::numeric, "
             "         :rates_creativity::numeric, :rates_social::numeric)::learnhub.rates) "
             "RETURNING " RATED_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .returns = rated_activity_keys,
     .errors = (const lh_route_error[]){
         {"role", 403, NULL, "Only admins can change activities."},
         {"activities_rates_check", 400, "rates",
          "This must have all five: physique, energy, logic, creativity and social."},
         {0}}},

    {.name = "xp.change_activity", .method = "PATCH", .path = "/api/v1/activities/{id:uuid}/",
     .summary = "Change any fields of an activity.",
     .roles = LH_ADMIN,
     .body = activity_changes,
     .sql = {"UPDATE learnhub.activities a "
             "SET name = coalesce(:name, name), "
             "    emoji = coalesce(:emoji, emoji), "
             "    category = coalesce(:category, category), "
             "    color = coalesce(:color, color), "
             "    rates = (coalesce(:rates_physique::numeric, (rates).physique), "
             "             coalesce(:rates_energy::numeric, (rates).energy), "
             "             coalesce(:rates_logic::numeric, (rates).logic), "
             "             coalesce(:rates_creativity::numeric, (rates).creativity), "
             "             coalesce(:rates_social::numeric, (rates).social))::learnhub.rates "
             "WHERE id = :id::uuid "
             "RETURNING " RATED_COLUMNS},
     .shape = LH_ONE,
     .returns = rated_activity_keys,
     .errors = (const lh_route_error[]){
         {"missing", 404, NULL, "Activity not found."},
         {"role",    403, NULL, "Only admins can change activities."},
         {"activities_rates_check", 400, "rates",
          "This must have all five: physique, energy, logic, creativity and social."},
         {0}}},

    {.name = "xp.rates", .method = "POST", .path = "/api/v1/sessions/calculate-rates/",
     .summary = "Calculate the points per second that an activity earns for a goal.",
     .roles = LH_MEMBER,
     .flags = LH_RETRYABLE,
     .body = calculate_fields,
     .before = {&lh_step_ask_model},
     /* The first statement claims the question: it inserts the row of rates_kept, or takes it over if the names have
      * changed or the request that claimed it has timed out. Until the rates are stored, other requests use the
      * built-in engine. A valid row is read but not locked. */
     .extra_sql = {
             "WITH asked AS ("
             "    SELECT a.id AS activity_id, g.id AS goal_id, a.name, a.category, g.title, g.category_name, "
             "           learnhub.rates_question(a, g) AS question "
             "    FROM learnhub.users c "
             "    JOIN learnhub.activities a ON a.id = :activity_id::uuid "
             "    JOIN learnhub.goals g ON g.id = :goal_id::uuid AND (g.user_id = c.id OR " TRUSTED_CALLER ") "
             "    WHERE c.id = :me::bigint AND NOT a.rates IS NOT NULL "
             "      AND NOT EXISTS ("
             "          SELECT 1 "
             "          FROM learnhub.rates_kept k "
             "          WHERE k.activity_id = a.id AND k.goal_id = g.id "
             "            AND k.question = learnhub.rates_question(a, g) "
             "            AND NOT (k.rates IS NULL "
             "                     AND k.asked_at < now() - make_interval(secs => :timeout::float8)))), "
             "claimed AS ("
             "    INSERT INTO learnhub.rates_kept AS k (activity_id, goal_id, question) "
             "    SELECT activity_id, goal_id, question "
             "    FROM asked "
             "    ON CONFLICT (activity_id, goal_id) DO UPDATE "
             "    SET question = excluded.question, asked_at = now(), rates = NULL "
             "    WHERE k.question <> excluded.question "
             "       OR k.rates IS NULL AND k.asked_at < now() - make_interval(secs => :timeout::float8) "
             "    RETURNING question) "
             "SELECT asked.question AS _question, asked.name AS _activity, asked.category AS _category, "
             "       asked.title AS _goal, asked.category_name AS _goal_category "
             "FROM asked "
             "JOIN claimed ON true",

             "UPDATE learnhub.rates_kept "
             "SET rates = (:physique::numeric, :energy::numeric, :logic::numeric, :creativity::numeric, "
             "             :social::numeric)::learnhub.rates "
             "WHERE activity_id = :activity_id::uuid AND goal_id = :goal_id::uuid AND question = :question"},
     /* The activity's own rates, else those of the model, else those of the built-in engine. Without a goal the model
      * is not asked, and the engine uses the words of the activity only. */
     .sql = {"SELECT nullif(concat_ws(' ', CASE WHEN a.id IS NULL THEN 'activity' END, "
             "                             CASE WHEN g.id IS NULL AND :goal_id::uuid IS NOT NULL THEN 'goal' END), "
             "              '') AS \"!\", "
             "       to_json(CASE WHEN a.rates IS NOT NULL THEN a.rates "
             "                    WHEN k.rates IS NOT NULL THEN k.rates "
             "                    ELSE learnhub.rates_by_words(a, g) END) AS rates "
             "FROM learnhub.users c "
             "LEFT JOIN learnhub.activities a ON a.id = :activity_id::uuid "
             "LEFT JOIN learnhub.goals g ON g.id = :goal_id::uuid AND (g.user_id = c.id OR " TRUSTED_CALLER ") "
             "LEFT JOIN learnhub.rates_kept k "
             "  ON k.activity_id = a.id AND k.goal_id = g.id AND k.question = learnhub.rates_question(a, g) "
             "WHERE c.id = :me::bigint"},
     .shape = LH_ONE,
     .returns = calculated_keys,
     .errors = (const lh_route_error[]){
         {"goal",     400, "goal_id",     "There is no such goal."},
         {"activity", 400, "activity_id", "There is no such activity."},
         {0}}},

    {0}};

const lh_route_group lh_group_activities = {
    .name = "xp",
    .title = "Activities and their rates",
    .prefixes = (const char *const[]){"/api/v1/activities", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */
