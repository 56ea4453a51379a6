/* SPDX-License-Identifier: Apache-2.0 */
/* Examples of values of fields: the field's own, or by its name, or by its type. Depends on APR only. */
#ifndef LH_EXAMPLE_H
#define LH_EXAMPLE_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* Writes a value that the field's validation accepts; a time in the format of responses. */
void lh_example_value(lh_json *json, const lh_field *field, lh_time_format times);

#endif
