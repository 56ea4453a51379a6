/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hours that mentors offer: /availabilty, the published spelling, lists those of all mentors; /availability lists
 * the caller's own, and its 400s are arrays of sentences. Both create and delete availabilities.
 *
 * Times in requests are truncated to seconds, the precision of responses, so that clients can send received times back.
 */
#include "api/shared.h"

/* clang-format off */

/* ---- statements ---- */

#define AVAILABILITY_COLUMNS "a.id AS pk, a.mentor_id AS mentor, a.starts_at AS start_time, a.ends_at AS end_time "

/*
 * Without `mentor` the caller, else this mentor or all: a range of user ids instead of OR, so that only the
 * availabilities of these users are read. Its condition is on users, which PostgreSQL then reads first.
 */
#define SELECTED_USERS                                                                                                 \
    "u.id >= CASE WHEN :mentor::text = 'all' THEN 0 "                                                                  \
    "             ELSE coalesce(nullif(:mentor::text, 'all')::bigint, :me::bigint) END "                               \
    "AND u.id <= CASE WHEN :mentor::text = 'all' THEN 9223372036854775807 "                                            \
    "                 ELSE coalesce(nullif(:mentor::text, 'all')::bigint, :me::bigint) END "

#define MENTOR_LOCK                                                                                                    \
    "SELECT CASE WHEN NOT is_mentor THEN 'mentor' END AS \"!\" "                                                       \
    "FROM learnhub.users "                                                                                             \
    "WHERE id = :me::bigint "                                                                                          \
    "FOR NO KEY UPDATE"

#define NEW_AVAILABILITY                                                                                               \
    "INSERT INTO learnhub.availabilities AS a (mentor_id, starts_at, ends_at) "                                        \
    "SELECT id, date_trunc('second', :start_time::timestamptz), date_trunc('second', :end_time::timestamptz) "         \
    "FROM learnhub.users "                                                                                             \
    "WHERE id = :me::bigint AND is_mentor "                                                                            \
    "RETURNING " AVAILABILITY_COLUMNS

#define AVAILABILITY_LOCK                                                                                              \
    "SELECT CASE WHEN a.mentor_id <> u.id AND u.role <> 'admin' THEN 'owner' END AS \"!\" "                            \
    "FROM learnhub.availabilities a "                                                                                  \
    "JOIN learnhub.users u ON u.id = :me::bigint "                                                                     \
    "WHERE a.id = :id::bigint AND a.deleted_at IS NULL "                                                               \
    "FOR UPDATE OF a"

#define AVAILABILITY_REMOVAL                                                                                           \
    "SELECT learnhub.end_availabilities(a.mentor_id, a.id)::text AS _done "                                            \
    "FROM learnhub.availabilities a "                                                                                  \
    "JOIN learnhub.users u ON u.id = :me::bigint "                                                                     \
    "WHERE a.id = :id::bigint AND a.deleted_at IS NULL AND (a.mentor_id = u.id OR u.role = 'admin')"

#define TOO_MANY "You may have at most 500 availabilities that have not ended."

/* ---- fields ---- */

static const lh_field availability_keys[] = {AVAILABILITY_KEYS, {0}};

static const lh_field availability_fields[] = {
    {.name = "start_time", .type = LH_TIME, .flags = LH_REQUIRED},
    {.name = "end_time",   .type = LH_TIME, .flags = LH_REQUIRED | LH_FUTURE},
    {0}};

static const lh_field directory_filters[] = {
    {.name = "mentor", .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX, .where = "a.mentor_id = :mentor::bigint",
     .note = "The pk of a mentor."},
    {0}};

static const lh_field own_filters[] = {
    {.name = "mentor", .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX, .enum_values = "all",
     .note = "The pk of a mentor, or all; default: the caller."},
    {0}};

/* ---- the directory: /availabilty ---- */

/* Availabilities of users who are not mentors or not active are not listed and cannot be booked. */
static const lh_route directory_routes[] = {
    {.name = "availabilty.list", .method = "GET", .path = "/availabilty/",
     .summary = "List the availabilities that have not ended, by start.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED | LH_STANDBY,
     .query = directory_filters,
     .sql = {"SELECT " AVAILABILITY_COLUMNS
             "FROM learnhub.availabilities a "
             "JOIN learnhub.users u ON u.id = a.mentor_id "
             "WHERE a.deleted_at IS NULL AND u.is_mentor AND u.is_active AND a.ends_at > now() :filters "
             "ORDER BY a.starts_at, a.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = availability_keys},

    {.name = "availabilty.create", .method = "POST", .path = "/availabilty/",
     .summary = "Create an availability; for mentors.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = availability_fields,
     .sql = {MENTOR_LOCK, NEW_AVAILABILITY},
     .shape = LH_ONE,
     .status = 201,
     .returns = availability_keys,
     .errors = (const lh_route_error[]){
         {"mentor", 403, NULL, "Only mentors can create availabilities."},
         {"availabilities_order_check",  400, "non_field_errors", "The end must be after the start."},
         {"availabilities_overlap_excl", 400, "non_field_errors", "This overlaps another of your availabilities."},
         {"availabilities_limit",        400, "non_field_errors", TOO_MANY},
         {0}}},

    {.name = "availabilty.delete", .method = "DELETE", .path = "/availabilty/{id:int}/",
     .summary = "Delete an availability, and cancel the future sessions in it.",
     .roles = LH_MEMBER,
     .sql = {AVAILABILITY_LOCK, AVAILABILITY_REMOVAL},
     .rate = LH_RATE_MAIL,
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"missing", 404, NULL, "Availability not found."},
         {"owner",   403, NULL, "This availability belongs to another user."},
         {0}}},

    {0}};

const lh_route_group lh_group_availabilities = {
    .name = "mentoring",
    .title = "Availabilities of all mentors",
    .prefixes = (const char *const[]){"/availabilty", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = directory_routes};

/* ---- the caller's own: /availability ---- */

static const lh_route own_routes[] = {
    {.name = "availability.list", .method = "GET", .path = "/availability/",
     .summary = "List the caller's availabilities that have not ended, by start, or those of one mentor or of all.",
     .roles = LH_MEMBER,
     .flags = LH_UNPAGED,
     .query = own_filters,
     /* The caller's own are listed even without the mentor flag, so that they can be deleted. */
     .sql = {"SELECT " AVAILABILITY_COLUMNS
             "FROM learnhub.availabilities a "
             "JOIN learnhub.users u ON u.id = a.mentor_id "
             "WHERE a.deleted_at IS NULL AND (:mentor::text IS NULL OR u.is_mentor AND u.is_active) "
             "  AND a.ends_at > now() AND " SELECTED_USERS
             "ORDER BY a.starts_at, a.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .shape = LH_ALL,
     .returns = availability_keys},

    {.name = "availability.create", .method = "POST", .path = "/availability/",
     .summary = "Create an availability; for mentors.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = availability_fields,
     .sql = {MENTOR_LOCK, NEW_AVAILABILITY},
     .shape = LH_ONE,
     .status = 201,
     .returns = availability_keys,
     .errors = (const lh_route_error[]){
         {"mentor", 403, NULL, "Only mentors can create availabilities."},
         {"availabilities_order_check",  400, NULL, "The end must be after the start."},
         {"availabilities_overlap_excl", 400, NULL, "This overlaps another of your availabilities."},
         {"availabilities_limit",        400, NULL, TOO_MANY},
         {0}}},

    {.name = "availability.delete", .method = "DELETE", .path = "/availability/{id:int}/",
     .summary = "Delete an availability, and cancel the future sessions in it.",
     .roles = LH_MEMBER,
     .sql = {AVAILABILITY_LOCK, AVAILABILITY_REMOVAL},
     .rate = LH_RATE_MAIL,
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"missing", 404, NULL, "Availability not found."},
         {"owner",   403, NULL, "This availability belongs to another user."},
         {0}}},

    {0}};

const lh_route_group lh_group_own_availabilities = {
    .name = "mentoring",
    .title = "The caller's availabilities",
    .prefixes = (const char *const[]){"/availability", NULL},
    .error_format = LH_ERRORS_LIST,
    .time_format = LH_SECONDS_Z,
    .routes = own_routes};

/* clang-format on */
