/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects: a key and its value. Depends on APR only. */
#ifndef LH_PUT_H
#define LH_PUT_H

#include <string.h>

#include "util/json.h"

static inline void lh_put_text(lh_json *json, const char *key, const char *text)
{
    lh_json_key(json, key);
    lh_json_text(json, text);
}

static inline void lh_put_int(lh_json *json, const char *key, apr_int64_t number)
{
    lh_json_key(json, key);
    lh_json_int(json, number);
}

/* `text` is JSON. */
static inline void lh_put_json(lh_json *json, const char *key, const char *text)
{
    lh_json_key(json, key);
    lh_json_verbatim(json, text, strlen(text));
}

static inline void lh_put_true(lh_json *json, const char *key)
{
    lh_json_key(json, key);
    lh_json_bool(json, 1);
}

/* The caller closes it with lh_json_close(). */
static inline void lh_put_object(lh_json *json, const char *key)
{
    lh_json_key(json, key);
    lh_json_open(json, '{');
}

static inline void lh_put_array(lh_json *json, const char *key)
{
    lh_json_key(json, key);
    lh_json_open(json, '[');
}

#endif
