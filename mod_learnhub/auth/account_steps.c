/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that learnhub_accounts.h declares: hashing, logins, tokens. */
#include "learnhub_accounts.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/rand.h>
#include <string.h>

#include "auth/auth.h"
#include "core/server_state.h"
#include "crypto/digest.h"
#include "crypto/password.h"
#include "http/call.h"
#include "http/error.h"
#include "util/gate.h"
#include "util/json.h"
#include "util/role.h"

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

/* ---- tokens ---- */

/* `lifetime` is in microseconds. */
static const char *sign_jwt(lh_call *call, lh_jwt_type type, apr_int64_t lifetime)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims = {.type = type, .issued = rules.now, .expires = rules.now + apr_time_sec(lifetime)};

    claims.subject = apr_atoi64(lh_cell(call, "_id"));
    claims.role = lh_role_of(lh_cell(call, "_role"));
    claims.version = atoi(lh_cell(call, "_version"));
    return lh_jwt_sign(call->r->pool, call->server->config.keys, &rules, &claims);
}

/* The members of a response that contain tokens. */
typedef struct token_members {
    const char *object;           /* the member that contains the others as an object; NULL: the response itself */
    const char *access, *refresh; /* `refresh` NULL: no refresh token */
    int oauth;                    /* also token_type and expires_in, as in OAuth 2.0 (RFC 6749) */
} token_members;

static const char *tokens_object(apr_pool_t *p, const token_members *members, const char *access, const char *refresh)
{
    lh_json json;

    lh_json_init(&json, p, 1024);
    lh_json_open(&json, '{');
    lh_json_key(&json, members->access);
    lh_json_text(&json, access);
    lh_json_key(&json, members->refresh);
    lh_json_text(&json, refresh);
    lh_json_close(&json, '}');
    return lh_json_result(&json);
}

static lh_error *add_tokens(lh_call *call, const token_members *members)
{
    const lh_config *config = &call->server->config;
    const char *access = sign_jwt(call, LH_JWT_ACCESS, config->access_ttl);
    const char *refresh = members->refresh ? sign_jwt(call, LH_JWT_REFRESH, config->refresh_ttl) : NULL;

    if (!access || (members->refresh && !refresh)) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    if (members->object) {
        lh_reply_json(call, members->object, tokens_object(call->r->pool, members, access, refresh));
        return NULL;
    }
    lh_reply_string(call, members->access, access);
    if (refresh) {
        lh_reply_string(call, members->refresh, refresh);
    }
    if (members->oauth) {
        lh_reply_string(call, "token_type", "bearer");
        lh_reply_int(call, "expires_in", apr_time_sec(config->access_ttl));
    }
    return NULL;
}

static lh_error *issue_tokens(lh_call *call)
{
    return add_tokens(call, &(const token_members){NULL, "access_token", "refresh_token", 1});
}

static lh_error *issue_access_token(lh_call *call)
{
    return add_tokens(call, &(const token_members){NULL, "access_token", NULL, 1});
}

static lh_error *issue_pair(lh_call *call)
{
    return add_tokens(call, &(const token_members){NULL, "access", "refresh", 0});
}

static lh_error *issue_access(lh_call *call)
{
    return add_tokens(call, &(const token_members){NULL, "access", NULL, 0});
}

static lh_error *issue_tokens_object(lh_call *call)
{
    return add_tokens(call, &(const token_members){"tokens", "access", "refresh", 0});
}

static void bind_owner(lh_call *call, apr_int64_t user, int version)
{
    lh_bind(call, "user_id", int_text(call, user));
    lh_bind(call, "version", int_text(call, version));
}

/* Returns 0 unless `token` is a refresh token. Otherwise binds its owner and returns 1. */
static int accept_refresh_token(lh_call *call, const char *token)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims;
    const char *why;

    if (lh_jwt_verify(call->r->pool, call->server->config.keys, &rules, LH_JWT_REFRESH, token, &claims, &why) !=
        APR_SUCCESS) {
        return 0;
    }
    bind_owner(call, claims.subject, claims.version);
    return 1;
}

static lh_error *verify_refresh_token(lh_call *call)
{
    const char *token = lh_param(call, "refresh_token");

    return accept_refresh_token(call, token ? token : lh_param(call, "refresh")) ? NULL : lh_fail(call, "missing");
}

static lh_error *verify_token(lh_call *call)
{
    const char *token = lh_param(call, "token");
    lh_error *error;

    if (accept_refresh_token(call, token)) {
        return NULL;
    }
    error = lh_auth_token(call, token);
    if (!error) {
        bind_owner(call, call->me.id, call->me.version);
    }
    return error;
}

/* Sets *token to 160 random bits in hex and binds `digest`: the database stores only the digest. */
static lh_error *generate_token(lh_call *call, const char **token)
{
    unsigned char bytes[20];
    const char *digest;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    *token = apr_pescape_hex(call->r->pool, bytes, sizeof(bytes), 0);
    digest = lh_digest_hex(call->r->pool, *token);
    lh_bind(call, "digest", digest);
    return digest ? NULL : lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
}

static lh_error *new_opaque_token(lh_call *call)
{
    apr_int64_t lifetime = apr_time_sec(call->server->config.token_ttl);
    const char *token = NULL;
    lh_error *error = generate_token(call, &token);

    if (error) {
        return error;
    }
    lh_bind(call, "lifetime", lifetime ? int_text(call, lifetime) : NULL);
    lh_reply_string(call, "auth_token", token);
    return NULL;
}

static lh_error *bind_sent_token(lh_call *call)
{
    lh_bind(call, "digest", call->me.digest);
    return NULL;
}

/* ---- the steps ---- */

#define ACCOUNT_COLUMNS "_id _role _version"

/* clang-format off */
const lh_step lh_step_hash_password = {
    .name = "hash_password", .run = hash_password, .fields = "password|new_password", .binds = "password_hash"};

const lh_step lh_step_log_in = {
    .name = "log_in", .run = log_in, .fields = "password|current_password",
    .binds = "failures seconds user_id version", .extra_sql = 2, .columns = ACCOUNT_COLUMNS " _hash _wait"};

const lh_step lh_step_issue_tokens = {
    .name = "issue_tokens", .run = issue_tokens, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_issue_access_token = {
    .name = "issue_access_token", .run = issue_access_token, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_issue_pair = {
    .name = "issue_pair", .run = issue_pair, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_issue_access = {
    .name = "issue_access", .run = issue_access, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_issue_tokens_object = {
    .name = "issue_tokens_object", .run = issue_tokens_object, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_verify_refresh_token = {
    .name = "verify_refresh_token", .run = verify_refresh_token,
    .fields = "refresh_token|refresh", .binds = "user_id version"};

const lh_step lh_step_verify_token = {
    .name = "verify_token", .run = verify_token, .fields = "token", .binds = "user_id version"};

const lh_step lh_step_new_opaque_token = {
    .name = "new_opaque_token", .run = new_opaque_token, .binds = "digest lifetime"};

const lh_step lh_step_bind_sent_token = {
    .name = "bind_sent_token", .run = bind_sent_token, .binds = "digest"};
/* clang-format on */
