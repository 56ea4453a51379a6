/* SPDX-License-Identifier: Apache-2.0 */
/* The language model of LearnHubModelURL as a step. */
#ifndef LEARNHUB_MODEL_H
#define LEARNHUB_MODEL_H

#include "learnhub.h"

/*
 * Asks the model for the rates of an activity, within LearnHubModelTimeout and without holding a database connection.
 * Does nothing when no model is configured, its circuit breaker is open, or too many requests wait for it already.
 * extra_sql[0] claims the question: one row, or none when the answer is stored or another request asked within the last
 * `timeout` seconds. extra_sql[1] stores the five numbers for `question`. A missing or invalid answer is not an error:
 * nothing is stored.
 */
extern const lh_step lh_step_ask_model;

#endif
