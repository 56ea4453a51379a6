/* SPDX-License-Identifier: Apache-2.0 */
/* The components of an OpenAPI document: each is written once, and referred to by its name. Depends on APR only. */
#ifndef LH_COMPONENT_H
#define LH_COMPONENT_H

#include <apr_pools.h>

typedef struct lh_json lh_json;
typedef struct lh_components lh_components;

typedef enum {
    LH_COMPONENT_SCHEMA,
    LH_COMPONENT_RESPONSE,
    LH_COMPONENT_PARAMETER,
    LH_COMPONENT_HEADER,
    LH_COMPONENT_KINDS /* their number */
} lh_component_kind;

lh_components *lh_components_create(apr_pool_t *p);

/* A writer for the component, or NULL when it has been written. */
lh_json *lh_component_begin(lh_components *components, lh_component_kind kind, const char *name);

/* Writes a reference to a schema, which becomes a component: with this name, unless an equal one has another name, or
 * another one has this name. */
void lh_component_share(lh_json *json, lh_components *components, const lh_json *schema, const char *name);

/* Writes {"$ref": ...}. */
void lh_component_refer(lh_json *json, lh_component_kind kind, const char *name);

/* Writes the members of the document's `components`, in the order of lh_component_begin(). */
void lh_components_write(lh_json *json, const lh_components *components);

#endif
