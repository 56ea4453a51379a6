/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Asks a language model for the rates of activities (include/learnhub_model.h): one HTTP request within
 * LearnHubModelTimeout, a response of which every number is validated, and a circuit breaker, so that an
 * unavailable model does not slow requests down. Uses libcurl, which lh_smtp_prepare() initialises.
 *
 * The breaker is closed at first. Three failures in a row open it for ten times the timeout; nothing is asked then.
 * After that it is half-open: one request tries, and its result closes the breaker or opens it again.
 */
#ifndef LH_MODEL_H
#define LH_MODEL_H

#include "core/config.h"

typedef struct lh_model lh_model;

/* Creates the client of a server's model in this process; NULL if no model is configured. */
lh_model *lh_model_create(apr_pool_t *p, const lh_config *config);

#endif
