/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The JSON writer: appends to one growing buffer, or to a bounded one that is flushed when it is full.
 * It puts the commas; it never produces invalid JSON from valid calls. Knows APR only.
 */
#ifndef LH_JSON_H
#define LH_JSON_H

#include "learnhub.h"

/* Takes `length` bytes; anything but APR_SUCCESS stops the writer, which then swallows everything. */
typedef apr_status_t lh_json_flush(void *context, const char *data, apr_size_t length);

typedef struct lh_json {
    char *data;
    apr_size_t length, capacity;
    apr_pool_t *pool;
    lh_json_flush *flush; /* NULL: the buffer grows */
    void *context;
    apr_status_t status; /* of the last flush */
    char last;           /* the last byte written: tells whether a comma is due */
} lh_json;

/* A growing writer; `capacity` is the first guess. */
void lh_json_init(lh_json *json, apr_pool_t *pool, apr_size_t capacity);

/* A writer that hands its buffer to `flush` whenever `capacity` bytes are there. */
void lh_json_init_stream(lh_json *json, apr_pool_t *pool, apr_size_t capacity, lh_json_flush *flush, void *context);

/* Hands over what is left; returns the writer's status. */
apr_status_t lh_json_finish(lh_json *json);

void lh_json_open(lh_json *json, char bracket);  /* '{' or '[', after a comma where one is due */
void lh_json_close(lh_json *json, char bracket); /* '}' or ']' */
void lh_json_key(lh_json *json, const char *key);

/* Values, each after a comma where one is due. */
void lh_json_text(lh_json *json, const char *text);                      /* NULL writes null */
void lh_json_string(lh_json *json, const char *text, apr_size_t length); /* UTF-8; invalid bytes become U+FFFD */
void lh_json_int(lh_json *json, apr_int64_t value);
void lh_json_number(lh_json *json, double value); /* shortest form that reads back; NaN, infinity: null */
void lh_json_bool(lh_json *json, int value);
void lh_json_null(lh_json *json);
void lh_json_verbatim(lh_json *json, const char *text, apr_size_t length);      /* JSON made elsewhere */
void lh_json_time(lh_json *json, apr_int64_t unix_micros, lh_time_style style); /* quoted; years 1 to 9999, else null */

/* Bytes as they are, without a comma: for plans that carry their own punctuation. */
void lh_json_raw(lh_json *json, const char *bytes, apr_size_t length);

#endif
