/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The background threads of a pool, which open its connections, and with several hosts find out when another one has to
 * be used.
 */
#ifndef LH_CONNECTORS_H
#define LH_CONNECTORS_H

typedef struct lh_pool lh_pool;

/* Starts the threads; pool->running is their number. */
void lh_connectors_start(lh_pool *pool);

/* Waits until they have ended; pool->stopping is set, and they were woken. */
void lh_connectors_join(lh_pool *pool);

#endif
