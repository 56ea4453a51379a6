/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/token.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <apr_thread_rwlock.h>
#include <string.h>

#include "auth/last_use.h"
#include "core/server_state.h"
#include "crypto/digest.h"
#include "db/result.h"
#include "http/error.h"
#include "http/run.h"
#include "util/clock.h"
#include "util/role.h"

#define CACHE_SIZE 1024
#define CACHE_AGE (300 * (apr_time_t)APR_USEC_PER_SEC) /* after which a token is looked up again */
#define KEY_BYTES sizeof(((lh_identity *)0)->key)

/* An opaque token that was found in the database. Its digest selects its entry in the cache. */
typedef struct known_token {
    unsigned char digest[LH_DIGEST_SIZE];
    lh_identity identity; /* id 0: the entry is free */
    apr_time_t found_at;  /* on lh_clock() */
} known_token;

struct lh_tokens {
    lh_revocations *revocations;
    lh_last_use *uses;
    apr_thread_rwlock_t *lock; /* of cache */
    known_token cache[CACHE_SIZE];
};

static const lh_statement *find_token, *store_uses;

/* A login whose row is locked is about to be refreshed or ended: its last use need not be stored. */
int lh_token_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"digest", "idle", "age", "logins"};
    static const lh_slots slots = {names, 4};

    find_token = lh_statement_compile(
        registry, "tokens.find",
        "WITH found AS MATERIALIZED ("
        "    SELECT u.id, u.role, u.token_version, l.id AS login, l.used_at, l.ends_at "
        "    FROM learnhub.tokens t "
        "    JOIN learnhub.logins l ON l.id = t.login_id "
        "    JOIN learnhub.users u ON u.id = l.user_id AND u.token_version = l.version "
        "    WHERE t.digest = decode(:digest, 'hex') AND u.is_active AND (l.ends_at IS NULL OR l.ends_at > now()) "
        "      AND (:idle::bigint IS NULL OR l.used_at > now() - make_interval(secs => :idle::bigint))), "
        "used AS ("
        "    UPDATE learnhub.logins "
        "    SET used_at = now(), ends_at = now() + make_interval(secs => :idle::bigint) "
        "    WHERE id IN (SELECT l.id "
        "                 FROM learnhub.logins l "
        "                 JOIN found f ON f.login = l.id "
        "                 WHERE f.used_at < now() - :age::bigint * interval '1 microsecond' "
        "                 FOR NO KEY UPDATE OF l SKIP LOCKED)) "
        "SELECT id, role, token_version, coalesce(extract(epoch FROM ends_at)::bigint, 0) AS expires, login FROM found",
        NULL, &slots, why);
    if (!*why) {
        store_uses = lh_statement_compile(registry, "logins.used",
                                          "UPDATE learnhub.logins SET used_at = now() "
                                          "WHERE id IN (SELECT id FROM learnhub.logins "
                                          "             WHERE id = ANY (:logins::uuid[]) "
                                          "               AND used_at < now() - interval '4 minutes' "
                                          "             FOR NO KEY UPDATE SKIP LOCKED)",
                                          NULL, &slots, why);
    }
    return !*why && lh_revocation_compile(registry, why);
}

lh_tokens *lh_tokens_create(apr_pool_t *p)
{
    lh_tokens *tokens = apr_pcalloc(p, sizeof(*tokens));

    tokens->revocations = lh_revocation_create(p);
    tokens->uses = lh_last_use_create(p);
    apr_thread_rwlock_create(&tokens->lock, p);
    return tokens;
}

/* ---- checking ---- */

void lh_token_note(lh_call *call)
{
    static const unsigned char none[LH_LAST_USE_ID];

    if (memcmp(call->me.login, none, sizeof(none))) {
        lh_last_use_note(call->server->tokens->uses, call->me.login, apr_time_sec(apr_time_now()));
    }
}

/* Ensures that the copy is not older than the interval. The request that has read events also stores the last uses; an
 * error can be ignored. */
static lh_error *follow(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    int has_read;
    lh_error *error = lh_revocation_follow(tokens->revocations, call, &has_read);
    const char *values[] = {NULL, NULL, NULL,
                            !error && has_read ? lh_last_use_take(tokens->uses, call->r->pool) : NULL};
    lh_result *result;

    if (values[3]) {
        lh_run_statement(call, store_uses, values, &result);
    }
    return error;
}

static lh_error *check_identity(lh_call *call)
{
    return lh_revocation_apply(call->server->tokens->revocations, &call->me) ? NULL : lh_error_bad_token(call->r->pool);
}

lh_error *lh_token_check(lh_call *call)
{
    lh_error *error = follow(call);

    return error ? error : check_identity(call);
}

lh_error *lh_token_check_now(lh_call *call)
{
    lh_error *error = lh_revocation_read(call->server->tokens->revocations, call);

    return error ? error : check_identity(call);
}

/* ---- opaque tokens ---- */

/* How long an entry of the cache is used, in microseconds: so that a token in use does not expire. */
static apr_time_t cache_age(const lh_call *call)
{
    apr_time_t idle = call->server->config.token_ttl;

    return idle && idle / 4 < CACHE_AGE ? idle / 4 : CACHE_AGE;
}

static known_token *cache_entry(lh_tokens *tokens, const unsigned char *digest)
{
    return &tokens->cache[(digest[0] | digest[1] << 8) % CACHE_SIZE];
}

static int find_in_cache(lh_call *call, const unsigned char *digest)
{
    lh_tokens *tokens = call->server->tokens;
    const known_token *entry;
    int found;

    apr_thread_rwlock_rdlock(tokens->lock);
    entry = cache_entry(tokens, digest);
    found = entry->identity.id && !memcmp(entry->digest, digest, LH_DIGEST_SIZE) &&
            lh_clock() - entry->found_at < cache_age(call) &&
            (!entry->identity.expires || entry->identity.expires > apr_time_sec(apr_time_now()));
    if (found) {
        call->me = entry->identity;
    }
    apr_thread_rwlock_unlock(tokens->lock);
    return found;
}

/* Replaces the token that the entry contains. */
static void store_in_cache(lh_tokens *tokens, const unsigned char *digest, const lh_identity *identity)
{
    known_token *entry;

    apr_thread_rwlock_wrlock(tokens->lock);
    entry = cache_entry(tokens, digest);
    memcpy(entry->digest, digest, LH_DIGEST_SIZE);
    entry->identity = *identity;
    entry->identity.digest = NULL; /* belongs to the request */
    entry->found_at = lh_clock();
    apr_thread_rwlock_unlock(tokens->lock);
}

static apr_int64_t cell_int(lh_call *call, const lh_result *result, int column)
{
    return apr_atoi64(lh_call_cell(call, result, 0, column));
}

static lh_error *find_in_database(lh_call *call, const unsigned char *digest)
{
    apr_pool_t *p = call->r->pool;
    apr_int64_t idle = apr_time_sec(call->server->config.token_ttl);
    const char *values[] = {apr_pescape_hex(p, digest, LH_DIGEST_SIZE, 0),
                            idle ? apr_psprintf(p, "%" APR_INT64_T_FMT, idle) : NULL,
                            apr_psprintf(p, "%" APR_INT64_T_FMT, cache_age(call)), NULL};
    lh_result *result;
    lh_error *error = lh_run_statement(call, find_token, values, &result);
    int length;

    if (error) {
        return error;
    }
    if (lh_result_rows(result) == 0) {
        return lh_error_bad_token(p);
    }
    call->me.id = cell_int(call, result, 0);
    call->me.role = lh_role_of(lh_call_cell(call, result, 0, 1));
    call->me.version = (int)cell_int(call, result, 2);
    call->me.expires = cell_int(call, result, 3);
    memcpy(call->me.login, lh_result_cell(result, 0, 4, &length), sizeof(call->me.login));
    memcpy(call->me.key, digest, KEY_BYTES);
    store_in_cache(call->server->tokens, digest, &call->me);
    return NULL;
}

/*
 * The copy is refreshed before the lookup, so that no revocation is missed: those that the copy does not contain are
 * either seen by the lookup or read later.
 */
lh_error *lh_token_find(lh_call *call, const char *token)
{
    unsigned char digest[LH_DIGEST_SIZE];
    lh_error *error;

    if (!lh_digest(token, digest)) {
        return lh_error_of_status(call->r->pool, HTTP_INTERNAL_SERVER_ERROR);
    }
    error = follow(call);
    if (!error && !find_in_cache(call, digest)) {
        error = find_in_database(call, digest);
    }
    if (error) {
        return error;
    }
    call->me.digest = apr_pescape_hex(call->r->pool, digest, LH_DIGEST_SIZE, 0);
    return check_identity(call);
}
