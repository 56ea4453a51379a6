/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares: how many requests of one account and of one network (util/network.h) may do the same expensive thing in this
 * process at once, so that one user cannot take all places. `kinds` in share.c has the limits of each kind.
 */
#ifndef LH_SHARE_H
#define LH_SHARE_H

#include "http/call.h"

/*
 * Takes a share of `kind` for the call's account, unless the caller is anonymous, and for its network. It is held until
 * lh_share_return(), or until the request ends: when its response has been written. Returns 429 if the account or the
 * network has all of its shares. A call that has a share of this kind keeps it.
 */
lh_error *lh_share_take(lh_call *call, lh_share kind);

/* Returns a share before the request ends; none has no effect. */
void lh_share_return(lh_call *call, lh_share kind);

#endif
