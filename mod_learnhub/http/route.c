/* SPDX-License-Identifier: Apache-2.0 */
#include "http/route.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#include "http/route_check.h"
#include "util/text.h"

struct lh_routes {
    apr_pool_t *pool;
    lh_path_tree *tree;
    apr_array_header_t *all; /* lh_compiled_route * */
    lh_statements *statements;
    const char *why; /* the first error */
};

/* ---- the query fields of shapes ---- */

static const lh_field page_fields[] = {{.name = "page",
                                        .type = LH_INTEGER,
                                        .min = 1,
                                        .max = 1000000000,
                                        .default_value = "1",
                                        .note = "Page number, from 1."},
                                       {.name = "page_size",
                                        .type = LH_INTEGER,
                                        .flags = LH_CLAMP,
                                        .min = 1,
                                        .max = 100,
                                        .default_value = "10",
                                        .note = "Entries per page; values above 100 mean 100."},
                                       {0}};

static const lh_field skip_fields[] = {
    {.name = "skip", .type = LH_INTEGER, .min = 0, .max = APR_INT64_MAX, .default_value = "0"},
    {.name = "limit", .type = LH_INTEGER, .min = 1, .max = 100, .default_value = "100"},
    {0}};

static const lh_field no_fields[] = {{0}};

static int is_paged(const lh_route *def)
{
    return def->shape == LH_PAGE || (def->shape == LH_ALL && (def->flags & LH_UNPAGED));
}

static int has_skip_limit(const lh_route *def)
{
    return def->shape == LH_SKIP_LIMIT || (def->shape == LH_ALL && (def->flags & LH_SLICED));
}

static const lh_field *fields_of_shape(const lh_route *def)
{
    return is_paged(def) ? page_fields : has_skip_limit(def) ? skip_fields : no_fields;
}

/* ---- slots ---- */

/* Stores the first error of all routes; `what` NULL: no error. */
static void fail(lh_routes *routes, const lh_route *def, const char *what)
{
    if (!routes->why && what) {
        routes->why = apr_psprintf(routes->pool, "route %s (%s %s): %s", def->name, def->method, def->path, what);
    }
}

/* The name by which statements refer to a field: dots become underscores; empty for an LH_SECRET field. */
static const char *parameter_name(apr_pool_t *p, const lh_field *field)
{
    char *name = apr_pstrdup(p, field->flags & LH_SECRET ? "" : field->name), *dot;

    while ((dot = strchr(name, '.'))) {
        *dot = '_';
    }
    return name;
}

static int count_fields(const lh_field *fields)
{
    int n = 0;

    while (fields && fields[n].name) {
        n++;
    }
    return n;
}

static void add_words(apr_pool_t *p, apr_array_header_t *names, const char *words)
{
    const char *word;
    apr_size_t length;

    while ((word = lh_text_word(&words, &length))) {
        APR_ARRAY_PUSH(names, const char *) = apr_pstrmemdup(p, word, length);
    }
}

static void add_path_names(apr_pool_t *p, apr_array_header_t *names, const char *path)
{
    for (path = strchr(path, '{'); path; path = strchr(path + 1, '{')) {
        APR_ARRAY_PUSH(names, const char *) = apr_pstrmemdup(p, path + 1, strcspn(path + 1, ":}"));
    }
}

static void add_body_names(apr_pool_t *p, apr_array_header_t *names, const lh_field *fields)
{
    for (; fields && fields->name; fields++) {
        APR_ARRAY_PUSH(names, const char *) = parameter_name(p, fields);
    }
}

/* The parameters that steps bind, and the media types of photos. */
static void add_bound_names(apr_pool_t *p, apr_array_header_t *names, const lh_route *def)
{
    const lh_field *field;
    int i;

    for (field = def->body; field && field->name; field++) {
        if (field->type == LH_PHOTO) {
            APR_ARRAY_PUSH(names, const char *) = apr_pstrcat(p, field->name, "_type", NULL);
        }
    }
    for (i = 0; i < LH_STEPS_MAX && def->before[i]; i++) {
        add_words(p, names, def->before[i]->binds);
    }
}

/* Appends the query fields of the route's shape to its own. */
static void collect_query(apr_pool_t *p, lh_compiled_route *route)
{
    const lh_field *added = fields_of_shape(route->def);
    int own = count_fields(route->def->query), i;

    route->query_count = own + count_fields(added);
    route->query = apr_pcalloc(p, sizeof(*route->query) * (apr_size_t)(route->query_count + 1));
    for (i = 0; i < route->query_count; i++) {
        route->query[i] = i < own ? &route->def->query[i] : &added[i - own];
    }
}

static void name_slots(apr_pool_t *p, lh_compiled_route *route)
{
    apr_array_header_t *names = apr_array_make(p, 16, sizeof(const char *));
    int i;

    add_path_names(p, names, route->def->path);
    route->query_slot = names->nelts;
    for (i = 0; i < route->query_count; i++) {
        APR_ARRAY_PUSH(names, const char *) = route->query[i]->name;
    }
    route->body_slot = names->nelts;
    add_body_names(p, names, route->def->body);
    route->step_slot = names->nelts;
    add_bound_names(p, names, route->def);
    route->builtin_slot = names->nelts;
    add_words(p, names, "me base meeting_url eco_verify signup_roles address limit offset");
    if (has_skip_limit(route->def)) {
        /* `limit` is a query field: removes the built-in limit and offset, which are the last slots. */
        names->nelts = route->builtin_slot + LH_BUILTIN_LIMIT;
    }
    route->slots.names = (const char *const *)names->elts;
    route->slots.count = names->nelts;
}

/* ---- statements ---- */

static const lh_statement *compile(lh_routes *routes, const lh_compiled_route *route, const char *sql,
                                   const char *filters)
{
    const char *why;
    const lh_statement *statement =
        lh_statement_compile(routes->statements, route->def->name, sql, filters, &route->slots, &why);

    fail(routes, route->def, why);
    return statement;
}

/* Compiles one statement for each set of filters: " AND condition" for each filter of the set replaces :filters. */
static const lh_statement **compile_sets(lh_routes *routes, const lh_compiled_route *route, const char *sql)
{
    int sets = 1 << route->filter_count, set, i;
    const lh_statement **compiled = apr_pcalloc(routes->pool, sizeof(*compiled) * (apr_size_t)sets);

    for (set = 0; set < sets; set++) {
        const char *conditions = "";
        for (i = 0; i < route->filter_count; i++) {
            if (set & (1 << i)) {
                conditions =
                    apr_pstrcat(routes->pool, conditions, " AND ", route->query[route->filters[i]]->where, NULL);
            }
        }
        compiled[set] = compile(routes, route, sql, conditions);
    }
    return compiled;
}

static void compile_filters(lh_routes *routes, lh_compiled_route *route, const char *last)
{
    int i;

    for (i = 0; i < route->query_count; i++) {
        if (route->query[i]->where) {
            if (route->filter_count == LH_FILTERS_MAX) {
                fail(routes, route->def, "it has too many filters");
                return;
            }
            route->filters[route->filter_count++] = i;
        }
    }
    if (last && strstr(last, ":filters")) {
        route->filtered = compile_sets(routes, route, last);
    }
    else if (route->filter_count) {
        fail(routes, route->def, "its query has filters, but its SQL has no :filters");
    }
    if (route->def->count) {
        route->counts = compile_sets(routes, route, route->def->count);
    }
    if (route->def->deep_sql) {
        route->deep = compile_sets(routes, route, route->def->deep_sql);
    }
}

static void compile_statements(lh_routes *routes, lh_compiled_route *route)
{
    const lh_route *def = route->def;
    int i, last;

    while (route->sql_count < LH_SQL_MAX && def->sql[route->sql_count]) {
        route->sql_count++;
    }
    last = route->sql_count - 1;
    compile_filters(routes, route, last >= 0 ? def->sql[last] : NULL);
    for (i = 0; i <= last; i++) {
        route->sql[i] = i == last && route->filtered ? route->filtered[0] : compile(routes, route, def->sql[i], NULL);
    }
    for (i = 0; i < LH_EXTRA_SQL_MAX && def->extra_sql[i]; i++) {
        route->extra_sql[i] = compile(routes, route, def->extra_sql[i], NULL);
    }
    if (def->lock) {
        route->lock = compile(routes, route, def->lock, NULL);
    }
}

/* ---- topics ---- */

static int slot_of(const lh_compiled_route *route, const char *name, apr_size_t length)
{
    int i = 0;

    while (i < route->slots.count &&
           (strlen(route->slots.names[i]) != length || memcmp(route->slots.names[i], name, length) != 0)) {
        i++;
    }
    return i < route->slots.count ? i : -1;
}

/* 1 when the statement may name :me; :meeting_url counts as well. */
static int names_caller(const char *sql)
{
    return sql && strstr(sql, ":me");
}

static int depends_on_caller(const lh_compiled_route *route)
{
    int i, found = names_caller(route->def->count) || names_caller(route->def->deep_sql);

    for (i = 0; i < route->sql_count; i++) {
        found |= names_caller(route->def->sql[i]);
    }
    for (i = 0; i < route->query_count; i++) {
        found |= names_caller(route->query[i]->where);
    }
    for (i = 0; i < route->topic_count; i++) {
        found |= route->topics[i].slot == route->builtin_slot + LH_BUILTIN_ME;
    }
    return found;
}

/* lh_route_check() has checked the form and the parameters of `depends`, unless it reported an error. */
static void compile_topics(lh_compiled_route *route)
{
    const char *words = route->def->depends, *word;
    apr_size_t length;

    while ((word = lh_text_word(&words, &length)) && route->topic_count < LH_TOPICS_MAX) {
        const char *brace = memchr(word, '{', length);
        lh_topic *topic = &route->topics[route->topic_count++];

        topic->text = word;
        topic->length = brace ? (apr_size_t)(brace - word) : length;
        topic->slot = brace ? slot_of(route, brace + 1, length - topic->length - 2) : -1;
    }
    route->per_caller = depends_on_caller(route);
}

/* ---- the table ---- */

static void check_name(lh_routes *routes, const lh_route *def)
{
    int i;

    for (i = 0; i < routes->all->nelts; i++) {
        if (!strcmp(lh_routes_at(routes, i)->def->name, def->name)) {
            fail(routes, def, "another route has this name");
        }
    }
}

/* A request gets the formats of the group that has the prefix of its path: they must be those of the route's group. */
static void check_prefix(lh_routes *routes, const lh_route_group *const *groups, const lh_route_group *group,
                         const lh_route *def)
{
    const lh_route_group *found = lh_route_find_group(groups, def->path);

    if (!found) {
        fail(routes, def, "no group has a prefix of its path");
    }
    else if (found->error_format != group->error_format || found->time_format != group->time_format) {
        fail(routes, def, "the group with the prefix of its path has other formats");
    }
}

static void add_route(lh_routes *routes, const lh_route_group *group, const lh_route *def)
{
    lh_compiled_route *route = apr_pcalloc(routes->pool, sizeof(*route));

    route->def = def;
    route->group = group;
    route->number = routes->all->nelts;
    route->paged = is_paged(def);
    route->rate = def->rate ? def->rate : !strcmp(def->method, "GET") ? LH_RATE_READ : LH_RATE_WRITE;
    route->body_count = count_fields(def->body);
    collect_query(routes->pool, route);
    name_slots(routes->pool, route);
    compile_statements(routes, route);
    fail(routes, def, lh_route_check(routes->pool, def));
    compile_topics(route);
    check_name(routes, def);
    fail(routes, def, lh_path_add(routes->tree, def->method, def->path, route));
    APR_ARRAY_PUSH(routes->all, lh_compiled_route *) = route;
}

/* For If-Match, PUT, PATCH and DELETE need the GET route of their path, unless it is a list: its callers must include
 * theirs. */
static void pair_with_get(lh_routes *routes, lh_compiled_route *route)
{
    const lh_route *def = route->def;
    int i;

    if (!strcmp(def->method, "GET") || !strcmp(def->method, "POST")) {
        return;
    }
    for (i = 0; i < routes->all->nelts; i++) {
        const lh_compiled_route *get = lh_routes_at(routes, i);

        if (!strcmp(get->def->method, "GET") && get->def->shape != LH_ALL && !strcmp(get->def->path, def->path)) {
            route->get = get;
            if (!get->lock) {
                fail(routes, def, "the GET route of its path needs a lock");
            }
            if (get->def->roles != LH_ANYONE && (def->roles & ~get->def->roles)) {
                fail(routes, def, "the GET route of its path has other roles");
            }
        }
    }
}

const lh_routes *lh_routes_compile(apr_pool_t *p, const lh_route_group *const *groups, lh_statements *statements,
                                   const char **why)
{
    lh_routes *routes = apr_pcalloc(p, sizeof(*routes));
    const lh_route_group *const *group;
    const lh_route *def;
    int i;

    routes->pool = p;
    routes->tree = lh_path_tree_create(p);
    routes->all = apr_array_make(p, 128, sizeof(const lh_compiled_route *));
    routes->statements = statements;
    for (group = groups; *group; group++) {
        for (def = (*group)->routes; def->name; def++) {
            check_prefix(routes, groups, *group, def);
            add_route(routes, *group, def);
        }
    }
    for (i = 0; i < routes->all->nelts; i++) {
        pair_with_get(routes, APR_ARRAY_IDX(routes->all, i, lh_compiled_route *));
    }
    *why = routes->why;
    return routes->why ? NULL : routes;
}

int lh_routes_count(const lh_routes *routes)
{
    return routes->all->nelts;
}

const lh_compiled_route *lh_routes_at(const lh_routes *routes, int index)
{
    return APR_ARRAY_IDX(routes->all, index, lh_compiled_route *);
}

/* ---- matching ---- */

const lh_route_group *lh_route_find_group(const lh_route_group *const *groups, const char *path)
{
    const char *const *prefix;

    for (; *groups; groups++) {
        for (prefix = (*groups)->prefixes; *prefix; prefix++) {
            if (lh_path_below(*prefix, path)) {
                return *groups;
            }
        }
    }
    return NULL;
}

void lh_route_match(const lh_routes *routes, apr_pool_t *p, const char *method, const char *path, lh_match *match)
{
    lh_path_match found = {NULL, NULL, {NULL}};

    lh_path_find(routes->tree, p, method, path, &found);
    match->route = found.value;
    match->allow = found.allow;
    memcpy(match->values, found.params, sizeof(match->values));
}
