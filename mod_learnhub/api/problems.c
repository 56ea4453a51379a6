/* SPDX-License-Identifier: Apache-2.0 */
/* Practice problems: /problems. The document is seeds' practice; contract section 2 settles the rest. */
#include <string.h>

#include "learnhub.h"

/* `q` is echoed as `query`. What has no sign of an expression cannot be a hostile one, and waits for none. */
static lh_problem *search(lh_call *call)
{
    const char *q = lh_text(call, "q");

    lh_answer_text(call, "query", q);
    if (!strpbrk(q, "\\^$.|?*+()[]{}")) {
        lh_unbound(call);
    }
    return lh_run(call);
}

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
    {.name = "title", .type = LH_TEXT},
    {.name = "description", .type = LH_TEXT},
    {.name = "difficulty", .type = LH_TEXT, .one_of = "easy medium hard"},
    {.name = "categories", .type = LH_TEXTS},
    {.name = "estimated_time", .type = LH_TEXT},
    {.name = "requirements", .type = LH_TEXTS},
    {.name = "constraints", .type = LH_TEXTS},
    {.name = "hints", .type = LH_TEXTS},
    {.name = "created_by", .type = LH_EMAIL, .note = "The creator's present e-mail address."},
    {.name = "created_at", .type = LH_TIME},
    {.name = "updated_at", .type = LH_TIME},
    {0}};

#define TITLE .name = "title", .type = LH_TEXT, .min = 1, .max = 200
#define DESCRIPTION .name = "description", .type = LH_TEXT, .min = 1
#define DIFFICULTY .name = "difficulty", .type = LH_TEXT, .one_of = "easy medium hard"
#define OPTIONAL                                                                                                       \
    {.name = "categories", .type = LH_TEXTS, .flags = LH_NULL},                                                        \
        {.name = "estimated_time", .type = LH_TEXT, .flags = LH_TRIM | LH_NULL, .min = 1, .max = 50},                  \
        {.name = "requirements", .type = LH_TEXTS, .flags = LH_NULL},                                                  \
        {.name = "constraints", .type = LH_TEXTS, .flags = LH_NULL},                                                   \
    {                                                                                                                  \
        .name = "hints", .type = LH_TEXTS, .flags = LH_NULL                                                            \
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

#define WINDOW                                                                                                         \
    {.name = "skip", .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX, .initial = "0"},                              \
    {                                                                                                                  \
        .name = "limit", .type = LH_INTEGER, .min = 1, .max = 100, .initial = "100"                                    \
    }

static const lh_field window[] = {WINDOW, {0}};
static const lh_field search_fields[] = {{.name = "q",
                                          .type = LH_TEXT,
                                          .flags = LH_REQUIRED,
                                          .min = 1,
                                          .max = 1000,
                                          .note = "A regular expression as PostgreSQL knows them, without regard to "
                                                  "case; what is none is searched literally."},
                                         WINDOW,
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
     .who = LH_MEMBER,
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
     .refusals = (const lh_refusal[]){SIZE, {0}}},
    {.name = "problems.list",
     .method = "GET",
     .path = "/problems/",
     .summary = "All problems, newest first.",
     .query = window,
     .count = COUNTED "true",
     .sql = {LISTED "true" NEWEST_FIRST},
     .shape = LH_WINDOW,
     .key = "problems",
     .returns = keys},
    {.name = "problems.mine",
     .method = "GET",
     .path = "/problems/user/my-problems",
     .who = LH_MEMBER,
     .summary = "The problems the caller created, newest first.",
     .query = window,
     .count = COUNTED MINE,
     .sql = {LISTED MINE NEWEST_FIRST},
     .shape = LH_WINDOW,
     .key = "problems",
     .returns = keys},
    {.name = "problems.search",
     .method = "GET",
     .path = "/problems/search/query",
     .summary = "Problems whose title or description matches, newest first.",
     .query = search_fields,
     .handler = search,
     .bound = SEARCH_MILLISECONDS,
     .count = COUNTED MATCHES,
     .sql = {"WITH hits AS MATERIALIZED (SELECT p.id FROM learnhub.problems p WHERE " MATCHES ") " LISTED
             "p.id IN (SELECT id FROM hits)" NEWEST_FIRST},
     .shape = LH_WINDOW,
     .key = "problems",
     .returns = keys,
     .refusals =
         (const lh_refusal[]){{"slow", 422, "q", "This takes too long to find. Search for something simpler."}, {0}}},
    {.name = "problems.get",
     .method = "GET",
     .path = "/problems/{id:oid}",
     .summary = "One problem.",
     .sql = {LISTED "p.id = decode(:id, 'hex')"},
     .shape = LH_ONE,
     .returns = keys,
     .refusals = (const lh_refusal[]){MISSING, {0}}},
    {.name = "problems.update",
     .method = "PUT",
     .path = "/problems/{id:oid}",
     .who = LH_MEMBER,
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
     .refusals =
         (const lh_refusal[]){MISSING, {"creator", 403, NULL, "Only the creator can change this problem."}, SIZE, {0}}},
    {.name = "problems.delete",
     .method = "DELETE",
     .path = "/problems/{id:oid}",
     .who = LH_MEMBER,
     .summary = "Delete a problem of the caller's.",
     .sql = {"DELETE FROM learnhub.problems p WHERE id = decode(:id, 'hex') AND " MINE " RETURNING id"},
     .shape = LH_NOTHING,
     .refusals = (const lh_refusal[]){{"missing", 404, NULL, "Problem not found, or not yours to delete."}, {0}}},
    {0}};

const lh_api lh_api_problems = {.name = "practice",
                                .title = "Practice problems",
                                .prefixes = (const char *const[]){"/problems", NULL},
                                .problems = LH_LOCATED,
                                .times = LH_SECONDS,
                                .routes = routes};
