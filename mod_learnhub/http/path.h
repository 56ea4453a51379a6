/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of path templates, matched segment by segment. Depends on APR only.
 *
 * Literal segments take precedence over a parameter, and all templates have the same type of parameter at one place.
 * The last slash of a path is optional.
 */
#ifndef LH_PATH_H
#define LH_PATH_H

#include <apr_pools.h>

#define LH_PATH_PARAMS 4

typedef struct lh_path_tree lh_path_tree;

lh_path_tree *lh_path_tree_create(apr_pool_t *p);

/*
 * Adds a template such as "/api/sessions/{id:int}/join/" ({name:int|oid|uuid|text}) with the value that a match
 * returns. Returns NULL, or a sentence: a bad template, an unknown method, the same method and path twice, two types
 * of parameters at one place.
 */
const char *lh_path_add(lh_path_tree *tree, const char *method, const char *template, const void *value);

typedef struct lh_path_match {
    const void *value;                  /* NULL: no such path, or not with this method */
    const char *allow;                  /* the path's methods, "GET, HEAD, POST, OPTIONS"; NULL: no such path */
    const char *params[LH_PATH_PARAMS]; /* in the order of the template */
} lh_path_match;

/* `path` is decoded, as httpd's r->uri is. HEAD matches GET. A parameter that does not parse is no match. The strings of
 * the match live in `p`. */
void lh_path_find(const lh_path_tree *tree, apr_pool_t *p, const char *method, const char *path, lh_path_match *match);

/* 1 when `path` is `prefix` or below it. Whole segments count: "/usersx" is not below "/users". */
int lh_path_below(const char *prefix, const char *path);

#endif
