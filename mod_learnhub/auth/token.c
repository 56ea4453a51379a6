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

#define RELOAD_INTERVAL (3600 * (apr_time_t)APR_USEC_PER_SEC)
#define CLOCK_SKEW 60 /* seconds by which the clocks of the nodes and the database may differ */
#define CACHE_SIZE 1024
#define KEY_BYTES sizeof(((lh_identity *)0)->key)
#define SNAPSHOT_SIZE 8192
#define COUNTER_KEY "learnhub:changes"
#define EMPTY_SNAPSHOT "1:1:" /* no transaction is visible in it */

/* The state of a user by the latest event. */
typedef struct account_state {
    apr_int64_t user;
    int version; /* tokens of lower versions are revoked */
    unsigned role;
} account_state;

/* An opaque token that was found in the database. Its digest selects its entry in the cache. */
typedef struct known_token {
    unsigned char digest[LH_DIGEST_SIZE];
    lh_identity identity; /* id 0: the entry is free */
} known_token;

struct lh_tokens {
    apr_pool_t *parent, *pool; /* `pool` is replaced at each reload */
    apr_thread_rwlock_t *lock; /* of accounts, revoked and cache */
    apr_hash_t *accounts;      /* users.id -> account_state */
    apr_hash_t *revoked;       /* keys of revoked tokens; the values have no meaning */
    known_token *cache;        /* CACHE_SIZE entries */

    apr_thread_mutex_t *reading;    /* held by the thread that reads events */
    apr_time_t read_at;             /* when events were read, on lh_clock(); 0: never */
    apr_time_t loaded_at;           /* when all events were read; 0: the next read is a reload */
    apr_uint32_t read_counter;      /* change_counter before events were read */
    volatile apr_uint32_t attempts; /* to read events, successful or not */
    char snapshot[SNAPSHOT_SIZE];   /* of the last read: selects the events of the next one */
};

static volatile apr_uint32_t *change_counter; /* in shared memory */

static const lh_statement *find_events, *find_token;

apr_status_t lh_token_share(apr_pool_t *process)
{
    apr_shm_t *shm;
    void *found = NULL;
    apr_status_t rv;

    apr_pool_userdata_get(&found, COUNTER_KEY, process);
    if (!found) {
        rv = apr_shm_create(&shm, sizeof(*change_counter), NULL, process);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        found = apr_shm_baseaddr_get(shm);
        memset(found, 0, sizeof(*change_counter));
        apr_pool_userdata_set(found, COUNTER_KEY, NULL, process);
    }
    change_counter = found;
    return APR_SUCCESS;
}

/*
 * find_events returns the events that the previous read did not see. Neither id nor time can select them: a transaction
 * that started earlier may commit later, and its events, with lower ids, would be missed. PostgreSQL's snapshots can.
 *
 * A snapshot, "xmin:xmax:running,...", describes which committed transactions a query sees: all below xmin, none from
 * xmax on, and in between those that are not in the list of running ones. Each event contains the id of its transaction
 * (xid). An event is new if that transaction is not visible in the snapshot of the previous read. The query itself sees
 * only committed events, and returns its own snapshot for the next read.
 *
 * - The comparison with xmin is redundant: it makes the index on xid usable.
 * - The LEFT JOIN returns the snapshot (in a row of NULLs) when there is no new event.
 */
int lh_token_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"seconds", "snapshot", "digest"};
    static const lh_slots slots = {names, 3};

    find_events = lh_statement_compile(
        registry, "tokens.events",
        "SELECT e.user_id, e.role, e.version, e.token, pg_current_snapshot()::text AS snapshot "
        "FROM (SELECT) one LEFT JOIN learnhub.auth_events e ON e.xid >= pg_snapshot_xmin(:snapshot::pg_snapshot) "
        "AND NOT pg_visible_in_snapshot(e.xid, :snapshot::pg_snapshot) "
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
    apr_atomic_inc32(change_counter);
}

static void clear(lh_tokens *tokens)
{
    if (tokens->pool) {
        apr_pool_destroy(tokens->pool);
    }
    apr_pool_create(&tokens->pool, tokens->parent);
    tokens->accounts = apr_hash_make(tokens->pool);
    tokens->revoked = apr_hash_make(tokens->pool);
    tokens->cache = apr_pcalloc(tokens->pool, sizeof(known_token) * CACHE_SIZE);
}

lh_tokens *lh_tokens_create(apr_pool_t *p)
{
    lh_tokens *tokens = apr_pcalloc(p, sizeof(*tokens));

    tokens->parent = p;
    apr_thread_rwlock_create(&tokens->lock, p);
    apr_thread_mutex_create(&tokens->reading, APR_THREAD_MUTEX_DEFAULT, p);
    clear(tokens);
    return tokens;
}

/* ---- reading events ---- */

static apr_int64_t cell_int(lh_call *call, const lh_result *result, int row, int column)
{
    const char *text = lh_call_cell(call, result, row, column);

    return text ? apr_atoi64(text) : 0;
}

static void store_revoked_token(lh_tokens *tokens, const char *key)
{
    if (!apr_hash_get(tokens->revoked, key, KEY_BYTES)) {
        apr_hash_set(tokens->revoked, apr_pmemdup(tokens->pool, key, KEY_BYTES), KEY_BYTES, "");
    }
}

/* Returns the state of a user; a new one is stored with only `user` set. */
static account_state *account_of(lh_tokens *tokens, apr_int64_t user)
{
    account_state *account = apr_hash_get(tokens->accounts, &user, sizeof(user));

    if (!account) {
        account = apr_pcalloc(tokens->pool, sizeof(*account));
        account->user = user;
        apr_hash_set(tokens->accounts, &account->user, sizeof(account->user), account);
    }
    return account;
}

/* Stores a row of find_events: a revoked token, the state of a user, or NULLs when there is no event. */
static void store_event(lh_call *call, const lh_result *events, int row)
{
    lh_tokens *tokens = call->server->tokens;
    apr_int64_t user = cell_int(call, events, row, 0);
    int length;
    const char *token = lh_result_cell(events, row, 3, &length);

    if (token) {
        store_revoked_token(tokens, token);
    }
    else if (user) {
        account_state *account = account_of(tokens, user);
        account->role = lh_role_of(lh_call_cell(call, events, row, 1));
        account->version = (int)cell_int(call, events, row, 2);
    }
}

/*
 * Stores the snapshot for the next read. If its text is too long (many running transactions), it is replaced by the
 * snapshot "xmin:xmin:", in which nothing from xmin on is visible: the next read returns some events again, which is
 * harmless.
 *
 * If xmin is lower than before, the database has lost transactions: it was restored from a backup, or is a former
 * standby that lagged behind. Then the next read loads all events.
 */
static void store_snapshot(lh_tokens *tokens, const char *snapshot)
{
    apr_int64_t xmin = apr_atoi64(snapshot);

    if (xmin < apr_atoi64(tokens->snapshot)) {
        tokens->loaded_at = 0;
    }
    if (strlen(snapshot) < sizeof(tokens->snapshot)) {
        apr_cpystrn(tokens->snapshot, snapshot, sizeof(tokens->snapshot));
    }
    else {
        apr_snprintf(tokens->snapshot, sizeof(tokens->snapshot), "%" APR_INT64_T_FMT ":%" APR_INT64_T_FMT ":", xmin,
                     xmin);
    }
}

/* Reads the new events, or for a reload all events within the lifetime of access tokens. The caller holds `reading`. */
static lh_error *read_events(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    apr_time_t now = lh_clock();
    apr_uint32_t counter = apr_atomic_read32(change_counter);
    int reload = !tokens->loaded_at || now - tokens->loaded_at > RELOAD_INTERVAL, row;
    apr_int64_t seconds = apr_time_sec(call->server->config.access_ttl) + CLOCK_SKEW;
    const char *values[] = {apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, seconds),
                            reload ? EMPTY_SNAPSHOT : tokens->snapshot, NULL};
    lh_result *events;
    lh_error *error = lh_run_statement(call, find_events, values, &events);

    apr_atomic_inc32(&tokens->attempts);
    if (error) {
        return error;
    }
    apr_thread_rwlock_wrlock(tokens->lock);
    if (reload) {
        clear(tokens);
        tokens->loaded_at = now;
    }
    for (row = 0; row < lh_result_rows(events); row++) {
        store_event(call, events, row);
    }
    store_snapshot(tokens, lh_call_cell(call, events, 0, 4));
    tokens->read_at = now;
    tokens->read_counter = counter;
    apr_thread_rwlock_unlock(tokens->lock);
    return NULL;
}

/* 1 when the copy is younger than `age` microseconds and no change through this node has been announced since. */
static int is_fresh(lh_tokens *tokens, apr_time_t age)
{
    return tokens->read_at && apr_atomic_read32(change_counter) == tokens->read_counter &&
           lh_clock() - tokens->read_at < age;
}

/*
 * Reads the events; `always`: even if the copy is fresh. A thread that waited while other threads read them uses their
 * result: the copy, or 503 after two failures. A single failure does not count, because that read may have started
 * before this thread began to wait.
 */
static lh_error *refresh(lh_call *call, int always)
{
    lh_tokens *tokens = call->server->tokens;
    apr_time_t began = lh_clock();
    apr_uint32_t attempts = apr_atomic_read32(&tokens->attempts);
    lh_error *error = NULL;

    apr_thread_mutex_lock(tokens->reading);
    if (tokens->read_at < began && (always || !is_fresh(tokens, call->server->config.revocation_interval))) {
        error = apr_atomic_read32(&tokens->attempts) - attempts > 1
                    ? lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE)
                    : read_events(call);
    }
    apr_thread_mutex_unlock(tokens->reading);
    return error;
}

/* Ensures that the copy is not older than the interval. */
static lh_error *ensure_fresh(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    apr_time_t interval = call->server->config.revocation_interval;

    if (is_fresh(tokens, interval / 2)) {
        return NULL;
    }
    if (!is_fresh(tokens, interval)) {
        return refresh(call, 0);
    }
    if (apr_thread_mutex_trylock(tokens->reading) == APR_SUCCESS) {
        read_events(call); /* an error can be ignored: the copy is still fresh */
        apr_thread_mutex_unlock(tokens->reading);
    }
    return NULL;
}

/* ---- checking ---- */

/* Sets the current role of an identity; returns 0 when its token is revoked. The caller holds the lock. */
static int apply_events(lh_tokens *tokens, lh_identity *identity)
{
    const account_state *account = apr_hash_get(tokens->accounts, &identity->id, sizeof(identity->id));

    if (apr_hash_get(tokens->revoked, identity->key, KEY_BYTES) || (account && identity->version < account->version)) {
        return 0;
    }
    if (account) {
        identity->role = account->role;
    }
    return 1;
}

static lh_error *check_identity(lh_call *call)
{
    lh_tokens *tokens = call->server->tokens;
    int valid;

    apr_thread_rwlock_rdlock(tokens->lock);
    valid = apply_events(tokens, &call->me);
    apr_thread_rwlock_unlock(tokens->lock);
    return valid ? NULL : lh_error_bad_token(call->r->pool);
}

lh_error *lh_token_check(lh_call *call)
{
    lh_error *error = ensure_fresh(call);

    return error ? error : check_identity(call);
}

lh_error *lh_token_check_now(lh_call *call)
{
    lh_error *error = refresh(call, 1);

    return error ? error : check_identity(call);
}

/* ---- opaque tokens ---- */

static known_token *cache_entry(lh_tokens *tokens, const unsigned char *digest)
{
    return &tokens->cache[(digest[0] | digest[1] << 8) % CACHE_SIZE];
}

static int find_in_cache(lh_tokens *tokens, const unsigned char *digest, lh_identity *identity)
{
    const known_token *entry;
    int found;

    apr_thread_rwlock_rdlock(tokens->lock);
    entry = cache_entry(tokens, digest);
    found = entry->identity.id && !memcmp(entry->digest, digest, LH_DIGEST_SIZE) &&
            (!entry->identity.expires || entry->identity.expires > apr_time_sec(apr_time_now()));
    if (found) {
        *identity = entry->identity;
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
    apr_thread_rwlock_unlock(tokens->lock);
}

static lh_error *find_in_database(lh_call *call, const unsigned char *digest)
{
    const char *values[] = {NULL, NULL, apr_pescape_hex(call->r->pool, digest, LH_DIGEST_SIZE, 0)};
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
    error = ensure_fresh(call);
    if (!error && !find_in_cache(call->server->tokens, digest, &call->me)) {
        error = find_in_database(call, digest);
    }
    if (error) {
        return error;
    }
    call->me.digest = apr_pescape_hex(call->r->pool, digest, LH_DIGEST_SIZE, 0);
    return check_identity(call);
}
