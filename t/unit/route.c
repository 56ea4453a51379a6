/* SPDX-License-Identifier: Apache-2.0 */
/* The route table: rows that cannot work are named, paths find their row, Allow says what the table says. */
#include "route.h"

#include "tap.h"

#include <apr_strings.h>

static lh_problem *handle(lh_call *call)
{
    (void)call;
    return NULL;
}

static const char *const prefixes[] = {"/api/things", "/x", NULL};

/* Compiles up to three rows behind a good one; gives what is wrong, or NULL. */
static const char *fault(const lh_route *first, const lh_route *second)
{
    lh_route rows[4] = {
        {.name = "good", .method = "GET", .path = "/good/{id:int}/", .summary = "S", .sql = {"SELECT"}}};
    lh_api api = {.name = "things", .prefixes = prefixes, .routes = rows};
    const lh_api *apis[] = {&api, NULL};
    const char *why;
    const lh_routes *routes;

    rows[1] = *first;
    if (second) {
        rows[2] = *second;
    }
    routes = lh_routes_compile(tap_pool, apis, &why);
    return routes ? NULL : why;
}

/* ---- rows that cannot work ---- */

static const lh_field secret[] = {{.name = "password", .flags = LH_SECRET}, {.name = "title"}, {0}};
static const lh_field one_filter[] = {{.name = "q", .where = "title = :q"}, {0}};
static const lh_field bad_filter[] = {{.name = "q", .where = "title = :p"}, {0}};
static const lh_field five_filters[] = {{.name = "a", .where = "x"}, {.name = "b", .where = "x"},
                                        {.name = "c", .where = "x"}, {.name = "d", .where = "x"},
                                        {.name = "e", .where = "x"}, {0}};

#define ROW .name = "bad.row", .method = "POST", .path = "/x/{id:int}/", .summary = "S"

static const struct bad_row {
    const char *says; /* NULL: the row is good */
    lh_route row;
} bad_rows[] = {
    {NULL, {ROW, .sql = {"SELECT :id, :me, :title"}, .body = secret}},
    {NULL, {ROW, .handler = handle}},
    {NULL, {ROW, .sql = {"SELECT :hash"}, .binds = "salt hash"}},
    {NULL, {ROW, .sql = {"SELECT x:filters"}, .query = one_filter}},
    {NULL, {ROW, .sql = {"SELECT :limit"}, .shape = LH_PAGE, .count = "SELECT 1"}},
    {"neither SQL nor a handler", {ROW}},
    {":nobody", {ROW, .sql = {"SELECT :nobody"}}},
    {":nobody", {ROW, .sql = {"SELECT 1", "SELECT :nobody"}}},
    {":nobody", {ROW, .sql = {"SELECT 1"}, .more = {"SELECT :nobody"}}},
    {":nobody", {ROW, .sql = {"SELECT 1"}, .shape = LH_PAGE, .count = "SELECT :nobody"}},
    {":password", {ROW, .sql = {"SELECT :password"}, .body = secret}},
    {":p", {ROW, .sql = {"SELECT x:filters"}, .query = bad_filter}},
    {"too many filters", {ROW, .sql = {"SELECT x:filters"}, .query = five_filters}},
    {"no :filters", {ROW, .sql = {"SELECT 1"}, .query = one_filter}},
    {"pages need a count", {ROW, .sql = {"SELECT 1"}, .shape = LH_PAGE}},
    {"pages need a count", {ROW, .sql = {"SELECT 1"}, .count = "SELECT 1"}},
    {"no key", {ROW, .sql = {"SELECT 1"}, .message = "Done."}},
    {"no key", {ROW, .sql = {"SELECT 1"}, .shape = LH_WINDOW, .count = "SELECT 1"}},
    {"no summary", {.name = "bad.row", .method = "POST", .path = "/x/", .handler = handle}},
    {"another row has this name", {.name = "good", .method = "POST", .path = "/x/", .summary = "S", .handler = handle}},
    {"another row has this method",
     {.name = "bad.row", .method = "GET", .path = "/good/{id:int}/", .summary = "S", .handler = handle}},
    {"another row has this method",
     {.name = "bad.row", .method = "GET", .path = "/good/{name:int}", .summary = "S", .handler = handle}},
    {"another type",
     {.name = "bad.row", .method = "GET", .path = "/good/{id:uuid}/", .summary = "S", .handler = handle}},
};

#define TEMPLATE(text)                                                                                                 \
    {                                                                                                                  \
        .name = "bad.row", .method = "GET", .path = text, .summary = "S", .handler = handle                            \
    }

static const lh_route bad_templates[] = {
    TEMPLATE("/x/{id}/"),
    TEMPLATE("/x/{id:integer}/"),
    TEMPLATE("/x/{id:int/"),
    TEMPLATE("/x/{id:int}y/"),
    TEMPLATE("x/"),
    TEMPLATE("/{a:text}/{b:text}/{c:text}/{d:text}/{e:text}/"),
    {.name = "bad.row", .method = "TRACE", .path = "/x/", .summary = "S", .handler = handle},
    {.name = "bad.row", .method = "get", .path = "/x/", .summary = "S", .handler = handle},
};

static void test_bad_rows(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
        const char *why = fault(&bad_rows[i].row, NULL), *says = bad_rows[i].says;

        if (!says) {
            is_str(why, NULL, "a good row");
            continue;
        }
        ok(why && strstr(why, says), "%s: %s", says, why ? why : "nothing was said");
        ok(why && strstr(why, bad_rows[i].row.name), "%s: the row is named", says);
    }
    for (i = 0; i < sizeof(bad_templates) / sizeof(bad_templates[0]); i++) {
        const char *why = fault(&bad_templates[i], NULL);

        ok(why && strstr(why, "bad.row"), "%s %s: %s", bad_templates[i].method, bad_templates[i].path,
           why ? why : "nothing was said");
    }
}

/* ---- finding rows ---- */

#define FOUND(label, verb, text)                                                                                       \
    {                                                                                                                  \
        .name = label, .method = verb, .path = text, .summary = "S", .handler = handle                                 \
    }

static const lh_route table[] = {FOUND("root", "GET", "/"),
                                 FOUND("list", "GET", "/api/things/"),
                                 FOUND("create", "POST", "/api/things/"),
                                 FOUND("my", "GET", "/api/things/my/"),
                                 FOUND("get", "GET", "/api/things/{id:int}/"),
                                 FOUND("delete", "DELETE", "/api/things/{id:int}/"),
                                 FOUND("join", "POST", "/api/things/{id:int}/join/"),
                                 FOUND("oid", "GET", "/x/oid/{id:oid}"),
                                 FOUND("uuid", "GET", "/x/uuid/{id:uuid}"),
                                 FOUND("text", "GET", "/x/text/{a:text}/{b:int}"),
                                 FOUND("only", "PUT", "/x/only"),
                                 {0}};

static const struct lookup {
    const char *method, *path, *row, *allow; /* row NULL: none; allow NULL: 404 */
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
        is_str(match.operation ? match.operation->row->name : NULL, l->row, name);
        is_str(match.allow, l->allow, apr_pstrcat(tap_pool, name, ": Allow", NULL));
    }
}

static void test_values(const lh_routes *routes)
{
    lh_match match;

    lh_route_match(routes, tap_pool, "GET", "/x/text/some text/42/", &match);
    is_str(match.values[0], "some text", "the first parameter");
    is_str(match.values[1], "42", "the second parameter");
}

static void test_owner(const lh_api *const *apis)
{
    ok(lh_route_owner(apis, "/api/things") == apis[0], "a prefix owns itself");
    ok(lh_route_owner(apis, "/api/things/7/nothing") == apis[0], "and what is below it");
    ok(!lh_route_owner(apis, "/api/thingsx"), "but not what only begins like it");
    ok(!lh_route_owner(apis, "/api"), "nor what is above");
    ok(!lh_route_owner(apis, "/"), "nor the root");
}

/* ---- slots and filters ---- */

static const lh_field three[] = {
    {.name = "a", .where = "a = :a"}, {.name = "plain"}, {.name = "b", .where = "b = :b"}, {0}};
static const lh_route paged[] = {{.name = "paged",
                                  .method = "POST",
                                  .path = "/x/{id:int}/",
                                  .summary = "S",
                                  .query = three,
                                  .body = secret,
                                  .binds = "hash",
                                  .shape = LH_PAGE,
                                  .count = "SELECT count(*) WHERE x:filters",
                                  .sql = {"SELECT 1 WHERE x:filters LIMIT :limit"}},
                                 {0}};

static void test_slots(void)
{
    lh_api api = {.name = "things", .prefixes = prefixes, .routes = paged};
    const lh_api *apis[] = {&api, NULL};
    const char *why;
    const lh_routes *routes = lh_routes_compile(tap_pool, apis, &why);
    const lh_operation *op = lh_routes_operation(routes, 0);

    is_int(op->query_slot, 1, "query fields stand behind the path's parameter");
    is_int(op->body_slot, 6, "the body's behind the query's and page and page_size");
    is_int(op->bind_slot, 8, "then what a handler binds");
    is_int(op->own_slot, 9, "then the machine's own");
    is_int(op->slots.count, 9 + LH_OWN_COUNT, "and that is all");
    is_int(op->filter_count, 2, "two filters");
    is_str(op->answers[0]->sql, "SELECT 1 WHERE x LIMIT $1", "no filter");
    is_str(op->answers[1]->sql, "SELECT 1 WHERE x AND a = $1 LIMIT $2", "the first");
    is_str(op->answers[2]->sql, "SELECT 1 WHERE x AND b = $1 LIMIT $2", "the second");
    is_str(op->answers[3]->sql, "SELECT 1 WHERE x AND a = $1 AND b = $2 LIMIT $3", "both");
    is_str(op->counts[3]->sql, "SELECT count(*) WHERE x AND a = $1 AND b = $2", "the count has the same");
    is_int(lh_routes_statements(routes), 8, "every statement has a number");
    ok(lh_routes_statement(routes, 5)->number == 5, "which is its place");
}

int main(void)
{
    lh_api api = {.name = "things", .prefixes = prefixes, .routes = table};
    const lh_api *apis[] = {&api, NULL};
    const lh_routes *routes;
    const char *why;

    tap_begin();
    test_bad_rows();
    routes = lh_routes_compile(tap_pool, apis, &why);
    if (ok(routes != NULL, "the table compiles")) {
        is_int(lh_routes_count(routes), 11, "all rows are there");
        test_lookups(routes);
        test_values(routes);
    }
    test_owner(apis);
    test_slots();
    return tap_end();
}
