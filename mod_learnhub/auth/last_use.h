/* SPDX-License-Identifier: Apache-2.0 */
/* The logins that a process has seen lately, until the database stores when they were used. Losing one is harmless. */
#ifndef LH_LAST_USE_H
#define LH_LAST_USE_H

#include <apr_pools.h>

#define LH_LAST_USE_ID 16 /* bytes of the id of a login */

/* Bounded: logins share places. */
typedef struct lh_last_use lh_last_use;

lh_last_use *lh_last_use_create(apr_pool_t *p);

/* Notes that a login is used, at `now` in seconds since 1970, unless it was noted in the last minutes. Thread-safe. */
void lh_last_use_note(lh_last_use *uses, const unsigned char id[LH_LAST_USE_ID], apr_int64_t now);

/* Removes up to 100 noted logins and returns them as PostgreSQL's text of an array of uuid; NULL if there are none.
 * Thread-safe. */
const char *lh_last_use_take(lh_last_use *uses, apr_pool_t *p);

#endif
