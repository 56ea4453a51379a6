/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares: how many requests of one account and of one network (util/network.h) may do the same expensive thing in this
 * process at once, so that one user cannot take all places, and how many threads of this process wait for the bodies of
 * all clients. `kinds` in share.c has the limits of each kind.
 */
#ifndef LH_SHARE_H
#define LH_SHARE_H

#include "http/call.h"

/* Returns a share before the request ends; none has no effect. */
void lh_share_return(lh_call *call, lh_share kind);

#endif
