/* SPDX-License-Identifier: Apache-2.0 */
#include "http/claim.h"

#include <apr_escape.h>
#include <apr_general.h>
#include <apr_strings.h>

#include "core/server_state.h"
#include "http/deadline.h"
#include "http/error.h"
#include "http/idempotency.h"
#include "http/route.h"
#include "http/run.h"

#define CLAIM_TIME apr_time_from_sec(30) /* for the steps of a route, besides asking the model */

#define END_TIME apr_time_from_msec(100)

static const lh_statement *claim, *find, *end;

int lh_claim_compile(lh_statements *registry, const char **why)
{
    claim =
        lh_statement_compile(registry, "idempotency.claim",
                             "SELECT * FROM learnhub.claim_idempotency_key(decode(:id, 'hex'), :owner, :claim::int)",
                             NULL, &lh_idempotency_slots, why);
    if (!*why) {
        find = lh_statement_compile(registry, "idempotency.find",
                                    "SELECT * FROM learnhub.kept_response(decode(:id, 'hex'))", NULL,
                                    &lh_idempotency_slots, why);
    }
    if (!*why) {
        end = lh_statement_compile(registry, "idempotency.end",
                                   "DELETE FROM learnhub.idempotency_claims "
                                   "WHERE id = decode(:id, 'hex') AND owner = :owner",
                                   NULL, &lh_idempotency_slots, why);
    }
    return !*why;
}

static apr_interval_time_t at_most(apr_interval_time_t time, apr_interval_time_t most)
{
    return time < most ? time : most;
}

static lh_error *run_claim(lh_call *call)
{
    lh_idempotency *key = call->idempotency;
    apr_interval_time_t time = CLAIM_TIME;
    unsigned char owner[16];
    lh_result *result;
    lh_key_state state;
    lh_error *error;

    if (call->route->def->share == LH_SHARE_MODEL) {
        time += call->server->config.review_timeout;
    }
    if (apr_generate_random_bytes(owner, sizeof(owner)) != APR_SUCCESS) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    key->values[LH_KEY_OWNER] = apr_pescape_hex(call->r->pool, owner, sizeof(owner), 0);
    key->values[LH_KEY_CLAIM] = apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, (apr_int64_t)apr_time_sec(time));
    error = lh_run_statement(call, claim, key->values, &result);
    if (error) {
        return error;
    }
    state = lh_idempotency_state(call, result);
    key->claimed = state != LH_KEY_BUSY;
    return lh_idempotency_error(call, state);
}

lh_error *lh_claim_begin(lh_call *call)
{
    lh_error *error = lh_idempotency_read(call);

    return error || !call->idempotency || !call->route->def->before[0] ? error : run_claim(call);
}

/* A request that has used up its time for the database has END_TIME left to end its claim: otherwise it could not be
 * repeated until the claim ends by itself. */
static void run_end(lh_call *call)
{
    const lh_config *config = &call->server->config;
    lh_result *result;

    call->spent.waiting = at_most(call->spent.waiting, config->connection_wait - END_TIME);
    call->spent.executing = at_most(call->spent.executing, config->statement_timeout - END_TIME);
    lh_run_statement(call, end, call->idempotency->values, &result); /* after a failure, the claim ends by itself */
}

/* The statement that stores a response ends the claim as well. */
void lh_claim_end(lh_call *call, const lh_error *error)
{
    const lh_idempotency *key = call->idempotency;

    if (key && key->claimed && (error || !key->values[LH_KEY_DIGEST])) {
        run_end(call);
    }
}

/* Whether all invalid fields have a value, such as a time that has passed. Otherwise the error is of another request:
 * the values do not tell an invalid field from an absent one. */
static int has_values(const lh_call *call, const lh_error *error)
{
    const lh_field_error *invalid = error->first;

    while (invalid && invalid->field && lh_param(call, invalid->field)) {
        invalid = invalid->next;
    }
    return !invalid;
}

lh_error *lh_claim_rejected(lh_call *call, lh_error *error)
{
    lh_result *result;

    if (error->status != LH_INVALID || !has_values(call, error) || lh_idempotency_read(call) || !call->idempotency ||
        lh_run_statement(call, find, call->idempotency->values, &result)) {
        return error;
    }
    return lh_idempotency_state(call, result) == LH_KEY_REPLAYS ? NULL : error;
}
