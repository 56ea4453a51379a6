/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HTTP client of a language model that rates activities (include/learnhub_model.h). Each request is limited by
 * LearnHubModelTimeout, and every number in the response is validated. Uses libcurl, which lh_smtp_prepare()
 * initialises.
 *
 * With a circuit breaker, an unavailable model does not delay requests. The breaker is closed at first. Three
 * consecutive failures open it for ten times the timeout; meanwhile the model gets no requests. After that it is
 * half-open: one request tries, and its result closes the breaker or opens it again.
 */
#ifndef LH_MODEL_H
#define LH_MODEL_H

#include "core/config.h"

typedef struct lh_model lh_model;

/* Creates the client of a server's model in this process; NULL if no model is configured. */
lh_model *lh_model_create(apr_pool_t *p, const lh_config *config);

#endif
