/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passwords: the rules for new ones, bcrypt, and a gate that keeps bcrypt from taking all workers. Knows APR only.
 */
#ifndef LH_PASSWORD_H
#define LH_PASSWORD_H

#include <apr_pools.h>
#include <apr_time.h>

/* How many threads of a process may hash at once, and how many may wait in line: the others are for other requests. */
typedef struct lh_gate lh_gate;

lh_gate *lh_gate_create(apr_pool_t *p, int width, int line);
/* APR_TIMEUP after `wait` microseconds, and at once when the line is full. */
apr_status_t lh_gate_enter(lh_gate *gate, apr_interval_time_t wait);
void lh_gate_leave(lh_gate *gate);

/*
 * The rules: 8 to 72 bytes, not all digits, no zero byte (the caller's strings have none), not equal to one of `own`
 * (name, e-mail, its local part; case does not count; NULL entries are passed over, `own` ends after `count`).
 * Returns NULL or a sentence for the client.
 */
const char *lh_password_error(const char *password, const char *const *own, int count);

/* bcrypt with a fresh salt, "$2y$..."; NULL when the random source fails. `cost` 4..15. */
const char *lh_password_hash(apr_pool_t *p, const char *password, int cost);

/* 1 when it matches. A NULL hash costs the same time as a wrong password at `cost` and never matches. */
int lh_password_matches(const char *password, const char *hash, int cost);

#endif
