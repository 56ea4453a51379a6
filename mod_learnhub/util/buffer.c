/* SPDX-License-Identifier: Apache-2.0 */
#include "util/buffer.h"

void lh_buffer_init(lh_buffer *buffer, apr_pool_t *pool, apr_size_t capacity)
{
    memset(buffer, 0, sizeof(*buffer));
    buffer->pool = pool;
    buffer->capacity = capacity > 0 ? capacity : 1;
    buffer->data = apr_palloc(pool, buffer->capacity);
    buffer->status = APR_SUCCESS;
}

void lh_buffer_init_stream(lh_buffer *buffer, apr_pool_t *pool, apr_size_t capacity, lh_buffer_flush *flush,
                           void *context)
{
    lh_buffer_init(buffer, pool, capacity);
    buffer->flush = flush;
    buffer->context = context;
}

static void grow(lh_buffer *buffer, apr_size_t needed)
{
    apr_size_t capacity = buffer->capacity * 2 > needed ? buffer->capacity * 2 : needed;
    char *data = apr_palloc(buffer->pool, capacity);

    memcpy(data, buffer->data, buffer->length);
    buffer->data = data;
    buffer->capacity = capacity;
}

static void flush_all(lh_buffer *buffer)
{
    if (buffer->status == APR_SUCCESS && buffer->length > 0) {
        buffer->status = buffer->flush(buffer->context, buffer->data, buffer->length);
    }
    buffer->length = 0;
}

void lh_buffer_append_slow(lh_buffer *buffer, const char *bytes, apr_size_t length)
{
    if (!buffer->flush) {
        grow(buffer, buffer->length + length + 1);
    }
    while (length > 0) {
        apr_size_t room = buffer->capacity - buffer->length, part = length < room ? length : room;

        memcpy(buffer->data + buffer->length, bytes, part);
        buffer->length += part;
        bytes += part;
        length -= part;
        if (buffer->flush && buffer->length == buffer->capacity) {
            flush_all(buffer);
        }
    }
}

const char *lh_buffer_text(lh_buffer *buffer)
{
    lh_buffer_append(buffer, "", 1);
    buffer->length--;
    return buffer->data;
}

apr_status_t lh_buffer_finish(lh_buffer *buffer)
{
    if (buffer->flush) {
        flush_all(buffer);
    }
    return buffer->status;
}
