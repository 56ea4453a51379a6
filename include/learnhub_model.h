/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that ask the language model at LearnHubModelURL. They hold no database connection while they wait for it. */
#ifndef LEARNHUB_MODEL_H
#define LEARNHUB_MODEL_H

#include "learnhub.h"

/*
 * Requests the rates of an activity from the model, within LearnHubModelTimeout. Does nothing when no model is
 * configured, its circuit breaker is open, or eight requests of the process are waiting for it. extra_sql[0] claims the
 * question: one row, or none when its rates are stored or another request claimed it within the last `timeout` seconds.
 * extra_sql[1] stores the five rates for `question`. A missing or invalid response is not an error: nothing is stored.
 */
extern const lh_step lh_step_ask_model;

/*
 * Evaluate the drawing of a practice session: by the model within LearnHubModelReviewTimeout, or by comparing labels
 * with requirements if no model is configured or it fails. They bind `evaluation` (JSON with score, breakdown,
 * implemented, missing, next_steps and tips), `cached` and `hash`, the drawing's hash.
 *
 * extra_sql[0] reads the session and the evaluation that is stored for its drawing, [1] claims the evaluation (see
 * learnhub.claim_evaluation()), [2] stores it and [3] releases the claim. A drawing without a visible element is the
 * error `empty`. 429 when the user has caused too many evaluations.
 *
 * When another request is asking the model about the same drawing, the first step evaluates without the model; the
 * second one, for a request that submits the session, waits for that result. It returns 503 when too many requests of
 * the process are waiting for the model.
 */
extern const lh_step lh_step_check_drawing, lh_step_submit_drawing;

/*
 * Answers a question (`message` or `content`) about a practice session and its drawing (`diagram_data`, or the stored
 * one), by the model or from the drawing's labels. Binds `question` and `answer`. extra_sql[0] reads the session,
 * extra_sql[1] takes one of the user's turns: 429 when none is left.
 */
extern const lh_step lh_step_answer_question;

#endif
