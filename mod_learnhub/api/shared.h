/* SPDX-License-Identifier: Apache-2.0 */
/* What several route files share. */
#ifndef LH_SHARED_H
#define LH_SHARED_H

#include "learnhub.h"

#define NAME_LENGTH 150 /* characters of a username, first or last name */

/* Locks the caller's account: changes of what one user has are serialised. */
#define CALLER_LOCK "SELECT id FROM learnhub.users WHERE id = :me::bigint FOR NO KEY UPDATE"

#endif
