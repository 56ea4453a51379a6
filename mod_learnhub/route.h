/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The route table: rows compiled once before httpd starts, matched on every request. Knows APR only.
 *
 * Templates become a tree of path segments: literal segments go before a parameter, and at one place of the tree a
 * parameter has one type. A path that matches no template, or whose parameter does not parse, is 404; one that
 * matches but not with this method is 405, and the leaf knows what Allow says.
 */
#ifndef LH_ROUTE_H
#define LH_ROUTE_H

#include "learnhub.h"
#include "statement.h"

#define LH_PATH_PARAMS 4
#define LH_FILTERS_MAX 4

/* A compiled row. */
typedef struct lh_operation {
    const lh_route *row;
    const lh_api *api;
    int index; /* its place among all operations */
    int form;  /* accepts a form */

    /* The values of a call, by slot: path, query, body, binds, then the machine's own. */
    lh_slots slots;
    int path_slot, query_slot, body_slot, bind_slot, own_slot; /* where each kind begins */
    const lh_field **query;                                    /* the row's, and page and page_size of an LH_PAGE */
    int query_count, body_count;

    const lh_statement *steps[LH_STEPS];
    int step_count;
    const lh_statement *more[LH_MORE];

    /* Statements with :filters: one of each for every set of filters sent, by bit mask of `filters`. */
    int filters[LH_FILTERS_MAX]; /* index of the query field */
    int filter_count;
    const lh_statement **answers; /* of the last step; NULL when it has no :filters */
    const lh_statement **counts;
} lh_operation;

/* The machine's own parameters, in the order of their slots from own_slot on. */
enum { LH_OWN_ME, LH_OWN_BASE, LH_OWN_MEETING, LH_OWN_ECO, LH_OWN_LIMIT, LH_OWN_OFFSET, LH_OWN_COUNT };

/* page and page_size, the last two query fields of an LH_PAGE. */
extern const lh_field lh_route_paging[];

typedef struct lh_routes lh_routes;

/*
 * Compiles the rows of `apis` (ended by NULL). On failure returns NULL and sets *why to a sentence that names the row:
 * same method and path twice, same name twice, unknown :name, no SQL and no handler, a message without a key, more
 * filters than LH_FILTERS_MAX, a bad template.
 */
const lh_routes *lh_routes_compile(apr_pool_t *p, const lh_api *const *apis, const char **why);

int lh_routes_count(const lh_routes *routes);
const lh_operation *lh_routes_operation(const lh_routes *routes, int index);
int lh_routes_statements(const lh_routes *routes); /* how many statements were numbered */
const lh_statement *lh_routes_statement(const lh_routes *routes, int number);

/* The API that owns the path, or NULL: whole segments count, "/usersx" is not below "/users". */
const lh_api *lh_route_owner(const lh_api *const *apis, const char *path);

typedef struct lh_match {
    const lh_operation *operation;      /* NULL: see allow */
    const char *allow;                  /* methods of the path, "GET, HEAD, POST, OPTIONS"; NULL: no such path */
    const char *values[LH_PATH_PARAMS]; /* of the template's parameters, in its order */
} lh_match;

/* `path` is decoded, as httpd's r->uri is. A HEAD finds the GET row. The match's strings live in `p`. */
void lh_route_match(const lh_routes *routes, apr_pool_t *p, const char *method, const char *path, lh_match *match);

#endif
