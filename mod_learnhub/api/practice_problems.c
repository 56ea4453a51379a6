/* SPDX-License-Identifier: Apache-2.0 */
/* Practice problems: /problems. The document is seeds' practice; contract section 2 settles the rest. */
#include <string.h>

#include "learnhub.h"

/* `q` is echoed as `query`. What has no sign of an expression cannot be a hostile one, and waits for none. */
static lh_error *classify_search(lh_call *call)
{
    const char *q = lh_param(call, "q");

    lh_reply_string(call, "query", q);
    if (!strpbrk(q, "\\^$.|?*+()[]{}")) {
        lh_lift_timeout(call);
    }
    return NULL;
}

static const lh_step classify = {.name = "classify_search", .run = classify_search};

#define COLUMNS                                                                                                        \
    "p.id, p.title, p.description, p.difficulty, p.categories, p.estimated_time, p.requirements, p.constraints, "      \
    "p.hints, (SELECT email FROM learnhub.users WHERE id = p.created_by) AS created_by, p.created_at, p.updated_at "
#define LISTED "SELECT " COLUMNS "FROM learnhub.problems p WHERE "
#define COUNTED "SELECT count(*) FROM learnhub.problems p WHERE "
#define NEWEST_FIRST " ORDER BY p.created_at DESC, p.id DESC LIMIT :limit::bigint OFFSET :skip::bigint"
#define MINE "p.created_by = :me::bigint"

/* The pattern is made once, in a subquery of its own, and served by the trigram index. What matches is found before it
 * is sorted, or a rare word would be sought along the index of the newest. */
#define PATTERN "(SELECT learnhub.search_pattern(:q))"
#define MATCHES "(p.title ~* " PATTERN " OR p.description ~* " PATTERN ")"
#define SEARCH_MILLISECONDS 1000

static const lh_field keys[] = {
    {.name = "id", .type = LH_OBJECT_ID},
    {.name = "title", .type = LH_STRING},
    {.name = "description", .type = LH_STRING},
    {.name = "difficulty", .type = LH_STRING, .enum_values = "easy medium hard"},
    {.name = "categories", .type = LH_STRINGS},
    {.name = "estimated_time", .type = LH_STRING},
    {.name = "requirements", .type = LH_STRINGS},
    {.name = "constraints", .type = LH_STRINGS},
    {.name = "hints", .type = LH_STRINGS},
    {.name = "created_by", .type = LH_EMAIL, .note = "The creator's present e-mail address."},
    {.name = "created_at", .type = LH_TIME},
    {.name = "updated_at", .type = LH_TIME},
    {0}};

#define TITLE .name = "title", .type = LH_STRING, .min = 1, .max = 200
#define DESCRIPTION .name = "description", .type = LH_STRING, .min = 1
#define DIFFICULTY .name = "difficulty", .type = LH_STRING, .enum_values = "easy medium hard"
#define OPTIONAL                                                                                                       \
    {.name = "categories", .type = LH_STRINGS, .flags = LH_NULL},                                                      \
        {.name = "estimated_time", .type = LH_STRING, .flags = LH_TRIM | LH_NULL, .min = 1, .max = 50},                \
        {.name = "requirements", .type = LH_STRINGS, .flags = LH_NULL},                                                \
        {.name = "constraints", .type = LH_STRINGS, .flags = LH_NULL},                                                 \
    {                                                                                                                  \
        .name = "hints", .type = LH_STRINGS, .flags = LH_NULL                                                          \
    }

static const lh_field create_fields[] = {{TITLE, .flags = LH_REQUIRED | LH_TRIM},
                                         {DESCRIPTION, .flags = LH_REQUIRED},
                                         {DIFFICULTY, .flags = LH_REQUIRED},
                                         OPTIONAL,
                                         {0}};

static const lh_field update_fields[] = {{TITLE, .flags = LH_TRIM | LH_NULL},
                                         {DESCRIPTION, .flags = LH_NULL},
                                         {DIFFICULTY, .flags = LH_NULL},
                                         OPTIONAL,
                                         {0}};

static const lh_field search_fields[] = {{.name = "q",
                                          .type = LH_STRING,
                                          .flags = LH_REQUIRED,
                                          .min = 1,
                                          .max = 1000,
                                          .note = "A regular expression as PostgreSQL knows them, without regard to "
                                                  "case; what is none is searched literally."},
                                         {0}};

#define SIZE                                                                                                           \
    {                                                                                                                  \
        "problems_size_check", 422, "description", "A problem may have at most 65536 bytes in all."                    \
    }
#define MISSING                                                                                                        \
    {                                                                                                                  \
        "missing", 404, NULL, "Problem not found."                                                                     \
    }

static const lh_route routes[] = {
    {.name = "problems.create",
     .method = "POST",
     .path = "/problems/",
     .roles = LH_MEMBER,
     .summary = "Create a problem.",
     .body = create_fields,
     .sql = {"INSERT INTO learnhub.problems AS p (title, description, difficulty, categories, estimated_time, "
             "requirements, constraints, hints, created_by) VALUES (:title, :description, :difficulty, "
             "coalesce(:categories::jsonb, '[]'), coalesce(:estimated_time, '30 mins'), "
             "coalesce(:requirements::jsonb, '[]'), coalesce(:constraints::jsonb, '[]'), "
             "coalesce(:hints::jsonb, '[]'), :me::bigint) RETURNING " COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "Problem created successfully",
     .key = "problem",
     .returns = keys,
     .errors = (const lh_route_error[]){SIZE, {0}}},
    {.name = "problems.list",
     .method = "GET",
     .path = "/problems/",
     .summary = "All problems, newest first.",
     .count = COUNTED "true",
     .sql = {LISTED "true" NEWEST_FIRST},
     .shape = LH_SKIP_LIMIT,
     .key = "problems",
     .returns = keys},
    {.name = "problems.mine",
     .method = "GET",
     .path = "/problems/user/my-problems",
     .roles = LH_MEMBER,
     .summary = "The problems the caller created, newest first.",
     .count = COUNTED MINE,
     .sql = {LISTED MINE NEWEST_FIRST},
     .shape = LH_SKIP_LIMIT,
     .key = "problems",
     .returns = keys},
    {.name = "problems.search",
     .method = "GET",
     .path = "/problems/search/query",
     .summary = "Problems whose title or description matches, newest first.",
     .query = search_fields,
     .before = {&classify},
     .timeout_ms = SEARCH_MILLISECONDS,
     .count = COUNTED MATCHES,
     .sql = {"WITH hits AS MATERIALIZED (SELECT p.id FROM learnhub.problems p WHERE " MATCHES ") " LISTED
             "p.id IN (SELECT id FROM hits)" NEWEST_FIRST},
     .shape = LH_SKIP_LIMIT,
     .key = "problems",
     .returns = keys,
     .errors =
         (const lh_route_error[]){{"slow", 422, "q", "This takes too long to find. Search for something simpler."},
                                  {0}}},
    {.name = "problems.get",
     .method = "GET",
     .path = "/problems/{id:oid}",
     .summary = "One problem.",
     .sql = {LISTED "p.id = decode(:id, 'hex')"},
     .shape = LH_ONE,
     .returns = keys,
     .errors = (const lh_route_error[]){MISSING, {0}}},
    {.name = "problems.update",
     .method = "PUT",
     .path = "/problems/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "Change a problem; null leaves a field as it is.",
     .body = update_fields,
     .sql = {"SELECT CASE WHEN created_by <> :me::bigint THEN 'creator' END AS \"!\" FROM learnhub.problems "
             "WHERE id = decode(:id, 'hex') FOR UPDATE",
             "UPDATE learnhub.problems p SET title = coalesce(:title, title), "
             "description = coalesce(:description, description), difficulty = coalesce(:difficulty, difficulty), "
             "categories = coalesce(:categories::jsonb, categories), "
             "estimated_time = coalesce(:estimated_time, estimated_time), "
             "requirements = coalesce(:requirements::jsonb, requirements), "
             "constraints = coalesce(:constraints::jsonb, constraints), hints = coalesce(:hints::jsonb, hints), "
             "updated_at = now() WHERE id = decode(:id, 'hex') AND " MINE " RETURNING " COLUMNS},
     .shape = LH_ONE,
     .message = "Problem updated successfully",
     .key = "problem",
     .returns = keys,
     .errors =
         (const lh_route_error[]){
             MISSING, {"creator", 403, NULL, "Only the creator can change this problem."}, SIZE, {0}}},
    {.name = "problems.delete",
     .method = "DELETE",
     .path = "/problems/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "Delete a problem of the caller's.",
     .sql = {"DELETE FROM learnhub.problems p WHERE id = decode(:id, 'hex') AND " MINE " RETURNING id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Problem not found, or not yours to delete."}, {0}}},
    {0}};

const lh_route_group lh_group_problems = {.name = "practice",
                                          .title = "Practice problems",
                                          .prefixes = (const char *const[]){"/problems", NULL},
                                          .error_format = LH_ERRORS_LOCATED,
                                          .time_format = LH_SECONDS,
                                          .routes = routes};
