/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body of a response while it is written: in memory up to one part (64 KB), then in a file of the spool, which
 * httpd sends without a thread. The memory needed is one part.
 *
 * A body that the spool has no room for is sent in parts while it is written. That keeps a thread for as long as the
 * client reads, and a streamed list its database connection as well, so both are limited; beyond the limits the
 * response is 503. Clients that read such a response too slowly are disconnected.
 *
 * Beyond the limits, a change gets no response: 503 would be wrong, because it has been committed, so the connection is
 * closed. The spool has a reserve for these responses.
 */
#ifndef LH_OUTPUT_H
#define LH_OUTPUT_H

#include <apr_buckets.h>

#include "http/call.h"
#include "util/json.h"

/* Bytes. With its headers such a response has fewer than FlushMaxThreshold, 65535, from which on httpd waits for the
 * client. */
#define LH_OUTPUT_PART 64000

typedef struct lh_connection lh_connection;

/* Sets the status and the headers of a response that is sent in parts. */
typedef void lh_output_start(lh_call *call);

typedef struct lh_output {
    lh_json json; /* writes the body */
    lh_call *call;
    const char *type; /* the media type */
    lh_output_start *start;
    lh_connection *connection; /* held while the body is written, or NULL */
    apr_pool_t *memory;        /* of the part; returned to the system when it is destroyed */
    struct lh_spool *spool;    /* NULL: all bytes are in memory, or not kept because the request is a HEAD */
    apr_bucket_brigade *bb;    /* of the parts; NULL before the first one is sent */
    apr_off_t length;          /* bytes without those of the part in memory */
    apr_time_t sending_since;  /* on lh_clock() */
    apr_off_t sent;            /* bytes that were passed on since */
} lh_output;

/* An empty body with the media type `type`. */
lh_output *lh_output_create(lh_call *call, const char *type, lh_output_start *start);

/* Discards all that was written; not after a part has been sent. */
void lh_output_rewind(lh_output *output);

/* 1 when the whole body so far is in memory: in json.out. */
int lh_output_in_memory(const lh_output *output);

/* Ends the body. Fails when it can neither be spooled nor sent. */
apr_status_t lh_output_end(lh_output *output);

/* 1 when the response is one to a change, which must not be replaced by an error. */
int lh_output_of_change(const lh_call *call);

/* Appends an ended body, of which no part has been sent. Returns its length in bytes. */
apr_off_t lh_output_insert(lh_output *output, apr_bucket_brigade *bb);

/* Ends a response that is sent in parts. If it is not `complete`, the connection is aborted so that the client detects
 * it. */
void lh_output_send_end(lh_output *output, int complete);

#endif
