/* SPDX-License-Identifier: Apache-2.0 */
/* What accounts need of the machine: passwords behind their gate, the throttle of logins, both kinds of tokens. */
#include <apr_strings.h>
#include <http_core.h>
#include <http_protocol.h>
#include <openssl/crypto.h>
#include <string.h>

#include "auth.h"
#include "call.h"
#include "digest.h"

static const char *int_text(const lh_call *call, apr_int64_t value)
{
    return apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value);
}

/* ---- passwords ---- */

int lh_same(const char *a, const char *b)
{
    apr_size_t length = strlen(a);

    return length == strlen(b) && !CRYPTO_memcmp(a, b, length);
}

static lh_problem *enter(lh_call *call, lh_gate *gate)
{
    return lh_gate_enter(gate, call->server->config.connection_wait) == APR_SUCCESS
               ? NULL
               : lh_problem_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
}

/* The field of a new password, which differs in name. */
static const char *new_field(const lh_call *call)
{
    return lh_text(call, "new_password") ? "new_password" : "password";
}

/* `own`: username, e-mail, first and last name; NULL where there is none. */
static lh_problem *check_rules(lh_call *call, lh_problem *so_far, const char *const own[4])
{
    const char *all[] = {own[0], own[1], own[2], own[3],
                         own[2] && own[3] ? apr_pstrcat(call->r->pool, own[2], " ", own[3], NULL) : NULL};
    const char *field = new_field(call), *password = lh_text(call, field);
    const char *fault = password ? lh_password_fault(password, all, 5) : NULL;

    return fault ? lh_refuse_field(call, so_far, field, fault) : so_far;
}

lh_problem *lh_check_password(lh_call *call, lh_problem *so_far)
{
    const char *own[] = {lh_text(call, "username"), lh_text(call, "email"), lh_text(call, "first_name"),
                         lh_text(call, "last_name")};
    const char *field = new_field(call), *password = lh_text(call, field);
    const char *repeated = lh_text(call, apr_pstrcat(call->r->pool, "re_", field, NULL));

    so_far = check_rules(call, so_far, own);
    return password && repeated && !lh_same(password, repeated)
               ? lh_refuse_field(call, so_far, NULL, "The two password fields did not match.")
               : so_far;
}

lh_problem *lh_check_own_password(lh_call *call)
{
    const char *own[] = {lh_cell(call, "_username"), lh_cell(call, "_email"), lh_cell(call, "_first_name"),
                         lh_cell(call, "_last_name")};

    return check_rules(call, NULL, own);
}

lh_problem *lh_hash_password(lh_call *call)
{
    lh_problem *problem = enter(call, call->server->signup_gate);
    const char *hash;

    if (problem) {
        return problem;
    }
    hash = lh_password_hash(call->r->pool, lh_text(call, new_field(call)), (int)call->server->config.bcrypt_cost);
    lh_gate_leave(call->server->signup_gate);
    lh_bind(call, "password_hash", hash);
    return hash ? NULL : lh_problem_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
}

/* ---- logging in ---- */

static lh_problem *too_many(lh_call *call, const char *wait)
{
    lh_problem *problem = lh_problem_of_status(call->r->pool, HTTP_TOO_MANY_REQUESTS);

    problem->retry_after = atoi(wait) > 0 ? atoi(wait) : 1;
    return problem;
}

/* Inside the gate. */
static lh_problem *try_password(lh_call *call)
{
    const char *current = lh_text(call, "current_password"), *password = current ? current : lh_text(call, "password");
    lh_problem *problem = lh_query(call, 0);
    const char *wait;

    if (problem) {
        return problem;
    }
    wait = lh_cell(call, "_wait");
    if (wait) {
        return too_many(call, wait);
    }
    if (lh_password_matches(password, lh_cell(call, "_hash"), (int)call->server->config.bcrypt_cost)) {
        lh_bind(call, "user_id", lh_cell(call, "_id"));
        return NULL;
    }
    problem = call->server->config.throttle.failures ? lh_query(call, 1) : NULL;
    return problem ? problem : lh_refuse(call, "credentials");
}

lh_problem *lh_log_in(lh_call *call)
{
    const lh_throttle *throttle = &call->server->config.throttle;
    lh_problem *problem;

    lh_bind(call, "address", call->r->useragent_ip);
    lh_bind(call, "failures", int_text(call, throttle->failures ? throttle->failures : APR_INT32_MAX));
    lh_bind(call, "seconds", int_text(call, apr_time_sec(throttle->time)));
    problem = enter(call, call->server->login_gate);
    if (!problem) {
        problem = try_password(call);
        lh_gate_leave(call->server->login_gate);
    }
    return problem;
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

lh_problem *lh_answer_tokens(lh_call *call, int refresh)
{
    const lh_config *config = &call->server->config;
    const char *access = sign(call, LH_JWT_ACCESS, config->access_ttl);
    const char *second = refresh ? sign(call, LH_JWT_REFRESH, config->refresh_ttl) : NULL;

    if (!access || (refresh && !second)) {
        return lh_problem_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    lh_answer_text(call, "access_token", access);
    if (second) {
        lh_answer_text(call, "refresh_token", second);
    }
    lh_answer_text(call, "token_type", "bearer");
    lh_answer_int(call, "expires_in", apr_time_sec(config->access_ttl));
    return NULL;
}

lh_problem *lh_refresh_token(lh_call *call)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims;
    const char *why;

    if (lh_jwt_verify(call->r->pool, call->server->config.keys, &rules, LH_JWT_REFRESH, lh_text(call, "refresh_token"),
                      &claims, &why) != APR_SUCCESS) {
        return lh_refuse(call, "missing");
    }
    lh_bind(call, "user_id", int_text(call, claims.subject));
    lh_bind(call, "version", int_text(call, claims.version));
    return NULL;
}

lh_problem *lh_new_token(lh_call *call)
{
    apr_int64_t lifetime = apr_time_sec(call->server->config.token_ttl);
    const char *token = lh_digest_token(call->r->pool);
    unsigned char digest[LH_DIGEST_SIZE];

    if (!token || !lh_digest(token, strlen(token), digest)) {
        return lh_problem_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    lh_bind(call, "digest", lh_digest_hex(call->r->pool, digest, sizeof(digest)));
    lh_bind(call, "lifetime", lifetime ? int_text(call, lifetime) : NULL);
    lh_answer_text(call, "auth_token", token);
    return NULL;
}

void lh_bind_sent_token(lh_call *call)
{
    lh_bind(call, "digest", call->me.digest);
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

lh_problem *lh_new_link(lh_call *call)
{
    const lh_config *config = &call->server->config;
    apr_pool_t *p = call->r->pool;
    const char *token = lh_digest_token(p), *link = config->reset_url;
    unsigned char digest[LH_DIGEST_SIZE];

    if (!token || !lh_digest(token, strlen(token), digest)) {
        return lh_problem_of_status(p, HTTP_INTERNAL_SERVER_ERROR);
    }
    if (!link) {
        link = apr_pstrcat(p, config->public_url ? config->public_url : own_url(call->r),
                           "/password/reset/confirm/{uid}/{token}", NULL);
    }
    lh_bind(call, "digest", lh_digest_hex(p, digest, sizeof(digest)));
    lh_bind(call, "link", replace(p, link, "{token}", token));
    return NULL;
}

lh_problem *lh_bind_link(lh_call *call)
{
    const char *token = lh_text(call, "token");
    unsigned char digest[LH_DIGEST_SIZE];

    if (!lh_digest(token, strlen(token), digest)) {
        return lh_problem_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    lh_bind(call, "digest", lh_digest_hex(call->r->pool, digest, sizeof(digest)));
    return NULL;
}
