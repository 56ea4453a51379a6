/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Coding sessions, the credits they are worth, and the eco-activities that unlock them. The document is seeds' coding;
 * contract section 4 settles the rest.
 *
 * Verifying alone unlocks: a session that is made while points are left over is locked until the next verification.
 */
#include "learnhub.h"

/* Every change of what somebody has begins here, so that theirs come one after the other. */
#define LOCK_ME "SELECT id FROM learnhub.users WHERE id = :me::bigint FOR NO KEY UPDATE"

#define PAGE " LIMIT :limit::bigint OFFSET :offset::bigint"

/* ---- sessions ---- */

#define SESSION                                                                                                        \
    "s.id, s.user_id AS user, s.session_name, learnhub.duration(s.seconds) AS duration, s.source, s.status, "          \
    "s.created_at, s.credits_awarded "
#define SESSIONS "FROM learnhub.coding_sessions s"
#define OF_ME " WHERE s.user_id = :me::bigint"

static const lh_field session_keys[] = {
    {.name = "id", .type = LH_INTEGER},
    {.name = "user", .type = LH_INTEGER},
    {.name = "session_name", .type = LH_STRING},
    {.name = "duration", .type = LH_DURATION},
    {.name = "source", .type = LH_STRING, .enum_values = "manual github"},
    {.name = "status", .type = LH_STRING, .enum_values = "locked unlocked"},
    {.name = "created_at", .type = LH_TIME},
    {.name = "credits_awarded", .type = LH_INTEGER, .note = "Five for each complete half hour."},
    {0}};

#define DURATION .name = "duration", .type = LH_DURATION, .note = "More than nothing, at most 24:00:00."
#define SOURCE .name = "source", .type = LH_STRING, .enum_values = "manual github"
#define NAME .name = "session_name", .type = LH_STRING, .flags = LH_TRIM, .max = 250

static const lh_field all_fields[] = {{DURATION, .flags = LH_REQUIRED}, {SOURCE, .flags = LH_REQUIRED}, {NAME}, {0}};
static const lh_field any_fields[] = {{DURATION}, {SOURCE}, {NAME}, {0}};

/* Refuses what an unlocked session does not allow: its credits may be spent already. */
#define LOCK(error)                                                                                                    \
    "SELECT CASE WHEN s.status = 'unlocked' AND " error " THEN 'unlocked' END AS \"!\" " SESSIONS OF_ME                \
    " AND s.id = :id::bigint FOR UPDATE"
#define NEW_DURATION ":duration::int <> s.seconds"
#define UPDATE                                                                                                         \
    "UPDATE learnhub.coding_sessions s SET seconds = coalesce(:duration::int, s.seconds), "                            \
    "source = coalesce(:source, s.source), session_name = coalesce(:session_name, s.session_name)" OF_ME               \
    " AND s.id = :id::bigint AND NOT (s.status = 'unlocked' AND coalesce(" NEW_DURATION ", false)) RETURNING " SESSION

static const lh_route_error update_errors[] = {
    {"missing", 404, NULL, "Session not found."},
    {"unlocked", 400, "duration", "The duration of an unlocked session cannot be changed."},
    {0}};

static const lh_route session_routes[] = {
    {.name = "coding.create",
     .method = "POST",
     .path = "/api/codingsessions/",
     .roles = LH_MEMBER,
     .summary = "Register a session; its credits are locked.",
     .body = all_fields,
     .sql = {LOCK_ME, "INSERT INTO learnhub.coding_sessions AS s (user_id, seconds, source, session_name) "
                      "VALUES (:me::bigint, :duration::int, :source, coalesce(:session_name, '')) RETURNING " SESSION},
     .shape = LH_ONE,
     .status = 201,
     .returns = session_keys},
    {.name = "coding.list",
     .method = "GET",
     .path = "/api/codingsessions/",
     .roles = LH_ADMIN,
     .summary = "Everybody's sessions, by id.",
     .sql = {"SELECT " SESSION SESSIONS " ORDER BY s.id" PAGE},
     .shape = LH_ALL,
     .flags = LH_UNPAGED,
     .returns = session_keys},
    {.name = "coding.mine",
     .method = "GET",
     .path = "/api/codingsessions/me/",
     .roles = LH_MEMBER,
     .summary = "The caller's sessions, by id.",
     .sql = {"SELECT " SESSION SESSIONS OF_ME " ORDER BY s.id" PAGE},
     .shape = LH_ALL,
     .flags = LH_UNPAGED,
     .returns = session_keys},
    {.name = "coding.get",
     .method = "GET",
     .path = "/api/codingsessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "One session of the caller's.",
     .sql = {"SELECT " SESSION SESSIONS OF_ME " AND s.id = :id::bigint"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Session not found."}, {0}}},
    {.name = "coding.update",
     .method = "PUT",
     .path = "/api/codingsessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Change a session of the caller's.",
     .body = all_fields,
     .sql = {LOCK_ME, LOCK(NEW_DURATION), UPDATE},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = update_errors},
    {.name = "coding.patch",
     .method = "PATCH",
     .path = "/api/codingsessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Change any of its fields.",
     .body = any_fields,
     .sql = {LOCK_ME, LOCK(NEW_DURATION), UPDATE},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = update_errors},
    {.name = "coding.delete",
     .method = "DELETE",
     .path = "/api/codingsessions/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "Delete a locked session of the caller's.",
     .sql = {LOCK_ME, LOCK("true"),
             "DELETE FROM learnhub.coding_sessions s" OF_ME " AND s.id = :id::bigint AND s.status = 'locked' "
             "RETURNING s.id AS _id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Session not found."},
                                        {"unlocked", 400, NULL, "An unlocked session cannot be deleted."},
                                        {0}}},
    {0}};

const lh_route_group lh_group_coding = {.name = "coding",
                                        .title = "Coding sessions",
                                        .prefixes = (const char *const[]){"/api/codingsessions", NULL},
                                        .error_format = LH_ERRORS_ENVELOPE,
                                        .time_format = LH_MICROS_Z,
                                        .routes = session_routes};

/* ---- eco-activities ---- */

#define ACTIVITY                                                                                                       \
    "a.id, a.user_id AS user, a.kind, learnhub.duration(a.seconds) AS duration, a.description, a.status, "             \
    "learnhub.points(a.point_parts) AS points, a.performed_at, a.created_at, a.verified_at "

static const lh_field activity_keys[] = {
    {.name = "id", .type = LH_INTEGER},
    {.name = "user", .type = LH_INTEGER},
    {.name = "kind", .type = LH_STRING},
    {.name = "duration", .type = LH_DURATION},
    {.name = "description", .type = LH_STRING},
    {.name = "status", .type = LH_STRING, .enum_values = "pending verified rejected"},
    {.name = "points", .type = LH_NUMBER, .note = "Hours by the kind's factor; a decimal number."},
    {.name = "performed_at", .type = LH_TIME},
    {.name = "created_at", .type = LH_TIME},
    {.name = "verified_at", .type = LH_TIME, .flags = LH_NULL},
    {0}};

static const lh_field activity_fields[] = {
    {.name = "kind",
     .type = LH_STRING,
     .flags = LH_REQUIRED,
     .enum_values = "hiking walking running cycling climbing camping gardening other"},
    {DURATION, .flags = LH_REQUIRED},
    {.name = "description", .type = LH_STRING, .flags = LH_REQUIRED, .max = 2000},
    {.name = "performed_at", .type = LH_TIME, .flags = LH_NULL | LH_PAST},
    {0}};

static const lh_field activity_filters[] = {{.name = "status",
                                             .type = LH_STRING,
                                             .enum_values = "pending verified rejected",
                                             .where = "a.status = :status::text"},
                                            {0}};

/* Admins see everybody's: as bounds of the user's id, so that one index serves both. */
#define SEEN                                                                                                           \
    "a.user_id >= CASE WHEN " IS_ADMIN " THEN 0 ELSE :me::bigint END "                                                 \
    "AND a.user_id <= CASE WHEN " IS_ADMIN " THEN 9223372036854775807 ELSE :me::bigint END"
#define IS_ADMIN "(SELECT role = 'admin' FROM learnhub.users WHERE id = :me::bigint)"

/* An admin, or the owner where LearnHubEcoVerify says `self`. */
#define MAY_JUDGE "(" IS_ADMIN " OR (:eco_verify::text = 'self' AND a.user_id = :me::bigint))"
#define LOCK_OWNER                                                                                                     \
    "SELECT id FROM learnhub.users WHERE id = (SELECT user_id FROM learnhub.eco_activities WHERE id = :id::bigint) "   \
    "FOR NO KEY UPDATE"
/* Where admins judge, nobody else learns which ids exist; where owners do, others' activities do not exist for them. */
#define VERDICT                                                                                                        \
    "SELECT CASE WHEN NOT " IS_ADMIN " AND :eco_verify::text <> 'self' THEN 'judge' "                                  \
    "WHEN a.id IS NULL OR NOT " MAY_JUDGE " THEN 'missing' WHEN a.status <> 'pending' THEN 'judged' END AS \"!\" "     \
    "FROM (SELECT) one LEFT JOIN (SELECT * FROM learnhub.eco_activities WHERE id = :id::bigint FOR UPDATE) a ON true"
#define PENDING "a.id = :id::bigint AND a.status = 'pending' AND " MAY_JUDGE
#define ANSWER "SELECT " ACTIVITY "FROM learnhub.eco_activities a WHERE a.id = :id::bigint"

static const lh_route_error verdict_errors[] = {
    {"missing", 404, NULL, "Activity not found."},
    {"judge", 403, NULL, "You may not verify or reject this activity."},
    {"judged", 400, NULL, "This activity has been verified or rejected already."},
    {0}};

static const lh_route activity_routes[] = {
    {.name = "eco.create",
     .method = "POST",
     .path = "/api/ecoactivities/",
     .roles = LH_MEMBER,
     .summary = "Record an activity; it waits to be verified.",
     .body = activity_fields,
     .sql =
         {"INSERT INTO learnhub.eco_activities AS a (user_id, kind, seconds, description, point_parts, performed_at) "
          "SELECT :me::bigint, k.kind, :duration::int, :description, k.factor * :duration::int, "
          "coalesce(:performed_at::timestamptz, now()) FROM learnhub.eco_kinds k WHERE k.kind = :kind "
          "RETURNING " ACTIVITY},
     .shape = LH_ONE,
     .status = 201,
     .returns = activity_keys},
    {.name = "eco.list",
     .method = "GET",
     .path = "/api/ecoactivities/",
     .roles = LH_MEMBER,
     .summary = "The caller's activities, for admins everybody's; by id.",
     .query = activity_filters,
     .sql = {"SELECT " ACTIVITY "FROM learnhub.eco_activities a WHERE " SEEN " :filters ORDER BY a.id" PAGE},
     .shape = LH_ALL,
     .flags = LH_UNPAGED,
     .returns = activity_keys},
    {.name = "eco.get",
     .method = "GET",
     .path = "/api/ecoactivities/{id:int}/",
     .roles = LH_MEMBER,
     .summary = "One activity of the caller's; admins see everybody's.",
     .sql = {"SELECT " ACTIVITY "FROM learnhub.eco_activities a WHERE a.id = :id::bigint AND " SEEN},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = verdict_errors},
    {.name = "eco.verify",
     .method = "POST",
     .path = "/api/ecoactivities/{id:int}/verify/",
     .roles = LH_MEMBER,
     .summary = "Verify an activity: its points unlock the oldest locked sessions, as far as they go.",
     .sql = {LOCK_OWNER, VERDICT,
             "WITH verified AS (UPDATE learnhub.eco_activities a SET status = 'verified', verified_at = now() "
             "WHERE " PENDING " RETURNING a.user_id, a.point_parts), "
             "purse AS (SELECT v.user_id, v.point_parts + c.point_parts AS parts "
             "FROM verified v, learnhub.credits_of(v.user_id) c), "
             "queue AS (SELECT s.id, 3600 * sum(s.credits_awarded) OVER (ORDER BY s.id) AS cost " SESSIONS
             " WHERE s.user_id = (SELECT user_id FROM purse) AND s.status = 'locked') "
             "UPDATE learnhub.coding_sessions s SET status = 'unlocked' FROM queue, purse "
             "WHERE s.id = queue.id AND queue.cost <= purse.parts",
             ANSWER},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = verdict_errors},
    {.name = "eco.reject",
     .method = "POST",
     .path = "/api/ecoactivities/{id:int}/reject/",
     .roles = LH_MEMBER,
     .summary = "Reject an activity.",
     .sql = {VERDICT, "UPDATE learnhub.eco_activities a SET status = 'rejected' WHERE " PENDING, ANSWER},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = verdict_errors},
    {0}};

const lh_route_group lh_group_eco = {.name = "coding",
                                     .title = "Eco-activities",
                                     .prefixes = (const char *const[]){"/api/ecoactivities", NULL},
                                     .error_format = LH_ERRORS_ENVELOPE,
                                     .time_format = LH_MICROS_Z,
                                     .routes = activity_routes};

/* ---- credits ---- */

static const lh_field credit_keys[] = {
    {.name = "locked_credits", .type = LH_INTEGER},
    {.name = "available_credits", .type = LH_INTEGER},
    {.name = "spent_credits", .type = LH_INTEGER},
    {.name = "points_to_unlock", .type = LH_NUMBER, .note = "What verified activities left over; a decimal number."},
    {0}};

static const lh_field spend_fields[] = {
    {.name = "amount", .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 1, .max = APR_INT64_MAX},
    {.name = "reason", .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 250},
    {0}};

static const lh_field spent_keys[] = {{.name = "id", .type = LH_INTEGER},
                                      {.name = "user", .type = LH_INTEGER},
                                      {.name = "amount", .type = LH_INTEGER},
                                      {.name = "reason", .type = LH_STRING},
                                      {.name = "created_at", .type = LH_TIME},
                                      {.name = "available_credits", .type = LH_INTEGER, .note = "What is left."},
                                      {0}};

static const lh_route credit_routes[] = {
    {.name = "credits.mine",
     .method = "GET",
     .path = "/api/credits/me/",
     .roles = LH_MEMBER,
     .summary = "What the caller has.",
     .sql = {"SELECT locked_credits, available_credits, spent_credits, "
             "learnhub.points(point_parts) AS points_to_unlock FROM learnhub.credits_of(:me::bigint)"},
     .shape = LH_ONE,
     .returns = credit_keys},
    {.name = "credits.spend",
     .method = "POST",
     .path = "/api/credits/spend/",
     .roles = LH_MEMBER,
     .summary = "Spend credits.",
     .body = spend_fields,
     .sql =
         {LOCK_ME,
          "SELECT CASE WHEN available_credits < :amount::bigint THEN 'few' END AS \"!\" "
          "FROM learnhub.credits_of(:me::bigint)",
          "INSERT INTO learnhub.credit_spendings AS s (user_id, amount, reason) SELECT :me::bigint, :amount::bigint, "
          ":reason FROM learnhub.credits_of(:me::bigint) c WHERE c.available_credits >= :amount::bigint "
          "RETURNING s.id, s.user_id AS user, s.amount, s.reason, s.created_at, "
          "(SELECT c.available_credits FROM learnhub.credits_of(:me::bigint) c) - s.amount AS available_credits"},
     .shape = LH_ONE,
     .status = 201,
     .returns = spent_keys,
     .errors = (const lh_route_error[]){{"few", 400, "amount", "You have fewer credits than that."}, {0}}},
    {0}};

const lh_route_group lh_group_credits = {.name = "coding",
                                         .title = "Credits",
                                         .prefixes = (const char *const[]){"/api/credits", NULL},
                                         .error_format = LH_ERRORS_ENVELOPE,
                                         .time_format = LH_MICROS_Z,
                                         .routes = credit_routes};
