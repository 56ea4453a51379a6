/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of accounts: passwords behind their gate, throttled log-ins, tokens of both kinds, password resets. */
#include "learnhub_accounts.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <string.h>

#include "auth/auth.h"
#include "core/server_state.h"
#include "crypto/digest.h"
#include "crypto/password.h"
#include "http/call.h"
#include "http/error.h"
#include "util/gate.h"
#include "util/role.h"

static const char *int_text(const lh_call *call, apr_int64_t value)
{
    return apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value);
}

/* ---- passwords ---- */

/* Takes the same time wherever the strings differ. */
static int secure_equal(const char *a, const char *b)
{
    apr_size_t length = strlen(a);

    return length == strlen(b) && !CRYPTO_memcmp(a, b, length);
}

static lh_error *enter(lh_call *call, lh_gate *gate)
{
    return lh_gate_enter(gate, call->server->config.connection_wait) == APR_SUCCESS
               ? NULL
               : lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
}

/* The field of a new password, which differs in name. */
static const char *new_field(const lh_call *call)
{
    return lh_param(call, "new_password") ? "new_password" : "password";
}

/* `own`: username, e-mail, first and last name; NULL where there is none. */
static lh_error *check_rules(lh_call *call, lh_error *errors, const char *const own[4])
{
    const char *all[] = {own[0], own[1], own[2], own[3],
                         own[2] && own[3] ? apr_pstrcat(call->r->pool, own[2], " ", own[3], NULL) : NULL};
    const char *field = new_field(call), *password = lh_param(call, field);
    const char *fault = password ? lh_password_error(password, all, 5) : NULL;

    return fault ? lh_fail_field(call, errors, field, fault) : errors;
}

lh_error *lh_check_password(lh_call *call, lh_error *errors)
{
    const char *own[] = {lh_param(call, "username"), lh_param(call, "email"), lh_param(call, "first_name"),
                         lh_param(call, "last_name")};
    const char *field = new_field(call), *password = lh_param(call, field);
    const char *repeated = lh_param(call, apr_pstrcat(call->r->pool, "re_", field, NULL));

    errors = check_rules(call, errors, own);
    return password && repeated && !secure_equal(password, repeated)
               ? lh_fail_field(call, errors, NULL, "The two password fields did not match.")
               : errors;
}

static lh_error *check_own_password(lh_call *call)
{
    const char *own[] = {lh_cell(call, "_username"), lh_cell(call, "_email"), lh_cell(call, "_first_name"),
                         lh_cell(call, "_last_name")};

    return check_rules(call, NULL, own);
}

static lh_error *hash_password(lh_call *call)
{
    lh_error *error = enter(call, call->server->signup_gate);
    const char *hash;

    if (error) {
        return error;
    }
    hash = lh_password_hash(call->r->pool, lh_param(call, new_field(call)), (int)call->server->config.bcrypt_cost);
    lh_gate_leave(call->server->signup_gate);
    lh_bind(call, "password_hash", hash);
    return hash ? NULL : lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
}

/* ---- logging in ---- */

static lh_error *too_many(lh_call *call, const char *wait)
{
    lh_error *error = lh_error_of_status(call->r->pool, HTTP_TOO_MANY_REQUESTS);

    error->retry_after = atoi(wait) > 0 ? atoi(wait) : 1;
    return error;
}

/* Inside the gate. */
static lh_error *try_password(lh_call *call)
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
        return too_many(call, wait);
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

    lh_bind(call, "address", call->r->useragent_ip);
    lh_bind(call, "failures", int_text(call, throttle->failures ? throttle->failures : APR_INT32_MAX));
    lh_bind(call, "seconds", int_text(call, apr_time_sec(throttle->time)));
    error = enter(call, call->server->login_gate);
    if (!error) {
        error = try_password(call);
        lh_gate_leave(call->server->login_gate);
    }
    return error;
}

/* ---- tokens ---- */

static const char *sign(lh_call *call, lh_jwt_type type, apr_int64_t lifetime)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims = {.type = type, .issued = rules.now, .expires = rules.now + apr_time_sec(lifetime)};

    claims.subject = apr_atoi64(lh_cell(call, "_id"));
    claims.role = lh_role_of(lh_cell(call, "_role"));
    claims.version = atoi(lh_cell(call, "_version"));
    return lh_jwt_sign(call->r->pool, call->server->config.keys, &rules, &claims);
}

static lh_error *add_tokens(lh_call *call, int refresh)
{
    const lh_config *config = &call->server->config;
    const char *access = sign(call, LH_JWT_ACCESS, config->access_ttl);
    const char *second = refresh ? sign(call, LH_JWT_REFRESH, config->refresh_ttl) : NULL;

    if (!access || (refresh && !second)) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    lh_reply_string(call, "access_token", access);
    if (second) {
        lh_reply_string(call, "refresh_token", second);
    }
    lh_reply_string(call, "token_type", "bearer");
    lh_reply_int(call, "expires_in", apr_time_sec(config->access_ttl));
    return NULL;
}

static lh_error *verify_refresh_token(lh_call *call)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims;
    const char *why;

    if (lh_jwt_verify(call->r->pool, call->server->config.keys, &rules, LH_JWT_REFRESH, lh_param(call, "refresh_token"),
                      &claims, &why) != APR_SUCCESS) {
        return lh_fail(call, "missing");
    }
    lh_bind(call, "user_id", int_text(call, claims.subject));
    lh_bind(call, "version", int_text(call, claims.version));
    return NULL;
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
    const char *token;
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

/* ---- links ---- */

/* Not by the request's Host: whoever asks would choose where somebody else's link leads. */
static const char *own_url(const request_rec *r)
{
    apr_port_t port = r->server->port ? r->server->port : r->connection->local_addr->port;
    const char *scheme = ap_http_scheme(r);
    int usual = port == ap_default_port(r);

    return apr_pstrcat(r->pool, scheme, "://", r->server->server_hostname,
                       usual ? "" : apr_psprintf(r->pool, ":%u", (unsigned)port), NULL);
}

static const char *replace(apr_pool_t *p, const char *text, const char *what, const char *with)
{
    const char *at = strstr(text, what);

    return apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(at - text)), with, at + strlen(what), NULL);
}

static lh_error *new_reset_link(lh_call *call)
{
    const lh_config *config = &call->server->config;
    apr_pool_t *p = call->r->pool;
    const char *token, *link = config->reset_url;
    lh_error *error = generate_token(call, &token);

    if (error) {
        return error;
    }
    if (!link) {
        link = apr_pstrcat(p, config->public_url ? config->public_url : own_url(call->r),
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

static lh_error *issue_tokens(lh_call *call)
{
    return add_tokens(call, 1);
}

static lh_error *issue_access_token(lh_call *call)
{
    return add_tokens(call, 0);
}

#define ACCOUNT_COLUMNS "_id _role _version"

/* clang-format off */
const lh_step lh_step_check_own_password = {
    .name = "check_own_password", .run = check_own_password, .fields = "password|new_password",
    .columns = "_username _email _first_name _last_name"};

const lh_step lh_step_hash_password = {
    .name = "hash_password", .run = hash_password, .fields = "password|new_password", .binds = "password_hash"};

const lh_step lh_step_log_in = {
    .name = "log_in", .run = log_in, .fields = "password|current_password",
    .binds = "address failures seconds user_id version", .extra_sql = 2, .columns = ACCOUNT_COLUMNS " _hash _wait"};

const lh_step lh_step_issue_tokens = {
    .name = "issue_tokens", .run = issue_tokens, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_issue_access_token = {
    .name = "issue_access_token", .run = issue_access_token, .columns = ACCOUNT_COLUMNS};

const lh_step lh_step_verify_refresh_token = {
    .name = "verify_refresh_token", .run = verify_refresh_token, .fields = "refresh_token",
    .binds = "user_id version"};

const lh_step lh_step_new_opaque_token = {
    .name = "new_opaque_token", .run = new_opaque_token, .binds = "digest lifetime"};

const lh_step lh_step_bind_sent_token = {
    .name = "bind_sent_token", .run = bind_sent_token, .binds = "digest"};

const lh_step lh_step_new_reset_link = {
    .name = "new_reset_link", .run = new_reset_link, .binds = "digest link"};

const lh_step lh_step_find_reset_link = {
    .name = "find_reset_link", .run = find_reset_link, .fields = "token", .binds = "digest", .extra_sql = 1};
/* clang-format on */
