/* SPDX-License-Identifier: Apache-2.0 */
/* A step that gets the rates of an activity from the language model at LearnHubModelURL. */
#ifndef LEARNHUB_MODEL_H
#define LEARNHUB_MODEL_H

#include "learnhub.h"

/*
 * Requests the rates of an activity from the model, within LearnHubModelTimeout and without holding a database
 * connection. Does nothing when no model is configured, its circuit breaker is open, or eight requests of the process
 * are waiting for it. extra_sql[0] claims the question: one row, or none when its rates are stored or another request
 * claimed it within the last `timeout` seconds. extra_sql[1] stores the five rates for `question`. A missing or invalid
 * response is not an error: nothing is stored.
 */
extern const lh_step lh_step_ask_model;

#endif
