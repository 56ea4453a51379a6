/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refusals: what is wrong, with which status, in which of the four shapes. Everything a client is refused with is made
 * here, so that no SQL, path or stack can reach it. Knows APR only.
 */
#ifndef LH_PROBLEM_H
#define LH_PROBLEM_H

#include "json.h"
#include "learnhub.h"

/* The status of a validation failure: 422 or 400, as the API has it. */
#define LH_INVALID 0

typedef struct lh_fault {
    const char *field; /* NULL: the whole body, or a rule over several fields */
    const char *text;
    struct lh_fault *next;
} lh_fault;

struct lh_problem {
    int status; /* LH_INVALID: fields are wrong */
    const char *text;
    const char *place; /* of the fields: "body", "query" or "path" */
    lh_fault *faults, *last;
    int retry_after;       /* seconds for Retry-After; 0: no such header */
    const char *challenge; /* for WWW-Authenticate, or NULL */
    const char *allow;     /* for Allow, or NULL */
    int answered;          /* httpd has told the client already */
};

lh_problem *lh_problem_make(apr_pool_t *p, int status, const char *text);

/* Adds a wrong field to `so_far`, or begins a validation failure when that is NULL. Sentences say what is allowed. */
lh_problem *lh_problem_field(apr_pool_t *p, lh_problem *so_far, const char *place, const char *field, const char *text);

/* What a client is told of a database error; the row's own refusals were looked up before. */
lh_problem *lh_problem_of_sqlstate(apr_pool_t *p, const char *sqlstate);

/* The sentence for a status that httpd or the machine itself gives: 404, 405, 413, 415, 500 ... */
lh_problem *lh_problem_of_status(apr_pool_t *p, int status);

/* 401 for a token that was sent and does not work; never says why. */
lh_problem *lh_problem_bad_token(apr_pool_t *p);

int lh_problem_status(const lh_problem *problem, lh_problem_style style);
void lh_problem_write(lh_json *json, const lh_problem *problem, lh_problem_style style);

#endif
