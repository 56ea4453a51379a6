/* SPDX-License-Identifier: Apache-2.0 */
/* The route table: invalid routes are reported by name, paths match their routes, Allow lists the path's methods. */
#include "http/route.h"

#include <apr_strings.h>

#include "tap.h"

static lh_error *succeed(lh_call *call)
{
    (void)call;
    return NULL;
}

static const lh_step step = {.name = "step", .run = succeed};
static const lh_step binding = {.name = "binding", .run = succeed, .binds = "salt hash"};
static const lh_step reading = {.name = "reading", .run = succeed, .fields = "title|name password"};
static const lh_step querying = {.name = "querying", .run = succeed, .extra_sql = 1, .columns = "_id _role"};
static const lh_step querying_twice = {.name = "querying_twice", .run = succeed, .extra_sql = 2};
static const lh_step after = {.name = "after", .run = succeed, .columns = "_id"};

static const char *const prefixes[] = {"/api/things", "/good", "/x", NULL};
static const char *const table_prefixes[] = {"/", "/api/things", "/x", NULL};

/* Compiles a table of a valid route and this one; returns the error, or NULL. */
static const char *why_invalid(const lh_route *route)
{
    lh_route definitions[3] = {
        {.name = "good", .method = "GET", .path = "/good/{id:int}/", .summary = "S", .sql = {"SELECT"}}};
    lh_route_group group = {.name = "things", .prefixes = prefixes, .routes = definitions};
    const lh_route_group *groups[] = {&group, NULL};
    const char *why;
    const lh_routes *routes;

    definitions[1] = *route;
    routes = lh_routes_compile(tap_pool, groups, lh_statements_create(tap_pool), &why);
    return routes ? NULL : why;
}

/* ---- invalid routes ---- */

static const lh_field secret[] = {{.name = "password", .flags = LH_SECRET}, {.name = "title"}, {0}};
static const lh_field one_field[] = {{.name = "title"}, {0}};
static const lh_field nested[] = {{.name = "a", .type = LH_GROUP}, {.name = "a.b.c"}, {0}};
static const lh_field photo[] = {{.name = "photo", .type = LH_PHOTO}, {0}};
static const lh_field one_filter[] = {{.name = "q", .where = "title = :q"}, {0}};
static const lh_field bad_filter[] = {{.name = "q", .where = "title = :p"}, {0}};
static const lh_field five_filters[] = {{.name = "a", .where = "x"}, {.name = "b", .where = "x"},
                                        {.name = "c", .where = "x"}, {.name = "d", .where = "x"},
                                        {.name = "e", .where = "x"}, {0}};

static const lh_route_example examples[] = {{"text/html", "<p>", 0}, {"status", "open", 0}, {0}};
static const lh_field status_key[] = {{.name = "status", .type = LH_STRING}, {0}};
static const lh_route_error field_errors[] = {
    {"taken", 400, "title", "T."}, {"wrong", 400, "non_field_errors", "W."}, {"gone", 404, NULL, "G."}, {0}};

#define ROUTE .name = "bad.route", .method = "POST", .path = "/x/{id:int}/", .summary = "S"
#define PAGED .sql = {"SELECT :limit, :offset"}, .shape = LH_PAGE, .count = "SELECT 1"
#define CACHED(topics)                                                                                                 \
    .name = "bad.route", .method = "GET", .path = "/x/{id:oid}/{n:int}/", .summary = "S", .roles = LH_MEMBER,          \
    .depends = topics

#define GET .name = "bad.route", .method = "GET", .path = "/x/{id:int}/", .summary = "S"

static const struct invalid_route {
    const char *expected; /* a part of the error; NULL: the route is valid */
    lh_route route;
} invalid_routes[] = {
    {NULL, {ROUTE, .sql = {"SELECT :id, :me, :title"}, .body = secret}},
    {NULL, {ROUTE, .before = {&step}}},
    {NULL, {ROUTE, .sql = {"SELECT :hash"}, .before = {&step, &binding}}},
    {NULL, {ROUTE, .before = {&reading}, .body = secret}},
    {NULL, {ROUTE, .before = {&querying}, .extra_sql = {"SELECT 1 AS _id, '' AS _role"}}},
    {NULL, {ROUTE, .sql = {"SELECT 1", "SELECT 1 AS _id"}, .after = {&after}}},
    {NULL, {ROUTE, .before = {&querying_twice}, .extra_sql = {"SELECT 1", "SELECT 1"}}},
    {NULL, {ROUTE, .sql = {"SELECT :a, :a_b_c"}, .body = nested}},
    {NULL, {ROUTE, .sql = {"SELECT :photo, :photo_type"}, .body = photo}},
    {NULL, {ROUTE, .sql = {"SELECT 1 AS _content, 2 AS _type, 3 AS _tag"}, .shape = LH_BYTES}},
    {NULL, {ROUTE, .sql = {"SELECT :skip, :limit"}, .shape = LH_ALL, .flags = LH_SLICED}},
    {NULL, {ROUTE, .sql = {"SELECT :limit, :offset"}, .shape = LH_ALL, .flags = LH_UNPAGED}},
    {"the GET route of its path needs a lock",
     {.name = "bad.route", .method = "PUT", .path = "/good/{id:int}/", .summary = "S", .sql = {"SELECT"}}},
    {"its method implies", {GET, .before = {&step}, .rate = LH_RATE_READ}},
    {"its method implies", {GET, .before = {&step}, .rate = LH_RATE_WRITE}},
    {"without authentication", {ROUTE, .roles = LH_MEMBER, .before = {&step}, .rate = LH_RATE_SIGNUP}},
    {"without authentication", {ROUTE, .roles = LH_ADMIN, .before = {&step}, .rate = LH_RATE_LOGIN}},
    {NULL, {ROUTE, .before = {&step}, .rate = LH_RATE_LOGIN}},
    {NULL, {ROUTE, .roles = LH_MEMBER, .before = {&step}, .rate = LH_RATE_MAIL}},
    {NULL, {GET, .before = {&step}, .rate = LH_RATE_SEARCH}},
    {"can have a lock", {ROUTE, .sql = {"SELECT"}, .lock = "SELECT"}},
    {"can have a lock", {GET, .sql = {"SELECT"}, .lock = "SELECT", .shape = LH_ALL}},
    {"can have a lock", {GET, .sql = {"SELECT"}, .lock = "SELECT", .before = {&step}}},
    {NULL, {GET, .sql = {"SELECT"}, .lock = "SELECT"}},
    {"reads the field title|name", {ROUTE, .before = {&reading}}},
    {"reads the field password", {ROUTE, .before = {&reading}, .body = one_field}},
    {"reads the field title|name", {ROUTE, .before = {&step, &reading}}},
    {"needs 1 extra statements", {ROUTE, .before = {&querying}}},
    {"needs 2 extra statements", {ROUTE, .before = {&querying_twice}, .extra_sql = {"SELECT 1"}}},
    {"reads the column _role", {ROUTE, .before = {&querying}, .extra_sql = {"SELECT 1 AS _id, '' AS _roles"}}},
    {"reads the column _role", {ROUTE, .before = {&querying}, .extra_sql = {"SELECT 1 AS _id, '' AS _role2"}}},
    {"reads the column _role", {ROUTE, .before = {&querying}, .extra_sql = {"SELECT 1 AS _id, '' AS _role_x"}}},
    {"reads the column _id", {ROUTE, .sql = {"SELECT 1 AS _id", "SELECT 1"}, .after = {&after}}},
    {"reads the column _id", {ROUTE, .sql = {"SELECT 1"}, .after = {&step, &after}}},
    {"reads the column _id", {ROUTE, .before = {&step}, .after = {&after}}},
    {"_content, _type and _tag", {ROUTE, .sql = {"SELECT 2 AS _type, 3 AS _tag"}, .shape = LH_BYTES}},
    {"_content, _type and _tag", {ROUTE, .sql = {"SELECT 1 AS _content, 3 AS _tag"}, .shape = LH_BYTES}},
    {"_content, _type and _tag", {ROUTE, .sql = {"SELECT 1 AS _content, 2 AS _type"}, .shape = LH_BYTES}},
    {"LH_STREAMED", {ROUTE, .sql = {"SELECT 1"}, .flags = LH_STREAMED}},
    {"LH_IDEMPOTENT", {GET, .sql = {"SELECT 1"}, .flags = LH_IDEMPOTENT}},
    {"LH_IDEMPOTENT", {ROUTE, .before = {&step}, .flags = LH_IDEMPOTENT}},
    {"LH_IDEMPOTENT", {ROUTE, .sql = {"SELECT 1"}, .shape = LH_ALL, .flags = LH_IDEMPOTENT | LH_STREAMED}},
    {NULL, {ROUTE, .sql = {"SELECT 1"}, .flags = LH_IDEMPOTENT}},
    {"LH_SLICED", {ROUTE, .sql = {"SELECT 1"}, .flags = LH_SLICED}},
    {"LH_UNPAGED", {ROUTE, .sql = {"SELECT 1"}, .flags = LH_UNPAGED}},
    {"LH_UNPAGED",
     {ROUTE, .sql = {"SELECT 1"}, .count = "SELECT 1", .key = "k", .shape = LH_SKIP_LIMIT, .flags = LH_UNPAGED}},
    {":offset", {ROUTE, .sql = {"SELECT :limit, :offset"}, .shape = LH_ALL, .flags = LH_SLICED}},
    {":salt", {ROUTE, .sql = {"SELECT :salt"}}},
    {NULL, {ROUTE, .sql = {"SELECT x:filters"}, .query = one_filter}},
    {NULL, {ROUTE, .sql = {"SELECT :limit, :offset"}, .shape = LH_PAGE, .count = "SELECT 1"}},
    {"neither statements nor steps", {ROUTE}},
    {":nobody", {ROUTE, .sql = {"SELECT :nobody"}}},
    {":nobody", {ROUTE, .sql = {"SELECT 1", "SELECT :nobody"}}},
    {":nobody", {ROUTE, .sql = {"SELECT 1"}, .extra_sql = {"SELECT :nobody"}}},
    {":nobody", {ROUTE, .sql = {"SELECT 1"}, .shape = LH_PAGE, .count = "SELECT :nobody"}},
    {":password", {ROUTE, .sql = {"SELECT :password"}, .body = secret}},
    {":p", {ROUTE, .sql = {"SELECT x:filters"}, .query = bad_filter}},
    {"too many filters", {ROUTE, .sql = {"SELECT x:filters"}, .query = five_filters}},
    {"no :filters", {ROUTE, .sql = {"SELECT 1"}, .query = one_filter}},
    {"have a count, and they need one", {ROUTE, .sql = {"SELECT 1"}, .shape = LH_PAGE}},
    {"have a count, and they need one", {ROUTE, .sql = {"SELECT 1"}, .count = "SELECT 1"}},
    {"no key", {ROUTE, .sql = {"SELECT 1"}, .message = "Done."}},
    {"no key", {ROUTE, .sql = {"SELECT 1"}, .shape = LH_SKIP_LIMIT, .count = "SELECT 1"}},
    {"no effect without a message", {ROUTE, .sql = {"SELECT 1"}, .key = "thing"}},
    {":limit and :offset", {ROUTE, .sql = {"SELECT :limit"}, .shape = LH_PAGE, .count = "SELECT 1"}},
    {":limit and :offset", {ROUTE, .sql = {"SELECT :offset"}, .flags = LH_UNPAGED, .shape = LH_ALL}},
    {":limit and :skip", {ROUTE, .sql = {"SELECT :limit"}, .shape = LH_ALL, .flags = LH_SLICED}},
    {":limit and :skip",
     {ROUTE, .sql = {"SELECT :skip"}, .shape = LH_SKIP_LIMIT, .key = "things", .count = "SELECT 1"}},
    {"can have a deep_sql", {ROUTE, .sql = {"SELECT 1"}, .deep_sql = "SELECT :limit, :offset"}},
    {":limit and :offset", {ROUTE, PAGED, .deep_sql = "SELECT :limit"}},
    {":limit and :skip",
     {ROUTE, .sql = {"SELECT :limit, :skip"}, .deep_sql = "SELECT :limit, 0", .shape = LH_SKIP_LIMIT, .key = "things",
      .count = "SELECT 1"}},
    {"the same :filters", {ROUTE, PAGED, .deep_sql = "SELECT :limit, :offset:filters"}},
    {":nobody", {ROUTE, PAGED, .deep_sql = "SELECT :limit, :offset, :nobody"}},
    {NULL, {ROUTE, PAGED, .deep_sql = "SELECT :limit, :offset"}},
    {NULL, {CACHED("things thing:{id} user:{me}"), .sql = {"SELECT 1"}}},
    {"its topic thing:{name}", {CACHED("things thing:{name}"), .sql = {"SELECT 1"}}},
    {"its topic thing:{i}", {CACHED("thing:{i}"), .sql = {"SELECT 1"}}},
    {"its topic {id}s", {CACHED("{id}s"), .sql = {"SELECT 1"}}},
    {"its topic {id}{me}", {CACHED("{id}{me}"), .sql = {"SELECT 1"}}},
    {"its topic thing:{id", {CACHED("thing:{id"), .sql = {"SELECT 1"}}},
    {"its topic {me}",
     {.name = "bad.route", .method = "GET", .path = "/x/", .summary = "S", .depends = "{me}", .sql = {"SELECT 1"}}},
    {"too many topics", {CACHED("a b c d e"), .sql = {"SELECT 1"}}},
    {"without steps and streams", {CACHED("a"), .sql = {"SELECT 1"}, .before = {&step}}},
    {"without steps and streams", {CACHED("a"), .sql = {"SELECT 1 AS _id"}, .after = {&after}}},
    {"without steps and streams", {CACHED("a"), .sql = {"SELECT 1"}, .shape = LH_ALL, .flags = LH_STREAMED}},
    {"without steps and streams", {CACHED("a"), .sql = {"SELECT 1"}, .shape = LH_ONE_OR_NULL}},
    {"only GET routes", {ROUTE, .sql = {"SELECT 1"}, .depends = "a"}},
    {NULL, {CACHED("a"), .sql = {"SELECT 1"}, .flags = LH_STANDBY}},
    {NULL, {CACHED("a"), .sql = {"SELECT 1"}, .before = {&step}, .body = one_field, .flags = LH_STANDBY}},
    {"can be LH_STANDBY", {ROUTE, .sql = {"SELECT 1"}, .flags = LH_STANDBY}},
    {"can be LH_STANDBY",
     {.name = "bad.route", .method = "GET", .path = "/x/", .summary = "S", .sql = {"SELECT 1"}, .flags = LH_STANDBY}},
    {NULL, {ROUTE, .before = {&step}, .body = one_field, .errors = field_errors}},
    {"names the field title", {ROUTE, .before = {&step}, .errors = field_errors}},
    {NULL, {ROUTE, .sql = {"SELECT 1"}, .returns = status_key, .examples = examples}},
    {"example of the key status", {ROUTE, .sql = {"SELECT 1"}, .examples = examples}},
    {"no group has a prefix", {.name = "bad.route", .method = "GET", .path = "/y/", .summary = "S", .before = {&step}}},
    {"no summary", {.name = "bad.route", .method = "POST", .path = "/x/", .before = {&step}}},
    {"another route has this name",
     {.name = "good", .method = "POST", .path = "/x/", .summary = "S", .before = {&step}}},
    {"another route has this method",
     {.name = "bad.route", .method = "GET", .path = "/good/{id:int}/", .summary = "S", .before = {&step}}},
    {"another route has this method",
     {.name = "bad.route", .method = "GET", .path = "/good/{name:int}", .summary = "S", .before = {&step}}},
    {"another type",
     {.name = "bad.route", .method = "GET", .path = "/good/{id:uuid}/", .summary = "S", .before = {&step}}},
};

#define TEMPLATE(text)                                                                                                 \
    {                                                                                                                  \
        .name = "bad.route", .method = "GET", .path = text, .summary = "S", .before = { &step }                        \
    }

static const lh_route bad_templates[] = {
    TEMPLATE("/x/{id}/"),
    TEMPLATE("/x/{id:integer}/"),
    TEMPLATE("/x/{id:int/"),
    TEMPLATE("/x/{id:int}y/"),
    TEMPLATE("x/"),
    TEMPLATE("/{a:text}/{b:text}/{c:text}/{d:text}/{e:text}/"),
    {.name = "bad.route", .method = "TRACE", .path = "/x/", .summary = "S", .before = {&step}},
    {.name = "bad.route", .method = "get", .path = "/x/", .summary = "S", .before = {&step}},
};

static void test_invalid_routes(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(invalid_routes) / sizeof(invalid_routes[0]); i++) {
        const char *why = why_invalid(&invalid_routes[i].route), *expected = invalid_routes[i].expected;

        if (!expected) {
            is_str(why, NULL, apr_psprintf(tap_pool, "route %d is valid", (int)i));
            continue;
        }
        ok(why && strstr(why, expected), "route %d is invalid: \"%s\" in: %s", (int)i, expected,
           why ? why : "no error");
        ok(why && strstr(why, invalid_routes[i].route.name), "the error of route %d names it", (int)i);
    }
    for (i = 0; i < sizeof(bad_templates) / sizeof(bad_templates[0]); i++) {
        const char *why = why_invalid(&bad_templates[i]);

        ok(why && strstr(why, "bad.route"), "%s %s is invalid: %s", bad_templates[i].method, bad_templates[i].path,
           why ? why : "no error");
    }
}

/* A group without prefixes shares the prefix, and so must share the formats, of another group. */
static void test_shared_prefix(void)
{
    static const lh_route first[] = {
        {.name = "first", .method = "GET", .path = "/x/", .summary = "S", .before = {&step}}, {0}};
    static const lh_route second[] = {
        {.name = "second", .method = "GET", .path = "/x/y/", .summary = "S", .before = {&step}}, {0}};
    static const char *const none[] = {NULL};
    lh_route_group owner = {.name = "things", .prefixes = prefixes, .routes = first};
    lh_route_group other = {.name = "things", .prefixes = none, .routes = second};
    const lh_route_group *groups[] = {&owner, &other, NULL};
    const char *why;

    lh_routes_compile(tap_pool, groups, lh_statements_create(tap_pool), &why);
    is_str(why, NULL, "a group without prefixes may share the prefix of another group");
    other.error_format = LH_ERRORS_FLAT;
    lh_routes_compile(tap_pool, groups, lh_statements_create(tap_pool), &why);
    ok(why && strstr(why, "route second") && strstr(why, "other formats"), "a different error format is an error");
    other.error_format = owner.error_format;
    other.time_format = LH_MICROS_Z;
    lh_routes_compile(tap_pool, groups, lh_statements_create(tap_pool), &why);
    ok(why && strstr(why, "route second") && strstr(why, "other formats"), "a different time format is an error");
}

/* ---- matching ---- */

#define FOUND(label, verb, text)                                                                                       \
    {                                                                                                                  \
        .name = label, .method = verb, .path = text, .summary = "S", .before = { &step }                               \
    }

static const lh_route table[] = {FOUND("root", "GET", "/"),
                                 FOUND("list", "GET", "/api/things/"),
                                 FOUND("create", "POST", "/api/things/"),
                                 FOUND("my", "GET", "/api/things/my/"),
                                 {.name = "get",
                                  .method = "GET",
                                  .path = "/api/things/{id:int}/",
                                  .summary = "S",
                                  .lock = "SELECT",
                                  .sql = {"SELECT"}},
                                 FOUND("delete", "DELETE", "/api/things/{id:int}/"),
                                 FOUND("join", "POST", "/api/things/{id:int}/join/"),
                                 FOUND("oid", "GET", "/x/oid/{id:oid}"),
                                 FOUND("uuid", "GET", "/x/uuid/{id:uuid}"),
                                 FOUND("text", "GET", "/x/text/{a:text}/{b:int}"),
                                 FOUND("only", "PUT", "/x/only"),
                                 FOUND("literal", "GET", "/x/text/new/first"),
                                 {0}};

static const struct lookup {
    const char *method, *path, *route, *allow; /* route NULL: none; allow NULL: 404 */
} lookups[] = {
    {"GET", "/", "root", "GET, HEAD, OPTIONS"},
    {"GET", "/api/things/", "list", "GET, HEAD, POST, OPTIONS"},
    {"GET", "/api/things", "list", "GET, HEAD, POST, OPTIONS"},
    {"HEAD", "/api/things/", "list", "GET, HEAD, POST, OPTIONS"},
    {"POST", "/api/things", "create", "GET, HEAD, POST, OPTIONS"},
    {"PUT", "/api/things/", NULL, "GET, HEAD, POST, OPTIONS"},
    {"OPTIONS", "/api/things/", NULL, "GET, HEAD, POST, OPTIONS"},
    {"BREW", "/api/things/", NULL, "GET, HEAD, POST, OPTIONS"},
    {"get", "/api/things/", NULL, "GET, HEAD, POST, OPTIONS"},
    {"GET", "/api/things/my/", "my", "GET, HEAD, OPTIONS"},
    {"GET", "/api/things/7/", "get", "GET, HEAD, DELETE, OPTIONS"},
    {"DELETE", "/api/things/7", "delete", "GET, HEAD, DELETE, OPTIONS"},
    {"POST", "/api/things/7/join/", "join", "POST, OPTIONS"},
    {"HEAD", "/x/only", NULL, "PUT, OPTIONS"},
    {"GET", "/x/oid/0123456789abcdefABCDEF01", "oid", "GET, HEAD, OPTIONS"},
    {"GET", "/x/uuid/01234567-89ab-cdef-0123-456789abcdef/", "uuid", "GET, HEAD, OPTIONS"},
    {"GET", "/x/text/caf\xC3\xA9/9223372036854775807", "text", "GET, HEAD, OPTIONS"},
    {"GET", "/x/text/new/first", "literal", "GET, HEAD, OPTIONS"},
    {"GET", "/x/text/new/42", "text", "GET, HEAD, OPTIONS"},
    {"GET", "/x/text/new", NULL, NULL},
    {"GET", "/api", NULL, NULL},
    {"GET", "/api/thing", NULL, NULL},
    {"GET", "/api/thingss/", NULL, NULL},
    {"GET", "/api/things//", NULL, NULL},
    {"GET", "/api/things/seven/", NULL, NULL},
    {"GET", "/api/things/-7/", NULL, NULL},
    {"GET", "/api/things/+7/", NULL, NULL},
    {"GET", "/api/things/7x/", NULL, NULL},
    {"GET", "/api/things/9223372036854775808/", NULL, NULL},
    {"GET", "/api/things/7/joi/", NULL, NULL},
    {"GET", "/api/things/7/join/more", NULL, NULL},
    {"GET", "/api/things/my/7", NULL, NULL},
    {"GET", "/x/oid/0123456789abcdefABCDEF0", NULL, NULL},
    {"GET", "/x/oid/0123456789abcdefABCDEF0g", NULL, NULL},
    {"GET", "/x/uuid/0123456789abcdef0123456789abcdef", NULL, NULL},
    {"GET", "/x/text/\xFF/1", NULL, NULL},
    {"GET", "/x/text//1", NULL, NULL},
    {"GET", "//", NULL, NULL},
};

static void test_lookups(const lh_routes *routes)
{
    apr_size_t i;

    for (i = 0; i < sizeof(lookups) / sizeof(lookups[0]); i++) {
        const struct lookup *l = &lookups[i];
        char *name = apr_psprintf(tap_pool, "%s %s", l->method, l->path);
        lh_match match;

        lh_route_match(routes, tap_pool, l->method, l->path, &match);
        is_str(match.route ? match.route->def->name : NULL, l->route, apr_pstrcat(tap_pool, name, ": route", NULL));
        is_str(match.allow, l->allow, apr_pstrcat(tap_pool, name, ": Allow", NULL));
    }
}

static void test_values(const lh_routes *routes)
{
    lh_match match;

    lh_route_match(routes, tap_pool, "GET", "/x/text/some text/42/", &match);
    is_str(match.values[0], "some text", "the value of the first path parameter");
    is_str(match.values[1], "42", "the value of the second path parameter");
}

static void test_groups(const lh_route_group *const *groups)
{
    ok(lh_route_find_group(groups, "/api/things") == groups[0], "a path equal to a prefix is in the group");
    ok(lh_route_find_group(groups, "/api/things/7/nothing") == groups[0], "a path below a prefix is in the group");
    ok(!lh_route_find_group(groups, "/api/thingsx"),
       "a path that begins with a prefix but not with its segments is not in the group");
    ok(!lh_route_find_group(groups, "/api"), "a path above a prefix is not in the group");
    ok(!lh_route_find_group(groups, "/"), "the root is not in a group without that prefix");
    ok(lh_path_below("/", "/") && !lh_path_below("/", "/x") && !lh_path_below("/", "//x"),
       "the prefix / is the root only, not the paths below it");
}

/* ---- slots and filters ---- */

static const lh_field three[] = {
    {.name = "a", .where = "a = :a"}, {.name = "plain"}, {.name = "b", .where = "b = :b"}, {0}};
static const lh_step hashing = {.name = "hashing", .run = succeed, .binds = "hash"};
static const lh_route paged[] = {{.name = "paged",
                                  .method = "POST",
                                  .path = "/x/{id:int}/",
                                  .summary = "S",
                                  .query = three,
                                  .body = secret,
                                  .before = {&hashing},
                                  .shape = LH_PAGE,
                                  .count = "SELECT count(*) WHERE x:filters",
                                  .sql = {"SELECT 1 WHERE x:filters LIMIT :limit OFFSET :offset"},
                                  .deep_sql = "SELECT 2 WHERE x:filters LIMIT :limit OFFSET :offset"},
                                 {0}};

static void test_slots(void)
{
    lh_route_group group = {.name = "things", .prefixes = prefixes, .routes = paged};
    const lh_route_group *groups[] = {&group, NULL};
    const char *why;
    lh_statements *statements = lh_statements_create(tap_pool);
    const lh_routes *routes = lh_routes_compile(tap_pool, groups, statements, &why);
    const lh_compiled_route *route = lh_routes_at(routes, 0);

    is_int(route->query_slot, 1, "the slots of query fields follow the path parameters");
    is_int(route->body_slot, 6, "the slots of body fields follow the query with page and page_size");
    is_int(route->step_slot, 8, "the slots of steps follow the body");
    is_int(route->builtin_slot, 9, "the slots of built-in parameters follow the steps");
    is_int(route->slots.count, 9 + LH_BUILTIN_COUNT, "the built-in parameters have the last slots");
    is_int(route->filter_count, 2, "two query fields are filters");
    is_str(route->filtered[0]->sql, "SELECT 1 WHERE x LIMIT $1 OFFSET $2", "the statement without filters");
    is_str(route->filtered[1]->sql, "SELECT 1 WHERE x AND a = $1 LIMIT $2 OFFSET $3",
           "the statement with the first filter");
    is_str(route->filtered[2]->sql, "SELECT 1 WHERE x AND b = $1 LIMIT $2 OFFSET $3",
           "the statement with the second filter");
    is_str(route->filtered[3]->sql, "SELECT 1 WHERE x AND a = $1 AND b = $2 LIMIT $3 OFFSET $4",
           "the statement with both filters");
    is_str(route->counts[3]->sql, "SELECT count(*) WHERE x AND a = $1 AND b = $2", "the count with both filters");
    is_str(route->deep[2]->sql, "SELECT 2 WHERE x AND b = $1 LIMIT $2 OFFSET $3",
           "the deep statement with the second filter");
    is_int(lh_statements_count(statements), 12, "one statement, one deep one and one count for each set of filters");
}

int main(void)
{
    lh_route_group group = {.name = "things", .prefixes = table_prefixes, .routes = table};
    lh_route_group without_root = {.name = "things", .prefixes = prefixes, .routes = table};
    const lh_route_group *groups[] = {&group, NULL}, *other_groups[] = {&without_root, NULL};
    const lh_routes *routes;
    const char *why;

    tap_begin();
    test_invalid_routes();
    test_shared_prefix();
    routes = lh_routes_compile(tap_pool, groups, lh_statements_create(tap_pool), &why);
    if (ok(routes != NULL, "a table of valid routes is compiled")) {
        is_int(lh_routes_count(routes), 12, "the table has all routes");
        test_lookups(routes);
        test_values(routes);
    }
    test_groups(other_groups);
    test_slots();
    return tap_end();
}
