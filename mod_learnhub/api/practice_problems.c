/* SPDX-License-Identifier: Apache-2.0 */
/* Practice problems: /problems. */
#include <apr_lib.h>
#include <string.h>

#include "api/shared.h"

/* 1 when all texts that match `q` contain the same three letters or digits, or if there are at most two characters:
 * then PostgreSQL need not read most of the texts. */
static int uses_index(const char *q)
{
    int special = strpbrk(q, "\\^$.|?*+()[]{}") != NULL, characters = 0, run = 0, longest = 0;

    for (; *q; q++) {
        if ((*q & 0xC0) == 0x80) {
            continue; /* not the first byte of a character */
        }
        run = apr_isalnum(*q) || (*q & 0x80) ? run + 1 : 0;
        longest = run > longest ? run : longest;
        characters++;
    }
    return characters < 3 || (!special && longest > 2);
}

/* Adds `query` to the response. Of searches that may need all of their time, a caller may have one at once. */
static lh_error *classify_search(lh_call *call)
{
    const char *q = lh_param(call, "q");

    lh_reply_string(call, "query", q);
    return uses_index(q) ? NULL : lh_share_take(call, LH_SHARE_EXPRESSION);
}

static const lh_step classify = {.name = "classify_search", .run = classify_search, .adds = "query"};

/* clang-format off */

#define PROBLEM_COLUMNS                                                                                                \
    "p.id, p.title, p.description, p.difficulty, p.categories, p.estimated_time, p.requirements, p.constraints, "      \
    "p.hints, (SELECT email FROM learnhub.users WHERE id = p.created_by) AS created_by, p.created_at, p.updated_at "

/* The name of the counts in list_counts, or NULL if filters select problems that it does not count. */
#define COUNTED "CASE WHEN :category::text IS NULL THEN 'problems' END"

/*
 * The subqueries compute the patterns once per statement, so that the trigram index can be used. One or two characters
 * have no trigram of their own, and descriptions are long: the patterns for them select the titles that have a word
 * which begins with them, and no description.
 */
#define PROBLEM_MATCHES                                                                                                \
    "(p.title ~* (SELECT learnhub.title_pattern(:q)) OR p.description ~* (SELECT learnhub.description_pattern(:q))) "

#define PROBLEM_NOT_FOUND {"missing", 404, NULL, "Problem not found."}
#define PROBLEM_TOO_LARGE {"problems_size_check", 422, "description", "A problem may have at most 65536 bytes in all."}

static const lh_field problem_keys[] = {
    {.name = "id",             .type = LH_OBJECT_ID, .object = "Problem"},
    {.name = "title",          .type = LH_STRING},
    {.name = "description",    .type = LH_STRING},
    {.name = "difficulty",     .type = LH_STRING, .enum_values = "easy medium hard"},
    {.name = "categories",     .type = LH_STRINGS},
    {.name = "estimated_time", .type = LH_STRING},
    {.name = "requirements",   .type = LH_STRINGS},
    {.name = "constraints",    .type = LH_STRINGS},
    {.name = "hints",          .type = LH_STRINGS},
    {.name = "created_by",     .type = LH_EMAIL, .note = "The creator's current e-mail address."},
    {.name = "created_at",     .type = LH_TIME},
    {.name = "updated_at",     .type = LH_TIME},
    {0}};

static const lh_field create_fields[] = {
    {.name = "title",          .type = LH_STRING, .flags = LH_REQUIRED | LH_TRIM, .min = 1, .max = 200},
    {.name = "description",    .type = LH_STRING, .flags = LH_REQUIRED, .min = 1},
    {.name = "difficulty",     .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "easy medium hard"},
    {.name = "categories",     .type = LH_STRINGS, .flags = LH_NULL},
    {.name = "estimated_time", .type = LH_STRING, .flags = LH_TRIM | LH_NULL, .min = 1, .max = 50},
    {.name = "requirements",   .type = LH_STRINGS, .flags = LH_NULL},
    {.name = "constraints",    .type = LH_STRINGS, .flags = LH_NULL},
    {.name = "hints",          .type = LH_STRINGS, .flags = LH_NULL},
    {0}};

static const lh_field update_fields[] = {
    {.name = "title",          .type = LH_STRING, .flags = LH_TRIM | LH_NULL, .min = 1, .max = 200},
    {.name = "description",    .type = LH_STRING, .flags = LH_NULL, .min = 1},
    {.name = "difficulty",     .type = LH_STRING, .flags = LH_NULL, .enum_values = "easy medium hard"},
    {.name = "categories",     .type = LH_STRINGS, .flags = LH_NULL},
    {.name = "estimated_time", .type = LH_STRING, .flags = LH_TRIM | LH_NULL, .min = 1, .max = 50},
    {.name = "requirements",   .type = LH_STRINGS, .flags = LH_NULL},
    {.name = "constraints",    .type = LH_STRINGS, .flags = LH_NULL},
    {.name = "hints",          .type = LH_STRINGS, .flags = LH_NULL},
    {0}};

static const lh_field filter_fields[] = {
    {.name = "difficulty", .type = LH_STRING, .enum_values = "easy medium hard",
     .where = "p.difficulty = :difficulty::text"},
    {.name = "category",   .type = LH_STRING, .min = 1, .max = 200,
     .where = "p.category_keys @> ARRAY[lower(:category::text)]",
     .note = "One of the problem's categories, regardless of case."},
    {0}};

static const lh_field search_fields[] = {
    {.name = "q", .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 1000,
     .note = "A case-insensitive PostgreSQL regular expression; an invalid one is searched literally."},
    {0}};

static const lh_route routes[] = {
    {.name = "problems.create", .method = "POST", .path = "/problems/",
     .summary = "Create a problem.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = create_fields,
     .sql = {"INSERT INTO learnhub.problems AS p "
             "    (title, description, difficulty, categories, estimated_time, "
             "     requirements, constraints, hints, created_by) "
             "VALUES (:title, :description, :difficulty, "
             "        coalesce(:categories::jsonb, '[]'), coalesce(:estimated_time, '30 mins'), "
             "        coalesce(:requirements::jsonb, '[]'), coalesce(:constraints::jsonb, '[]'), "
             "        coalesce(:hints::jsonb, '[]'), :me::bigint) "
             "RETURNING " PROBLEM_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "Problem created successfully",
     .key = "problem",
     .returns = problem_keys,
     .errors = (const lh_route_error[]){PROBLEM_TOO_LARGE, {0}}},

    {.name = "problems.list", .method = "GET", .path = "/problems/",
     .summary = "List problems, newest first.",
     .flags = LH_STANDBY,
     .query = filter_fields,
     .count = "SELECT CASE WHEN " COUNTED " IS NULL "
              "            THEN (SELECT count(*) FROM learnhub.problems p WHERE true :filters) "
              "            ELSE " LIST_COUNT("problems", ":difficulty") " END",
     .sql = {"SELECT " PROBLEM_COLUMNS
             "FROM learnhub.problems p "
             "WHERE true :filters "
             "ORDER BY p.created_at DESC, p.id DESC "
             "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .deep_sql = DEEP_PAGE("learnhub.problems", "p", COUNTED, ":difficulty", ":skip")
                 "SELECT " PROBLEM_COLUMNS
                 "FROM page "
                 "JOIN learnhub.problems p ON p.id = page.id "
                 "ORDER BY p.created_at DESC, p.id DESC",
     .depends = "problems creators",
     .shape = LH_SKIP_LIMIT,
     .key = "problems",
     .returns = problem_keys},

    {.name = "problems.mine", .method = "GET", .path = "/problems/user/my-problems",
     .summary = "List the caller's problems, newest first.",
     .roles = LH_MEMBER,
     .count = "SELECT count(*) "
              "FROM learnhub.problems "
              "WHERE created_by = :me::bigint",
     .sql = {"SELECT " PROBLEM_COLUMNS
             "FROM learnhub.problems p "
             "WHERE " OF_CALLER("p.created_by")
             "ORDER BY p.created_by, p.created_at DESC, p.id DESC "
             "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .depends = "problems creators",
     .shape = LH_SKIP_LIMIT,
     .key = "problems",
     .returns = problem_keys},

    {.name = "problems.search", .method = "GET", .path = "/problems/search/query",
     .summary = "Search titles and descriptions, newest first.",
     .flags = LH_STANDBY,
     .query = search_fields,
     .before = {&classify},
     .count = "SELECT count(*) "
              "FROM learnhub.problems p "
              "WHERE " PROBLEM_MATCHES,
     /* MATERIALIZED: otherwise the planner may scan all problems, newest first, even if few of them match. */
     .sql = {"WITH matches AS MATERIALIZED ("
             "    SELECT p.id "
             "    FROM learnhub.problems p "
             "    WHERE " PROBLEM_MATCHES ") "
             "SELECT " PROBLEM_COLUMNS
             "FROM learnhub.problems p "
             "WHERE p.id IN (SELECT id FROM matches) "
             "ORDER BY p.created_at DESC, p.id DESC "
             "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .timeout_ms = 1000,
     .rate = LH_RATE_SEARCH,
     .share = LH_SHARE_SEARCH,
     .depends = "problems creators",
     .shape = LH_SKIP_LIMIT,
     .key = "problems",
     .returns = problem_keys,
     .errors = (const lh_route_error[]){
         {"slow", 422, "q", "The search takes too long. Use a simpler expression."},
         {0}}},

    {.name = "problems.get", .method = "GET", .path = "/problems/{id:oid}",
     .summary = "Get a problem.",
     .flags = LH_SHORT,
     .lock = "SELECT FROM learnhub.problems "
             "WHERE id = decode(:id, 'hex') "
             "FOR UPDATE",
     .sql = {"SELECT " PROBLEM_COLUMNS
             "FROM learnhub.problems p "
             "WHERE p.id = decode(:id, 'hex')"},
     .depends = "problem:{id} creators",
     .shape = LH_ONE,
     .returns = problem_keys,
     .errors = (const lh_route_error[]){PROBLEM_NOT_FOUND, {0}}},

    {.name = "problems.update", .method = "PUT", .path = "/problems/{id:oid}",
     .summary = "Change a problem; null leaves a field unchanged.",
     .roles = LH_MEMBER,
     .body = update_fields,
     .sql = {"SELECT CASE WHEN created_by <> :me::bigint THEN 'creator' END AS \"!\" "
             "FROM learnhub.problems "
             "WHERE id = decode(:id, 'hex') "
             "FOR UPDATE",

             "UPDATE learnhub.problems p "
             "SET title = coalesce(:title, title), "
             "    description = coalesce(:description, description), "
             "    difficulty = coalesce(:difficulty, difficulty), "
             "    categories = coalesce(:categories::jsonb, categories), "
             "    estimated_time = coalesce(:estimated_time, estimated_time), "
             "    requirements = coalesce(:requirements::jsonb, requirements), "
             "    constraints = coalesce(:constraints::jsonb, constraints), "
             "    hints = coalesce(:hints::jsonb, hints), "
             "    updated_at = now() "
             "WHERE id = decode(:id, 'hex') AND created_by = :me::bigint "
             "RETURNING " PROBLEM_COLUMNS},
     .shape = LH_ONE,
     .message = "Problem updated successfully",
     .key = "problem",
     .returns = problem_keys,
     .errors = (const lh_route_error[]){
         PROBLEM_NOT_FOUND,
         {"creator", 403, NULL, "Only the creator can change this problem."},
         PROBLEM_TOO_LARGE,
         {0}}},

    {.name = "problems.delete", .method = "DELETE", .path = "/problems/{id:oid}",
     .summary = "Delete one of the caller's problems.",
     .roles = LH_MEMBER,
     .sql = {"DELETE FROM learnhub.problems "
             "WHERE id = decode(:id, 'hex') AND created_by = :me::bigint "
             "RETURNING id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Problem not found, or not yours to delete."}, {0}}},

    {0}};

const lh_route_group lh_group_problems = {
    .name = "practice",
    .title = "Practice problems",
    .prefixes = (const char *const[]){"/problems", NULL},
    .error_format = LH_ERRORS_LOCATED,
    .time_format = LH_SECONDS,
    .routes = routes};

/* clang-format on */
