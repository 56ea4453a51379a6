/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of the fields of bodies and queries, as lh_field_check() validates them, and examples. Depends on APR
 * only. */
#ifndef LH_SCHEMA_H
#define LH_SCHEMA_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* How values arrive: LH_JSON with types; LH_FORM, LH_MULTIPART and LH_QUERY as text. */
#define LH_QUERY 8u

/* The schema of one field. */
void lh_schema_field(lh_json *json, const lh_field *field, unsigned media);

/* The schema of the route's body. */
void lh_schema_body(lh_json *json, const lh_route *route, unsigned media);

/* A body that the route's validation accepts. */
void lh_schema_example(lh_json *json, const lh_field *fields);

#endif
