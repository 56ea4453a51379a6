/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/revocation.h"

#include <apr_atomic.h>
#include <apr_hash.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <apr_thread_rwlock.h>
#include <pthread.h>
#include <string.h>

#include "core/server_state.h"
#include "db/result.h"
#include "http/deadline.h"
#include "http/error.h"
#include "http/run.h"
#include "util/clock.h"
#include "util/role.h"

#define RELOAD_INTERVAL (3600 * (apr_time_t)APR_USEC_PER_SEC)
#define PORTION 10000 /* events that one statement reads */
#define LOADS 3       /* attempts to read all events while many new ones are stored */
#define POSITION_SIZE 16384
#define KEY_BYTES sizeof(((lh_identity *)0)->key)
#define COUNTER_KEY "learnhub:changes"

/* The state of a user by the latest event. */
typedef struct account_state {
    apr_int64_t user;
    apr_int64_t event; /* its id; ids of a user's events ascend */
    int version;       /* tokens of lower versions are revoked */
    unsigned role;
} account_state;

typedef struct event_copy {
    apr_pool_t *pool;
    apr_hash_t *accounts; /* users.id -> account_state */
    apr_hash_t *revoked;  /* ids of logins, and keys of tokens of older versions; the values have no meaning */
} event_copy;

struct lh_revocations {
    apr_pool_t *parent;
    apr_thread_rwlock_t *lock; /* of `copy` */
    event_copy copy;           /* replaced at each reload */

    pthread_mutex_t reading;            /* held by the thread that reads events; guards loaded_at and position */
    apr_time_t loaded_at;               /* when all events were read; 0: never */
    char position[POSITION_SIZE];       /* of the last read: selects the events of the next one */
    volatile apr_uint64_t read_at;      /* when events were read, on lh_clock(); 0: never */
    volatile apr_uint32_t read_counter; /* change_counter before events were read */
    volatile apr_uint32_t attempts;     /* to read events, successful or not */
};

/* Where load() continues: the key of the last event that it has read. */
typedef struct cursor {
    const char *until, *id; /* NULL: at the first event that still matters */
    int count;              /* portions read */
    const char *position;   /* of the first portion */
} cursor;

static volatile apr_uint32_t *change_counter; /* in shared memory */

static const lh_statement *new_events, *all_events;

apr_status_t lh_revocation_share(apr_pool_t *process)
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

#define EVENT_COLUMNS "id, user_id, role, version, token"
#define NEW_EVENTS "SELECT " EVENT_COLUMNS " FROM learnhub.auth_events WHERE "
#define NEW_LIMIT "LIMIT " APR_STRINGIFY(PORTION) " + 1"

/*
 * new_events returns the events that the previous read did not see. Neither id nor time can select them: a transaction
 * that started earlier may commit later, and its events, with lower ids, would be missed. PostgreSQL's snapshots can.
 *
 * A snapshot, "xmin:xmax:running,...", describes which committed transactions a query sees: all below xmax that are not
 * in the list of running ones. Each event contains the id of its transaction (xid). The two halves of the union use the
 * index on xid: for the events from xmax on, and for those of transactions that were running. `is_known` is false if
 * the position is of another server, or of this one before it was restored or crashed.
 *
 * all_events returns a portion of the events that still matter, in the order of an index, which begins with those that
 * expire next: expired events are not read. The LEFT JOINs return the position when there is no event.
 */
int lh_revocation_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"position", "until", "id"};
    static const lh_slots slots = {names, 3};

    new_events = lh_statement_compile(
        registry, "tokens.events",
        "WITH here AS MATERIALIZED (SELECT learnhub.server_position() AS position), "
        "since AS MATERIALIZED ("
        "    SELECT position, CASE WHEN split_part(:position, ' ', 1) = split_part(position, ' ', 1) "
        "                          THEN split_part(:position, ' ', 2)::pg_snapshot END AS seen "
        "    FROM here), "
        "found AS MATERIALIZED ("
        "    (" NEW_EVENTS "xid >= pg_snapshot_xmax((SELECT seen FROM since)) ORDER BY xid " NEW_LIMIT ") "
        "    UNION ALL "
        "    (" NEW_EVENTS "xid = ANY (ARRAY(SELECT pg_snapshot_xip((SELECT seen FROM since)))) " NEW_LIMIT ")) "
        "SELECT " EVENT_COLUMNS ", CASE WHEN row_number() OVER () = 1 THEN s.position END AS position, "
        "       s.seen IS NOT NULL AS is_known "
        "FROM since s LEFT JOIN found ON true",
        NULL, &slots, why);
    if (!*why) {
        all_events = lh_statement_compile(
            registry, "tokens.all_events",
            "SELECT " EVENT_COLUMNS ", "
            "       CASE WHEN row_number() OVER (ORDER BY expires_at, id) = 1 THEN learnhub.server_position() END "
            "           AS position, "
            "       expires_at::text AS until, id::text AS last_id "
            "FROM (SELECT) one LEFT JOIN ("
            "    SELECT " EVENT_COLUMNS ", expires_at "
            "    FROM learnhub.auth_events "
            "    WHERE (expires_at, id) > (coalesce(:until::timestamptz, now()), coalesce(:id::bigint, 0)) "
            "    ORDER BY expires_at, id LIMIT " APR_STRINGIFY(PORTION) ") e ON true "
                                                                        "ORDER BY expires_at, id",
            NULL, &slots, why);
    }
    return !*why;
}

void lh_revocation_announce(void)
{
    apr_atomic_inc32(change_counter);
}

static event_copy create_copy(apr_pool_t *parent)
{
    event_copy copy;

    apr_pool_create(&copy.pool, parent);
    copy.accounts = apr_hash_make(copy.pool);
    copy.revoked = apr_hash_make(copy.pool);
    return copy;
}

lh_revocations *lh_revocation_create(apr_pool_t *p)
{
    lh_revocations *revocations = apr_pcalloc(p, sizeof(*revocations));

    revocations->parent = p;
    apr_thread_rwlock_create(&revocations->lock, p);
    pthread_mutex_init(&revocations->reading, NULL);
    revocations->copy = create_copy(p);
    return revocations;
}

/* ---- storing events ---- */

enum { COLUMN_ID, COLUMN_USER, COLUMN_ROLE, COLUMN_VERSION, COLUMN_TOKEN, COLUMN_POSITION, COLUMN_KNOWN };
enum { COLUMN_UNTIL = COLUMN_KNOWN, COLUMN_LAST_ID };

/* An integer, without a copy in the request's pool; 0 for SQL NULL. */
static apr_int64_t cell_int(const lh_result *result, int row, int column)
{
    int length, i;
    const char *data = lh_result_cell(result, row, column, &length);
    apr_uint64_t value = 0;

    for (i = 0; data && i < length; i++) {
        value = value << 8 | (unsigned char)data[i];
    }
    return (apr_int64_t)value;
}

static void store_revoked(event_copy *copy, const char *key)
{
    if (!apr_hash_get(copy->revoked, key, KEY_BYTES)) {
        apr_hash_set(copy->revoked, apr_pmemdup(copy->pool, key, KEY_BYTES), KEY_BYTES, "");
    }
}

/* Returns the state of a user; a new one is stored with only `user` set. */
static account_state *account_of(event_copy *copy, apr_int64_t user)
{
    account_state *account = apr_hash_get(copy->accounts, &user, sizeof(user));

    if (!account) {
        account = apr_pcalloc(copy->pool, sizeof(*account));
        account->user = user;
        apr_hash_set(copy->accounts, &account->user, sizeof(account->user), account);
    }
    return account;
}

/* Stores a row: a revoked token or login, the state of a user, or NULLs when there is no event. */
static void store_event(event_copy *copy, const lh_result *events, int row)
{
    apr_int64_t id = cell_int(events, row, COLUMN_ID), user = cell_int(events, row, COLUMN_USER);
    int length;
    const char *token = lh_result_cell(events, row, COLUMN_TOKEN, &length);
    account_state *account;

    if (token) {
        store_revoked(copy, token);
    }
    else if (user) {
        account = account_of(copy, user);
        if (id > account->event) {
            account->event = id;
            account->role = lh_role_of(lh_result_cell(events, row, COLUMN_ROLE, &length));
            account->version = (int)cell_int(events, row, COLUMN_VERSION);
        }
    }
}

static void store_events(event_copy *copy, const lh_result *events)
{
    int row;

    for (row = 0; row < lh_result_rows(events); row++) {
        store_event(copy, events, row);
    }
}

/* A position that is too long, with thousands of running transactions, is dropped: the next read reads all events. */
static void set_position(lh_revocations *revocations, const char *position)
{
    apr_cpystrn(revocations->position, strlen(position) < POSITION_SIZE ? position : "", POSITION_SIZE);
}

/* ---- reading events: the caller holds `reading` ---- */

/* Reads a portion of all events into `copy`; sets *done after the last one. */
static lh_error *load_portion(lh_call *call, event_copy *copy, cursor *at, int *done)
{
    const char *values[] = {NULL, at->until, at->id};
    lh_result *events;
    lh_error *error = lh_run_statement(call, all_events, values, &events);
    int last;

    if (error) {
        return error;
    }
    store_events(copy, events);
    last = lh_result_rows(events) - 1;
    if (!at->count++) {
        at->position = lh_call_cell(call, events, 0, COLUMN_POSITION);
    }
    lh_deadline_renew(call); /* a portion takes a short time, all of them may not */
    at->until = lh_call_cell(call, events, last, COLUMN_UNTIL);
    at->id = lh_call_cell(call, events, last, COLUMN_LAST_ID);
    *done = last < PORTION - 1;
    lh_result_clear(events);
    return NULL;
}

/*
 * Replaces the copy by all events that still matter. The portions have different snapshots, and the position is that of
 * the first one: sets *complete to 0 if there are several, so that the events since then must be read as well.
 */
static lh_error *load(lh_revocations *revocations, lh_call *call, int *complete)
{
    event_copy copy = create_copy(revocations->parent), old;
    cursor at = {NULL, NULL, 0, NULL};
    lh_error *error = NULL;
    int done = 0;

    while (!error && !done) {
        error = load_portion(call, &copy, &at, &done);
    }
    if (error) {
        apr_pool_destroy(copy.pool);
        return error;
    }
    apr_thread_rwlock_wrlock(revocations->lock);
    old = revocations->copy;
    revocations->copy = copy;
    apr_thread_rwlock_unlock(revocations->lock);
    apr_pool_destroy(old.pool);
    revocations->loaded_at = lh_clock();
    set_position(revocations, at.position);
    *complete = at.count == 1;
    return NULL;
}

/* Adds the new events to the copy. Sets *complete to 0 if that is not possible: the position is not known to the
 * server, or there are more events than one statement reads. */
static lh_error *add_new(lh_revocations *revocations, lh_call *call, int *complete)
{
    const char *values[] = {revocations->position, NULL, NULL};
    lh_result *events;
    lh_error *error = lh_run_statement(call, new_events, values, &events);

    if (error) {
        return error;
    }
    *complete = cell_int(events, 0, COLUMN_KNOWN) && lh_result_rows(events) <= PORTION;
    if (*complete) {
        apr_thread_rwlock_wrlock(revocations->lock);
        store_events(&revocations->copy, events);
        apr_thread_rwlock_unlock(revocations->lock);
        set_position(revocations, lh_call_cell(call, events, 0, COLUMN_POSITION));
    }
    lh_result_clear(events);
    return NULL;
}

/* read_counter and read_at are set after the copy, so that a thread that reads them finds the events in it. */
static lh_error *read_events(lh_revocations *revocations, lh_call *call)
{
    apr_time_t now = lh_clock();
    apr_uint32_t counter = apr_atomic_read32(change_counter);
    int is_loaded = revocations->loaded_at && now - revocations->loaded_at <= RELOAD_INTERVAL, complete = 0, loads = 0;
    lh_error *error = is_loaded ? add_new(revocations, call, &complete) : NULL;

    while (!error && !complete && loads++ < LOADS) {
        error = load(revocations, call, &complete);
        if (!error && !complete) {
            error = add_new(revocations, call, &complete);
        }
    }
    if (!error && !complete) {
        error = lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
    }
    apr_atomic_inc32(&revocations->attempts);
    if (!error) {
        apr_atomic_set32(&revocations->read_counter, counter);
        apr_atomic_set64(&revocations->read_at, (apr_uint64_t)now);
    }
    return error;
}

/* ---- the age of the copy ---- */

static apr_time_t read_at(lh_revocations *revocations)
{
    return (apr_time_t)apr_atomic_read64(&revocations->read_at);
}

/* 1 when the copy is younger than `age` microseconds and no change through this node has been announced since. */
static int is_fresh(lh_revocations *revocations, apr_time_t age)
{
    apr_time_t at = read_at(revocations);

    return at && apr_atomic_read32(change_counter) == apr_atomic_read32(&revocations->read_counter) &&
           lh_clock() - at < age;
}

/*
 * Reads the events; `always`: even if the copy is fresh. A thread that waited while other threads read them uses their
 * result: the copy, or 503 after two failures, or when LearnHubConnectionWait is over. A single failure does not count,
 * because that read may have started before this thread began to wait.
 */
static lh_error *refresh(lh_revocations *revocations, lh_call *call, int always)
{
    apr_time_t began = lh_clock();
    apr_uint32_t attempts = apr_atomic_read32(&revocations->attempts);
    int is_locked = lh_clock_lock(&revocations->reading, lh_deadline_of_wait(call));
    lh_error *error = NULL;

    lh_deadline_waited(call, began);
    if (!is_locked) {
        return lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE);
    }
    if (read_at(revocations) < began && (always || !is_fresh(revocations, call->server->config.revocation_interval))) {
        error = apr_atomic_read32(&revocations->attempts) - attempts > 1
                    ? lh_error_of_status(call->r->pool, HTTP_SERVICE_UNAVAILABLE)
                    : read_events(revocations, call);
    }
    pthread_mutex_unlock(&revocations->reading);
    return error;
}

lh_error *lh_revocation_follow(lh_revocations *revocations, lh_call *call, int *has_read)
{
    apr_time_t interval = call->server->config.revocation_interval;

    *has_read = 0;
    if (is_fresh(revocations, interval / 2)) {
        return NULL;
    }
    *has_read = 1;
    if (!is_fresh(revocations, interval)) {
        return refresh(revocations, call, 0);
    }
    if (pthread_mutex_trylock(&revocations->reading) == 0) {
        read_events(revocations, call); /* an error can be ignored: the copy is still fresh */
        pthread_mutex_unlock(&revocations->reading);
    }
    return NULL;
}

lh_error *lh_revocation_read(lh_revocations *revocations, lh_call *call)
{
    return refresh(revocations, call, 1);
}

int lh_revocation_apply(lh_revocations *revocations, lh_identity *identity)
{
    const event_copy *copy = &revocations->copy;
    const account_state *account;
    int valid;

    apr_thread_rwlock_rdlock(revocations->lock);
    account = apr_hash_get(copy->accounts, &identity->id, sizeof(identity->id));
    valid = !apr_hash_get(copy->revoked, identity->login, KEY_BYTES) &&
            !apr_hash_get(copy->revoked, identity->key, KEY_BYTES) &&
            !(account && identity->version < account->version);
    if (valid && account) {
        identity->role = account->role;
    }
    apr_thread_rwlock_unlock(revocations->lock);
    return valid;
}
