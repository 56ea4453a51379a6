/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client of the language model at LearnHubModelURL: one HTTP request for each question, within a timeout. A circuit
 * breaker prevents an unavailable model from slowing requests down. Uses libcurl, which lh_smtp_prepare() initialises.
 *
 * The breaker is closed at first. Three failures in a row open it for ten times the timeout; the model is not queried
 * then. After that the breaker is half-open: the result of one query closes it or opens it again.
 */
#ifndef LH_MODEL_H
#define LH_MODEL_H

#include "core/config.h"

typedef struct json_t lh_json_value;
typedef struct lh_model lh_model;

typedef struct lh_model_message {
    const char *role; /* "system", "user" or "assistant" */
    const char *content;
} lh_model_message;

typedef enum {
    LH_MODEL_READY, /* the request may query the model */
    LH_MODEL_BUSY,  /* eight requests of the process are waiting for it */
    LH_MODEL_DOWN   /* the circuit breaker is open */
} lh_model_state;

typedef enum { LH_MODEL_SUCCEEDED, LH_MODEL_FAILED, LH_MODEL_NOT_ASKED } lh_model_outcome;

/* Creates a client in this process, with a breaker of its own; NULL if no model is configured. `timeout`, in
 * microseconds, is that of one question, including the connect. */
lh_model *lh_model_create(apr_pool_t *p, const lh_config *config, apr_interval_time_t timeout);

/* Must be called before lh_model_ask(). After LH_MODEL_READY the caller must call lh_model_leave(). */
lh_model_state lh_model_enter(lh_model *model);

/* Reports the outcome to the breaker. */
void lh_model_leave(lh_model *model, lh_model_outcome outcome, server_rec *s);

/*
 * Asks the model. *content is its text, valid UTF-8 without a zero byte, as long as `p`. Returns NULL, or the cause of
 * the failure: no connection, the timeout, a status other than 200, more than 64 KiB, or a response without a text.
 */
const char *lh_model_ask(apr_pool_t *p, const lh_model *model, const lh_model_message *messages, int count,
                         const char **content);

/* The JSON object in the model's text; some models add code fences or sentences. NULL if there is none. */
const lh_json_value *lh_model_object(apr_pool_t *p, const char *content);

#endif
