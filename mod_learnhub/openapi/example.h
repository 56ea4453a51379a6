/* SPDX-License-Identifier: Apache-2.0 */
/* Examples of values of fields: the field's own, or by its name, or by its type. Depends on APR only. */
#ifndef LH_EXAMPLE_H
#define LH_EXAMPLE_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* Writes a value that the field's validation accepts; a time in the format of responses. */
void lh_example_value(lh_json *json, const lh_field *field, lh_time_format times);

/* The value in the table of the route for a key or a media type in the response with this status; NULL: none. */
const char *lh_example_of_route(const lh_route *route, const char *name, int status);

/* Writes this value: text or JSON, or "null". */
void lh_example_text(lh_json *json, const lh_field *field, const char *text, lh_time_format times);

#endif
