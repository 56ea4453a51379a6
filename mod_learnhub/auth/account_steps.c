/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that learnhub_accounts.h declares: hashing, logins, password resets. */
#include "learnhub_accounts.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <string.h>

#include "auth/token_steps.h"
#include "core/server_state.h"
#include "crypto/digest.h"
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
    lh_error *error = enter_gate(call, call->server->signup_gate);
    const char *changed = lh_param(call, "new_password"), *password = changed ? changed : lh_param(call, "password"),
               *hash;

    if (error) {
        return error;
    }
    hash = lh_password_hash(call->r->pool, password, (int)call->server->config.bcrypt_cost);
    lh_gate_leave(call->server->signup_gate);
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

/* Must be called between enter_gate() and lh_gate_leave(). */
static lh_error *verify_password(lh_call *call)
{
    const char *current = lh_param(call, "current_password"),
               *password = current ? current : lh_param(call, "password");
    lh_error *error = lh_query(call, 0);
    const char *wait;

    if (error) {
        return error;
    }
    wait = lh_cell(call, "_wait");
    if (wait) {
        return throttled(call, wait);
    }
    if (lh_password_matches(password, lh_cell(call, "_hash"), (int)call->server->config.bcrypt_cost)) {
        lh_bind(call, "user_id", lh_cell(call, "_id"));
        lh_bind(call, "version", lh_cell(call, "_version"));
        return NULL;
    }
    error = call->server->config.throttle.failures ? lh_query(call, 1) : NULL;
    return error ? error : lh_fail(call, "credentials");
}

static lh_error *log_in(lh_call *call)
{
    const lh_throttle *throttle = &call->server->config.throttle;
    lh_error *error;

    lh_bind(call, "failures", int_text(call, throttle->failures ? throttle->failures : APR_INT32_MAX));
    lh_bind(call, "seconds", int_text(call, apr_time_sec(throttle->time)));
    error = enter_gate(call, call->server->login_gate);
    if (!error) {
        error = verify_password(call);
        lh_gate_leave(call->server->login_gate);
    }
    return error;
}

/* ---- password resets ---- */

/* The base URL, from ServerName: with the Host header, an attacker could direct a user's link to another host. */
static const char *server_url(const request_rec *r)
{
    apr_port_t port = r->server->port ? r->server->port : r->connection->local_addr->port;
    const char *scheme = ap_http_scheme(r);
    int is_default = port == ap_default_port(r);

    return apr_pstrcat(r->pool, scheme, "://", r->server->server_hostname,
                       is_default ? "" : apr_psprintf(r->pool, ":%u", (unsigned)port), NULL);
}

/* Replaces the first `word` in a text, which must contain it. */
static const char *replace(apr_pool_t *p, const char *text, const char *word, const char *replacement)
{
    const char *at = strstr(text, word);

    return apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(at - text)), replacement, at + strlen(word), NULL);
}

static lh_error *new_reset_link(lh_call *call)
{
    const lh_config *config = &call->server->config;
    apr_pool_t *p = call->r->pool;
    const char *token, *link = config->reset_url;
    lh_error *error = lh_token_generate(call, &token);

    if (error) {
        return error;
    }
    if (!link) {
        link = apr_pstrcat(p, config->public_url ? config->public_url : server_url(call->r), config->prefix,
                           "/password/reset/confirm/{uid}/{token}", NULL);
    }
    lh_bind(call, "link", replace(p, link, "{token}", token));
    return NULL;
}

static lh_error *find_reset_link(lh_call *call)
{
    const char *digest = lh_digest_hex(call->r->pool, lh_param(call, "token"));
    lh_error *error;

    if (!digest) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    lh_bind(call, "digest", digest);
    error = lh_query(call, 0);
    return error || lh_row_count(call) ? error : lh_fail(call, "missing");
}

/* ---- the steps ---- */

/* clang-format off */
const lh_step lh_step_hash_password = {
    .name = "hash_password", .run = hash_password, .fields = "password|new_password", .binds = "password_hash"};

const lh_step lh_step_log_in = {
    .name = "log_in", .run = log_in, .fields = "password|current_password",
    .binds = "failures seconds user_id version", .extra_sql = 2, .columns = "_id _role _version _hash _wait"};

const lh_step lh_step_new_reset_link = {
    .name = "new_reset_link", .run = new_reset_link, .binds = "digest link"};

const lh_step lh_step_find_reset_link = {
    .name = "find_reset_link", .run = find_reset_link, .fields = "token", .binds = "digest", .extra_sql = 1};
/* clang-format on */
