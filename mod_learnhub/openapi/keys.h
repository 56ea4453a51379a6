/* SPDX-License-Identifier: Apache-2.0 */
/* The schemas of the objects in responses, and examples of them. Depends on APR only. */
#ifndef LH_KEYS_H
#define LH_KEYS_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* The schema of an object. All keys are required. `keys` NULL: none. */
void lh_keys_schema(lh_json *json, const lh_field *keys, lh_time_format times);

/* An example of it. */
void lh_keys_example(lh_json *json, const lh_field *keys, lh_time_format times);

#endif
