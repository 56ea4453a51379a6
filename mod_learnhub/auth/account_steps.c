/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that learnhub_accounts.h declares: passwords, logins, tokens, password resets. */
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

/* Compares in constant time. */
static int secure_equal(const char *a, const char *b)
{
    apr_size_t length = strlen(a);

    return length == strlen(b) && !CRYPTO_memcmp(a, b, length);
}

/* Waits for a place among the threads that hash passwords; 503 without one within LearnHubConnectionWait. */
static lh_error *enter_gate(lh_call *call, lh_gate *gate)
{
    return lh_gate_enter(gate, call->server->config.connection_wait) == APR_SUCCESS
               ? NULL
               : lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
}

/* The name of the field with the new password, which differs between routes. */
static const char *password_field(const lh_call *call)
{
    return lh_param(call, "new_password") ? "new_password" : "password";
}

/* `user`: username, e-mail, first and last name; each may be NULL. */
static lh_error *check_rules(lh_call *call, lh_error *errors, const char *const user[4])
{
    const char *full_name = user[2] && user[3] ? apr_pstrcat(call->r->pool, user[2], " ", user[3], NULL) : NULL;
    const char *names[] = {user[0], user[1], user[2], user[3], full_name};
    const char *field = password_field(call), *password = lh_param(call, field);
    const char *text = password ? lh_password_error(password, names, 5) : NULL;

    return text ? lh_fail_field(call, errors, field, text) : errors;
}

lh_error *lh_check_password(lh_call *call, lh_error *errors)
{
    const char *user[] = {lh_param(call, "username"), lh_param(call, "email"), lh_param(call, "first_name"),
                          lh_param(call, "last_name")};
    const char *field = password_field(call), *password = lh_param(call, field);
    const char *repeated = lh_param(call, apr_pstrcat(call->r->pool, "re_", field, NULL));

    errors = check_rules(call, errors, user);
    return password && repeated && !secure_equal(password, repeated)
               ? lh_fail_field(call, errors, NULL, "The two password fields did not match.")
               : errors;
}

static lh_error *check_own_password(lh_call *call)
{
    const char *user[] = {lh_cell(call, "_username"), lh_cell(call, "_email"), lh_cell(call, "_first_name"),
                          lh_cell(call, "_last_name")};

    return check_rules(call, NULL, user);
}

static lh_error *hash_password(lh_call *call)
{
    lh_error *error = enter_gate(call, call->server->signup_gate);
    const char *hash;

    if (error) {
        return error;
    }
    hash = lh_password_hash(call->r->pool, lh_param(call, password_field(call)), (int)call->server->config.bcrypt_cost);
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

    lh_bind(call, "address", call->r->useragent_ip);
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

static lh_error *add_tokens(lh_call *call, int with_refresh)
{
    const lh_config *config = &call->server->config;
    const char *access = sign_jwt(call, LH_JWT_ACCESS, config->access_ttl);
    const char *refresh = with_refresh ? sign_jwt(call, LH_JWT_REFRESH, config->refresh_ttl) : NULL;

    if (!access || (with_refresh && !refresh)) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    lh_reply_string(call, "access_token", access);
    if (refresh) {
        lh_reply_string(call, "refresh_token", refresh);
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
    lh_error *error = generate_token(call, &token);

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
