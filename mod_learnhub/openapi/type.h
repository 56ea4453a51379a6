/* SPDX-License-Identifier: Apache-2.0 */
/* What the schemas of requests and of responses have in common: the types of fields, and nested objects. Depends on APR
 * only. */
#ifndef LH_TYPE_H
#define LH_TYPE_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* Writes the member `type`; with `null`, null is of the type as well. */
void lh_type_name(lh_json *json, const char *type, int null);

/* Writes the members for values of a type: `type`, and `format` or `pattern`. */
void lh_type_write(lh_json *json, lh_type type, int null);

/* Writes the member `enum` with the words of a list, as strings or as numbers, and null. */
void lh_type_words(lh_json *json, const char *words, int null, int numbers);

/* Writes an alternative: an object with `type`, and with another member if `key` is not NULL. */
void lh_type_alternative(lh_json *json, const char *type, const char *key, const char *value);

/*
 * A nested object has the fields whose names begin with its prefix: "user." has "user.id" and "user.address.city"; the
 * prefix "" has all fields.
 */

/* The first field of the object at or after `field`; NULL: none. */
const lh_field *lh_type_next(const lh_field *field, const char *prefix);

/* The length of the field's name below the prefix up to its dot, which is the name of an object in the object; 0: the
 * field itself is a member. */
apr_size_t lh_type_head(const lh_field *field, const char *prefix);

/* 1 when an earlier field is this object in the object, or is in it. */
int lh_type_is_repeated(const lh_field *fields, const lh_field *field, const char *prefix);

/* The key of the field, or of the object in the object. */
const char *lh_type_key(apr_pool_t *p, const lh_field *field, const char *prefix);

/* The prefix of that object. */
const char *lh_type_prefix(apr_pool_t *p, const lh_field *field, const char *prefix);

#endif
