/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Activities, and how many points a second of one earns: /api/v1/activities and calculate-rates. The engine is SQL: see
 * learnhub.rates_by_words().
 */
#include "learnhub.h"
#include "learnhub_model.h"

/* ---- the shapes ---- */

#define ACTIVITY_COLUMNS "a.id, a.name, a.emoji, a.category, a.color"
#define RATED_COLUMNS ACTIVITY_COLUMNS ", CASE WHEN a.rates IS NOT NULL THEN to_json(a.rates) END AS rates"

#define ACTIVITY_KEYS                                                                                                  \
    {.name = "id", .type = LH_UUID}, {.name = "name", .type = LH_STRING}, {.name = "emoji", .type = LH_STRING},        \
        {.name = "category", .type = LH_STRING},                                                                       \
    {                                                                                                                  \
        .name = "color", .type = LH_COLOR                                                                              \
    }

static const lh_field rate_keys[] = {{.name = "physique", .type = LH_NUMBER}, {.name = "energy", .type = LH_NUMBER},
                                     {.name = "logic", .type = LH_NUMBER},    {.name = "creativity", .type = LH_NUMBER},
                                     {.name = "social", .type = LH_NUMBER},   {0}};

static const lh_field activity_keys[] = {ACTIVITY_KEYS, {0}};
static const lh_field rated_activity_keys[] = {
    ACTIVITY_KEYS,
    {.name = "rates", .type = LH_OBJECT, .flags = LH_NULL, .items = rate_keys, .note = "Null: they are calculated."},
    {0}};
static const lh_field calculated_keys[] = {
    {.name = "rates", .type = LH_OBJECT, .items = rate_keys, .note = "Points per second."}, {0}};

/* ---- what comes in ---- */

#define NAME_OF(field, most) .name = field, .type = LH_STRING, .min = 1, .max = most
#define EMOJI .name = "emoji", .type = LH_STRING, .flags = LH_TRIM, .max = 16
#define COLOR .name = "color", .type = LH_COLOR

#define RATE(name_)                                                                                                    \
    {                                                                                                                  \
        .name = "rates." name_, .type = LH_NUMBER, .max = 100                                                          \
    }
#define RATES                                                                                                          \
    {.name = "rates", .type = LH_GROUP, .flags = LH_NULL}, RATE("physique"), RATE("energy"), RATE("logic"),            \
        RATE("creativity"), RATE("social")

static const lh_field activity_fields[] = {{NAME_OF("name", 100), .flags = LH_REQUIRED | LH_TRIM},
                                           {EMOJI, .default_value = "\xE2\xAD\x90"},
                                           {NAME_OF("category", 100), .flags = LH_TRIM, .default_value = "General"},
                                           {COLOR, .default_value = "#4187a2"},
                                           RATES,
                                           {0}};

static const lh_field activity_changes[] = {{NAME_OF("name", 100), .flags = LH_TRIM},
                                            {EMOJI},
                                            {NAME_OF("category", 100), .flags = LH_TRIM},
                                            {COLOR},
                                            RATES,
                                            {0}};

static const lh_field activity_filters[] = {
    {NAME_OF("category", 100), .where = "lower(a.category) = lower(:category::text)"},
    {NAME_OF("q", 100), .note = "Part of a name; case does not count.",
     .where = "position(lower(:q::text) IN lower(a.name)) > 0"},
    {0}};

static const lh_field calculate_fields[] = {{.name = "activity_id", .type = LH_UUID, .flags = LH_REQUIRED},
                                            {.name = "goal_id", .type = LH_UUID, .flags = LH_REQUIRED},
                                            {0}};

#define NO_RATES "(NULL::learnhub.rates)."
#define NEW_RATES(old)                                                                                                 \
    "(coalesce(:rates_physique::numeric, " old "physique), coalesce(:rates_energy::numeric, " old "energy), "          \
    "coalesce(:rates_logic::numeric, " old "logic), coalesce(:rates_creativity::numeric, " old "creativity), "         \
    "coalesce(:rates_social::numeric, " old "social))::learnhub.rates"

static const lh_route_error activity_errors[] = {
    {"missing", 404, NULL, "Activity not found."},
    {"role", 403, NULL, "Only admins can change activities."},
    {"activities_rates_check", 400, "rates",
     "This must have all five: physique, energy, logic, creativity and social."},
    {0}};

/* ---- rates ---- */

#define TRUSTED "c.role IN ('service', 'admin')"

#define NAMED                                                                                                          \
    "learnhub.users c LEFT JOIN learnhub.activities a ON a.id = :activity_id::uuid "                                   \
    "LEFT JOIN learnhub.goals g ON g.id = :goal_id::uuid AND (g.user_id = c.id OR " TRUSTED ") "

#define KEPT "k.activity_id = a.id AND k.goal_id = g.id AND k.question = learnhub.rates_question(a, g) "

#define STALE "(k.rates IS NULL AND k.asked_at < now() - make_interval(secs => :timeout::float8))"

/* Who makes the row, or takes it over, asks; until then all others do without. What is kept is read and not locked. */
#define CLAIM                                                                                                          \
    "WITH q AS (SELECT a.id AS activity_id, g.id AS goal_id, a.name, a.category, g.title, g.category_name, "           \
    "    learnhub.rates_question(a, g) AS question FROM " NAMED                                                        \
    "    WHERE c.id = :me::bigint AND g.id IS NOT NULL AND a.id IS NOT NULL AND NOT a.rates IS NOT NULL "              \
    "    AND NOT EXISTS (SELECT 1 FROM learnhub.rates_kept k WHERE " KEPT "AND NOT " STALE ")), "                      \
    "claimed AS (INSERT INTO learnhub.rates_kept AS k (activity_id, goal_id, question) "                               \
    "    SELECT activity_id, goal_id, question FROM q "                                                                \
    "    ON CONFLICT (activity_id, goal_id) DO UPDATE SET question = EXCLUDED.question, asked_at = now(), "            \
    "        rates = NULL WHERE k.question <> EXCLUDED.question OR " STALE " RETURNING question) "                     \
    "SELECT q.question AS _question, q.name AS _activity, q.category AS _category, q.title AS _goal, "                 \
    "q.category_name AS _goal_category FROM q JOIN claimed ON true"

#define KEEP                                                                                                           \
    "UPDATE learnhub.rates_kept SET rates = (:physique::numeric, :energy::numeric, :logic::numeric, "                  \
    ":creativity::numeric, :social::numeric)::learnhub.rates "                                                         \
    "WHERE activity_id = :activity_id::uuid AND goal_id = :goal_id::uuid AND question = :question"

/* An admin's own, else the model's, else the engine's. */
#define CALCULATE                                                                                                      \
    "SELECT nullif(concat_ws(' ', CASE WHEN a.id IS NULL THEN 'activity' END, "                                        \
    "CASE WHEN g.id IS NULL THEN 'goal' END), '') AS \"!\", "                                                          \
    "to_json(CASE WHEN a.rates IS NOT NULL THEN a.rates WHEN k.rates IS NOT NULL THEN k.rates "                        \
    "ELSE learnhub.rates_by_words(a, g) END) AS rates "                                                                \
    "FROM " NAMED "LEFT JOIN learnhub.rates_kept k ON " KEPT "WHERE c.id = :me::bigint"

/* ---- the rows ---- */

static const lh_route routes[] = {
    {.name = "xp.activities",
     .method = "GET",
     .path = "/api/v1/activities/",
     .roles = LH_MEMBER,
     .summary = "All activities, by name.",
     .query = activity_filters,
     .count = "SELECT count(*) FROM learnhub.activities a WHERE true :filters",
     .sql = {"SELECT " ACTIVITY_COLUMNS " FROM learnhub.activities a WHERE true :filters "
             "ORDER BY lower(a.name), a.id LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_PAGE,
     .returns = activity_keys},
    {.name = "xp.activity",
     .method = "GET",
     .path = "/api/v1/activities/{id:uuid}/",
     .roles = LH_MEMBER,
     .summary = "One activity.",
     .sql = {"SELECT " ACTIVITY_COLUMNS " FROM learnhub.activities a WHERE a.id = :id::uuid"},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = activity_errors},
    {.name = "xp.new_activity",
     .method = "POST",
     .path = "/api/v1/activities/",
     .roles = LH_ADMIN,
     .summary = "Add an activity, with rates of its own if they are not to be calculated.",
     .body = activity_fields,
     .sql = {"INSERT INTO learnhub.activities AS a (name, emoji, category, color, rates) "
             "VALUES (:name, :emoji, :category, :color, " NEW_RATES(NO_RATES) ") RETURNING " RATED_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .returns = rated_activity_keys,
     .errors = activity_errors},
    {.name = "xp.change_activity",
     .method = "PATCH",
     .path = "/api/v1/activities/{id:uuid}/",
     .roles = LH_ADMIN,
     .summary = "Change an activity; any of the fields.",
     .body = activity_changes,
     .sql = {"UPDATE learnhub.activities a SET name = coalesce(:name, name), emoji = coalesce(:emoji, emoji), "
             "category = coalesce(:category, category), color = coalesce(:color, color), "
             "rates = " NEW_RATES("(rates).") " WHERE id = :id::uuid RETURNING " RATED_COLUMNS},
     .shape = LH_ONE,
     .returns = rated_activity_keys,
     .errors = activity_errors},
    {.name = "xp.rates",
     .method = "POST",
     .path = "/api/v1/sessions/calculate-rates/",
     .roles = LH_MEMBER,
     .summary = "The points per second an activity earns, for a goal.",
     .body = calculate_fields,
     .before = {&lh_step_ask_model},
     .extra_sql = {CLAIM, KEEP},
     .sql = {CALCULATE},
     .shape = LH_ONE,
     .returns = calculated_keys,
     .errors = (const lh_route_error[]){{"goal", 400, "goal_id", "There is no such goal."},
                                        {"activity", 400, "activity_id", "There is no such activity."},
                                        {0}},
     .flags = LH_RETRYABLE},
    {0}};

const lh_route_group lh_group_activities = {.name = "xp",
                                            .title = "Activities and their rates",
                                            .prefixes = (const char *const[]){"/api/v1/activities", NULL},
                                            .error_format = LH_ERRORS_DETAIL,
                                            .time_format = LH_SECONDS_Z,
                                            .routes = routes};
