/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/requests.h"

#include <apr_strings.h>
#include <http_protocol.h>
#include <httpd.h>

#include "core/learnhub_module.h"
#include "http/call.h"
#include "http/route.h"
#include "util/counters.h"
#include "util/shared.h"

#define SNAPSHOTS 8 /* more than LH_REQUESTS_RECENT + 1: one that is read is not written */

/* The rows before those of the routes. */
enum { ROW_NONE, ROW_OPTIONS, ROW_ROUTES };

typedef struct row {
    _Alignas(LH_SHARED_LINE) lh_requests_sums sums;
} row;

/* A row at the begin of a minute. Differences are correct if the numbers overflow. */
typedef struct row_snapshot {
    apr_uint32_t times[LH_HISTOGRAM_BUCKETS], client_errors, server_errors;
    apr_uint64_t time, db_time;
} row_snapshot;

typedef struct table {
    apr_uint64_t minute;           /* since 1970: that of the last snapshot, which may not be complete */
    apr_uint64_t taken[SNAPSHOTS]; /* the minute of each snapshot; 0: it is not complete */
    row rows[];                    /* LH_COUNTERS_COPIES times all rows; the snapshots follow */
} table;

static table *shared;
static row *own_rows; /* of the copy that this process uses */
static const lh_routes *all_routes;

/* The statuses that are counted one by one, the others as the last one. */
static const short statuses[LH_REQUESTS_STATUSES] = {200, 201, 202, 204, 206, 304, 400, 401, 403, 404, 405,
                                                     406, 408, 409, 410, 411, 412, 413, 414, 415, 416, 417,
                                                     422, 428, 429, 431, 500, 501, 502, 503, 504, 0};
static unsigned char status_index[600];

/* ---- memory ---- */

int lh_requests_rows(void)
{
    return shared ? ROW_ROUTES + lh_routes_count(all_routes) : 0;
}

static int count_rows(const lh_routes *routes)
{
    return ROW_ROUTES + lh_routes_count(routes);
}

static row *row_at(int copy, int number)
{
    return &shared->rows[copy * count_rows(all_routes) + number];
}

static row_snapshot *snapshot_at(apr_uint64_t minute, int number)
{
    int rows = count_rows(all_routes);
    row_snapshot *first = (row_snapshot *)(void *)&shared->rows[LH_COUNTERS_COPIES * rows];

    return &first[(int)(minute % SNAPSHOTS) * rows + number];
}

/* The names of all routes: the rows of other ones would have another meaning. */
static const char *layout_of(apr_pool_t *p, const lh_routes *routes)
{
    apr_array_header_t *names = apr_array_make(p, lh_routes_count(routes), sizeof(const char *));
    int i;

    for (i = 0; i < lh_routes_count(routes); i++) {
        APR_ARRAY_PUSH(names, const char *) = lh_routes_at(routes, i)->def->name;
    }
    return apr_array_pstrcat(p, names, ' ');
}

static apr_uint64_t minute_of(apr_time_t time)
{
    return (apr_uint64_t)time / APR_USEC_PER_SEC / 60;
}

apr_status_t lh_requests_share(apr_pool_t *process, const lh_routes *routes)
{
    apr_size_t rows = (apr_size_t)count_rows(routes);
    apr_size_t size = sizeof(table) + rows * (LH_COUNTERS_COPIES * sizeof(row) + SNAPSHOTS * sizeof(row_snapshot));
    void *memory;
    apr_pool_t *p;
    apr_status_t rv;
    int i;

    apr_pool_create(&p, process);
    rv = lh_shared_memory(process,
                          apr_psprintf(p, "learnhub:requests:%" APR_SIZE_T_FMT " %s", size, layout_of(p, routes)), size,
                          &memory);
    apr_pool_destroy(p);
    if (rv != APR_SUCCESS) {
        return rv;
    }
    memset(status_index, LH_REQUESTS_STATUSES - 1, sizeof(status_index));
    for (i = 0; i < LH_REQUESTS_STATUSES - 1; i++) {
        status_index[statuses[i]] = (unsigned char)i;
    }
    all_routes = routes;
    shared = memory;
    if (!shared->minute) {
        shared->minute = minute_of(apr_time_now());
        shared->taken[shared->minute % SNAPSHOTS] = shared->minute;
    }
    return APR_SUCCESS;
}

void lh_requests_begin(void)
{
    if (shared) {
        own_rows = row_at(lh_counters_copy(), 0);
    }
}

/* ---- reading ---- */

void lh_requests_label_of(int number, lh_requests_label *label)
{
    if (number >= ROW_ROUTES) {
        const lh_compiled_route *route = lh_routes_at(all_routes, number - ROW_ROUTES);

        *label = (lh_requests_label){route->group->name, route->def->name, route->def->method};
    }
    else if (number == ROW_OPTIONS) {
        *label = (lh_requests_label){"none", "options", "OPTIONS"};
    }
    else {
        *label = (lh_requests_label){"none", "none", "any"};
    }
}

static apr_uint64_t load(const apr_uint64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

apr_uint64_t lh_requests_sum(int number, lh_requests_sums *sums)
{
    apr_uint64_t count = 0;
    int copy, i;

    memset(sums, 0, sizeof(*sums));
    for (copy = 0; copy < LH_COUNTERS_COPIES; copy++) {
        const lh_requests_sums *from = &row_at(copy, number)->sums;

        for (i = 0; i < LH_REQUESTS_STATUSES; i++) {
            sums->statuses[i] += load(&from->statuses[i]);
        }
        for (i = 0; i < LH_HISTOGRAM_BUCKETS; i++) {
            sums->times[i] += load(&from->times[i]);
        }
        sums->time += load(&from->time);
        sums->db_time += load(&from->db_time);
    }
    for (i = 0; i < LH_REQUESTS_STATUSES; i++) {
        count += sums->statuses[i];
    }
    return count;
}

const char *lh_requests_status(apr_pool_t *p, int index)
{
    return statuses[index] ? apr_itoa(p, statuses[index]) : "other";
}

/* ---- recent requests ---- */

static void make_snapshot(int number, row_snapshot *snapshot)
{
    lh_requests_sums sums;
    int i;

    lh_requests_sum(number, &sums);
    memset(snapshot, 0, sizeof(*snapshot));
    for (i = 0; i < LH_HISTOGRAM_BUCKETS; i++) {
        snapshot->times[i] = (apr_uint32_t)sums.times[i];
    }
    for (i = 0; i < LH_REQUESTS_STATUSES; i++) {
        *(statuses[i] >= 500 ? &snapshot->server_errors : &snapshot->client_errors) +=
            statuses[i] >= 400 ? (apr_uint32_t)sums.statuses[i] : 0;
    }
    snapshot->time = sums.time;
    snapshot->db_time = sums.db_time;
}

/* Takes the snapshot of the minute of `now`, unless that was done. */
static void take_snapshot(apr_time_t now)
{
    apr_uint64_t minute = minute_of(now), before = load(&shared->minute), *taken = &shared->taken[minute % SNAPSHOTS];
    int i;

    /* A request that is logged late, because its client reads slowly, was answered in an earlier minute. Only a clock
     * that was set back makes the last snapshot one of the future. */
    if (minute == before || (minute < before && before <= minute_of(apr_time_now())) ||
        !__atomic_compare_exchange_n(&shared->minute, &before, minute, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
        return;
    }
    __atomic_store_n(taken, 0, __ATOMIC_RELEASE);
    for (i = 0; i < lh_requests_rows(); i++) {
        make_snapshot(i, snapshot_at(minute, i));
    }
    __atomic_store_n(taken, minute, __ATOMIC_RELEASE);
}

/* The minute of the oldest snapshot that is recent; 0: another process is taking it. */
static apr_uint64_t oldest_minute(apr_time_t now)
{
    apr_uint64_t minute = minute_of(now), oldest = 0;
    int i;

    for (i = 0; i < SNAPSHOTS; i++) {
        apr_uint64_t taken = __atomic_load_n(&shared->taken[i], __ATOMIC_ACQUIRE);

        if (taken && taken <= minute && taken + LH_REQUESTS_RECENT >= minute && (!oldest || taken < oldest)) {
            oldest = taken;
        }
    }
    return oldest;
}

void lh_requests_add_recent(int number, apr_time_t now, lh_requests_recent *recent)
{
    const row_snapshot *before;
    row_snapshot after;
    apr_uint64_t minute;
    int i;

    take_snapshot(now);
    minute = oldest_minute(now);
    make_snapshot(number, &after);
    before = minute ? snapshot_at(minute, number) : &after;
    for (i = 0; i < LH_HISTOGRAM_BUCKETS; i++) {
        apr_uint32_t count = after.times[i] - before->times[i];

        recent->times[i] += count;
        recent->count += count;
    }
    recent->client_errors += (apr_uint32_t)(after.client_errors - before->client_errors);
    recent->server_errors += (apr_uint32_t)(after.server_errors - before->server_errors);
    recent->time += after.time - before->time;
    recent->db_time += after.db_time - before->db_time;
}

/* ---- counting ---- */

static void add(apr_uint64_t *value, apr_uint64_t count)
{
    __atomic_fetch_add(value, count, __ATOMIC_RELAXED);
}

static int row_of(const request_rec *r, const lh_compiled_route *route)
{
    return route ? ROW_ROUTES + route->number : r->method_number == M_OPTIONS ? ROW_OPTIONS : ROW_NONE;
}

static void count(const request_rec *first, const request_rec *last, const lh_compiled_route *route,
                  const lh_call *call)
{
    lh_requests_sums *to = &own_rows[row_of(first, route)].sums;
    apr_time_t end = call->answered_at ? call->answered_at : apr_time_now();
    apr_interval_time_t time = end > first->request_time ? end - first->request_time : 0;

    take_snapshot(end);
    add(&to->statuses[last->status >= 0 && last->status < 600 ? status_index[last->status] : LH_REQUESTS_STATUSES - 1],
        1);
    add(&to->times[lh_histogram_bucket(time)], 1);
    add(&to->time, (apr_uint64_t)time);
    if (call->db_time) {
        add(&to->db_time, (apr_uint64_t)call->db_time);
    }
}

/* Errors of httpd are internal redirects, so that a request may be a chain of several. */
static int log_transaction(request_rec *r)
{
    const request_rec *last = r, *one;
    const lh_compiled_route *route = NULL;
    const lh_call *call = NULL;

    for (one = r; own_rows && one; one = one->next) {
        const lh_call *of_one = ap_get_module_config(one->request_config, &learnhub_module);

        if (of_one && !of_one->dropped) {
            call = of_one;
            route = of_one->route ? of_one->route : route;
        }
        last = one;
    }
    if (call) {
        count(r, last, route, call);
    }
    return DECLINED;
}

void lh_requests_hooks(void)
{
    ap_hook_log_transaction(log_transaction, NULL, NULL, APR_HOOK_MIDDLE);
}
