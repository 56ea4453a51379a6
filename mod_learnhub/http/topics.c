/* SPDX-License-Identifier: Apache-2.0 */
#include "http/topics.h"

#include <apr_atomic.h>
#include <apr_shm.h>
#include <apr_strings.h>
#include <apr_thread_mutex.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/result.h"
#include "db/sql.h"
#include "http/deadline.h"
#include "http/error.h"
#include "util/clock.h"

#define COUNTERS LH_TOPICS_NUMBERS
#define EVERYTHING COUNTERS /* the number of the counter for all topics */
#define SHARED_KEY "learnhub:topics:16384"

#define POLL_INTERVAL apr_time_from_msec(500)
#define POLL_WAIT apr_time_from_msec(100) /* for a connection; a request then waits for its own */
#define AGE_MAX apr_time_from_sec(1)
#define POSITION_SIZE 16384 /* bytes; a position grows with the number of running transactions */

struct lh_topics {
    volatile apr_uint32_t counters[COUNTERS + 1];
    volatile apr_uint64_t polled_at; /* when the last successful poll began, on lh_clock() */
    volatile apr_uint64_t tried_at;  /* when the last poll ended, successful or not */

    apr_thread_mutex_t *polling;  /* held by the thread that polls; guards the fields below */
    char position[POSITION_SIZE]; /* of the last successful poll; "": the next one returns `*` */
    int failing;                  /* a failure was logged */
};

static volatile apr_uint32_t *shared; /* COUNTERS + 1; NULL when no server of this node has a cache */

static const lh_statement *own_topics, *topics_since;

apr_status_t lh_topics_share(apr_pool_t *process)
{
    const apr_size_t size = (COUNTERS + 1) * sizeof(*shared);
    apr_shm_t *shm;
    void *found = NULL;
    apr_status_t rv;

    apr_pool_userdata_get(&found, SHARED_KEY, process);
    if (!found) {
        rv = apr_shm_create(&shm, size, NULL, process);
        if (rv != APR_SUCCESS) {
            return rv;
        }
        found = apr_shm_baseaddr_get(shm);
        memset(found, 0, size);
        apr_pool_userdata_set(found, SHARED_KEY, NULL, process);
    }
    shared = found;
    return APR_SUCCESS;
}

int lh_topics_compile(lh_statements *registry, const char **why)
{
    static const char *const names[] = {"position"};
    static const lh_slots slots = {names, 1};

    own_topics = lh_statement_compile(registry, "topics.own", "SELECT current_setting('learnhub.topics', true)", NULL,
                                      &slots, why);
    if (!*why) {
        topics_since =
            lh_statement_compile(registry, "topics.since",
                                 "SELECT topics, position FROM learnhub.topics_since(:position)", NULL, &slots, why);
    }
    return !*why;
}

lh_topics *lh_topics_create(apr_pool_t *p)
{
    lh_topics *topics = apr_pcalloc(p, sizeof(*topics));

    apr_atomic_set64(&topics->polled_at, (apr_uint64_t)-AGE_MAX);
    apr_atomic_set64(&topics->tried_at, (apr_uint64_t)-AGE_MAX);
    apr_thread_mutex_create(&topics->polling, APR_THREAD_MUTEX_DEFAULT, p);
    return topics;
}

/* ---- counters ---- */

/* FNV-1a, regardless of case: clients may write ids in upper case. `hash` is FNV_BASIS, or that of the text before. */
#define FNV_BASIS 2166136261u

static apr_uint32_t hash_of(apr_uint32_t hash, const char *text, apr_size_t length)
{
    apr_size_t i;

    for (i = 0; i < length; i++) {
        hash = (hash ^ ((unsigned char)text[i] | 0x20)) * 16777619u;
    }
    return hash;
}

int lh_topics_number(const char *text, apr_size_t length, const char *value)
{
    apr_uint32_t hash = hash_of(hash_of(FNV_BASIS, text, length), value, strlen(value));

    return (int)((hash ^ hash >> 16) % COUNTERS);
}

int lh_topics_number_of(const lh_call *call, int index)
{
    const lh_topic *topic = &call->route->topics[index];

    return lh_topics_number(topic->text, topic->length, topic->slot < 0 ? "" : call->values[topic->slot]);
}

static void increment(volatile apr_uint32_t *counters, const char *topics)
{
    apr_size_t length;

    for (; topics && *topics; topics += length + strspn(topics + length, " ")) {
        length = strcspn(topics, " ");
        apr_atomic_inc32(&counters[*topics == '*' ? EVERYTHING : lh_topics_number(topics, length, "")]);
    }
}

const lh_statement *lh_topics_statement(void)
{
    return shared ? own_topics : NULL;
}

void lh_topics_announce(const char *topics)
{
    if (shared) {
        increment(shared, topics);
    }
}

void lh_topics_stamp(const lh_call *call, lh_stamp *stamp)
{
    const lh_compiled_route *route = call->route;
    const volatile apr_uint32_t *own = call->server->topics->counters;
    int i;

    stamp->count = route->topic_count + 1;
    stamp->numbers[route->topic_count] = EVERYTHING;
    for (i = 0; i < route->topic_count; i++) {
        stamp->numbers[i] = lh_topics_number_of(call, i);
    }
    for (i = 0; i < stamp->count; i++) {
        stamp->node[i] = apr_atomic_read32((volatile apr_uint32_t *)&shared[stamp->numbers[i]]);
        stamp->process[i] = apr_atomic_read32((volatile apr_uint32_t *)&own[stamp->numbers[i]]);
    }
}

int lh_topics_unchanged(const lh_topics *topics, const lh_stamp *stamp)
{
    int i = 0;

    while (i < stamp->count &&
           apr_atomic_read32((volatile apr_uint32_t *)&shared[stamp->numbers[i]]) == stamp->node[i] &&
           apr_atomic_read32((volatile apr_uint32_t *)&topics->counters[stamp->numbers[i]]) == stamp->process[i]) {
        i++;
    }
    return i == stamp->count;
}

/* ---- polls ---- */

/* Logs that polls fail, once, unless the database is unavailable or busy: then the pool logs. */
static void report_failure(lh_call *call, lh_sql_outcome outcome, const lh_sql_failure *failure)
{
    lh_topics *topics = call->server->topics;

    if (outcome == LH_SQL_ERROR && !topics->failing &&
        lh_error_of_sqlstate(call->r->pool, failure->sqlstate)->status != HTTP_SERVICE_UNAVAILABLE) {
        topics->failing = 1;
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, call->server->s,
                     LH_LOG(0065) "the cache is off, changes cannot be read: SQLSTATE %s: %s", failure->sqlstate,
                     failure->message);
    }
}

static void report_success(const lh_call *call)
{
    lh_topics *topics = call->server->topics;

    if (topics->failing) {
        topics->failing = 0;
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, call->server->s, LH_LOG(0066) "the cache is on again");
    }
}

/*
 * Reads the topics of the changes since the last poll and increments the process's counters. The caller holds
 * `polling`. The poll has seen all changes that were committed before it began, so `polled_at` is that moment; it is
 * set after the counters, so that a thread that reads it finds them incremented.
 */
static void poll(lh_call *call)
{
    lh_topics *topics = call->server->topics;
    const char *values[] = {topics->position}, *position;
    lh_sql_run run = {.db = call->server->db, .statements = &topics_since, .count = 1, .values = values};
    apr_time_t began = lh_clock();
    lh_sql_time time;
    lh_sql_failure failure;
    lh_sql_outcome outcome;
    lh_result *result;

    run.wait_until = began + POLL_WAIT;
    run.deadline = began + AGE_MAX;
    run.retryable = 1;
    outcome = lh_sql_execute(&run, call->r->pool, &result, &failure, &time);
    lh_deadline_spend(call, &time);
    if (outcome != LH_SQL_OK) {
        report_failure(call, outcome, &failure);
        return;
    }
    report_success(call);
    increment(topics->counters, lh_call_cell(call, result, 0, 0));
    position = lh_call_cell(call, result, 0, 1);
    apr_cpystrn(topics->position, strlen(position) < POSITION_SIZE ? position : "", POSITION_SIZE);
    apr_atomic_set64(&topics->polled_at, (apr_uint64_t)began);
}

static apr_interval_time_t age_of(lh_topics *topics)
{
    return lh_clock() - (apr_time_t)apr_atomic_read64(&topics->polled_at);
}

/* A poll that fails is not repeated before the interval has passed again. */
static int is_due(lh_topics *topics)
{
    return age_of(topics) >= POLL_INTERVAL &&
           lh_clock() - (apr_time_t)apr_atomic_read64(&topics->tried_at) >= POLL_INTERVAL;
}

int lh_topics_follow(lh_call *call)
{
    lh_topics *topics = call->server->topics;

    if (is_due(topics) && apr_thread_mutex_trylock(topics->polling) == APR_SUCCESS) {
        if (is_due(topics)) {
            poll(call);
            apr_atomic_set64(&topics->tried_at, (apr_uint64_t)lh_clock());
        }
        apr_thread_mutex_unlock(topics->polling);
    }
    return age_of(topics) < AGE_MAX;
}
