/* SPDX-License-Identifier: Apache-2.0 */
/* A byte buffer that grows, or has a fixed size and is flushed whenever it is full. Depends on APR only. */
#ifndef LH_BUFFER_H
#define LH_BUFFER_H

#include <apr_pools.h>
#include <string.h>

/* Consumes `length` bytes. After a result other than APR_SUCCESS, the buffer discards all further bytes. */
typedef apr_status_t lh_buffer_flush(void *context, const char *data, apr_size_t length);

typedef struct lh_buffer {
    char *data;
    apr_size_t length, capacity;
    apr_pool_t *pool;
    lh_buffer_flush *flush; /* NULL: the buffer grows */
    void *context;
    apr_status_t status; /* of the last flush */
} lh_buffer;

/* A growing buffer; `capacity` is the initial size in bytes. */
void lh_buffer_init(lh_buffer *buffer, apr_pool_t *pool, apr_size_t capacity);

/* A buffer of fixed size that calls `flush` whenever it holds `capacity` bytes. */
void lh_buffer_init_stream(lh_buffer *buffer, apr_pool_t *pool, apr_size_t capacity, lh_buffer_flush *flush,
                           void *context);

/* lh_buffer_append() for bytes that do not fit. */
void lh_buffer_append_slow(lh_buffer *buffer, const char *bytes, apr_size_t length);

static inline void lh_buffer_append(lh_buffer *buffer, const char *bytes, apr_size_t length)
{
    if (length >= buffer->capacity - buffer->length) {
        lh_buffer_append_slow(buffer, bytes, length);
        return;
    }
    memcpy(buffer->data + buffer->length, bytes, length);
    buffer->length += length;
}

/* The contents of a growing buffer with a zero byte after the last; valid until something is appended. */
const char *lh_buffer_text(lh_buffer *buffer);

/* Flushes the rest of a buffer of fixed size; returns the status of the last flush. */
apr_status_t lh_buffer_finish(lh_buffer *buffer);

#endif
