/* SPDX-License-Identifier: Apache-2.0 */
/* Administration of accounts: /api/admin. The operator creates the first admin with learnhub.set_role(). */
#include "api/shared.h"

/* clang-format off */

#define USER_COLUMNS                                                                                                   \
    "u.id, u.username, u.email, u.first_name, u.last_name, u.role, u.requested_role, u.is_mentor, "                    \
    "u.is_mentee, u.is_active, u.phone_number, u.created_at "

static const lh_field user_keys[] = {
    {.name = "id",             .type = LH_INTEGER, .object = "AdminUser"},
    {.name = "username",       .type = LH_STRING},
    {.name = "email",          .type = LH_EMAIL},
    {.name = "first_name",     .type = LH_STRING},
    {.name = "last_name",      .type = LH_STRING},
    {.name = "role",           .type = LH_STRING, .enum_values = ROLE_NAMES},
    {.name = "requested_role", .type = LH_STRING, .flags = LH_NULL, .enum_values = "instructor"},
    {.name = "is_mentor",      .type = LH_BOOLEAN},
    {.name = "is_mentee",      .type = LH_BOOLEAN},
    {.name = "is_active",      .type = LH_BOOLEAN},
    {.name = "phone_number",   .type = LH_STRING, .flags = LH_NULL},
    {.name = "created_at",     .type = LH_TIME},
    {0}};

static const lh_field user_filters[] = {
    {.name = "q", .type = LH_STRING, .max = 254,
     .where = "position(lower(:q::text) IN "
              "lower(u.username || ' ' || u.email || ' ' || u.first_name || ' ' || u.last_name)) > 0",
     .note = "Part of a name or of an e-mail address, case-insensitive."},
    {.name = "requested_role", .type = LH_STRING, .enum_values = "instructor",
     .where = "u.requested_role = :requested_role::text"},
    {0}};

static const lh_field change_fields[] = {
    {.name = "role",      .type = LH_STRING, .enum_values = ROLE_NAMES},
    {.name = "is_active", .type = LH_BOOLEAN},
    {0}};

static const lh_field audit_keys[] = {
    {.name = "id",      .type = LH_INTEGER, .object = "AuditEntry"},
    {.name = "at",      .type = LH_TIME},
    {.name = "event",   .type = LH_STRING},
    {.name = "user",    .type = LH_INTEGER, .flags = LH_NULL, .note = "The account concerned."},
    {.name = "actor",   .type = LH_INTEGER, .flags = LH_NULL, .note = "Who acted; null: nobody logged in."},
    {.name = "address", .type = LH_STRING, .flags = LH_NULL, .note = "Of the client; null: changed by SQL."},
    {.name = "detail",  .type = LH_STRING, .example = "student to instructor"},
    {0}};

static const lh_field audit_filters[] = {
    {.name = "user",  .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX},
    {.name = "event", .type = LH_STRING, .max = 40},
    {.name = "since", .type = LH_TIME},
    {.name = "until", .type = LH_TIME},
    {0}};

#define AUDIT_FILTERS ":user::bigint, :event::text, :since::timestamptz, :until::timestamptz"

static const lh_route routes[] = {
    {.name = "admin.users", .method = "GET", .path = "/api/admin/users/",
     .summary = "List all accounts, oldest first.",
     .roles = LH_ADMIN,
     .flags = LH_STANDBY,
     .query = user_filters,
     .count = "SELECT count(*) "
              "FROM learnhub.users u "
              "WHERE u.deleted_at IS NULL :filters",
     .sql = {"SELECT " USER_COLUMNS
             "FROM learnhub.users u "
             "WHERE u.deleted_at IS NULL :filters "
             "ORDER BY u.id "
             "LIMIT :limit::bigint OFFSET :offset::bigint"},
     .rate = LH_RATE_SEARCH,
     .shape = LH_PAGE,
     .returns = user_keys,
     .errors = (const lh_route_error[]){
         {"role", 403, NULL, "Only admins may do this."},
         {0}}},

    {.name = "admin.user", .method = "PATCH", .path = "/api/admin/users/{id:int}/",
     .summary = "Change the role or the activation of an account; a role decides the open request.",
     .roles = LH_ADMIN,
     .flags = LH_REVOKES,
     .body = change_fields,
     .sql = {ACTING,

             "UPDATE learnhub.users u "
             "SET role = coalesce(:role, u.role), is_active = coalesce(:is_active::boolean, u.is_active), "
             "    requested_role = CASE WHEN :role::text IS NULL THEN u.requested_role END "
             "WHERE u.id = :id::bigint AND u.deleted_at IS NULL",

             "SELECT learnhub.audited() AS _audit, " USER_COLUMNS
             "FROM learnhub.users u "
             "WHERE u.id = :id::bigint AND u.deleted_at IS NULL"},
     .shape = LH_ONE,
     .returns = user_keys,
     .examples = (const lh_route_example[]){{"requested_role", "null", 0}, {0}},
     .errors = (const lh_route_error[]){
         {"missing", 404, NULL, "User not found."},
         {"role",    403, NULL, "Only admins may do this."},
         {0}}},

    {.name = "admin.audit", .method = "GET", .path = "/api/admin/audit/",
     .summary = "List the 10,000 newest entries of the audit log that the filters select, newest first.",
     .roles = LH_ADMIN,
     .query = audit_filters,
     .count = "SELECT count(*) "
              "FROM learnhub.audit_entries(" AUDIT_FILTERS ")",
     .sql = {"SELECT a.id, a.at, a.event, a.user_id AS user, a.actor_id AS actor, a.address, a.detail "
             "FROM learnhub.audit_entries(" AUDIT_FILTERS ", :limit::bigint, :offset::bigint) a"},
     .shape = LH_PAGE,
     .returns = audit_keys,
     .errors = (const lh_route_error[]){
         {"role", 403, NULL, "Only admins may do this."},
         {0}}},

    {0}};

const lh_route_group lh_group_admin = {
    .name = "admin",
    .title = "Administration",
    .prefixes = (const char *const[]){"/api/admin", NULL},
    .error_format = LH_ERRORS_DETAIL,
    .time_format = LH_SECONDS_Z,
    .routes = routes};

/* clang-format on */
