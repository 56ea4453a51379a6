/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that learnhub_accounts.h declares: hashing, logging in. */
#include "learnhub_accounts.h"

#include <apr_strings.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "crypto/password.h"
#include "http/call.h"
#include "http/error.h"
#include "util/gate.h"

static const char *int_text(const lh_call *call, apr_int64_t value)
{
    return apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value);
}

/* ---- passwords ---- */

/* Waits for a place among the threads that hash passwords; 503 without one within LearnHubConnectionWait. */
static lh_error *enter_gate(lh_call *call, lh_gate *gate)
{
    return lh_gate_enter(gate, call->server->config.connection_wait) == APR_SUCCESS
               ? NULL
               : lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
}

static lh_error *hash_password(lh_call *call)
{
    const char *changed = lh_param(call, "new_password"), *password = changed ? changed : lh_param(call, "password"),
               *hash;
    lh_gate *gate = changed ? call->server->gates.change : call->server->gates.signup;
    lh_error *error = enter_gate(call, gate);

    if (error) {
        return error;
    }
    hash = lh_password_hash(call->r->pool, password, (int)call->server->config.bcrypt_cost);
    lh_gate_leave(gate);
    lh_bind(call, "password_hash", hash);
    return hash ? NULL : lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
}

/* ---- logging in ---- */

static lh_error *throttled(lh_call *call, const char *seconds)
{
    lh_error *error = lh_error_of_status(call->r->pool, HTTP_TOO_MANY_REQUESTS);

    error->retry_after = atoi(seconds) > 0 ? atoi(seconds) : 1;
    return error;
}

/* Neither the name that was sent nor the address is logged; httpd adds the client to each line. */
static void log_failure(const lh_call *call, const char *account)
{
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, call->r, LH_LOG(0080) "failed login: %s%s",
                  account ? "account " : "unknown name", account ? account : "");
}

static void log_rejection(const lh_call *call, const char *account, const char *seconds)
{
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, call->r, LH_LOG(0081) "too many failed logins, %s s left: %s%s", seconds,
                  account ? "account " : "unknown name", account ? account : "");
}

/* A new hash of the password, if the stored one should be replaced; else NULL. Routes with `current_password` change or
 * delete the hash anyway. */
static const char *rehash(lh_call *call, const char *password, const char *hash)
{
    int cost = (int)call->server->config.bcrypt_cost;

    return !lh_param(call, "current_password") && lh_password_is_outdated(password, hash, cost)
               ? lh_password_hash(call->r->pool, password, cost)
               : NULL;
}

static void bind_success(lh_call *call, const char *password)
{
    const char *hash = lh_cell(call, "_hash");

    lh_bind(call, "user_id", lh_cell(call, "_id"));
    lh_bind(call, "version", lh_cell(call, "_version"));
    lh_bind(call, "known", lh_cell(call, "_known"));
    lh_bind(call, "verified_hash", hash);
    lh_bind(call, "rehash", rehash(call, password, hash));
}

/* Must be called between enter_gate() and lh_gate_leave(). */
static lh_error *verify_password(lh_call *call)
{
    const char *current = lh_param(call, "current_password"),
               *password = current ? current : lh_param(call, "password");
    lh_error *error = lh_query(call, 0);
    const char *account, *wait, *noted;

    if (error) {
        return error;
    }
    account = lh_cell(call, "_account");
    wait = lh_cell(call, "_wait");
    if (wait) {
        noted = lh_cell(call, "_noted");
        if (noted && !strcmp(noted, "true")) {
            log_rejection(call, account, wait);
        }
        return throttled(call, wait);
    }
    if (lh_password_matches(password, lh_cell(call, "_hash"), (int)call->server->config.bcrypt_cost)) {
        bind_success(call, password);
        return NULL;
    }
    log_failure(call, account);
    lh_bind(call, "account", account);
    error = lh_query(call, 1);
    return error ? error : lh_fail(call, "credentials");
}

static lh_error *log_in(lh_call *call)
{
    const lh_throttle *throttle = &call->server->config.throttle;
    lh_error *error;

    if (throttle->failures) {
        lh_bind(call, "failures", int_text(call, throttle->failures));
        lh_bind(call, "address_failures", int_text(call, throttle->address_failures));
    }
    lh_bind(call, "seconds", int_text(call, apr_time_sec(throttle->time)));
    lh_bind(call, "address_seconds", int_text(call, apr_time_sec(throttle->address_time)));
    error = enter_gate(call, call->server->gates.login);
    if (!error) {
        error = verify_password(call);
        lh_gate_leave(call->server->gates.login);
    }
    return error;
}

/* ---- the steps ---- */

/* clang-format off */
const lh_step lh_step_hash_password = {
    .name = "hash_password", .run = hash_password, .fields = "password|new_password", .binds = "password_hash"};

const lh_step lh_step_log_in = {
    .name = "log_in", .run = log_in, .fields = "password|current_password",
    .binds = "failures seconds address_failures address_seconds account user_id version known verified_hash rehash",
    .extra_sql = 2, .columns = "_id _role _version _hash _account _wait _noted _known"};
/* clang-format on */
