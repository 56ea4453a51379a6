/* SPDX-License-Identifier: Apache-2.0 */
/* The route table: matching, 404 and 405, filters, and the rows that httpd must not start with. */
#include "route.h"

#include "tap.h"

static const lh_field filters[] = {{.name = "a", .type = LH_TEXT, .where = "a = :a"},
                                   {.name = "b", .type = LH_TEXT, .where = "b = :b"},
                                   {.name = "c", .type = LH_TEXT},
                                   {0}};
static const lh_field secret[] = {{.name = "password", .type = LH_TEXT, .flags = LH_SECRET}, {0}};

#define ROW(n, m, p, ...)                                                                                              \
    {                                                                                                                  \
        .name = n, .method = m, .path = p, .summary = "x", .shape = LH_ONE, __VA_ARGS__                                \
    }
#define SQL(text) .sql = {text}

static lh_api make(const lh_route *rows)
{
    static const char *const prefixes[] = {"/x", "/y/z", NULL};
    lh_api api = {.name = "test", .title = "t", .prefixes = prefixes, .routes = rows};

    return api;
}

static const lh_routes *compile(const lh_route *rows, const char **why)
{
    lh_api *api = apr_pcalloc(tap_pool, sizeof(*api));
    const lh_api **apis = apr_pcalloc(tap_pool, 2 * sizeof(*apis));
    lh_api made = make(rows);

    memcpy(api, &made, sizeof(made));
    apis[0] = api;
    return lh_routes_compile(tap_pool, apis, why);
}

static const char *found(const lh_routes *routes, const char *method, const char *path)
{
    lh_match match = {0};

    lh_route_match(routes, tap_pool, method, path, &match);
    return match.operation ? match.operation->row->name : match.allow;
}

static void test_matching(void)
{
    static const lh_route rows[] = {ROW("list", "GET", "/x/", SQL("SELECT 1")),
                                    ROW("make", "POST", "/x/", SQL("SELECT 1")),
                                    ROW("one", "GET", "/x/{id:int}/", SQL("SELECT :id")),
                                    ROW("mine", "GET", "/x/mine/", SQL("SELECT 1")),
                                    ROW("part", "PUT", "/x/{id:int}/part", SQL("SELECT :id")),
                                    ROW("deep", "GET", "/y/z/{name:text}/{oid:oid}", SQL("SELECT :name, :oid")),
                                    {0}};
    static const char *const cases[][3] = {{"GET", "/x", "list"},
                                           {"GET", "/x/", "list"},
                                           {"HEAD", "/x", "list"},
                                           {"POST", "/x/", "make"},
                                           {"DELETE", "/x/", "GET, HEAD, POST, OPTIONS"},
                                           {"FROB", "/x/", "GET, HEAD, POST, OPTIONS"},
                                           {"GET", "/x/5", "one"},
                                           {"GET", "/x/5/", "one"},
                                           {"GET", "/x/05", "one"},
                                           {"GET", "/x/-5", NULL},
                                           {"GET", "/x/a", NULL},
                                           {"GET", "/x/99999999999999999999", NULL},
                                           {"GET", "/x/mine", "mine"},
                                           {"PUT", "/x/5/part/", "part"},
                                           {"GET", "/x/5/part", "PUT, OPTIONS"},
                                           {"GET", "/x/mine/part", NULL},
                                           {"GET", "/x//", NULL},
                                           {"GET", "/x/5//", NULL},
                                           {"GET", "/y/z", NULL},
                                           {"GET", "/y/z/\xc3\xa9/507f1f77bcf86cd799439011", "deep"},
                                           {"GET", "/y/z/\xff/507f1f77bcf86cd799439011", NULL},
                                           {"GET", "/y/z/n/507f1f77bcf86cd79943901", NULL},
                                           {"GET", "/", NULL},
                                           {"GET", "", NULL}};
    const char *why;
    const lh_routes *routes = compile(rows, &why);
    lh_match match = {0};
    apr_size_t i;

    if (!ok(routes != NULL, "the table compiles: %s", routes ? "" : why)) {
        return;
    }
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ok(1, "%s %s", cases[i][0], cases[i][1]);
        is_str(found(routes, cases[i][0], cases[i][1]), cases[i][2], "leads where it should");
    }
    lh_route_match(routes, tap_pool, "GET", "/y/z/a b/507F1f77bcf86cd799439011", &match);
    is_str(match.values[0], "a b", "the first parameter");
    is_str(match.values[1], "507F1f77bcf86cd799439011", "the second parameter");
}

static void test_owner(void)
{
    const lh_api api = make(NULL);
    const lh_api *const apis[] = {&api, NULL};

    ok(lh_route_owner(apis, "/x") && lh_route_owner(apis, "/x/1") && lh_route_owner(apis, "/y/z/"), "below a prefix");
    ok(!lh_route_owner(apis, "/xy") && !lh_route_owner(apis, "/y") && !lh_route_owner(apis, "/"), "beside it");
}

static void test_filters(void)
{
    static const lh_route rows[] = {
        ROW("list", "GET", "/x/", .query = filters, SQL("SELECT 1 WHERE true :filters AND c = :c")), {0}};
    const char *why;
    const lh_routes *routes = compile(rows, &why);
    const lh_operation *op = routes ? lh_routes_operation(routes, 0) : NULL;

    if (!ok(op != NULL, "filters compile: %s", op ? "" : why)) {
        return;
    }
    is_int(op->filter_count, 2, "two fields are filters");
    is_str(op->answers[0]->sql, "SELECT 1 WHERE true  AND c = $1", "none sent");
    is_str(op->answers[2]->sql, "SELECT 1 WHERE true  AND b = $1 AND c = $2", "the second");
    is_str(op->answers[3]->sql, "SELECT 1 WHERE true  AND a = $1 AND b = $2 AND c = $3", "both");
    is_int(lh_routes_statements(routes), 4, "a statement for each set");
}

/* One table that must not compile, and a word of the reason. */
static void refused(const lh_route *rows, const char *word, const char *name)
{
    const char *why = NULL;
    const lh_routes *routes = compile(rows, &why);

    ok(!routes && why && strstr(why, "row bad") && strstr(why, word), "%s: %s", name, why ? why : "it compiles");
}

#define REFUSED(word, ...)                                                                                             \
    do {                                                                                                               \
        static const lh_route rows[] = {ROW("good", "GET", "/x/{id:int}/", SQL("SELECT :id")), __VA_ARGS__, {0}};      \
        refused(rows, word, word);                                                                                     \
    } while (0)

static void test_refused(void)
{
    static const lh_field five[] = {{.name = "a", .where = "true"}, {.name = "b", .where = "true"},
                                    {.name = "c", .where = "true"}, {.name = "d", .where = "true"},
                                    {.name = "e", .where = "true"}, {0}};

    REFUSED("this method and path", ROW("bad", "GET", "/x/{other:int}", SQL("SELECT 1")));
    REFUSED("another type", ROW("bad", "PUT", "/x/{id:text}", SQL("SELECT 1")));
    REFUSED("not {name:int", ROW("bad", "GET", "/x/q/{id:float}", SQL("SELECT 1")));
    REFUSED("not {name:int", ROW("bad", "GET", "/x/q/{id}", SQL("SELECT 1")));
    REFUSED("no parameter is called :nobody", ROW("bad", "GET", "/x/", SQL("SELECT :nobody")));
    REFUSED("no parameter is called :password", ROW("bad", "POST", "/x/", .body = secret, SQL("SELECT :password")));
    REFUSED("neither SQL nor a handler", ROW("bad", "GET", "/x/"));
    REFUSED("no key", ROW("bad", "GET", "/x/", .message = "done", SQL("SELECT 1")));
    REFUSED("pages need a count", ROW("bad", "GET", "/x/", .count = "SELECT 1", SQL("SELECT 1")));
    REFUSED("too many filters", ROW("bad", "GET", "/x/", .query = five, SQL("SELECT 1 WHERE true :filters")));
    REFUSED("no :filters", ROW("bad", "GET", "/x/", .query = filters, SQL("SELECT 1")));
    REFUSED("cannot be served", ROW("bad", "FROB", "/x/", SQL("SELECT 1")));
    REFUSED("has this name", ROW("bad", "GET", "/x/1/a", SQL("SELECT 1")),
            ROW("bad", "GET", "/x/1/b", SQL("SELECT 1")));
    REFUSED("no summary", {.name = "bad", .method = "GET", .path = "/x/", SQL("SELECT 1")});
}

int main(void)
{
    tap_begin();
    test_matching();
    test_owner();
    test_filters();
    test_refused();
    return tap_end();
}
