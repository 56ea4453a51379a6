/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Topics: what cached responses show. The database stores the topics of each change (0015_changes.sql), and a counter
 * for each topic tells whether a response is still current: it was read after the last change if no counter of its
 * topics has changed since before the read. Two changes may share a counter; that only drops more than necessary.
 *
 * - Counters of the node, in shared memory: a request that has changed something increments them after the commit and
 *   before its response is sent. Therefore no client of this node sees an older state than the response to its change.
 * - Counters of the process: for changes of other nodes, and those made with psql, each process polls the database. It
 *   knows all changes that are older than its last successful poll. After a second without one, it knows nothing.
 */
#ifndef LH_TOPICS_H
#define LH_TOPICS_H

#include "db/statement.h"
#include "http/call.h"
#include "http/route.h"

/* The counters of one server in one process, and the state of its polls. */
typedef struct lh_topics lh_topics;

/* The counters of a response's topics at one moment. */
typedef struct lh_stamp {
    int count;
    int numbers[LH_TOPICS_MAX + 1]; /* of the topics' counters */
    apr_uint32_t node[LH_TOPICS_MAX + 1], process[LH_TOPICS_MAX + 1];
} lh_stamp;

/*
 * Creates the counters that all processes of this node share, once: with `process`, the pool that outlives restarts,
 * old and new processes share them during a graceful restart. Call in post_config if any server has a cache. Fails
 * without shared memory.
 */
apr_status_t lh_topics_share(apr_pool_t *process);

/* Registers the statements. Returns 1, or 0 and sets *why. */
int lh_topics_compile(lh_statements *registry, const char **why);

lh_topics *lh_topics_create(apr_pool_t *p);

/* The statement that returns the topics of its transaction, NULL or a string for lh_topics_announce(), as the last of a
 * run; NULL when no server of this node has a cache. */
const lh_statement *lh_topics_statement(void);

/* The number of a topic, `text` followed by `value`: 0 .. LH_TOPICS_NUMBERS - 1. Topics may share a number. */
#define LH_TOPICS_NUMBERS 16384
int lh_topics_number(const char *text, apr_size_t length, const char *value);

/* The number of topic `index` of the call's route. */
int lh_topics_number_of(const lh_call *call, int index);

/* Increments the node's counters; `topics` are separated by spaces, NULL is none, and `*` is everything. */
void lh_topics_announce(const char *topics);

/* 1 if this process knows all changes that were committed more than a second ago. Polls if the last poll began half a
 * second ago, for at most a second, unless another thread does. */
int lh_topics_follow(lh_call *call);

/* Reads the counters of the topics of the call's route; call it before the statements run. */
void lh_topics_stamp(const lh_call *call, lh_stamp *stamp);

/* 1 if none of the topics has changed since. Call lh_topics_follow() before. */
int lh_topics_unchanged(const lh_topics *topics, const lh_stamp *stamp);

#endif
