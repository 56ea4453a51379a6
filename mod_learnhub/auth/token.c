/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/token.h"

#include <apr_atomic.h>
#include <apr_escape.h>
#include <apr_hash.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <apr_thread_rwlock.h>
#include <string.h>

#include "core/server_state.h"
#include "crypto/digest.h"
#include "db/result.h"
#include "http/error.h"
#include "http/run.h"
#include "util/clock.h"
#include "util/role.h"

#define RELOAD_AFTER (3600 * (apr_time_t)APR_USEC_PER_SEC)
#define MARGIN 60 /* seconds that clocks of nodes and database may differ by */
#define KEY_BYTES sizeof(((lh_identity *)0)->key)
#define REMEMBERED 1024
#define SNAPSHOT_TEXT 8192
#define SAW_NOTHING "1:1:"

/* What the events say of a user. */
typedef struct standing {
    apr_int64_t user;
    int version; /* tokens made before it are dead */
    unsigned role;
} standing;

/* An opaque token that was found; its place is decided by its digest. */
typedef struct remembered {
    unsigned char digest[LH_DIGEST_SIZE];
    lh_identity identity; /* id 0: free */
} remembered;

struct lh_tokens {
    apr_pool_t *parent, *pool; /* `pool` is replaced at each reload */
    apr_thread_rwlock_t *lock; /* of standings, dead, known */
    apr_hash_t *standings;     /* user -> standing */
    apr_hash_t *dead;          /* key of a token -> "" */
    remembered *known;         /* REMEMBERED places */

    apr_thread_mutex_t *reading; /* one thread reads the events */
    apr_time_t read_at;          /* on lh_clock(); 0: never */
    char seen[SNAPSHOT_TEXT];    /* the snapshot of the last reading: what it saw was read */
    apr_time_t loaded_at;
    apr_uint32_t read_change;       /* the counter when the events were read */
    volatile apr_uint32_t attempts; /* to read them */
};

static volatile apr_uint32_t *changes;

static const lh_statement *find_events, *find_token;

apr_status_t lh_token_share(apr_pool_t *pconf)
{
    apr_shm_t *shm;
    apr_status_t rv = apr_shm_create(&shm, sizeof(*changes), NULL, pconf);

    if (rv == APR_SUCCESS) {
        changes = apr_shm_baseaddr_get(shm);
        apr_atomic_set32(changes, 0);
    }
    return rv;
}

int lh_token_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"seconds", "seen", "digest"};
    static const lh_slots slots = {names, 3};

    find_events = lh_statement_compile(
        registry, "tokens.events",
        "SELECT e.user_id, e.role, e.version, e.token, pg_current_snapshot()::text AS seen "
        "FROM (SELECT) one LEFT JOIN learnhub.auth_events e ON e.xid >= pg_snapshot_xmin(:seen::pg_snapshot) "
        "AND NOT pg_visible_in_snapshot(e.xid, :seen::pg_snapshot) "
        "AND e.at > now() - make_interval(secs => :seconds::int) ORDER BY e.id",
        NULL, &slots, why);
    if (!*why) {
        find_token = lh_statement_compile(registry, "tokens.find",
                                          "SELECT u.id, u.role, u.token_version, "
                                          "coalesce(extract(epoch FROM t.expires_at)::bigint, 0) AS expires "
                                          "FROM learnhub.tokens t JOIN learnhub.users u ON u.id = t.user_id "
                                          "WHERE t.digest = decode(:digest, 'hex') AND u.is_active "
                                          "AND (t.expires_at IS NULL OR t.expires_at > now())",
                                          NULL, &slots, why);
    }
    return !*why;
}

void lh_token_announce(void)
{
    apr_atomic_inc32(changes);
}

static void forget_all(lh_tokens *tokens)
{
    if (tokens->pool) {
        apr_pool_destroy(tokens->pool);
    }
    apr_pool_create(&tokens->pool, tokens->parent);
    tokens->standings = apr_hash_make(tokens->pool);
    tokens->dead = apr_hash_make(tokens->pool);
    tokens->known = apr_pcalloc(tokens->pool, sizeof(remembered) * REMEMBERED);
}

lh_tokens *lh_tokens_create(apr_pool_t *p)
{
    lh_tokens *tokens = apr_pcalloc(p, sizeof(*tokens));

    tokens->parent = p;
    apr_thread_rwlock_create(&tokens->lock, p);
    apr_thread_mutex_create(&tokens->reading, APR_THREAD_MUTEX_DEFAULT, p);
    forget_all(tokens);
    return tokens;
}

/* ---- reading the events ---- */

static apr_int64_t cell_int(lh_call *call, const lh_result *result, int row, int column)
{
    const char *text = lh_call_cell(call, result, row, column);

    return text ? apr_atoi64(text) : 0;
}

static void take_dead_token(lh_tokens *tokens, const char *key)
{
    if (!apr_hash_get(tokens->dead, key, KEY_BYTES)) {
        apr_hash_set(tokens->dead, apr_pmemdup(tokens->pool, key, KEY_BYTES), KEY_BYTES, "");
    }
}

/* One row of find_events; without any event there is a row of nulls. */
static void take_event(lh_call *call, const lh_result *events, int row)
{
    lh_tokens *tokens = call->server->tokens;
    apr_int64_t user = cell_int(call, events, row, 0);
    int length;
    const char *token = lh_result_cell(events, row, 3, &length);
    standing *s;

    if (token) {
        take_dead_token(tokens, token);
        return;
    }
    s = apr_hash_get(tokens->standings, &user, sizeof(user));
    if (!s && user) {
        s = apr_palloc(tokens->pool, sizeof(*s));
        s->user = user;
        apr_hash_set(tokens->standings, &s->user, sizeof(s->user), s);
    }
    if (s) {
        s->role = lh_role_of(lh_call_cell(call, events, row, 1));
        s->version = (int)cell_int(call, events, row, 2);
    }
}

/*
 * A snapshot is xmin:xmax:running,... One that is too long is cut to its xmin: then some events are read twice. A
 * database whose transactions begin anew (restored, or failed over to one that lagged) is read from the beginning.
 */
static void remember_snapshot(lh_tokens *tokens, const char *snapshot)
{
    apr_int64_t xmin = apr_atoi64(snapshot);

    if (xmin < apr_atoi64(tokens->seen)) {
        tokens->loaded_at = 0;
    }
    if (strlen(snapshot) < sizeof(tokens->seen)) {
        apr_cpystrn(tokens->seen, snapshot, sizeof(tokens->seen));
    }
    else {
        apr_snprintf(tokens->seen, sizeof(tokens->seen), "%" APR_INT64_T_FMT ":%" APR_INT64_T_FMT ":", xmin, xmin);
    }
}

/*
 * Asks for what is new, or for everything that still matters: what the transactions did that were not over when it
 * asked last. The caller holds `reading`.
 */
static lh_error *read_events(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    apr_time_t now = lh_clock();
    apr_uint32_t change = apr_atomic_read32(changes);
    int reload = !tokens->loaded_at || now - tokens->loaded_at > RELOAD_AFTER, row;
    apr_int64_t seconds = apr_time_sec(call->server->config.access_ttl) + MARGIN;
    const char *values[] = {apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, seconds),
                            reload ? SAW_NOTHING : tokens->seen, NULL};
    lh_result *events;
    lh_error *error = lh_run_statement(call, find_events, values, &events);

    apr_atomic_inc32(&tokens->attempts);
    if (error) {
        return error;
    }
    apr_thread_rwlock_wrlock(tokens->lock);
    if (reload) {
        forget_all(tokens);
        tokens->loaded_at = now;
    }
    for (row = 0; row < lh_result_rows(events); row++) {
        take_event(call, events, row);
    }
    remember_snapshot(tokens, lh_call_cell(call, events, 0, 4));
    tokens->read_at = now;
    tokens->read_change = change;
    apr_thread_rwlock_unlock(tokens->lock);
    return NULL;
}

static int is_fresh(lh_tokens *tokens, apr_time_t age)
{
    return tokens->read_at && apr_atomic_read32(changes) == tokens->read_change && lh_clock() - tokens->read_at < age;
}

/* Waits for the events; who waited while another thread read them takes its outcome. */
static lh_error *wait_for_events(lh_call *call, int always)
{
    lh_tokens *tokens = call->server->tokens;
    apr_time_t asked = lh_clock();
    apr_uint32_t attempts = apr_atomic_read32(&tokens->attempts);
    lh_error *error = NULL;

    apr_thread_mutex_lock(tokens->reading);
    if (tokens->read_at < asked && (always || !is_fresh(tokens, call->server->config.revocation_interval))) {
        /* One failure while we waited may have begun before we asked; two have not. */
        error = apr_atomic_read32(&tokens->attempts) - attempts > 1 ? lh_error_of_status(call->r->pool, 503)
                                                                    : read_events(call);
    }
    apr_thread_mutex_unlock(tokens->reading);
    return error;
}

static lh_error *ensure_events(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    apr_time_t interval = call->server->config.revocation_interval;

    if (is_fresh(tokens, interval / 2)) {
        return NULL;
    }
    if (!is_fresh(tokens, interval)) {
        return wait_for_events(call, 0);
    }
    if (apr_thread_mutex_trylock(tokens->reading) == APR_SUCCESS) {
        read_events(call); /* early: a failure does not matter yet */
        apr_thread_mutex_unlock(tokens->reading);
    }
    return NULL;
}

/* ---- checking ---- */

/* What the events say of an identity; the caller holds the lock. Returns 0 when the token is dead. */
static int stands(lh_tokens *tokens, lh_identity *identity)
{
    const standing *s = apr_hash_get(tokens->standings, &identity->id, sizeof(identity->id));

    if (apr_hash_get(tokens->dead, identity->key, KEY_BYTES) || (s && identity->version < s->version)) {
        return 0;
    }
    if (s) {
        identity->role = s->role;
    }
    return 1;
}

static lh_error *judge(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    int alive;

    apr_thread_rwlock_rdlock(tokens->lock);
    alive = stands(tokens, &call->me);
    apr_thread_rwlock_unlock(tokens->lock);
    return alive ? NULL : lh_error_bad_token(call->r->pool);
}

lh_error *lh_token_check(lh_call *call)
{
    lh_error *error = ensure_events(call);

    return error ? error : judge(call);
}

lh_error *lh_token_check_now(lh_call *call)
{
    lh_error *error = wait_for_events(call, 1);

    return error ? error : judge(call);
}

/* ---- opaque tokens ---- */

static remembered *place_of(lh_tokens *tokens, const unsigned char *digest)
{
    return &tokens->known[(digest[0] | digest[1] << 8) % REMEMBERED];
}

static int recall(lh_tokens *tokens, const unsigned char *digest, lh_identity *identity)
{
    const remembered *place;
    int found;

    apr_thread_rwlock_rdlock(tokens->lock);
    place = place_of(tokens, digest);
    found = place->identity.id && !memcmp(place->digest, digest, LH_DIGEST_SIZE) &&
            (!place->identity.expires || place->identity.expires > apr_time_sec(apr_time_now()));
    if (found) {
        *identity = place->identity;
    }
    apr_thread_rwlock_unlock(tokens->lock);
    return found;
}

static void remember(lh_tokens *tokens, const unsigned char *digest, const lh_identity *identity)
{
    remembered *place;

    apr_thread_rwlock_wrlock(tokens->lock);
    place = place_of(tokens, digest);
    memcpy(place->digest, digest, LH_DIGEST_SIZE);
    place->identity = *identity;
    place->identity.digest = NULL;
    apr_thread_rwlock_unlock(tokens->lock);
}

static lh_error *look_up(lh_call *call, const unsigned char *digest, const char *hex)
{
    const char *values[] = {NULL, NULL, hex};
    lh_result *result;
    lh_error *error = lh_run_statement(call, find_token, values, &result);

    if (error) {
        return error;
    }
    if (lh_result_rows(result) == 0) {
        return lh_error_bad_token(call->r->pool);
    }
    call->me.id = cell_int(call, result, 0, 0);
    call->me.role = lh_role_of(lh_call_cell(call, result, 0, 1));
    call->me.version = (int)cell_int(call, result, 0, 2);
    call->me.expires = cell_int(call, result, 0, 3);
    memcpy(call->me.key, digest, KEY_BYTES);
    remember(call->server->tokens, digest, &call->me);
    return NULL;
}

lh_error *lh_token_find(lh_call *call, const char *token)
{
    unsigned char digest[LH_DIGEST_SIZE];
    lh_error *error;

    if (!lh_digest(token, digest)) {
        return lh_error_of_status(call->r->pool, 500);
    }
    error = ensure_events(call); /* before it is looked up, so that no event falls between the two */
    if (error) {
        return error;
    }
    if (!recall(call->server->tokens, digest, &call->me)) {
        error = look_up(call, digest, apr_pescape_hex(call->r->pool, digest, LH_DIGEST_SIZE, 0));
    }
    call->me.digest = apr_pescape_hex(call->r->pool, digest, LH_DIGEST_SIZE, 0);
    return error ? error : judge(call);
}
