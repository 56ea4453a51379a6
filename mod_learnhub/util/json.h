/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON writer: appends JSON to a buffer and adds commas where they are needed. Depends on APR only. */
#ifndef LH_JSON_H
#define LH_JSON_H

#include "learnhub_time.h"
#include "util/buffer.h"

typedef struct lh_json {
    lh_buffer out;
    char last; /* the last byte written; decides whether a comma is needed */
} lh_json;

/* A writer to a growing buffer; `capacity` is its initial size in bytes. */
void lh_json_init(lh_json *json, apr_pool_t *pool, apr_size_t capacity);

/* A writer to a buffer of `capacity` bytes that is flushed whenever it is full; lh_buffer_finish() flushes the rest. */
void lh_json_init_stream(lh_json *json, apr_pool_t *pool, apr_size_t capacity, lh_buffer_flush *flush, void *context);

/* The JSON in a growing buffer, terminated by a zero byte; valid until more is written. */
const char *lh_json_result(lh_json *json);

void lh_json_open(lh_json *json, char bracket);  /* '{' or '[' */
void lh_json_close(lh_json *json, char bracket); /* '}' or ']' */
void lh_json_key(lh_json *json, const char *key);

/* Values. */
void lh_json_text(lh_json *json, const char *text);                      /* NULL writes null */
void lh_json_string(lh_json *json, const char *text, apr_size_t length); /* UTF-8; invalid bytes become U+FFFD */
void lh_json_int(lh_json *json, apr_int64_t value);
void lh_json_bool(lh_json *json, int value);
void lh_json_null(lh_json *json);
void lh_json_verbatim(lh_json *json, const char *text, apr_size_t length); /* must be JSON */

/* A number with as many digits (15 to 17) as it takes to read back the same double; null for NaN and infinity. */
void lh_json_number(lh_json *json, double value);

/* A time in quotes; null outside the years 1 to 9999. */
void lh_json_time(lh_json *json, apr_int64_t unix_micros, lh_time_format format);

/* Appends bytes without a comma: for text that contains its own punctuation. */
void lh_json_raw(lh_json *json, const char *bytes, apr_size_t length);

#endif
