/* SPDX-License-Identifier: Apache-2.0 */
/* Examples of requests and responses, from the types and names of fields. Depends on APR only. */
#ifndef LH_EXAMPLE_H
#define LH_EXAMPLE_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* A body that the route's validation accepts. */
void lh_example_body(lh_json *json, const lh_field *fields, unsigned media);

/* The members of an object in a response. */
void lh_example_object(lh_json *json, const lh_field *keys, lh_time_format times);

#endif
