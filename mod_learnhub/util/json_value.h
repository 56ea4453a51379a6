/* SPDX-License-Identifier: Apache-2.0 */
/* Parsed, read-only JSON documents. Depends on APR and jansson; no other file includes jansson. */
#ifndef LH_JSON_VALUE_H
#define LH_JSON_VALUE_H

#include <apr_pools.h>

/* A value of a document; lives as long as the document. All functions accept NULL, which has no members. */
typedef struct json_t lh_json_value;

typedef enum {
    LH_JSON_ABSENT, /* of NULL */
    LH_JSON_NULL,
    LH_JSON_BOOLEAN,
    LH_JSON_INTEGER,
    LH_JSON_REAL,
    LH_JSON_STRING,
    LH_JSON_ARRAY,
    LH_JSON_OBJECT
} lh_json_kind;

typedef struct lh_json_parsed {
    lh_json_value *root; /* NULL: `why` is set */
    int only_reals;      /* an integer exceeds 64 bits: all numbers are LH_JSON_REAL */
    const char *why;     /* a clause, usually with line and column; it does not quote the text */
} lh_json_parsed;

/* Parses a document of `length` bytes; duplicate keys, invalid UTF-8, zero bytes and \u0000 are errors. Freed with
 * `p`. */
lh_json_parsed lh_json_value_parse(apr_pool_t *p, const char *text, apr_size_t length);

/* Frees the document `root` before its pool `p`. */
void lh_json_value_free(apr_pool_t *p, lh_json_value *root);

/* An empty object. */
lh_json_value *lh_json_value_empty(apr_pool_t *p);

lh_json_kind lh_json_value_kind(const lh_json_value *value);

/* A member of an object; NULL when it has no such member, or `object` is not an object. */
lh_json_value *lh_json_value_get(const lh_json_value *object, const char *name);

/* The length and the entries of an array; 0 and NULL when `array` is not an array. */
apr_size_t lh_json_value_count(const lh_json_value *array);
lh_json_value *lh_json_value_at(const lh_json_value *array, apr_size_t index);

/* A string, terminated by a zero byte, and its length unless `length` is NULL; NULL when `value` is not a string. */
const char *lh_json_value_string(const lh_json_value *value, apr_size_t *length);

/* The value of an integer; 1 for true; otherwise 0. */
apr_int64_t lh_json_value_integer(const lh_json_value *value);

/* The value of an integer or real; otherwise 0. */
double lh_json_value_real(const lh_json_value *value);

#endif
