/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spool: temporary files for the bodies of long responses, of one process. Depends on APR only.
 *
 * - A file is created by the first append and unlinked at once, so that no file remains after a crash.
 * - All files together have at most `bytes` bytes, those of one owner (a user, or an address) at most a quarter. The
 *   response to a change cannot be refused any more, so a quarter more is reserved for such responses.
 * - What the spool has no room for can be sent while it is written, which keeps a thread for as long as the client
 *   reads. The number of such senders is limited as well: in total, and two for each owner. Responses to changes are
 *   counted apart.
 */
#ifndef LH_SPOOL_H
#define LH_SPOOL_H

#include <apr_file_io.h>
#include <apr_pools.h>

typedef struct lh_spools lh_spools; /* the spool of a process */
typedef struct lh_spool lh_spool;   /* one body */

/* A spool with at most `bytes` bytes and `senders` senders, half as many for changes; `directory` is not copied. */
lh_spools *lh_spools_create(apr_pool_t *p, const char *directory, apr_int64_t bytes, int senders);

/* Creates and removes a file. Returns why that fails. */
apr_status_t lh_spools_check(const lh_spools *spools, apr_pool_t *p);

/* The bytes in use. */
apr_int64_t lh_spools_used(lh_spools *spools);

/* An empty body of `owner`, of the response to a change if `change` is 1. It is cleared with `p`. `sendfile`: httpd may
 * send it with sendfile(). NULL without memory. */
lh_spool *lh_spool_create(apr_pool_t *p, lh_spools *spools, const char *owner, int change, int sendfile);

/* Appends all bytes or none. APR_FROM_OS_ERROR(EDQUOT): the spool or the owner's share has no room for them. Other
 * failures are those of the file system. */
apr_status_t lh_spool_append(lh_spool *spool, const char *data, apr_size_t length);

/* Discards the contents. */
void lh_spool_rewind(lh_spool *spool);

/* The file and its length in bytes; NULL and 0 before the first append. */
apr_file_t *lh_spool_file(const lh_spool *spool);
apr_off_t lh_spool_length(const lh_spool *spool);

/* Counts the owner as a sender until the body is cleared. Returns 0 when there are too many senders. */
int lh_spool_send(lh_spool *spool);

#endif
