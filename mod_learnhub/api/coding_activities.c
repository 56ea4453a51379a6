/* SPDX-License-Identifier: Apache-2.0 */
/* The caller's eco-activities under the names of the front end, with pictures: /api/activities. */
#include "api/shared.h"

/* clang-format off */

/* `a` is an activity, `p` its picture. */
#define ACTIVITY_COLUMNS                                                                                               \
    "a.id, a.user_id AS user, a.kind AS activity, learnhub.duration(a.seconds) AS duration, a.location, "              \
    "a.description, to_char(a.performed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS activity_date, "                       \
    ACTIVITY_PHOTO_URL " AS verification_proof, upper(a.status) AS status, "                                           \
    "learnhub.points(a.point_parts) AS points, a.created_at "

static const lh_field activity_keys[] = {
    {.name = "id",                 .type = LH_INTEGER, .object = "CodingActivity"},
    {.name = "user",               .type = LH_INTEGER},
    {.name = "activity",           .type = LH_STRING, .enum_values = ECO_KINDS},
    {.name = "duration",           .type = LH_DURATION},
    {.name = "location",           .type = LH_STRING},
    {.name = "description",        .type = LH_STRING, .example = WALK},
    {.name = "activity_date",      .type = LH_STRING, .note = "The UTC day, YYYY-MM-DD."},
    {.name = "verification_proof", .type = LH_STRING, .flags = LH_NULL,
     .note = "An absolute URL that needs no token and whose content never changes."},
    {.name = "status",             .type = LH_STRING, .enum_values = "PENDING VERIFIED REJECTED"},
    {.name = "points",             .type = LH_NUMBER, .example = "18",
     .note = "Hours multiplied by the factor of the kind."},
    {.name = "created_at",         .type = LH_TIME},
    {0}};

static const lh_field activity_fields[] = {
    {.name = "activity",           .type = LH_STRING,   .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 250,
     .note = "A kind in any letter case; other words mean `other`."},
    {.name = "duration",           .type = LH_DURATION, .flags = LH_REQUIRED | LH_COERCE},
    {.name = "location",           .type = LH_STRING,   .flags = LH_NULL | LH_TRIM, .max = 250},
    {.name = "description",        .type = LH_STRING,   .flags = LH_NULL, .max = 2000, .example = WALK},
    {.name = "activity_date",      .type = LH_DATE,     .flags = LH_CLEARABLE | LH_PAST},
    {.name = "verification_proof", .type = LH_PHOTO,    .flags = LH_NULL | LH_EMPTY},
    {0}};

static const lh_route routes[] = {
    {.name = "activities.create", .method = "POST", .path = "/api/activities/",
     .summary = "Create a pending activity, with a picture if one is sent.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .accepts = LH_MULTIPART | LH_JSON,
     .body = activity_fields,
     /* The activity took place at the start of the UTC day; now, if the day has not begun or was not sent. */
     .sql = {CALLER_LOCK,

             "WITH activity AS ("
             "    INSERT INTO learnhub.eco_activities "
             "        (user_id, kind, seconds, location, description, point_parts, performed_at) "
             "    SELECT u.id, k.kind, :duration::int, coalesce(:location, ''), coalesce(:description, ''), "
             "           k.factor * :duration::int, "
             "           least(nullif(:activity_date, '')::timestamp AT TIME ZONE 'UTC', now()) "
             "    FROM learnhub.users u, learnhub.eco_kinds k "
             "    WHERE u.id = :me::bigint AND u.is_active AND k.kind IN (lower(:activity), 'other') "
             "    ORDER BY k.kind = lower(:activity) DESC "
             "    LIMIT 1 "
             "    RETURNING *), "
             "photo AS ("
             "    INSERT INTO learnhub.activity_photos (activity_id, user_id, name, media_type, content) "
             "    SELECT id, user_id, learnhub.photo_name(:verification_proof_type), :verification_proof_type, "
             "           decode(:verification_proof::text, 'hex') "
             "    FROM activity "
             "    WHERE :verification_proof::text <> '' "
             "    RETURNING activity_id, name) "
             "SELECT " ACTIVITY_COLUMNS
             "FROM activity a "
             "LEFT JOIN photo p ON p.activity_id = a.id"},
     .shape = LH_ONE,
     .status = 201,
     .returns = activity_keys,
     .examples = (const lh_route_example[]){{"verification_proof", "null", 0}, {0}},
     .errors = (const lh_route_error[]){
         {"activity_photos_limit", 400, "verification_proof",
          "Your pending activities may have 100 pictures of together 100 MiB; wait until one is verified or rejected."},
         {0}}},

    {.name = "activities.list", .method = "GET", .path = "/api/activities/",
     .summary = "List the caller's activities, newest first.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     .sql = {"SELECT " ACTIVITY_COLUMNS
             "FROM learnhub.eco_activities a "
             "LEFT JOIN learnhub.activity_photos p ON p.activity_id = a.id "
             "WHERE " OF_CALLER("a.user_id")
             "ORDER BY a.user_id DESC, a.id DESC "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = activity_keys},

    {.name = "activities.get", .method = "GET", .path = "/api/activities/{id:int}/",
     .summary = "Get one of the caller's activities.",
     .roles = LH_MEMBER,
     .sql = {"SELECT " ACTIVITY_COLUMNS
             "FROM learnhub.eco_activities a "
             "LEFT JOIN learnhub.activity_photos p ON p.activity_id = a.id "
             "WHERE a.user_id = :me::bigint AND a.id = :id::bigint"},
     .shape = LH_ONE,
     .returns = activity_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Activity not found."}, {0}}},

    {.name = "activities.photo", .method = "GET", .path = "/api/activities/photos/{name:text}",
     .summary = "Get the picture of an activity by the name in its URL.",
     .sql = {PHOTO_BY_NAME("activity_photos")},
     .shape = LH_BYTES,
     .media = PHOTO_MEDIA},

    {0}};

const lh_route_group lh_group_coding_activities = {
    .name = "coding",
    .title = "Activities",
    .prefixes = (const char *const[]){"/api/activities", NULL},
    .error_format = LH_ERRORS_ENVELOPE,
    .time_format = LH_MICROS_Z,
    .routes = routes};

/* clang-format on */
