/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model that may be asked what an activity earns: one HTTP conversation within a time limit, an answer that is
 * checked number by number, and a breaker. After some failures in a row a process leaves the model alone for a
 * while and then lets one request try, so a dead model slows nobody. Knows libcurl, which lh_smtp_prepare() makes
 * ready, and jansson.
 */
#ifndef LH_RATES_H
#define LH_RATES_H

#include "call.h"

/* The model of a server in this process; NULL when none is configured. */
lh_rates *lh_rates_create(apr_pool_t *p, const lh_config *config);

#endif
