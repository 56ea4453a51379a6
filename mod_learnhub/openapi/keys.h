/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of the objects in responses, and examples of them. Depends on APR only. */
#ifndef LH_KEYS_H
#define LH_KEYS_H

#include "learnhub.h"

typedef struct lh_components lh_components;
typedef struct lh_json lh_json;

/* Writes a reference to the schema of an object, which becomes a component: with the name in its table, or `name`. All
 * keys are required. `keys` NULL: none. */
void lh_keys_schema(lh_json *json, lh_components *components, const lh_field *keys, lh_time_format times,
                    const char *name);

/* An example of the object in the route's response with this status. */
void lh_keys_example(lh_json *json, const lh_route *route, lh_time_format times, int status);

#endif
