/* SPDX-License-Identifier: Apache-2.0 */
#include "db/batch.h"

#include <semaphore.h>
#include <string.h>

#include "db/connect.h"
#include "db/exchange.h"
#include "db/pool.h"
#include "util/clock.h"

/* More carriers make batches smaller. With two, one prepares its batch while PostgreSQL executes the other's. */
#define CARRIERS 2

/* When statements take longer than expected: how long a read waits before it becomes a carrier itself, and how many
 * carriers there are at most. */
#define PATIENCE apr_time_from_msec(5)
#define CARRIERS_MAX 8

typedef enum {
    WAITING,  /* in the queue */
    CARRYING, /* its thread is a carrier */
    SENT,     /* in the batch of a carrier, which owns it until it changes the state */
    DONE,     /* all results are set */
    FAILED,   /* to be executed alone */
    LATE      /* no connection became available in time */
} member_state;

/* A read, on the stack of its thread. */
typedef struct member {
    const lh_sql_run *run;
    apr_pool_t *pool;
    lh_result **results;
    member_state state; /* guarded by the lock of the batches */
    int impatient;      /* has waited for PATIENCE */
    apr_time_t *sent_at;
    sem_t woken; /* posted, without the lock, after the state has become CARRYING, DONE or FAILED */
    struct member *next;
} member;

struct lh_batches {
    lh_pool *db;
    pthread_mutex_t lock;  /* guards the fields below */
    member *first, **last; /* the queue */
    int carriers;
};

static apr_status_t destroy(void *data)
{
    pthread_mutex_destroy(&((lh_batches *)data)->lock);
    return APR_SUCCESS;
}

lh_batches *lh_batches_create(apr_pool_t *p, lh_pool *db)
{
    lh_batches *batches = apr_pcalloc(p, sizeof(*batches));

    batches->db = db;
    batches->last = &batches->first;
    pthread_mutex_init(&batches->lock, NULL);
    apr_pool_cleanup_register(p, batches, destroy, apr_pool_cleanup_null);
    return batches;
}

/* ---- the queue; the functions below need the lock ---- */

static void join(lh_batches *batches, member *self)
{
    *batches->last = self;
    batches->last = &self->next;
}

static void leave(lh_batches *batches, member *self, member_state state)
{
    member **link = &batches->first;

    while (*link != self) {
        link = &(*link)->next;
    }
    *link = self->next;
    if (!*link) {
        batches->last = link;
    }
    self->state = state;
}

/* A carrier has finished: returns the read that becomes a carrier and must be woken, or NULL. */
static member *end_carrying(lh_batches *batches)
{
    member *next = batches->first;

    if (!next || (batches->carriers > CARRIERS && !next->impatient)) {
        batches->carriers--;
        return NULL;
    }
    leave(batches, next, CARRYING);
    return next;
}

/* ---- waiting ---- */

/* Leaves the queue with `state`. Returns 0 if another thread has removed the read or there are too many carriers. */
static int try_to_leave(lh_batches *batches, member *self, member_state state)
{
    int leaves;

    pthread_mutex_lock(&batches->lock);
    self->impatient = 1;
    leaves = self->state == WAITING && (state != CARRYING || batches->carriers < CARRIERS_MAX);
    if (leaves) {
        leave(batches, self, state);
        batches->carriers += state == CARRYING;
    }
    pthread_mutex_unlock(&batches->lock);
    return leaves;
}

/* Waits until the read is done, has failed, or is to be carried by its own thread. */
static void wait_for_carrier(lh_batches *batches, member *self)
{
    if (lh_clock_wait_semaphore(&self->woken, lh_clock() + PATIENCE) || try_to_leave(batches, self, CARRYING) ||
        lh_clock_wait_semaphore(&self->woken, self->run->wait_until) || try_to_leave(batches, self, LATE)) {
        return;
    }
    while (sem_wait(&self->woken) != 0) { /* interrupted by a signal */
    }
}

/* ---- a batch ---- */

typedef struct batch {
    member *members[LH_SQL_STATEMENTS];
    int count;
    const lh_statement *statements[LH_SQL_STATEMENTS];
    lh_exchange_part parts[LH_SQL_STATEMENTS];
    int statement_count;
    apr_interval_time_t timeout; /* the shortest of the members' */
    lh_result *results[LH_SQL_STATEMENTS];
} batch;

/* Adds a member; returns 0 if the batch has no room for its statements. */
static int add(batch *to, member *added)
{
    const lh_sql_run *run = added->run;
    int i;

    if (to->statement_count + run->count > LH_SQL_STATEMENTS) {
        return 0;
    }
    for (i = 0; i < run->count; i++) {
        to->statements[to->statement_count] = run->statements[i];
        to->parts[to->statement_count].values = run->values;
        to->parts[to->statement_count].pool = added->pool;
        to->statement_count++;
    }
    if (to->count == 0 || run->attempt_timeout < to->timeout) {
        to->timeout = run->attempt_timeout;
    }
    to->members[to->count++] = added;
    return 1;
}

/* Fills the empty batch with the carrier's read and those that wait. */
static void gather(lh_batches *batches, member *carrier, batch *out)
{
    add(out, carrier);
    pthread_mutex_lock(&batches->lock);
    while (batches->first && add(out, batches->first)) {
        leave(batches, batches->first, SENT);
    }
    pthread_mutex_unlock(&batches->lock);
}

/* Executes the batch and releases the connection. */
static void execute(const lh_sql_run *first, apr_pool_t *p, lh_connection *connection, batch *b)
{
    lh_sql_run run = *first;
    lh_sql_failure failure = {.label = NULL};
    lh_exchange x = {.run = &run, .pool = p, .results = b->results, .failure = &failure, .connection = connection};
    apr_time_t now = lh_clock();
    int i;

    run.statements = b->statements;
    run.count = b->statement_count;
    x.parts = b->parts;
    x.deadline = now + b->timeout;
    for (i = 0; i < b->count; i++) {
        *b->members[i]->sent_at = now;
    }
    memset(b->results, 0, sizeof(b->results));
    if (lh_exchange_run(&x) == LH_SQL_ERROR) {
        connection->stale = 1; /* a prepared statement may be out of date */
    }
    if (x.sync_received) {
        lh_pool_release(connection);
    }
    else {
        lh_pool_discard(connection);
    }
}

/* Passes the results to the members. One without all of its results fails. Needs the lock. */
static void deliver(const batch *b)
{
    int i, j, next = 0;

    for (i = 0; i < b->count; i++) {
        member *to = b->members[i];

        to->state = DONE;
        for (j = 0; j < to->run->count; j++) {
            to->results[j] = b->results[next++];
            if (!to->results[j]) {
                to->state = FAILED;
            }
        }
    }
}

/* Wakes the members but for the carrier, which is the first. */
static void wake(const batch *b)
{
    int i;

    for (i = 1; i < b->count; i++) {
        sem_post(&b->members[i]->woken);
    }
}

static void carry(lh_batches *batches, member *self)
{
    const lh_sql_run *run = self->run;
    apr_time_t until = run->wait_until < run->deadline ? run->wait_until : run->deadline;
    lh_connection *connection;
    member *next;
    batch b = {.count = 0};

    if (lh_pool_acquire(batches->db, until, NULL, &connection) == APR_SUCCESS) {
        gather(batches, self, &b);
        execute(run, self->pool, connection, &b);
    }
    pthread_mutex_lock(&batches->lock);
    next = end_carrying(batches);
    self->state = LATE; /* unless there was a batch */
    deliver(&b);
    pthread_mutex_unlock(&batches->lock);
    if (next) {
        sem_post(&next->woken);
    }
    wake(&b);
}

/* ---- interface ---- */

lh_sql_outcome lh_batch_execute(const lh_sql_run *run, apr_pool_t *p, lh_result **results, apr_time_t *sent_at)
{
    lh_batches *batches = run->batches;
    member self = {.run = run, .pool = p, .results = results, .state = WAITING, .sent_at = sent_at};
    int carrying;

    sem_init(&self.woken, 0, 0);
    pthread_mutex_lock(&batches->lock);
    carrying = batches->carriers < CARRIERS;
    if (carrying) {
        batches->carriers++;
        self.state = CARRYING;
    }
    else {
        join(batches, &self);
    }
    pthread_mutex_unlock(&batches->lock);
    if (!carrying) {
        wait_for_carrier(batches, &self);
    }
    if (self.state == CARRYING) {
        carry(batches, &self);
    }
    sem_destroy(&self.woken);
    return self.state == DONE ? LH_SQL_OK : self.state == LATE ? LH_SQL_BUSY : LH_SQL_LOST;
}
