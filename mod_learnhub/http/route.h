/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table: routes compiled and checked before httpd starts, matched on every request. Depends on APR only.
 *
 * A path that matches no template, or whose parameter does not parse, is 404; one that matches with other methods only
 * is 405.
 */
#ifndef LH_ROUTE_H
#define LH_ROUTE_H

#include "db/statement.h"
#include "http/path.h"
#include "learnhub.h"

#define LH_FILTERS_MAX 4

typedef struct lh_compiled_route {
    const lh_route *def;
    const lh_route_group *group;

    /* The values of a call, by slot: path, query, body, steps, built-in parameters. */
    lh_slots slots;
    int query_slot, body_slot, step_slot, builtin_slot; /* the first slot of each kind */
    const lh_field **query;                             /* the route's own, then those of its shape */
    int query_count, body_count;
    int paged; /* has page and page_size */

    const lh_statement *sql[LH_SQL_MAX];
    int sql_count;
    const lh_statement *extra_sql[LH_EXTRA_SQL_MAX];

    /* Statements with :filters: one for each set of filters that can be sent, by bit mask of `filters`. */
    int filters[LH_FILTERS_MAX]; /* index of the query field */
    int filter_count;
    const lh_statement **filtered; /* of the last statement; NULL when it has no :filters */
    const lh_statement **counts;
} lh_compiled_route;

/* The built-in parameters, in the order of their slots from builtin_slot on. */
enum {
    LH_BUILTIN_ME,
    LH_BUILTIN_BASE,
    LH_BUILTIN_MEETING,
    LH_BUILTIN_ECO,
    LH_BUILTIN_LIMIT,
    LH_BUILTIN_OFFSET,
    LH_BUILTIN_COUNT
};

typedef struct lh_routes lh_routes;

/*
 * Compiles the routes of `groups` (terminated by NULL) and registers their statements. On failure returns NULL and sets
 * *why to a sentence that names the route: the same method and path or the same name twice, an unknown :name, neither
 * statements nor steps, a step whose fields, statements or columns are missing, a message without a key, more than
 * LH_FILTERS_MAX filters, a bad template.
 */
const lh_routes *lh_routes_compile(apr_pool_t *p, const lh_route_group *const *groups, lh_statements *statements,
                                   const char **why);

int lh_routes_count(const lh_routes *routes);
const lh_compiled_route *lh_routes_at(const lh_routes *routes, int index);

/* The group that has the path, or NULL. Whole segments count: "/usersx" is not below "/users". */
const lh_route_group *lh_route_find_group(const lh_route_group *const *groups, const char *path);

typedef struct lh_match {
    const lh_compiled_route *route;     /* NULL: see allow */
    const char *allow;                  /* methods of the path, "GET, HEAD, POST, OPTIONS"; NULL: no such path */
    const char *values[LH_PATH_PARAMS]; /* the path's parameters, in the order of the template */
} lh_match;

/* `path` is decoded, as httpd's r->uri is. HEAD matches a GET route. The strings of the match live in `p`. */
void lh_route_match(const lh_routes *routes, apr_pool_t *p, const char *method, const char *path, lh_match *match);

#endif
