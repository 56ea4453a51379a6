/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evaluations of a drawing, as JSON: {"score": 0..100, "breakdown": [{"requirement", "achieved", "points", "note"}],
 * "implemented": [...], "missing": [...], "next_steps": [...], "tips": [...]}. The number and the length of all strings
 * are limited.
 */
#ifndef LH_EVALUATION_H
#define LH_EVALUATION_H

#include "http/call.h"
#include "util/drawing.h"

#define LH_EVALUATION_REQUIREMENTS 50 /* of a problem; further ones are not evaluated */

typedef struct json_t lh_json_value;

typedef struct lh_assignment {
    const char *title, *description;
    const lh_json_value *requirements, *constraints; /* arrays of strings */
} lh_assignment;

/* The problem of a practice session, read from these columns of the statement that ran last. */
#define LH_EVALUATION_COLUMNS "_title _description _requirements _constraints"
lh_assignment lh_evaluation_assignment(const lh_call *call);

/* A requirement, cut to a limited length; NULL if there is none with this index. */
const char *lh_evaluation_requirement(apr_pool_t *p, const lh_assignment *assignment, apr_size_t index);

/* The assignment and the drawing's labels and connections as JSON for the model: the problem, and at most 33 KB. */
const char *lh_evaluation_subject(apr_pool_t *p, const lh_assignment *assignment, const lh_drawing *drawing);

/* The instruction for the model that requests an evaluation. */
extern const char lh_evaluation_instruction[];

/* Validates the model's text. Returns the evaluation, or NULL if a field is missing, has another type or is out of
 * range. Lists and strings that are too long are cut. */
const char *lh_evaluation_of_model(apr_pool_t *p, const char *content);

/* The evaluation without a model: which requirements a label names. The score is 0. Equal input gives equal output. */
const char *lh_evaluation_of_labels(apr_pool_t *p, const lh_assignment *assignment, const lh_drawing *drawing);

#endif
