/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Queries a language model for the rates of activities (include/learnhub_model.h), with one HTTP request within
 * LearnHubModelTimeout. All numbers of the response are validated. A circuit breaker prevents an unavailable model from
 * slowing requests down. Uses libcurl, which lh_smtp_prepare() initialises.
 *
 * The breaker is closed at first. Three failures in a row open it for ten times the timeout; the model is not queried
 * then. After that the breaker is half-open: the result of one query closes it or opens it again.
 */
#ifndef LH_MODEL_H
#define LH_MODEL_H

#include "core/config.h"

typedef struct lh_model lh_model;

/* Creates the client of a server's model in this process; NULL if no model is configured. */
lh_model *lh_model_create(apr_pool_t *p, const lh_config *config);

#endif
