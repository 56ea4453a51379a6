/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/auth.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>

#include "auth/token.h"
#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "crypto/jwt_memory.h"
#include "http/error.h"
#include "http/rate.h"
#include "http/route.h"

#define OPAQUE_LENGTH 40 /* hex digits; JWTs contain dots */

lh_jwt_rules lh_auth_jwt_rules(const lh_call *call)
{
    lh_jwt_rules rules = {call->server->config.issuer, call->server->config.audience, apr_time_sec(apr_time_now())};

    return rules;
}

static int is_opaque(const char *token)
{
    return strlen(token) == OPAQUE_LENGTH && strspn(token, "0123456789abcdef") == OPAQUE_LENGTH;
}

/* Verifies an access token, or finds it among those that this process has verified. Returns 0 if it is not valid. Sets
 * *is_due to 1 when the process meets the token first, and then every few minutes. */
static int verify(const lh_call *call, const lh_jwt_rules *rules, const char *token, lh_claims *claims, int *is_due)
{
    lh_jwt_memory *memory = call->server->verified;
    const char *why;

    if (lh_jwt_memory_find(memory, token, rules->now, claims, is_due)) {
        return 1;
    }
    *is_due = 1;
    if (lh_jwt_verify(call->r->pool, call->server->config.keys, rules, LH_JWT_ACCESS, token, claims, &why) !=
        APR_SUCCESS) {
        ap_log_rerror(APLOG_MARK, APLOG_DEBUG, 0, call->r, LH_LOG(0008) "token rejected: %s", why);
        return 0;
    }
    lh_jwt_memory_store(memory, token, claims);
    return 1;
}

static lh_error *authenticate_jwt(lh_call *call, const char *token)
{
    const lh_config *config = &call->server->config;
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims;
    lh_error *error;
    int is_due;

    if (!verify(call, &rules, token, &claims, &is_due)) {
        return lh_error_bad_token(call->r->pool);
    }
    if (claims.issued + apr_time_sec(config->access_ttl) <= rules.now) {
        return lh_error_bad_token(call->r->pool); /* issued under a longer LearnHubAccessTokenTTL */
    }
    call->me.id = claims.subject;
    call->me.role = claims.role;
    call->me.version = claims.version;
    call->me.expires = claims.expires;
    apr_unescape_hex(call->me.key, claims.id, APR_ESCAPE_STRING, 0, NULL); /* lh_jwt_verify() checked its form */
    call->me.digest = apr_pstrdup(call->r->pool, claims.id);
    memcpy(call->me.login, claims.login, sizeof(call->me.login));
    error = lh_token_check(call);
    if (!error && is_due) {
        lh_token_note(call);
    }
    return error;
}

/* The token after the scheme "Bearer" or "Token"; NULL for other schemes. */
static const char *token_of(const char *header)
{
    apr_size_t scheme = strcspn(header, " ");

    if (!(scheme == 6 && !strncasecmp(header, "Bearer", 6)) && !(scheme == 5 && !strncasecmp(header, "Token", 5))) {
        return NULL;
    }
    header += scheme;
    return header + strspn(header, " ");
}

/* Before it rejects the caller, it reads the role again, so that a role that was just granted needs no new login. */
static lh_error *check_role(lh_call *call)
{
    lh_error *error;

    if (call->me.role & call->route->def->roles) {
        return NULL;
    }
    error = lh_token_check_now(call);
    if (error || (call->me.role & call->route->def->roles)) {
        return error;
    }
    return lh_fail(call, "role");
}

lh_error *lh_auth_token(lh_call *call, const char *token)
{
    return is_opaque(token) ? lh_token_find(call, token) : authenticate_jwt(call, token);
}

lh_error *lh_auth(lh_call *call)
{
    request_rec *r = call->r;
    const char *header = apr_table_get(r->headers_in, "Authorization"), *token;
    lh_error *error;

    if (call->route->def->roles == LH_ANYONE) {
        return NULL;
    }
    if (!header || !*header) {
        return lh_error_of_status(r->pool, HTTP_UNAUTHORIZED);
    }
    token = token_of(header);
    if (!token) {
        return lh_error_bad_token(r->pool);
    }
    error = lh_auth_token(call, token);
    if (error) {
        return error;
    }
    r->user = apr_psprintf(r->pool, "%" APR_INT64_T_FMT, call->me.id);
    r->ap_auth_type = is_opaque(token) ? "Token" : "Bearer";
    lh_call_set_builtin(call, LH_BUILTIN_ME, r->user);
    error = lh_rate_count_account(call); /* before check_role(), which may read the database */
    return error ? error : check_role(call);
}
