/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pool of connections, with connections that exist only here and a clock that runs `speed` times as fast. The first
 * byte of an entry's `prepared` marks a dead connection, the second one a connection that cannot be used again.
 */
#include "db/pool.c"
#include "db/connectors.c"
#include "db/pool_state.c"

#include <apr_strings.h>

#include "tap.h"

#define MS(n) apr_time_from_msec(n)
#define LONG apr_time_from_sec(200) /* ten seconds */
#define MOST 70

static int speed = 20;

module AP_MODULE_DECLARE_DATA learnhub_module;

/* ---- httpd ---- */

static int down_logged, up_logged;

int(ap_get_server_module_loglevel)(const server_rec *s, int index)
{
    (void)s, (void)index;
    return APLOG_NOTICE;
}

void ap_log_error_(const char *file, int line, int index, int level, apr_status_t status, const server_rec *s,
                   const char *format, ...)
{
    (void)file, (void)line, (void)index, (void)level, (void)status, (void)s;
    down_logged += strstr(format, "database unavailable") != NULL;
    up_logged += strstr(format, "available again") != NULL;
}

/* ---- util/clock.h ---- */

apr_time_t lh_clock(void)
{
    return apr_time_now() * speed;
}

void lh_clock_cond_init(pthread_cond_t *cond)
{
    pthread_cond_init(cond, NULL);
}

static lh_pool *pool;
static int exit_waits; /* for connections that are still acquired */

void lh_clock_wait(pthread_cond_t *cond, pthread_mutex_t *lock, apr_time_t deadline)
{
    struct timespec until = {deadline / speed / 1000000, deadline / speed % 1000000 * 1000};

    exit_waits += pool && cond == &pool->all_released;
    pthread_cond_timedwait(cond, lock, &until);
}

/* ---- db/connect.h ---- */

static struct {
    pthread_mutex_t lock;
    int possible, fail, dbd_max;
    int attempts, at_once, most_at_once, shut, closed;
    apr_time_t at[MOST], pause; /* of a connect */
} world = {PTHREAD_MUTEX_INITIALIZER, .possible = 1};

void lh_connect_hooks(void)
{
}

int lh_connect_possible(void)
{
    return world.possible;
}

lh_connect_outcome lh_connect(lh_pool_entry *entry, const lh_connect_options *options, char why[LH_CONNECT_WHY])
{
    int good;

    pthread_mutex_lock(&world.lock);
    world.at[world.attempts++ % MOST] = lh_clock();
    good = !world.fail && options->session.statement_timeout == 7 && !options->hosts;
    if (++world.at_once > world.most_at_once) {
        world.most_at_once = world.at_once;
    }
    entry->dbd_max = world.dbd_max;
    pthread_mutex_unlock(&world.lock);
    apr_sleep(world.pause / speed);
    pthread_mutex_lock(&world.lock);
    world.at_once--;
    pthread_mutex_unlock(&world.lock);
    strcpy(why, "refused");
    memset(entry->prepared, 0, 2);
    return good ? LH_CONNECT_OK : LH_CONNECT_FAILED;
}

int lh_connect_is_clean(const lh_pool_entry *entry)
{
    return !entry->prepared[1];
}

int lh_connect_is_alive(const lh_pool_entry *entry)
{
    return !entry->prepared[0];
}

void lh_connect_abandon(lh_pool_entry *entry)
{
    (void)entry;
    world.shut++;
}

int lh_connect_duplicate(const lh_pool_entry *entry)
{
    (void)entry;
    return -1;
}

void lh_connect_close(lh_pool_entry *entry, server_rec *s)
{
    (void)entry, (void)s;
    world.closed++;
}

/* ---- db/hosts.h and the MPM: there is one host, and max_connections suffices ---- */

int lh_hosts_probe(const lh_hosts *hosts, int host)
{
    (void)hosts;
    return host;
}

const char *lh_hosts_name(const lh_hosts *hosts, int host)
{
    (void)hosts, (void)host;
    return "host";
}

apr_status_t ap_mpm_query(int code, int *result)
{
    (void)code;
    *result = 0;
    return APR_SUCCESS;
}

/* ---- helpers ---- */

static apr_pool_t *own;
static lh_connection *held[MOST];

static void create(int dbd_max)
{
    int possible = world.possible;

    memset(&world, 0, sizeof(world));
    world.possible = possible;
    world.dbd_max = dbd_max;
    down_logged = up_logged = exit_waits = 0;
    apr_pool_create(&own, tap_pool);
    pool = lh_pool_create(own, NULL, &(lh_session_options){.statement_timeout = 7});
}

static apr_status_t acquire(apr_interval_time_t wait, const apr_uint64_t *client, lh_connection **connection)
{
    return lh_pool_acquire(pool, lh_clock() + wait, client, connection);
}

/* Acquires connections until one is not available, which it expects after `expected`; returns their number. */
static int acquire_all(int expected)
{
    int count = 0;

    while (count < MOST - 1 && acquire(count < expected ? LONG : MS(2000), NULL, &held[count]) == APR_SUCCESS) {
        count++;
    }
    return count;
}

static void release_all(int count)
{
    while (count > 0) {
        lh_pool_release(held[--count]);
    }
}

/* Waits, at most ten seconds, until `value` is at least `least`. */
static int reaches(const int *value, int least)
{
    int i;

    for (i = 0; i < 2000 && *(const volatile int *)value < least; i++) {
        apr_sleep(5000);
    }
    return *(const volatile int *)value >= least;
}

/* ---- tests ---- */

static void test_sizes(void)
{
    static const int sizes[][2] = {{1, 1}, {3, 3}, {4, 3}, {8, 7}, {64, 63}, {100, 63}};
    unsigned i;

    for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        int count;

        create(sizes[i][0]);
        count = acquire_all(sizes[i][1]);
        is_int(count, sizes[i][1], apr_psprintf(tap_pool, "connections with DBDMax %d", sizes[i][0]));
        is_int(world.attempts, count, "each is opened once");
        is_int(held[count] != NULL, 0, "a failure returns no connection");
        release_all(count);
        apr_pool_destroy(own);
        is_int(world.closed, count, "all are closed at child exit");
    }
}

static void test_demand(void)
{
    lh_connection *first, *second;

    create(8);
    ok(reaches(&world.attempts, 1), "a connection is opened before there is any demand");
    acquire(LONG, NULL, &first);
    apr_sleep(20000);
    is_int(world.attempts, 1, "no further one");
    is_int(acquire(LONG, NULL, &second), APR_SUCCESS, "a second one is opened when it is needed");
    is_int(world.attempts, 2, "and none more");
    ok(first != second, "they differ");
    lh_pool_release(first);
    lh_pool_release(second);
    is_int(acquire(0, NULL, &first) == APR_SUCCESS && first == second, 1, "the one released last is acquired next");
    is_int(world.shut, 0, "released connections are not shut down");
    lh_pool_release(first);
    apr_pool_destroy(own);
    is_int(world.closed, 8 - 1, "all entries are closed at child exit");
    is_int(exit_waits, 0, "which does not wait if none is acquired");
}

static void test_reset(void)
{
    lh_connection *c;

    create(1);
    acquire(LONG, NULL, &c);
    ((lh_pool_entry *)c)->prepared[1] = 1;
    lh_pool_release(c);
    is_int(world.shut, 1, "a connection that cannot be used again is shut down");
    is_int(acquire(LONG, NULL, &c), APR_SUCCESS, "and reset for the next one");
    is_int(world.attempts, 2, "with one attempt");
    lh_pool_discard(c);
    is_int(acquire(LONG, NULL, &c), APR_SUCCESS, "a discarded connection is reset");
    is_int(world.shut, 2, "after it was shut down");
    lh_pool_release(c);
    ((lh_pool_entry *)c)->prepared[0] = 1;
    is_int(acquire(LONG, NULL, &c), APR_SUCCESS, "so is one that has died while it was idle");
    is_int(world.attempts, 4, "with one attempt each");
    is_int(lh_connect_is_alive((lh_pool_entry *)c), 1, "it is alive again");
    lh_pool_release(c);
    apr_pool_destroy(own);
}

static void test_shares(void)
{
    const apr_uint64_t one = 1, two = 2;
    lh_connection *c, *other;
    int i, streams = 0;

    create(9);
    is_int(acquire_all(8), 8, "a pool of eight connections");
    for (i = 0; i < 8; i++) {
        streams += lh_pool_stream(held[i]);
    }
    is_int(streams, 4, "half of them may stream");
    is_int(acquire(MS(100), &one, &c), APR_TIMEUP, "a limited run waits for a connection");
    release_all(8);
    is_int(acquire(0, &one, &c) + acquire(0, &two, &other), APR_SUCCESS, "a quarter may be used by limited runs");
    is_int(lh_pool_stream(c), 1, "streams end when their connections are released");
    is_int(acquire(MS(100), &two, &held[0]), APR_EBUSY, "another limited run waits for its share");
    is_int(held[0] != NULL, 0, "and gets no connection");
    is_int(acquire(0, NULL, &held[0]), APR_SUCCESS, "other runs do not");
    lh_pool_release(held[0]);
    lh_pool_discard(c);
    is_int(acquire(LONG, &two, &c), APR_SUCCESS, "the share of a discarded connection is free");
    lh_pool_release(c);
    lh_pool_release(other);
    apr_pool_destroy(own);

    create(1);
    is_int(acquire(LONG, &one, &c), APR_SUCCESS, "one connection can be limited");
    is_int(lh_pool_stream(c), 1, "and stream");
    lh_pool_release(c);
    apr_pool_destroy(own);
}

/* ---- waiting threads ---- */

typedef struct taker {
    pthread_t thread;
    lh_connection *connection;
    apr_status_t rv;
    int place, limited;
} taker;

static int places;

static void *take(void *data)
{
    taker *self = data;
    const apr_uint64_t client = 5;

    self->rv = acquire(10 * LONG, self->limited ? &client : NULL, &self->connection);
    self->place = __atomic_add_fetch(&places, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

static void start_taker(taker *self, int limited, const int *waiting, int count)
{
    self->place = 0;
    self->limited = limited;
    pthread_create(&self->thread, NULL, take, self);
    reaches(waiting, count);
    apr_sleep(10000);
}

static void test_queue(void)
{
    taker a, b;
    lh_connection *c;

    create(1);
    places = 0;
    acquire(LONG, NULL, &c);
    start_taker(&a, 0, &pool->queue.length, 1);
    start_taker(&b, 0, &pool->queue.length, 2);
    lh_pool_release(c);
    pthread_join(a.thread, NULL);
    is_int(a.rv == APR_SUCCESS && a.connection == c, 1, "the thread that waited longest gets the connection");
    is_int(acquire(MS(100), NULL, &c), APR_TIMEUP, "nobody else can take it");
    lh_pool_discard(a.connection);
    pthread_join(b.thread, NULL);
    is_int(b.rv, APR_SUCCESS, "the next one gets it after a reset");
    start_taker(&a, 0, &pool->queue.length, 1);
    lh_pool_release(b.connection);
    pthread_join(a.thread, NULL);
    lh_pool_release(a.connection);
    apr_pool_destroy(own);
}

static void *release_later(void *connection)
{
    apr_sleep(30000);
    lh_pool_release(connection);
    return NULL;
}

static void test_exit(void)
{
    const apr_uint64_t client = 5;
    taker waits, limited;
    pthread_t later;
    lh_connection *c;
    apr_time_t began;

    speed = 1; /* the thread below must release the connection in time */
    create(1);
    acquire(LONG, &client, &c);
    start_taker(&waits, 0, &pool->queue.length, 1);
    start_taker(&limited, 1, &pool->queue.length, 1);
    began = lh_clock();
    pthread_create(&later, NULL, release_later, c);
    stop(pool);
    is_int(lh_clock() - began >= MS(25), 1, "child exit waits for acquired connections");
    pthread_join(later, NULL);
    pthread_join(waits.thread, NULL);
    pthread_join(limited.thread, NULL);
    is_int(APR_STATUS_IS_ECONNREFUSED(waits.rv) && APR_STATUS_IS_ECONNREFUSED(limited.rv), 1,
           "threads that wait are refused");
    is_int(world.closed, 1, "the released connection is closed");
    is_int(acquire(MS(100), NULL, &c), APR_ECONNREFUSED, "so are those that come later");
    apr_pool_cleanup_kill(own, pool, stop);

    speed = 20;
    create(1);
    acquire(LONG, &client, &c);
    start_taker(&limited, 1, &pool->acquired, 1);
    began = lh_clock();
    stop(pool);
    ok(reaches(&limited.place, 1), "a thread that waits for its share is woken");
    pthread_join(limited.thread, NULL);
    is_int(lh_clock() - began >= EXIT_WAIT, 1, "the wait has a limit");
    is_int(world.closed, 0, "a connection in use is not closed");
    apr_pool_cleanup_kill(own, pool, stop);
}

/* ---- outages ---- */

static void test_outage(void)
{
    lh_connection *c = NULL;
    apr_time_t began;
    int i, growing = 0;

    create(8);
    acquire(LONG, NULL, &c);
    world.fail = 1;
    began = lh_clock();
    lh_pool_discard(c);
    is_int(acquire(LONG, NULL, &c), APR_ECONNREFUSED, "during an outage requests are refused");
    is_int(lh_clock() - began >= DOWN_AFTER, 1, "but not in the first seconds");
    is_int(down_logged, 1, "the outage is logged once");
    is_int(acquire(LONG, NULL, &c), APR_ECONNREFUSED, "later requests are refused at once");
    ok(reaches(&world.attempts, 9), "it tries to connect again and again");
    is_int(world.most_at_once, 1, "one attempt at a time");
    for (i = 2; i < 9; i++) {
        apr_interval_time_t full = i > 6 ? MS(1000) : MS(50) << (i - 2);
        growing += world.at[i] - world.at[i - 1] >= (full > MS(1000) ? MS(1000) : full) * 3 / 4;
    }
    is_int(growing, 7, "with pauses that become longer");
    is_int(down_logged, 1, "the outage is still logged once");
    is_int(up_logged, 0, "nothing else is logged");
    world.fail = 0;
    for (i = 0; i < 1000 && acquire(MS(1000), NULL, &c) != APR_SUCCESS; i++) {
        apr_sleep(10000);
    }
    ok(c != NULL, "after the outage requests are served");
    is_int(up_logged, 1, "the end of the outage is logged");
    lh_pool_release(c);
    apr_pool_destroy(own);

    create(8);
    acquire(LONG, NULL, &held[0]);
    acquire(LONG, NULL, &c);
    world.fail = 1;
    lh_pool_discard(c);
    is_int(acquire(MS(6000), NULL, &c), APR_TIMEUP, "while a connection lives, the database is not down");
    is_int(down_logged, 0, "and nothing is logged");
    lh_pool_release(held[0]);
    apr_pool_destroy(own);
}

static void test_without_dbd(void)
{
    lh_connection *c;

    world.possible = 0;
    create(8);
    is_int(acquire(MS(1000), NULL, &c), APR_ECONNREFUSED, "without mod_dbd requests are refused");
    apr_pool_destroy(own);
    world.possible = 1;
}

int main(void)
{
    tap_begin();
    test_sizes();
    test_demand();
    test_reset();
    test_shares();
    test_queue();
    test_exit();
    test_outage();
    test_without_dbd();
    return tap_end();
}
