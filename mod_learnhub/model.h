/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The client of a language model that rates activities: one HTTP request within a time limit, an answer that is
 * validated number by number, and a circuit breaker. After three failures in a row a process stops asking for ten times
 * the time limit and then lets one request try, so that a dead model does not slow requests down. Uses libcurl, which
 * lh_smtp_prepare() initialises.
 */
#ifndef LH_MODEL_H
#define LH_MODEL_H

#include "core/config.h"

typedef struct lh_model lh_model;

/* The model of a server in this process; NULL when none is configured. */
lh_model *lh_model_create(apr_pool_t *p, const lh_config *config);

#endif
