/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tree of path templates, matched segment by segment. Depends on APR only.
 *
 * A literal segment takes precedence over a parameter. At one position of the tree all parameters have the same type.
 * A slash at the end of a path is optional.
 */
#ifndef LH_PATH_H
#define LH_PATH_H

#include <apr_pools.h>

#define LH_PATH_PARAMS 4 /* of one template, at most */

typedef struct lh_path_tree lh_path_tree;

lh_path_tree *lh_path_tree_create(apr_pool_t *p);

/*
 * Adds a template such as "/api/sessions/{id:int}/join/" ({name:int|oid|uuid|text}) with the value that a match
 * returns. Returns NULL, or a clause for an error message when the template is invalid, the method is unknown, the
 * template already has a value for the method, or a parameter at the same position has another type.
 */
const char *lh_path_add(lh_path_tree *tree, const char *method, const char *template, const void *value);

typedef struct lh_path_match {
    const void *value;                  /* NULL: no template matches, or none with this method */
    const char *allow;                  /* the path's methods, "GET, HEAD, POST, OPTIONS"; NULL: no template matches */
    const char *params[LH_PATH_PARAMS]; /* in the order of the template */
} lh_path_match;

/* Sets *match. `path` is percent-decoded, as r->uri is. HEAD matches GET. A segment that is not a valid value of the
 * parameter's type does not match. Parameters are allocated in `p`. */
void lh_path_find(const lh_path_tree *tree, apr_pool_t *p, const char *method, const char *path, lh_path_match *match);

/* 1 when `path` is `prefix` or below it, by whole segments: "/usersx" is not below "/users". */
int lh_path_below(const char *prefix, const char *path);

#endif
