/* SPDX-License-Identifier: Apache-2.0 */
/* The names of roles, as in tokens and in users.role. */
#ifndef LH_ROLE_H
#define LH_ROLE_H

/* The name of one role (LH_STUDENT .. LH_SERVICE); NULL for any other value. */
const char *lh_role_name(unsigned role);

/* The role with this name; 0 for an unknown name or NULL. */
unsigned lh_role_of(const char *name);

#endif
