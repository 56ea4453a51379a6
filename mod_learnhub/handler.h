/* SPDX-License-Identifier: Apache-2.0 */
/* The request path: route -> auth -> query -> body -> statements -> reply. */
#ifndef LH_HANDLER_H
#define LH_HANDLER_H

#include <apr_pools.h>

/* Registers the hooks that serve requests. */
void lh_handler_hooks(apr_pool_t *p);

#endif
