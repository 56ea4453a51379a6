/* SPDX-License-Identifier: Apache-2.0 */
#include "http/standby.h"

#include <apr_strings.h>
#include <pthread.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/pool.h"
#include "db/result.h"
#include "db/sql.h"
#include "http/deadline.h"
#include "http/route.h"
#include "http/topics.h"
#include "util/clock.h"

#define NUMBERS LH_TOPICS_NUMBERS
#define EVERYTHING NUMBERS /* the number for all topics */

#define PROBE_PAUSE apr_time_from_msec(2)  /* between the starts of two probes: more reads share one */
#define PROBE_WAIT apr_time_from_msec(250) /* for a probe, and for a connection to the primary */
#define CONNECTION_WAIT apr_time_from_msec(50)
#define LATE_PAUSE apr_time_from_msec(250) /* until a standby is tried again that is late, and one that has failed */
#define FAILURE_PAUSE apr_time_from_msec(500)

#define SAMPLES 32
#define POSITION_SIZE 16384 /* bytes; a position grows with the number of running transactions */
#define IDENTITY_SIZE 48

/* All changes that were committed before `at` precede this position in the primary's write-ahead log. */
typedef struct sample {
    apr_time_t at; /* when the probe began, on lh_clock() */
    apr_int64_t position;
} sample;

struct lh_standby {
    server_rec *server;
    lh_pool *primary, *pool;
    apr_interval_time_t lag;

    pthread_mutex_t lock; /* guards the fields below, except for `position` */
    pthread_cond_t probed;
    int probing; /* a thread executes a probe */
    /* Of the last successful probe: a server and a snapshot. Owned by the thread that probes. */
    char position[POSITION_SIZE];
    char identity[IDENTITY_SIZE];       /* of the primary: its system identifier and timeline */
    apr_time_t began_at;                /* when the last probe began */
    apr_time_t probed_at, failed_at;    /* when the last one began that succeeded, and that failed */
    sample latest, samples[SAMPLES];    /* of the last probe, and of earlier ones in a ring */
    int newest;                         /* in the ring */
    apr_time_t changed_at[NUMBERS + 1]; /* by topic: when a probe that found a change ended */
    apr_time_t paused_until;
    int rejected; /* why the standby is not used has been logged */
};

/* ---- statements ---- */

static const lh_statement *probe_statement, *guard_statement, *writer_statement;
static int stores_writers;

#define IDENTITY "(SELECT system_identifier FROM pg_control_system()) || ' ' || "

/*
 * The probe does not call learnhub.server_position(), which PostgreSQL plans for each call.
 *
 * The position of the log is that of what has been flushed: all transactions that were acknowledged, unless
 * synchronous_commit is off. What has been inserted may stay unflushed, and hence unknown to standbys, for seconds.
 *
 * A standby that was ahead of the one that has been promoted cannot follow it, but may show a higher position of the
 * timeline before: therefore the timelines are compared. A standby stores a new one at its next restart point, or
 * earlier.
 */
int lh_standby_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"position", "me"};
    static const lh_slots slots = {names, 2};

    probe_statement = lh_statement_compile(
        registry, "standby.probe",
        "WITH here AS MATERIALIZED ("
        "    SELECT pg_postmaster_start_time() || '/' || coalesce(b.stats_reset::text, '') AS server, "
        "           pg_current_snapshot() AS snapshot "
        "    FROM pg_stat_bgwriter b), "
        "since AS MATERIALIZED ("
        "    SELECT server, snapshot, CASE WHEN split_part(:position::text, '|', 1) = server "
        "                                  THEN split_part(:position::text, '|', 2)::pg_snapshot END AS seen "
        "    FROM here), "
        "found AS MATERIALIZED ("
        "    (SELECT topic FROM learnhub.changes "
        "     WHERE xid >= pg_snapshot_xmax((SELECT seen FROM since)) ORDER BY xid LIMIT 1001) "
        "    UNION ALL "
        "    (SELECT topic FROM learnhub.changes "
        "     WHERE xid = ANY (ARRAY(SELECT pg_snapshot_xip((SELECT seen FROM since)))) LIMIT 1001)) "
        "SELECT s.server || '|' || s.snapshot AS position, "
        "       (CASE WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn() "
        "             ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint AS written, "
        "       CASE WHEN p.pruned <= pg_snapshot_xmin(s.seen) AND (SELECT count(*) FROM found) <= 1000 "
        "            THEN (SELECT string_agg(topic, ' ') FROM found) ELSE '*' END AS topics, "
        "       CASE WHEN s.seen IS NULL THEN " IDENTITY
        "                 ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int END AS identity "
        "FROM since s LEFT JOIN learnhub.changes_pruned p ON true",
        NULL, &slots, why);
    if (!*why) {
        guard_statement = lh_statement_compile(
            registry, "standby.guard",
            "SELECT CASE WHEN pg_is_in_recovery() THEN (pg_last_wal_replay_lsn() - '0/0')::bigint END AS "
            "replayed, " IDENTITY "greatest((SELECT timeline_id FROM pg_control_checkpoint()), "
            "                  (SELECT min_recovery_end_timeline FROM pg_control_recovery())) AS identity",
            NULL, &slots, why);
    }
    if (!*why) {
        /* Only if the transaction has an id has it changed anything. */
        writer_statement =
            lh_statement_compile(registry, "standby.writer",
                                 "SELECT CASE WHEN :me::text IS NULL OR pg_current_xact_id_if_assigned() IS NULL "
                                 "            THEN current_setting('learnhub.topics', true) "
                                 "            ELSE learnhub.announce('writer:' || :me::text) END",
                                 NULL, &slots, why);
    }
    return !*why;
}

void lh_standby_store_writers(int stored)
{
    stores_writers = stored;
}

/* The slot of the caller's id differs between routes. */
const lh_statement *lh_standby_writer(const lh_call *call, lh_statement *copy)
{
    if (!stores_writers) {
        return NULL;
    }
    *copy = *writer_statement;
    memset(copy->slots, call->route->builtin_slot + LH_BUILTIN_ME, (apr_size_t)copy->parameters);
    return copy;
}

lh_standby *lh_standby_create(apr_pool_t *p, server_rec *s, lh_pool *primary, const lh_session_options *options,
                              struct lh_hosts *hosts, apr_interval_time_t lag)
{
    lh_standby *standby = apr_pcalloc(p, sizeof(*standby));

    standby->server = s;
    standby->primary = primary;
    standby->pool = lh_pool_create_standby(p, s, options, hosts);
    standby->lag = lag;
    pthread_mutex_init(&standby->lock, NULL);
    lh_clock_cond_init(&standby->probed);
    return standby;
}

/* ---- state; the functions below need the lock ---- */

static void pause_until(lh_standby *standby, apr_time_t until)
{
    if (until > standby->paused_until) {
        standby->paused_until = until;
    }
}

static void store_sample(lh_standby *standby, apr_time_t at, apr_int64_t position)
{
    standby->latest = (sample){at, position};
    if (at - standby->samples[standby->newest].at >= standby->lag / (SAMPLES / 2)) {
        standby->newest = (standby->newest + 1) % SAMPLES;
        standby->samples[standby->newest] = standby->latest;
    }
}

/* The oldest sample that is not older than the lag. */
static sample required_sample(const lh_standby *standby, apr_time_t now)
{
    sample oldest = standby->latest;
    int i;

    for (i = 0; i < SAMPLES; i++) {
        const sample *s = &standby->samples[i];
        if (s->at && s->at >= now - standby->lag && s->at < oldest.at) {
            oldest = *s;
        }
    }
    return oldest;
}

/* After a probe that has missed changes, nothing is known about the time before it. */
static void store_changes(lh_standby *standby, const char *topics)
{
    apr_time_t now = lh_clock();
    apr_size_t length;

    for (; topics && *topics; topics += length + strspn(topics + length, " ")) {
        length = strcspn(topics, " ");
        standby->changed_at[*topics == '*' ? EVERYTHING : lh_topics_number(topics, length, "")] = now;
        if (*topics == '*') {
            pause_until(standby, now + standby->lag);
        }
    }
}

static apr_time_t changed_at(const lh_standby *standby, const char *topic, const char *value)
{
    return standby->changed_at[lh_topics_number(topic, strlen(topic), value)];
}

/*
 * When the caller has changed something, or somebody else has changed the caller's account. For a response that will be
 * cached, or to an anonymous caller: when anything that it shows was changed.
 */
static apr_time_t last_change(const lh_standby *standby, const lh_call *call)
{
    apr_time_t last = standby->changed_at[EVERYTHING], at;
    int i, whole = !call->me.id || call->cache_miss;

    for (i = 0; whole && i < call->route->topic_count; i++) {
        at = standby->changed_at[lh_topics_number_of(call, i)];
        last = at > last ? at : last;
    }
    if (!whole) {
        at = changed_at(standby, "writer:", call->r->user);
        last = at > last ? at : last;
        at = changed_at(standby, "user:", call->r->user);
        last = at > last ? at : last;
    }
    return last;
}

/* Logs why the standby is not used; once, until report_used(). */
static void reject(lh_standby *standby, const char *why)
{
    if (!standby->rejected) {
        standby->rejected = 1;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, standby->server, LH_LOG(0137) "the standby is not used: %s", why);
    }
}

static void report_used(lh_standby *standby)
{
    if (standby->rejected) {
        standby->rejected = 0;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, standby->server, LH_LOG(0138) "the standby is used again");
    }
}

/* ---- probes ---- */

/* Stores the results of a probe; needs the lock. Another identity, or none before, is that of another server. */
static void store_probe(lh_standby *standby, lh_call *call, const lh_result *result, apr_time_t began)
{
    const char *position = lh_call_cell(call, result, 0, 0), *written = lh_call_cell(call, result, 0, 1);
    const char *identity = lh_call_cell(call, result, 0, 3);

    if (identity) {
        apr_cpystrn(standby->identity, identity, IDENTITY_SIZE);
        memset(standby->samples, 0, sizeof(standby->samples));
    }
    apr_cpystrn(standby->position, strlen(position) < POSITION_SIZE ? position : "", POSITION_SIZE);
    store_changes(standby, lh_call_cell(call, result, 0, 2));
    store_sample(standby, began, apr_atoi64(written));
    standby->probed_at = began;
}

/* Called with the lock, which is released meanwhile. Waits until `until` for a connection. */
static void probe(lh_standby *standby, lh_call *call, apr_time_t until)
{
    const char *values[] = {standby->position, NULL};
    lh_sql_run run = {.db = standby->primary, .statements = &probe_statement, .count = 1, .values = values};
    apr_interval_time_t pause = standby->began_at + PROBE_PAUSE - lh_clock();
    apr_time_t began;
    lh_sql_failure failure;
    lh_sql_time time;
    lh_result *result;
    lh_sql_outcome outcome;

    standby->probing = 1;
    pthread_mutex_unlock(&standby->lock);
    if (pause > 0) {
        apr_sleep(pause);
    }
    began = lh_clock();
    run.wait_until = until;
    run.deadline = until + PROBE_WAIT;
    run.retryable = 1;
    outcome = lh_sql_execute(&run, call->r->pool, &result, &failure, &time);
    lh_pool_grow_like(standby->pool, standby->primary);
    pthread_mutex_lock(&standby->lock);
    standby->probing = 0;
    standby->began_at = began;
    if (outcome == LH_SQL_OK) {
        store_probe(standby, call, result, began);
    }
    else {
        standby->failed_at = began;
        pause_until(standby, lh_clock() + FAILURE_PAUSE);
    }
    if (outcome == LH_SQL_ERROR) {
        reject(standby, apr_psprintf(call->r->pool, "the primary cannot be asked: SQLSTATE %s: %s", failure.sqlstate,
                                     failure.message));
    }
    pthread_cond_broadcast(&standby->probed);
}

/* Waits for a probe that began after `arrived`. Returns 0 if it fails or takes too long. Needs the lock. */
static int follow(lh_standby *standby, lh_call *call, apr_time_t arrived)
{
    apr_time_t until = lh_deadline_of_wait(call);

    if (until > arrived + PROBE_WAIT) {
        until = arrived + PROBE_WAIT;
    }
    while (standby->probed_at <= arrived && standby->failed_at <= arrived && lh_clock() < until) {
        if (standby->probing) {
            lh_clock_wait(&standby->probed, &standby->lock, until);
        }
        else {
            probe(standby, call, until);
        }
    }
    lh_deadline_waited(call, arrived);
    return standby->probed_at > arrived;
}

/* ---- reads ---- */

/* Whether the standby may be asked. Sets read->since and read->position. A caller who is known to have changed
 * something needs no probe. */
static int choose(lh_standby *standby, lh_standby_read *read)
{
    apr_time_t now = lh_clock();
    sample required;
    int chosen;

    pthread_mutex_lock(&standby->lock);
    chosen = now >= standby->paused_until && last_change(standby, read->call) < now - standby->lag &&
             follow(standby, read->call, now);
    if (chosen) {
        now = lh_clock();
        required = required_sample(standby, now);
        read->since = required.at;
        read->position = required.position;
        chosen = now >= standby->paused_until && last_change(standby, read->call) < required.at;
    }
    pthread_mutex_unlock(&standby->lock);
    return chosen;
}

/* Decides from the standby's position. A young sample does not show that it is late. */
static int accept_position(void *context, lh_result *const *guard)
{
    lh_standby_read *read = context;
    lh_call *call = read->call;
    lh_standby *standby = call->server->standby;
    const char *replayed = lh_call_cell(call, guard[0], 0, 0), *identity = lh_call_cell(call, guard[0], 0, 1);
    apr_time_t now = lh_clock();

    read->accepted = 0; /* an earlier attempt may have been on another server */
    pthread_mutex_lock(&standby->lock);
    if (!replayed) {
        reject(standby, "it is no standby any more");
    }
    else if (!identity || strcmp(identity, standby->identity)) {
        reject(standby, "it follows another primary, or has not stored its new timeline yet");
    }
    else if (apr_atoi64(replayed) < read->position) {
        if (now - read->since >= standby->lag / 2) {
            reject(standby, "it is behind by more than LearnHubReadLag");
        }
    }
    else {
        report_used(standby);
        read->accepted = 1;
    }
    if (!read->accepted) {
        pause_until(standby, now + LATE_PAUSE);
    }
    pthread_mutex_unlock(&standby->lock);
    if (!replayed) {
        lh_pool_reset_idle(standby->pool); /* another host may be a standby */
    }
    return read->accepted;
}

int lh_standby_begin(lh_standby_read *read, lh_call *call, const lh_sql_run *run)
{
    lh_standby *standby = call->server->standby;
    apr_interval_time_t half = call->server->config.statement_timeout / 2;

    if (!(call->route->def->flags & LH_STANDBY)) {
        return 0;
    }
    apr_table_setn(call->r->notes, "learnhub-db", "primary");
    read->call = call;
    read->accepted = 0;
    if (run->batches || call->spent.executing > half / 2 || apr_time_from_msec(run->timeout_ms) + PROBE_WAIT > half ||
        !choose(standby, read)) {
        return 0;
    }
    read->run = *run;
    read->run.db = standby->pool;
    read->statements[0] = guard_statement;
    memcpy(read->statements + 1, run->statements, sizeof(*read->statements) * (apr_size_t)run->count);
    read->run.statements = read->statements;
    read->run.count++;
    read->run.guard = 1;
    read->run.guard_values = run->values; /* it has no parameters */
    read->run.accept = accept_position;
    read->run.context = read;
    read->run.wait_until = lh_clock() + CONNECTION_WAIT;
    read->run.attempt_timeout = half;
    read->run.deadline = read->run.wait_until + half;
    return 1;
}

/* A search that takes too long would do so on the primary as well. Other errors need not occur there, such as conflicts
 * with the replay. */
int lh_standby_end(lh_standby_read *read, lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    lh_standby *standby = read->call->server->standby;
    int slow = outcome == LH_SQL_ERROR && read->run.timeout_ms && !strcmp(failure->sqlstate, "57014");

    if (outcome == LH_SQL_TIMEOUT || outcome == LH_SQL_LOST) {
        lh_pool_reset_idle(standby->pool);
    }
    if (outcome == LH_SQL_TIMEOUT || outcome == LH_SQL_LOST || outcome == LH_SQL_DOWN) {
        pthread_mutex_lock(&standby->lock);
        pause_until(standby, lh_clock() + FAILURE_PAUSE);
        pthread_mutex_unlock(&standby->lock);
    }
    if (!slow && (outcome != LH_SQL_OK || !read->accepted)) {
        return 0;
    }
    apr_table_setn(read->call->r->notes, "learnhub-db", "standby");
    return 1;
}
