/* SPDX-License-Identifier: Apache-2.0 */
/* Random tokens for steps. */
#ifndef LH_TOKEN_STEPS_H
#define LH_TOKEN_STEPS_H

#include "learnhub.h"

/* Sets *token to 160 random bits in hex and binds `digest`: the database stores only the digest. */
lh_error *lh_token_generate(lh_call *call, const char **token);

#endif
