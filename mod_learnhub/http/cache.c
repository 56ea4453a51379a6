/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cache.h"

#include <apr_strings.h>
#include <string.h>

#include "core/server_state.h"
#include "db/result.h"
#include "http/route.h"
#include "http/topics.h"
#include "util/clock.h"
#include "util/counters.h"
#include "util/lru.h"

#define KEY_MAX 1024 /* bytes; responses with longer keys are not stored */

typedef struct key {
    apr_size_t length; /* more than KEY_MAX: too long */
    char bytes[KEY_MAX];
} key;

/* What lh_cache_find() leaves for lh_cache_store(). */
struct lh_cache_miss {
    lh_stamp stamp;   /* of the time before the statements ran */
    apr_time_t began; /* the same time, on lh_clock() */
    apr_size_t key_length;
    const char *key;
};

/* The value of an entry. */
typedef struct stored {
    lh_stamp stamp;
    apr_time_t expires; /* on lh_clock(); 0: never */
    lh_response response;
    char text[]; /* of the body and the ETag */
} stored;

/* ---- keys ---- */

static void add(key *k, const void *bytes, apr_size_t length)
{
    if (k->length <= KEY_MAX && length <= KEY_MAX - k->length) {
        memcpy(k->bytes + k->length, bytes, length);
        k->length += length;
    }
    else {
        k->length = KEY_MAX + 1;
    }
}

/* With its zero byte, so that the next value cannot continue it. NULL and "" differ. */
static void add_text(key *k, const char *text)
{
    add(k, text ? "=" : "-", 1);
    if (text) {
        add(k, text, strlen(text) + 1);
    }
}

/*
 * Everything that the response depends on besides the database and the configuration: the route, the base URL, the
 * parameters of path and query, the caller if a statement or a topic names :me, and for the links of a page the path
 * and the query as they were sent.
 */
static void make_key(const lh_call *call, key *k)
{
    const lh_compiled_route *route = call->route;
    int i;

    k->length = 0;
    add(k, &route, sizeof(route));
    add(k, &call->filters, sizeof(call->filters));
    add_text(k, call->values[route->builtin_slot + LH_BUILTIN_BASE]);
    for (i = 0; i < route->body_slot; i++) {
        add_text(k, call->values[i]);
    }
    if (route->per_caller) {
        add_text(k, call->values[route->builtin_slot + LH_BUILTIN_ME]);
    }
    if (route->def->shape == LH_PAGE) {
        add_text(k, call->path);
        add_text(k, call->r->args);
    }
}

/* ---- finding ---- */

static apr_status_t release(void *entry)
{
    lh_lru_release(entry);
    return APR_SUCCESS;
}

static int is_current(const lh_call *call, const stored *s)
{
    return (!s->expires || lh_clock() < s->expires) && lh_topics_unchanged(call->server->topics, &s->stamp);
}

/* The entry of a response that is current; the caller owns a reference. Drops one that is not. */
static lh_lru_entry *find(const lh_call *call, const key *k)
{
    lh_lru *lru = call->server->cache;
    lh_lru_entry *entry = lh_lru_find(lru, k->bytes, k->length);

    if (entry && !is_current(call, lh_lru_value(entry))) {
        lh_lru_drop(lru, entry);
        lh_lru_release(entry);
        entry = NULL;
    }
    return entry;
}

static void prepare_store(lh_call *call, const key *k)
{
    struct lh_cache_miss *miss = apr_palloc(call->r->pool, sizeof(*miss));

    miss->key_length = k->length;
    miss->key = apr_pmemdup(call->r->pool, k->bytes, k->length);
    miss->began = lh_clock();
    lh_topics_stamp(call, &miss->stamp);
    call->cache_miss = miss;
}

static int look_up(lh_call *call, lh_response *response)
{
    lh_lru_entry *entry;
    key k;

    make_key(call, &k);
    if (k.length > KEY_MAX) {
        return 0;
    }
    entry = find(call, &k);
    if (!entry) {
        prepare_store(call, &k);
        return 0;
    }
    apr_pool_cleanup_register(call->r->pool, entry, release, apr_pool_cleanup_null);
    *response = ((stored *)lh_lru_value(entry))->response;
    return 1;
}

int lh_cache_find(lh_call *call, lh_response *response)
{
    static const char *const notes[] = {"hit", "miss", "off"}; /* in the order of the counters */
    int outcome = LH_COUNT_CACHE_OFF, found = 0;

    if (!call->route->topic_count || call->route->def->before[0] || call->route->def->after[0]) {
        return 0;
    }
    if (call->server->cache && lh_topics_follow(call)) {
        found = look_up(call, response);
        outcome = found ? LH_COUNT_CACHE_HITS : LH_COUNT_CACHE_MISSES;
    }
    lh_counter_add(outcome, 1);
    apr_table_setn(call->r->notes, "learnhub-cache", notes[outcome - LH_COUNT_CACHE_HITS]);
    return found;
}

/* ---- storing ---- */

/* The time when the first row expires, on lh_clock(); 0: never. `_expires` is in microseconds from the transaction's
 * now(), which is later than `began`. */
static apr_time_t expiry_of(lh_call *call, apr_time_t began)
{
    int column = lh_result_find(call->last, "_expires"), row;
    apr_time_t first = 0;

    for (row = 0; column >= 0 && row < lh_row_count(call); row++) {
        const char *left = lh_call_cell(call, call->last, row, column);
        apr_time_t expires = left ? began + apr_atoi64(left) : 0;

        if (left && (!first || expires < first)) {
            first = expires;
        }
    }
    return first;
}

/* `type` and `cache_control` are constants of reply.c; body and ETag are copied. */
void lh_cache_store(lh_call *call, const lh_response *response)
{
    const struct lh_cache_miss *miss = call->cache_miss;
    apr_size_t etag_size = response->etag ? strlen(response->etag) + 1 : 0;
    lh_lru_entry *entry;
    stored *s;

    if (!miss || response->status != HTTP_OK) {
        return;
    }
    entry = lh_lru_make(call->server->cache, miss->key, miss->key_length, sizeof(*s) + response->length + etag_size);
    if (!entry) {
        return;
    }
    s = lh_lru_value(entry);
    s->stamp = miss->stamp;
    s->expires = expiry_of(call, miss->began);
    s->response = *response;
    s->response.pool = NULL;
    s->response.body = memcpy(s->text, response->body, response->length);
    if (response->etag) {
        s->response.etag = memcpy(s->text + response->length, response->etag, etag_size);
    }
    lh_lru_add(call->server->cache, entry);
}
