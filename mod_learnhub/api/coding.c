/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coding sessions, the credits that they award, and the eco-activities that unlock the sessions.
 *
 * Sessions are unlocked only when an activity is verified. A session that is created while points are left over stays
 * locked until the next verification.
 */
#include "api/shared.h"

/* clang-format off */

/* ---- sessions ---- */

#define SESSION_COLUMNS                                                                                                \
    "s.id, s.user_id AS user, s.session_name, learnhub.duration(s.seconds) AS duration, s.source, s.status, "          \
    "s.created_at, s.credits_awarded "

/* The duration of an unlocked session cannot change: its credits may have been spent. */
#define SESSION_LOCK                                                                                                   \
    "SELECT CASE WHEN s.status = 'unlocked' AND :duration::int <> s.seconds THEN 'unlocked' END AS \"!\" "             \
    "FROM learnhub.coding_sessions s "                                                                                 \
    "WHERE s.user_id = :me::bigint AND s.id = :id::bigint "                                                            \
    "FOR UPDATE"

#define SESSION_CHANGE                                                                                                 \
    "UPDATE learnhub.coding_sessions s "                                                                               \
    "SET seconds = coalesce(:duration::int, s.seconds), source = coalesce(:source, s.source), "                        \
    "    session_name = coalesce(:session_name, s.session_name) "                                                      \
    "WHERE s.user_id = :me::bigint AND s.id = :id::bigint "                                                            \
    "  AND NOT (s.status = 'unlocked' AND coalesce(:duration::int <> s.seconds, false)) "                              \
    "RETURNING " SESSION_COLUMNS

static const lh_field session_keys[] = {
    {.name = "id",              .type = LH_INTEGER, .object = "CodingSession"},
    {.name = "user",            .type = LH_INTEGER},
    {.name = "session_name",    .type = LH_STRING},
    {.name = "duration",        .type = LH_DURATION},
    {.name = "source",          .type = LH_STRING,  .enum_values = "manual github"},
    {.name = "status",          .type = LH_STRING,  .enum_values = "locked unlocked"},
    {.name = "created_at",      .type = LH_TIME},
    {.name = "credits_awarded", .type = LH_INTEGER, .note = "5 for each complete half hour."},
    {0}};

static const lh_field session_fields[] = {
    {.name = "duration",     .type = LH_DURATION, .flags = LH_REQUIRED, .note = "More than 0, at most 24:00:00."},
    {.name = "source",       .type = LH_STRING,   .flags = LH_REQUIRED, .enum_values = "manual github"},
    {.name = "session_name", .type = LH_STRING,   .flags = LH_TRIM, .max = 250},
    {0}};

static const lh_field session_changes[] = {
    {.name = "duration",     .type = LH_DURATION, .note = "More than 0, at most 24:00:00."},
    {.name = "source",       .type = LH_STRING,   .enum_values = "manual github"},
    {.name = "session_name", .type = LH_STRING,   .flags = LH_TRIM, .max = 250},
    {0}};

static const lh_route session_routes[] = {
    {.name = "coding.create", .method = "POST", .path = "/api/codingsessions/",
     .summary = "Create a session; its credits are locked.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = session_fields,
     .sql = {CALLER_LOCK,

             "INSERT INTO learnhub.coding_sessions AS s (user_id, seconds, source, session_name) "
             "VALUES (:me::bigint, :duration::int, :source, coalesce(:session_name, '')) "
             "RETURNING " SESSION_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .returns = session_keys},

    {.name = "coding.list", .method = "GET", .path = "/api/codingsessions/",
     .summary = "List the caller's sessions, or for admins those of all users, by id.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     /* ORDER BY and LIMIT are in both branches, so that each can use an index. */
     .sql = {"SELECT " SESSION_COLUMNS
             "FROM ("
             "    (SELECT * "
             "     FROM learnhub.coding_sessions "
             "     WHERE " ADMIN_CALLER " "
             "     ORDER BY id "
             "     LIMIT :limit::bigint OFFSET :offset::bigint) "
             "    UNION ALL "
             "    (SELECT * "
             "     FROM learnhub.coding_sessions "
             "     WHERE " OF_CALLER("user_id") "AND NOT " ADMIN_CALLER " "
             "     ORDER BY user_id, id "
             "     LIMIT :limit::bigint OFFSET :offset::bigint)) s "
             "ORDER BY s.id"},
     .shape = LH_ALL,
     .returns = session_keys},

    {.name = "coding.mine", .method = "GET", .path = "/api/codingsessions/me/",
     .summary = "List the caller's sessions, by id.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     .sql = {"SELECT " SESSION_COLUMNS
             "FROM learnhub.coding_sessions s "
             "WHERE " OF_CALLER("s.user_id")
             "ORDER BY s.user_id, s.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = session_keys},

    {.name = "coding.get", .method = "GET", .path = "/api/codingsessions/{id:int}/",
     .summary = "Get one of the caller's sessions.",
     .roles = LH_MEMBER,
     .lock = CALLER_LOCK,
     .sql = {"SELECT " SESSION_COLUMNS
             "FROM learnhub.coding_sessions s "
             "WHERE s.user_id = :me::bigint AND s.id = :id::bigint"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Session not found."}, {0}}},

    {.name = "coding.update", .method = "PUT", .path = "/api/codingsessions/{id:int}/",
     .summary = "Change one of the caller's sessions; duration and source are required.",
     .roles = LH_MEMBER,
     .body = session_fields,
     .sql = {CALLER_LOCK, SESSION_LOCK, SESSION_CHANGE},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         {"missing",  404, NULL,       "Session not found."},
         {"unlocked", 400, "duration", "The duration of an unlocked session cannot be changed."},
         {0}}},

    {.name = "coding.patch", .method = "PATCH", .path = "/api/codingsessions/{id:int}/",
     .summary = "Change any fields of one of the caller's sessions.",
     .roles = LH_MEMBER,
     .body = session_changes,
     .sql = {CALLER_LOCK, SESSION_LOCK, SESSION_CHANGE},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         {"missing",  404, NULL,       "Session not found."},
         {"unlocked", 400, "duration", "The duration of an unlocked session cannot be changed."},
         {0}}},

    {.name = "coding.delete", .method = "DELETE", .path = "/api/codingsessions/{id:int}/",
     .summary = "Delete one of the caller's locked sessions.",
     .roles = LH_MEMBER,
     .sql = {CALLER_LOCK,

             "SELECT CASE WHEN s.status = 'unlocked' THEN 'unlocked' END AS \"!\" "
             "FROM learnhub.coding_sessions s "
             "WHERE s.user_id = :me::bigint AND s.id = :id::bigint "
             "FOR UPDATE",

             "DELETE FROM learnhub.coding_sessions s "
             "WHERE s.user_id = :me::bigint AND s.id = :id::bigint AND s.status = 'locked' "
             "RETURNING s.id AS _id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"missing",  404, NULL, "Session not found."},
         {"unlocked", 400, NULL, "An unlocked session cannot be deleted."},
         {0}}},

    {0}};

const lh_route_group lh_group_coding = {
    .name = "coding",
    .title = "Coding sessions",
    .prefixes = (const char *const[]){"/api/codingsessions", NULL},
    .error_format = LH_ERRORS_ENVELOPE,
    .time_format = LH_MICROS_Z,
    .routes = session_routes};

/* ---- eco-activities ---- */

#define ACTIVITY_COLUMNS                                                                                               \
    "a.id, a.user_id AS user, a.kind, learnhub.duration(a.seconds) AS duration, a.description, a.status, "             \
    "learnhub.points(a.point_parts) AS points, a.performed_at, a.created_at, a.verified_at, a.location, "              \
    "(SELECT " ACTIVITY_PHOTO_URL " FROM learnhub.activity_photos p WHERE p.activity_id = a.id) "                      \
    "    AS verification_proof "

/* The caller's activities, or for admins all: a range of user ids, so that both use the same index. */
#define VISIBLE_ACTIVITY                                                                                               \
    "a.user_id >= CASE WHEN " ADMIN_CALLER " THEN 0 ELSE :me::bigint END "                                             \
    "AND a.user_id <= CASE WHEN " ADMIN_CALLER " THEN 9223372036854775807 ELSE :me::bigint END "

/* Admins may verify and reject; with `LearnHubEcoVerify self` also the owner. */
#define VERIFIER "(" ADMIN_CALLER " OR :eco_verify::text = 'self' AND a.user_id = :me::bigint)"

/*
 * If only admins may verify, other users get 403 for every id, so that they cannot find out which ids exist. With
 * `LearnHubEcoVerify self` the activities of other users are 404.
 */
#define ACTIVITY_LOCK                                                                                                  \
    "SELECT CASE WHEN NOT " ADMIN_CALLER " AND :eco_verify::text <> 'self' THEN 'permission' "                         \
    "            WHEN a.id IS NULL OR NOT " VERIFIER " THEN 'missing' "                                                \
    "            WHEN a.status <> 'pending' THEN 'decided' "                                                           \
    "       END AS \"!\" "                                                                                             \
    "FROM (SELECT) one "                                                                                               \
    "LEFT JOIN (SELECT * FROM learnhub.eco_activities WHERE id = :id::bigint FOR UPDATE) a ON true"

static const lh_field activity_keys[] = {
    {.name = "id",                 .type = LH_INTEGER, .object = "EcoActivity"},
    {.name = "user",               .type = LH_INTEGER},
    {.name = "kind",               .type = LH_STRING, .enum_values = ECO_KINDS},
    {.name = "duration",           .type = LH_DURATION},
    {.name = "description",        .type = LH_STRING, .example = WALK},
    {.name = "status",             .type = LH_STRING, .enum_values = "pending verified rejected"},
    {.name = "points",             .type = LH_NUMBER, .example = "18",
     .note = "Hours multiplied by the factor of the kind."},
    {.name = "performed_at",       .type = LH_TIME},
    {.name = "created_at",         .type = LH_TIME},
    {.name = "verified_at",        .type = LH_TIME,   .flags = LH_NULL, .example = "null"},
    {.name = "location",           .type = LH_STRING},
    {.name = "verification_proof", .type = LH_STRING, .flags = LH_NULL,
     .note = "The URL of a picture that was sent to /api/activities/."},
    {0}};

static const lh_field activity_fields[] = {
    {.name = "kind",         .type = LH_STRING,   .flags = LH_REQUIRED,
     .enum_values = ECO_KINDS},
    {.name = "duration",     .type = LH_DURATION, .flags = LH_REQUIRED, .note = "More than 0, at most 24:00:00."},
    {.name = "description",  .type = LH_STRING,   .flags = LH_REQUIRED, .max = 2000, .example = WALK},
    {.name = "performed_at", .type = LH_TIME,     .flags = LH_NULL | LH_PAST},
    {0}};

static const lh_field activity_filters[] = {
    {.name = "status", .type = LH_STRING, .enum_values = "pending verified rejected",
     .where = "a.status = :status::text"},
    {0}};

static const lh_route activity_routes[] = {
    {.name = "eco.create", .method = "POST", .path = "/api/ecoactivities/",
     .summary = "Create a pending activity.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = activity_fields,
     .sql = {CALLER_LOCK,

             "INSERT INTO learnhub.eco_activities AS a "
             "    (user_id, kind, seconds, description, point_parts, performed_at) "
             "SELECT u.id, k.kind, :duration::int, :description, k.factor * :duration::int, "
             "       coalesce(:performed_at::timestamptz, now()) "
             "FROM learnhub.users u, learnhub.eco_kinds k "
             "WHERE u.id = :me::bigint AND u.is_active AND k.kind = :kind "
             "RETURNING " ACTIVITY_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .returns = activity_keys,
     .examples = (const lh_route_example[]){{"location", "", 0}, {"verification_proof", "null", 0}, {0}}},

    {.name = "eco.list", .method = "GET", .path = "/api/ecoactivities/",
     .summary = "List the caller's activities, or for admins those of all users, by id.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     .query = activity_filters,
     .sql = {"SELECT " ACTIVITY_COLUMNS
             "FROM ("
             "    (SELECT * "
             "     FROM learnhub.eco_activities a "
             "     WHERE " ADMIN_CALLER " :filters "
             "     ORDER BY a.id "
             "     LIMIT :limit::bigint OFFSET :offset::bigint) "
             "    UNION ALL "
             "    (SELECT * "
             "     FROM learnhub.eco_activities a "
             "     WHERE " OF_CALLER("a.user_id") "AND NOT " ADMIN_CALLER " :filters "
             "     ORDER BY a.user_id, a.id "
             "     LIMIT :limit::bigint OFFSET :offset::bigint)) a "
             "ORDER BY a.id"},
     .shape = LH_ALL,
     .returns = activity_keys},

    {.name = "eco.get", .method = "GET", .path = "/api/ecoactivities/{id:int}/",
     .summary = "Get one of the caller's activities, or for admins of any user.",
     .roles = LH_MEMBER,
     .sql = {"SELECT " ACTIVITY_COLUMNS
             "FROM learnhub.eco_activities a "
             "WHERE a.id = :id::bigint AND " VISIBLE_ACTIVITY},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Activity not found."}, {0}}},

    {.name = "eco.verify", .method = "POST", .path = "/api/ecoactivities/{id:int}/verify/",
     .summary = "Verify an activity; its points unlock the owner's oldest locked sessions.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     /* Locks the owner first, as every change of sessions and credits does. */
     .sql = {"SELECT id "
             "FROM learnhub.users "
             "WHERE id = (SELECT user_id FROM learnhub.eco_activities WHERE id = :id::bigint) "
             "FOR NO KEY UPDATE",

             ACTIVITY_LOCK,

             "WITH verified AS ("
             "    UPDATE learnhub.eco_activities a "
             "    SET status = 'verified', verified_at = now() "
             "    WHERE a.id = :id::bigint AND a.status = 'pending' AND " VERIFIER " "
             "    RETURNING a.user_id, a.point_parts), "
             "purse AS ("
             "    SELECT v.user_id, v.point_parts + c.point_parts AS parts "
             "    FROM verified v, learnhub.credits_of(v.user_id) c), "
             "queue AS ("
             "    SELECT s.id, 3600 * sum(s.credits_awarded) OVER (ORDER BY s.id) AS cost "
             "    FROM learnhub.coding_sessions s "
             "    WHERE s.user_id = (SELECT user_id FROM purse) AND s.status = 'locked') "
             "UPDATE learnhub.coding_sessions s "
             "SET status = 'unlocked' "
             "FROM queue, purse "
             "WHERE s.id = queue.id AND queue.cost <= purse.parts",

             "SELECT " ACTIVITY_COLUMNS
             "FROM learnhub.eco_activities a "
             "WHERE a.id = :id::bigint"},
     .shape = LH_ONE,
     .returns = activity_keys,
     .examples = (const lh_route_example[]){{"status", "verified", 0}, {"verified_at", "2024-01-15T15:00:00Z", 0}, {0}},
     .errors = (const lh_route_error[]){
         {"missing",    404, NULL, "Activity not found."},
         {"permission", 403, NULL, "You may not verify or reject this activity."},
         {"decided",    400, NULL, "This activity has already been verified or rejected."},
         {0}}},

    {.name = "eco.reject", .method = "POST", .path = "/api/ecoactivities/{id:int}/reject/",
     .summary = "Reject an activity.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .sql = {ACTIVITY_LOCK,

             "UPDATE learnhub.eco_activities a "
             "SET status = 'rejected' "
             "WHERE a.id = :id::bigint AND a.status = 'pending' AND " VERIFIER,

             "SELECT " ACTIVITY_COLUMNS
             "FROM learnhub.eco_activities a "
             "WHERE a.id = :id::bigint"},
     .shape = LH_ONE,
     .returns = activity_keys,
     .examples = (const lh_route_example[]){{"status", "rejected", 0}, {0}},
     .errors = (const lh_route_error[]){
         {"missing",    404, NULL, "Activity not found."},
         {"permission", 403, NULL, "You may not verify or reject this activity."},
         {"decided",    400, NULL, "This activity has already been verified or rejected."},
         {0}}},

    {0}};

const lh_route_group lh_group_eco = {
    .name = "coding",
    .title = "Eco-activities",
    .prefixes = (const char *const[]){"/api/ecoactivities", NULL},
    .error_format = LH_ERRORS_ENVELOPE,
    .time_format = LH_MICROS_Z,
    .routes = activity_routes};

/* ---- credits ---- */

static const lh_field credit_keys[] = {
    {.name = "locked_credits",    .type = LH_INTEGER, .object = "Credits"},
    {.name = "available_credits", .type = LH_INTEGER},
    {.name = "spent_credits",     .type = LH_INTEGER},
    {.name = "points_to_unlock",  .type = LH_NUMBER, .note = "Points left over from verified activities."},
    {0}};

static const lh_field spending_keys[] = {
    {.name = "id",                .type = LH_INTEGER, .object = "Spending"},
    {.name = "user",              .type = LH_INTEGER},
    {.name = "amount",            .type = LH_INTEGER},
    {.name = "reason",            .type = LH_STRING},
    {.name = "created_at",        .type = LH_TIME},
    {.name = "available_credits", .type = LH_INTEGER, .note = "After the spending."},
    {0}};

static const lh_field spending_fields[] = {
    {.name = "amount", .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 1, .max = APR_INT64_MAX},
    {.name = "reason", .type = LH_STRING,  .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 250},
    {0}};

static const lh_route credit_routes[] = {
    {.name = "credits.mine", .method = "GET", .path = "/api/credits/me/",
     .summary = "Get the caller's credits.",
     .roles = LH_MEMBER,
     .sql = {"SELECT locked_credits, available_credits, spent_credits, "
             "       learnhub.points(point_parts) AS points_to_unlock "
             "FROM learnhub.credits_of(:me::bigint)"},
     .shape = LH_ONE,
     .returns = credit_keys},

    {.name = "credits.spend", .method = "POST", .path = "/api/credits/spend/",
     .summary = "Spend credits.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = spending_fields,
     .sql = {CALLER_LOCK,

             "SELECT CASE WHEN available_credits < :amount::bigint THEN 'few' END AS \"!\" "
             "FROM learnhub.credits_of(:me::bigint)",

             "INSERT INTO learnhub.credit_spendings AS s (user_id, amount, reason) "
             "SELECT :me::bigint, :amount::bigint, :reason "
             "FROM learnhub.credits_of(:me::bigint) c "
             "WHERE c.available_credits >= :amount::bigint "
             "RETURNING s.id, s.user_id AS user, s.amount, s.reason, s.created_at, "
             "          (SELECT c.available_credits FROM learnhub.credits_of(:me::bigint) c) - s.amount "
             "            AS available_credits"},
     .shape = LH_ONE,
     .status = 201,
     .returns = spending_keys,
     .errors = (const lh_route_error[]){{"few", 400, "amount", "You have fewer credits than that."}, {0}}},

    {0}};

const lh_route_group lh_group_credits = {
    .name = "coding",
    .title = "Credits",
    .prefixes = (const char *const[]){"/api/credits", NULL},
    .error_format = LH_ERRORS_ENVELOPE,
    .time_format = LH_MICROS_Z,
    .routes = credit_routes};

/* clang-format on */
