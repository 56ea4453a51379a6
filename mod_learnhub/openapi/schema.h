/* SPDX-License-Identifier: Apache-2.0 */
/* JSON Schemas of fields: of bodies and queries as lh_field_check() validates them, and of the keys of responses.
 * Depends on APR only. */
#ifndef LH_SCHEMA_H
#define LH_SCHEMA_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* How the values arrive: LH_JSON with types; LH_FORM, LH_MULTIPART, and LH_QUERY as text. */
#define LH_QUERY 8u

/* The schema of one field of a request. */
void lh_schema_field(lh_json *json, const lh_field *field, unsigned media);

/* The schema of a body. */
void lh_schema_body(lh_json *json, const lh_field *fields, unsigned media);

/* The schema of an object in responses. All keys are required. */
void lh_schema_object(lh_json *json, const lh_field *keys, lh_time_format times);

/* The number of characters of a name's first part: 4 for "user.id", 0 for "id". */
apr_size_t lh_schema_head(const char *name);

/* The first field of the object `prefix`, such as "user.", at or after `field`; NULL: none. */
const lh_field *lh_schema_next(const lh_field *field, const char *prefix);

/* 1 when a field before `field` belongs to the same nested object of `prefix`. */
int lh_schema_is_open(const lh_field *fields, const lh_field *field, const char *prefix);

#endif
