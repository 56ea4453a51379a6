/* SPDX-License-Identifier: Apache-2.0 */
/* The steps that learnhub_accounts.h declares: logins, their tokens, and refreshes. */
#include "auth/token_steps.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "auth/auth.h"
#include "auth/revocation.h"
#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "crypto/digest.h"
#include "http/call.h"
#include "http/error.h"
#include "learnhub_accounts.h"
#include "util/json.h"
#include "util/role.h"

static const char *int_text(const lh_call *call, apr_int64_t value)
{
    return apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value);
}

/* The id of a login as the database reads it; NULL for zero bytes. */
static const char *login_text(const lh_call *call, const unsigned char login[16])
{
    static const unsigned char none[16];

    return memcmp(login, none, sizeof(none)) ? apr_pescape_hex(call->r->pool, login, sizeof(none), 0) : NULL;
}

/* Copies the 32 hex digits of a column of type uuid, which has hyphens, or nothing if it is NULL. */
static void copy_uuid(const lh_call *call, const char *column, char hex[33])
{
    const char *text = lh_cell(call, column);
    int length = 0;

    for (; text && *text && length < 32; text++) {
        if (*text != '-') {
            hex[length++] = *text;
        }
    }
    hex[length] = '\0';
}

#define AGENT_LENGTH 200 /* bytes */

/* Binds the beginning of the User-Agent header; NULL if it is absent or contains other characters than printable ASCII.
 */
static void bind_agent(lh_call *call)
{
    const char *agent = apr_table_get(call->r->headers_in, "User-Agent"), *c = agent;

    while (c && *c >= ' ' && *c <= '~') {
        c++;
    }
    lh_bind(call, "agent", c && !*c ? apr_pstrndup(call->r->pool, agent, AGENT_LENGTH) : NULL);
}

static void bind_lifetimes(lh_call *call)
{
    lh_bind(call, "access_ttl", int_text(call, apr_time_sec(call->server->config.access_ttl)));
    lh_bind(call, "refresh_ttl", int_text(call, apr_time_sec(call->server->config.refresh_ttl)));
}

static lh_error *new_login(lh_call *call)
{
    bind_lifetimes(call);
    bind_agent(call);
    return NULL;
}

/* ---- issuing JSON Web Tokens ---- */

/* `lifetime` is in microseconds. */
static const char *sign_jwt(lh_call *call, lh_jwt_type type, apr_int64_t lifetime)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims = {.type = type, .issued = rules.now, .expires = rules.now + apr_time_sec(lifetime)};
    char login[33];

    claims.subject = apr_atoi64(lh_cell(call, "_id"));
    claims.role = lh_role_of(lh_cell(call, "_role"));
    claims.version = atoi(lh_cell(call, "_version"));
    copy_uuid(call, "_login", login);
    apr_unescape_hex(claims.login, login, APR_ESCAPE_STRING, 0, NULL);
    if (type == LH_JWT_REFRESH) {
        copy_uuid(call, "_refresh", claims.id);
    }
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

static lh_error *issue_pair(lh_call *call)
{
    return add_tokens(call, &(const token_members){NULL, "access", "refresh", 0});
}

static lh_error *issue_tokens_object(lh_call *call)
{
    return add_tokens(call, &(const token_members){"tokens", "access", "refresh", 0});
}

/* ---- refreshing ---- */

/* Tells this node at once that a login has ended. */
static lh_error *refuse_reuse(lh_call *call)
{
    lh_revocation_announce();
    ap_log_rerror(APLOG_MARK, APLOG_NOTICE, 0, call->r,
                  LH_LOG(0070) "a refresh token was used after its successor: its login has ended");
    return lh_fail(call, "missing");
}

static lh_error *refreshed(lh_call *call, const token_members *members)
{
    const char *reused = lh_cell(call, "_reused");

    return reused && !strcmp(reused, "true") ? refuse_reuse(call) : add_tokens(call, members);
}

static lh_error *refresh_access_token(lh_call *call)
{
    return refreshed(call, &(const token_members){NULL, "access_token", NULL, 1});
}

static lh_error *refresh_pair(lh_call *call)
{
    return refreshed(call, &(const token_members){NULL, "access", "refresh", 0});
}

/* ---- verifying tokens in a body ---- */

static void bind_token(lh_call *call, apr_int64_t user, int version, const char *login, const char *refresh)
{
    lh_bind(call, "user_id", int_text(call, user));
    lh_bind(call, "version", int_text(call, version));
    lh_bind(call, "login", login);
    lh_bind(call, "refresh_id", refresh);
}

/* Returns 0 unless `token` is a refresh token. Otherwise binds it and returns 1. */
static int accept_refresh_token(lh_call *call, const char *token)
{
    lh_jwt_rules rules = lh_auth_jwt_rules(call);
    lh_claims claims;
    const char *why;

    if (lh_jwt_verify(call->r->pool, call->server->config.keys, &rules, LH_JWT_REFRESH, token, &claims, &why) !=
        APR_SUCCESS) {
        return 0;
    }
    bind_token(call, claims.subject, claims.version, login_text(call, claims.login),
               apr_pstrdup(call->r->pool, claims.id));
    return 1;
}

static lh_error *verify_refresh_token(lh_call *call)
{
    const char *token = lh_param(call, "refresh_token");

    bind_lifetimes(call);
    bind_agent(call);
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
        bind_token(call, call->me.id, call->me.version, NULL, NULL);
    }
    return error;
}

/* ---- opaque tokens ---- */

lh_error *lh_token_generate(lh_call *call, const char **token)
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
    lh_error *error = lh_token_generate(call, &token);

    if (error) {
        return error;
    }
    lh_bind(call, "lifetime", lifetime ? int_text(call, lifetime) : NULL);
    bind_agent(call);
    lh_reply_string(call, "auth_token", token);
    return NULL;
}

static lh_error *bind_sent_token(lh_call *call)
{
    lh_bind(call, "login", login_text(call, call->me.login));
    lh_bind(call, "digest", call->me.digest);
    lh_bind(call, "until", int_text(call, call->me.expires));
    return NULL;
}

/* ---- the steps ---- */

#define TOKEN_COLUMNS "_id _role _version _login"

/* clang-format off */
const lh_step lh_step_new_login = {
    .name = "new_login", .run = new_login, .binds = "access_ttl refresh_ttl agent"};

const lh_step lh_step_issue_tokens = {
    .name = "issue_tokens", .run = issue_tokens, .columns = TOKEN_COLUMNS " _refresh"};

const lh_step lh_step_issue_pair = {
    .name = "issue_pair", .run = issue_pair, .columns = TOKEN_COLUMNS " _refresh"};

const lh_step lh_step_issue_tokens_object = {
    .name = "issue_tokens_object", .run = issue_tokens_object, .columns = TOKEN_COLUMNS " _refresh"};

const lh_step lh_step_refresh_access_token = {
    .name = "refresh_access_token", .run = refresh_access_token, .columns = TOKEN_COLUMNS " _reused"};

const lh_step lh_step_refresh_pair = {
    .name = "refresh_pair", .run = refresh_pair, .columns = TOKEN_COLUMNS " _refresh _reused"};

const lh_step lh_step_verify_refresh_token = {
    .name = "verify_refresh_token", .run = verify_refresh_token, .fields = "refresh_token|refresh",
    .binds = "user_id version login refresh_id access_ttl refresh_ttl agent"};

const lh_step lh_step_verify_token = {
    .name = "verify_token", .run = verify_token, .fields = "token", .binds = "user_id version login refresh_id"};

const lh_step lh_step_new_opaque_token = {
    .name = "new_opaque_token", .run = new_opaque_token, .binds = "digest lifetime agent"};

const lh_step lh_step_bind_sent_token = {
    .name = "bind_sent_token", .run = bind_sent_token, .binds = "login digest until"};
/* clang-format on */
