/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Error responses: status, sentences and the four formats. All error responses are created here, so that none of them
 * contains SQL, a file path or a stack trace. Depends on APR only.
 */
#ifndef LH_ERROR_H
#define LH_ERROR_H

#include "learnhub.h"

typedef struct lh_json lh_json;

/* The status of a validation error: 422 or 400, depending on the format. */
#define LH_INVALID 0

typedef struct lh_field_error {
    const char *field; /* NULL: the whole body, or a rule over several fields */
    const char *text;
    struct lh_field_error *next;
} lh_field_error;

struct lh_error {
    int status;                   /* LH_INVALID: a validation error */
    const char *text;             /* one sentence; NULL for a validation error */
    const char *location;         /* of a validation error: "body" or "query" */
    lh_field_error *first, *last; /* of a validation error: the invalid fields */
    int retry_after;              /* seconds for Retry-After; 0: no such header */
    const char *challenge;        /* for WWW-Authenticate, or NULL */
    const char *allow;            /* for Allow, or NULL */
    int response_sent;            /* a filter of httpd has sent the response already */
};

/* An error with its own sentence. A 401 gets the Bearer challenge, a 503 Retry-After: 1. `text` is not copied. */
lh_error *lh_error_make(apr_pool_t *p, int status, const char *text);

/*
 * Adds an invalid field to `errors`, or creates a validation error when it is NULL. `location` is "body" or "query";
 * that of the first field applies to all. `text` states what is allowed. Strings are not copied.
 */
lh_error *lh_error_field(apr_pool_t *p, lh_error *errors, const char *location, const char *field, const char *text);

/* The error for a SQLSTATE that no error of the route matches: 400, 409, 500 or 503. */
lh_error *lh_error_of_sqlstate(apr_pool_t *p, const char *sqlstate);

/* The error for a status that httpd or this module sets: 404, 405, 413, 415, 500 ... */
lh_error *lh_error_of_status(apr_pool_t *p, int status);

/* 401 for a token that was sent and is not valid. The response does not contain the reason. */
lh_error *lh_error_bad_token(apr_pool_t *p);

/* The HTTP status of an error in this format. */
int lh_error_status(const lh_error *error, lh_error_format format);

/* Writes the body of the response. */
void lh_error_write(lh_json *json, const lh_error *error, lh_error_format format);

#endif
