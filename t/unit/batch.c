/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of short reads, with a pool and exchanges that exist only here. Exchanges wait until the test ends them. */
#include "db/batch.h"

#include <apr_strings.h>
#include <pthread.h>

#include "db/connect.h"
#include "db/exchange.h"
#include "db/pool.h"
#include "db/result.h"
#include "tap.h"
#include "util/clock.h"

#define MOST 20
#define LONG apr_time_from_sec(10)

/* An exchange that runs. */
typedef struct exchange {
    int count; /* of statements */
    const lh_statement *statements[LH_SQL_STATEMENTS];
    const char *values[LH_SQL_STATEMENTS];
    apr_pool_t *pools[LH_SQL_STATEMENTS];
} exchange;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static exchange exchanges[MOST];
static int begun, may_end;   /* exchanges */
static int failing = -1;     /* the statement without a result; its exchange fails */
static int is_lost, refuses; /* exchanges lose their connection; the pool has none */
static int acquired, released, discarded;
static lh_connection connections[MOST];
static lh_result result;

static int patient; /* reads wait for a carrier without a limit */
static int waits;   /* that have begun */
static apr_interval_time_t patience;

/* ---- util/clock.h ---- */

apr_time_t lh_clock(void)
{
    return patient ? apr_time_from_sec(1000) : apr_time_now();
}

int lh_clock_wait_semaphore(sem_t *semaphore, apr_time_t deadline)
{
    struct timespec at = {apr_time_sec(deadline), apr_time_usec(deadline) * 1000};

    __atomic_add_fetch(&waits, 1, __ATOMIC_SEQ_CST);
    if (patient) {
        patience = deadline - lh_clock();
        at.tv_sec = 0x7fffffff;
    }
    return sem_timedwait(semaphore, &at) == 0;
}

/* ---- db/pool.h, db/exchange.h ---- */

apr_status_t lh_pool_acquire(lh_pool *pool, apr_time_t deadline, const apr_uint64_t *limited,
                             lh_connection **connection)
{
    int i;

    (void)pool;
    if (refuses || limited || deadline <= lh_clock()) {
        return APR_TIMEUP;
    }
    pthread_mutex_lock(&lock);
    i = acquired++;
    pthread_mutex_unlock(&lock);
    *connection = &connections[i];
    return APR_SUCCESS;
}

void lh_pool_release(lh_connection *connection)
{
    (void)connection;
    __atomic_add_fetch(&released, 1, __ATOMIC_SEQ_CST);
}

void lh_pool_discard(lh_connection *connection)
{
    (void)connection;
    __atomic_add_fetch(&discarded, 1, __ATOMIC_SEQ_CST);
}

static void wait_for(const int *value, int least)
{
    int i;

    for (i = 0; i < 10000 && __atomic_load_n(value, __ATOMIC_SEQ_CST) < least; i++) {
        apr_sleep(1000);
    }
}

lh_sql_outcome lh_exchange_run(lh_exchange *x)
{
    int number, i;
    exchange *e;

    pthread_mutex_lock(&lock);
    number = begun;
    e = &exchanges[number];
    e->count = x->run->count;
    for (i = 0; i < e->count; i++) {
        e->statements[i] = x->run->statements[i];
        e->values[i] = x->parts[i].values[0];
        e->pools[i] = x->parts[i].pool;
    }
    begun++;
    pthread_mutex_unlock(&lock);
    wait_for(&may_end, number + 1);
    for (i = 0; i < e->count; i++) {
        x->results[i] = i == failing ? NULL : &result;
    }
    x->sync_received = !is_lost;
    return is_lost ? LH_SQL_LOST : failing >= 0 ? LH_SQL_ERROR : LH_SQL_OK;
}

/* ---- readers ---- */

typedef struct reader {
    pthread_t thread;
    apr_pool_t *pool;
    apr_interval_time_t wait;
    const char *value;
    const lh_statement *statements[LH_SQL_STATEMENTS];
    int count;
    lh_result *results[LH_SQL_STATEMENTS];
    lh_sql_outcome outcome;
} reader;

static lh_batches *batches;
static apr_pool_t *own;
static reader readers[MOST];
static const lh_statement statement = {.label = "read"};

static void *read_all(void *data)
{
    reader *self = data;
    lh_sql_run run = {.statements = self->statements, .count = self->count, .values = &self->value, .batches = batches};

    apr_time_t sent_at = 0;

    run.wait_until = lh_clock() + self->wait;
    run.deadline = run.wait_until + LONG;
    run.attempt_timeout = LONG;
    self->outcome = lh_batch_execute(&run, self->pool, self->results, &sent_at);
    return NULL;
}

/* Starts reader `i`, which has `count` statements. */
static void start(int i, int count, apr_interval_time_t wait)
{
    reader *self = &readers[i];
    int j;

    memset(self, 0, sizeof(*self));
    apr_pool_create(&self->pool, own);
    self->wait = wait;
    self->value = apr_psprintf(self->pool, "%c", 'a' + i);
    self->count = count;
    for (j = 0; j < count; j++) {
        self->statements[j] = &statement;
    }
    pthread_create(&self->thread, NULL, read_all, self);
}

/* The same for a reader that finds all carriers busy: returns when it waits, and has lost its patience. */
static void start_waiting(int i, int count)
{
    int before = waits;

    start(i, count, LONG);
    wait_for(&waits, before + (patient ? 1 : 2));
}

static void begin(void)
{
    apr_pool_create(&own, tap_pool);
    batches = lh_batches_create(own, NULL);
    memset(connections, 0, sizeof(connections));
    begun = may_end = acquired = released = discarded = is_lost = refuses = 0;
    failing = -1;
}

/* Ends all exchanges and waits for the readers. Returns their outcomes, a digit for each. */
static const char *end(int count)
{
    char *outcomes = apr_pcalloc(tap_pool, MOST + 1);
    int i;

    __atomic_store_n(&may_end, MOST, __ATOMIC_SEQ_CST);
    for (i = 0; i < count; i++) {
        pthread_join(readers[i].thread, NULL);
        outcomes[i] = (char)('0' + readers[i].outcome);
    }
    return outcomes;
}

/* The readers of an exchange: a letter for each statement. */
static const char *carried(int number)
{
    char *letters = apr_pcalloc(tap_pool, LH_SQL_STATEMENTS + 1);
    int i;

    for (i = 0; i < exchanges[number].count; i++) {
        letters[i] = exchanges[number].values[i][0];
    }
    return letters;
}

/* ---- tests ---- */

static void test_alone(void)
{
    begin();
    start(0, 2, LONG);
    is_str(end(1), "0", "a read is executed");
    is_str(carried(0), "aa", "with its two statements and their values");
    is_int(exchanges[0].pools[1] == readers[0].pool && exchanges[0].statements[1] == &statement, 1, "and its pool");
    is_int(readers[0].results[0] && readers[0].results[1] && !readers[0].results[2], 1, "it gets both results");
    is_int(released == 1 && discarded == 0 && !connections[0].stale, 1, "the connection is released");
    apr_pool_destroy(own);

    begin();
    refuses = 1;
    start(0, 1, LONG);
    is_int(end(1)[0] - '0', LH_SQL_BUSY, "without a connection the outcome is LH_SQL_BUSY");
    refuses = 0;
    start(0, 1, LONG);
    is_str(end(1), "0", "a later read is executed");
    apr_pool_destroy(own);

    begin();
    failing = 1;
    start(0, 2, LONG);
    is_int(end(1)[0] - '0', LH_SQL_LOST, "a read without all of its results must be executed alone");
    is_int(connections[0].stale, 1, "after an error all statements are prepared again");
    is_int(released, 1, "the connection is released");
    apr_pool_destroy(own);

    begin();
    failing = 0;
    is_lost = 1;
    start(0, 1, LONG);
    is_int(end(1)[0] - '0', LH_SQL_LOST, "so must a read whose connection was lost");
    is_int(released == 0 && discarded == 1, 1, "the connection is discarded");
    apr_pool_destroy(own);
}

/* Two carriers are busy; further reads become carriers after some milliseconds, until there are eight. The others wait
 * until one of these has ended. */
static void test_many(void)
{
    int i;

    begin();
    for (i = 0; i < 8; i++) {
        start(i, 1, LONG);
        wait_for(&begun, i + 1);
    }
    is_int(begun, 8, "reads that wait for a few milliseconds are executed beside the first two");
    for (i = 8; i < 11; i++) {
        start_waiting(i, i == 9 ? 3 : 1);
    }
    start(11, 1, apr_time_from_msec(30));
    pthread_join(readers[11].thread, NULL);
    is_int(begun, 8, "but not more than eight at once");
    is_int(readers[11].outcome, LH_SQL_BUSY, "a read whose wait ends is too late");
    __atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
    wait_for(&begun, 9);
    is_str(carried(8), "ijjjk", "the reads that wait share the next exchange, in their order");
    is_str(end(11), "00000000000", "all are executed");
    is_int(released, 9, "all connections are released");
    start(0, 1, LONG);
    is_str(end(1), "0", "later reads are executed as well");
    apr_pool_destroy(own);
}

/* While statements are fast there are two carriers: the one that ends first hands over to a read that waits. */
static void test_two_carriers(void)
{
    int i;

    begin();
    patient = 1;
    for (i = 0; i < 2; i++) {
        start(i, 1, LONG);
        wait_for(&begun, i + 1);
    }
    for (i = 2; i < 4; i++) {
        start_waiting(i, 1);
    }
    is_int(begun, 2, "two reads are executed, the others wait");
    is_int(patience, 5000, "for some milliseconds");
    __atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
    wait_for(&begun, 3);
    is_str(carried(2), "cd", "they are executed together when one of the two has ended");
    is_str(end(4), "0000", "all are executed");
    patient = 0;
    apr_pool_destroy(own);
}

/* A batch has at most LH_SQL_STATEMENTS statements; the reads after it are carried by the next one. */
static void test_full(void)
{
    int i;

    begin();
    for (i = 0; i < 8; i++) {
        start(i, 1, LONG);
        wait_for(&begun, i + 1);
    }
    for (i = 8; i < 12; i++) {
        start_waiting(i, i == 9 ? 10 : 5);
    }
    __atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
    wait_for(&begun, 9);
    is_str(carried(8), "iiiiijjjjjjjjjj", "a read that does not fit waits, and so do those after it");
    __atomic_store_n(&may_end, 2, __ATOMIC_SEQ_CST);
    wait_for(&begun, 10);
    is_str(carried(9), "kkkkklllll", "the next exchange has them");
    is_str(end(12), "000000000000", "all are executed");
    apr_pool_destroy(own);
}

/* One statement of a batch fails: only its read must be executed alone. */
static void test_failure_in_batch(void)
{
    int i;

    begin();
    for (i = 0; i < 8; i++) {
        start(i, 1, LONG);
        wait_for(&begun, i + 1);
    }
    for (i = 8; i < 11; i++) {
        start_waiting(i, 2);
    }
    __atomic_store_n(&may_end, 1, __ATOMIC_SEQ_CST);
    wait_for(&begun, 9);
    pthread_join(readers[0].thread, NULL);
    failing = 3;
    __atomic_store_n(&may_end, 9, __ATOMIC_SEQ_CST);
    for (i = 1; i < 11; i++) {
        pthread_join(readers[i].thread, NULL);
    }
    is_int(readers[8].outcome, LH_SQL_OK, "the first read of the batch has its results");
    is_int(readers[9].outcome, LH_SQL_LOST, "the second one must be executed alone");
    is_int(readers[10].outcome, LH_SQL_OK, "the third one has its results");
    apr_pool_destroy(own);
}

int main(void)
{
    tap_begin();
    test_alone();
    test_many();
    test_two_carriers();
    test_full();
    test_failure_in_batch();
    return tap_end();
}
