/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of a directive with a connection string of PostgreSQL. */
#ifndef LH_CONNINFO_H
#define LH_CONNINFO_H

#include "core/setting.h"

#define LH_CONNINFO_HOSTS 8 /* at most */

/* CONNINFO with at least one host and no password, or Primary, which is stored as an empty string. */
const char *lh_read_conninfo(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[]);

#endif
