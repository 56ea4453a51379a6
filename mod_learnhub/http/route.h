/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table: routes are compiled and checked before httpd starts and matched on every request. Depends on APR
 * only.
 */
#ifndef LH_ROUTE_H
#define LH_ROUTE_H

#include "db/statement.h"
#include "http/path.h"
#include "learnhub.h"

#define LH_FILTERS_MAX 4 /* query fields with `where`, of one route */

/* A topic of `depends`: the text, followed by the value of a slot. */
typedef struct lh_topic {
    const char *text; /* not terminated */
    apr_size_t length;
    int slot; /* -1: no value follows */
} lh_topic;

typedef struct lh_compiled_route {
    const lh_route *def;
    const lh_route_group *group;
    int number; /* its index in the table of all routes */

    /* The values of a call, by slot: path, query, body, steps, built-in parameters. */
    lh_slots slots;
    int query_slot, body_slot, step_slot, builtin_slot; /* the first slot of each kind */
    const lh_field **query;                             /* the route's own fields, then those of its shape */
    int query_count, body_count;
    int paged;    /* has page and page_size */
    lh_rate rate; /* never LH_RATE_BY_METHOD */

    const lh_statement *sql[LH_SQL_MAX];
    int sql_count;
    const lh_statement *extra_sql[LH_EXTRA_SQL_MAX];
    const lh_statement *lock;            /* or NULL */
    const struct lh_compiled_route *get; /* of PUT, PATCH and DELETE: the GET route of the path, which has a lock; NULL:
                                          * the path has none */

    /* A statement with :filters is compiled once for each set of filters; the index is the set as bits of `filters`. */
    int filters[LH_FILTERS_MAX]; /* indexes of query fields */
    int filter_count;
    const lh_statement **filtered; /* the last statement; NULL when it has no :filters */
    const lh_statement **counts;   /* the route's count, or NULL */
    const lh_statement **deep;     /* its deep_sql, or NULL */

    lh_topic topics[LH_TOPICS_MAX];
    int topic_count;
    int per_caller; /* a topic or a statement of a route with topics names :me */
} lh_compiled_route;

/* The built-in parameters, in the order of their slots from builtin_slot on. */
enum {
    LH_BUILTIN_ME,
    LH_BUILTIN_BASE,
    LH_BUILTIN_MEETING,
    LH_BUILTIN_ECO,
    LH_BUILTIN_SIGNUP_ROLES,
    LH_BUILTIN_ADDRESS,
    LH_BUILTIN_LIMIT,
    LH_BUILTIN_OFFSET,
    LH_BUILTIN_COUNT
};

typedef struct lh_routes lh_routes;

/*
 * Compiles the routes of `groups` (terminated by NULL) and registers their statements. On failure returns NULL and sets
 * *why to a sentence that names the first invalid route: an error of lh_route_check() or lh_path_add(), a duplicate
 * name, an unknown :name in a statement, more than LH_FILTERS_MAX filters, filters without :filters.
 */
const lh_routes *lh_routes_compile(apr_pool_t *p, const lh_route_group *const *groups, lh_statements *statements,
                                   const char **why);

/* The compiled routes, in the order of the groups. */
int lh_routes_count(const lh_routes *routes);
const lh_compiled_route *lh_routes_at(const lh_routes *routes, int index);

/* The group with a prefix at or above `path` (see lh_path_below()), or NULL. */
const lh_route_group *lh_route_find_group(const lh_route_group *const *groups, const char *path);

typedef struct lh_match {
    const lh_compiled_route *route;     /* NULL: 405, or 404 when `allow` is NULL too */
    const char *allow;                  /* the path's methods, "GET, HEAD, POST, OPTIONS"; NULL: no such path */
    const char *values[LH_PATH_PARAMS]; /* the path's parameters, in the order of the template */
} lh_match;

/* Finds the route of a request, see lh_path_find(). */
void lh_route_match(const lh_routes *routes, apr_pool_t *p, const char *method, const char *path, lh_match *match);

#endif
