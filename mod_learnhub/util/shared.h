/* SPDX-License-Identifier: Apache-2.0 */
/* Shared memory of all child processes, also of those of before and after a graceful restart. Depends on APR only. */
#ifndef LH_SHARED_H
#define LH_SHARED_H

#include <apr_pools.h>

#define LH_SHARED_LINE 64 /* bytes of a cache line, to which the memory is aligned */

/*
 * The memory of a key in `process`, httpd's pool of the process, which outlives restarts. It is created when the key is
 * new, with zeroes. The key names everything that the layout depends on: another layout, as after an upgrade of the
 * module, gets other memory. Called in post_config. Fails without shared memory.
 */
apr_status_t lh_shared_memory(apr_pool_t *process, const char *key, apr_size_t size, void **memory);

#endif
