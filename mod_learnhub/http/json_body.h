/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses a JSON body and returns the input of each field. Depends on APR and jansson.
 *
 * The objects of LH_OBJECT fields are stored as they were sent, so they are cut out of the text before jansson parses
 * it: jansson would round their numbers. They are validated separately, by lh_json_body_check_objects().
 */
#ifndef LH_JSON_BODY_H
#define LH_JSON_BODY_H

#include "http/fields.h"

/* The maximum number of values in a body, without those in objects of LH_OBJECT fields. */
#define LH_JSON_BODY_VALUES 10000

typedef struct lh_json_body lh_json_body;

/*
 * Parses a body for `count` fields. An empty body is an empty object; with `unwrap_array`, an array of one object is
 * that object. On failure returns NULL and sets *why to a sentence for the client; too many values and too deep nesting
 * are found before anything is allocated for them. Objects are not copied: the text must exist as long as the inputs,
 * and is changed: a zero byte replaces the one after each object.
 */
lh_json_body *lh_json_body_parse(apr_pool_t *p, const lh_field *fields, int count, int unwrap_array, char *text,
                                 apr_size_t length, const char **why);

/* Frees what was parsed. The inputs and objects remain, and lh_json_body_check_objects() may still be called. */
void lh_json_body_free(lh_json_body *body);

/* The value that was sent for fields[index]. */
lh_input lh_json_body_input(const lh_json_body *body, int index);

/*
 * Validates the objects of LH_OBJECT fields, of LH_DEFERRED ones only with `deferred`. Returns NULL, or a sentence for
 * the client about the first that is not valid JSON.
 */
const char *lh_json_body_check_objects(const lh_json_body *body, int deferred);

#endif
