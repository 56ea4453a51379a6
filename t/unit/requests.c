/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of requests by route: rows, statuses, chains of redirects, several processes, and which are recent. */
#include "metrics/requests.c"

#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define MINUTES(n) apr_time_from_sec(60 * (n))
#define CHILDREN 6

/* ---- httpd and two routes ---- */

module AP_MODULE_DECLARE_DATA learnhub_module;

void ap_hook_log_transaction(ap_HOOK_log_transaction_t *function, const char *const *before, const char *const *after,
                             int order)
{
    (void)function, (void)before, (void)after, (void)order;
}

struct lh_routes {
    int count;
    lh_compiled_route routes[3];
};

static const lh_route_group group = {.name = "api"};
static const lh_route definitions[] = {
    {.name = "a.get", .method = "GET"}, {.name = "a.post", .method = "POST"}, {.name = "a.put", .method = "PUT"}};

#define ROUTE(definition, at)                                                                                          \
    {                                                                                                                  \
        .def = &definitions[definition], .group = &group, .number = at                                                 \
    }
static const lh_routes two = {2, {ROUTE(0, 0), ROUTE(1, 1)}}, added = {3, {ROUTE(0, 0), ROUTE(2, 1), ROUTE(1, 2)}},
                       removed = {1, {ROUTE(1, 0)}}, swapped = {2, {ROUTE(1, 0), ROUTE(0, 1)}};
static const lh_compiled_route *const routes = two.routes;

int lh_routes_count(const lh_routes *all)
{
    return all->count;
}

const lh_compiled_route *lh_routes_at(const lh_routes *all, int index)
{
    return &all->routes[index];
}

/* ---- requests ---- */

static apr_time_t start; /* of a minute */

/* A request that its handler answers at `at` after `time`. */
static void serve(const lh_compiled_route *route, int status, apr_time_t at, apr_interval_time_t time)
{
    lh_call call = {.route = route, .answered_at = at, .db_time = time / 2};
    void *config[] = {&call};
    request_rec r = {.request_config = (ap_conf_vector_t *)config, .status = status, .request_time = at - time};

    log_transaction(&r);
}

static long long count_of(int number, int status)
{
    lh_requests_sums sums;

    lh_requests_sum(number, &sums);
    return (long long)sums.statuses[status_index[status]];
}

static lh_requests_recent recent_of(int number, apr_time_t now)
{
    lh_requests_recent recent = {.count = 0};

    lh_requests_add_recent(number, now, &recent);
    return recent;
}

/* ---- tests ---- */

static void test_rows(void)
{
    lh_call dropped = {.dropped = 1}, first = {.answered_at = start},
            last = {.error_status = 403, .answered_at = start};
    void *config[3][1] = {{&dropped}, {&first}, {&last}};
    request_rec r[3] = {{.status = 200}, {.status = 200}, {.status = 403}};
    lh_requests_label label;
    lh_requests_sums sums;
    int i;

    for (i = 0; i < 3; i++) {
        r[i].request_config = (ap_conf_vector_t *)config[i];
        r[i].request_time = start;
    }
    log_transaction(&r[0]);
    for (i = 0; i < 4; i++) {
        is_int((long long)lh_requests_sum(i, &sums), 0, "a request that another module serves does not count");
    }
    r[1].next = &r[2];
    log_transaction(&r[1]);
    is_int(count_of(ROW_NONE, 403), 1, "an internal redirect counts once, with its last status");
    is_int((long long)lh_requests_sum(ROW_NONE, &sums), 1, "and with no other");
    r[1].method_number = M_OPTIONS;
    log_transaction(&r[1]);
    is_int(count_of(ROW_OPTIONS, 403), 1, "OPTIONS has a row");
    serve(&routes[1], 299, start, -5);
    is_int(count_of(ROW_ROUTES + 1, 299), 1, "an unusual status");
    is_str(lh_requests_status(tap_pool, status_index[299]), "other", "has no number");
    is_str(lh_requests_status(tap_pool, status_index[304]), "304", "others have");
    lh_requests_label_of(ROW_ROUTES + 1, &label);
    ok(!strcmp(label.api, "api") && !strcmp(label.route, "a.post") && !strcmp(label.method, "POST"),
       "the label of a route");
    is_int(lh_requests_rows(), 4, "all rows");
}

/* Ten requests in the first minute, five in the fifth one, none until the thirtieth. */
static void test_recent(void)
{
    lh_requests_recent recent;
    int i;

    for (i = 0; i < 10; i++) {
        serve(&routes[0], i < 2 ? 404 : i < 3 ? 503 : 200, start + i, 3000);
    }
    recent = recent_of(ROW_ROUTES, start + MINUTES(1));
    ok(recent.count == 10 && recent.client_errors == 2 && recent.server_errors == 1, "requests and errors");
    ok(recent.time == 30000 && recent.db_time == 15000 && recent.times[lh_histogram_bucket(3000)] == 10, "their times");
    for (i = 0; i < 5; i++) {
        serve(&routes[0], 200, start + MINUTES(4) + i, 50);
    }
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(5)).count, 15, "within five minutes all are recent");
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(6) - 1).count, 15, "and up to six");
    recent = recent_of(ROW_ROUTES, start + MINUTES(7));
    ok(recent.count == 5 && recent.client_errors == 0 && recent.time == 250, "then only the later ones");
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(11)).count, 0, "then none");
    serve(&routes[0], 500, start + MINUTES(30), 7);
    recent = recent_of(ROW_ROUTES, start + MINUTES(30) + 5);
    ok(recent.count == 1 && recent.server_errors == 1 && recent.time == 7, "one after a long pause");
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(31)).count, 1, "it stays recent");
    is_int((long long)recent_of(ROW_ROUTES + 1, start + MINUTES(31)).count, 0, "another route has none");
    shared->taken[shared->minute % SNAPSHOTS] = 0;
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(31)).count, 1, "an incomplete snapshot is not used");
    memset(shared->taken, 0, sizeof(shared->taken));
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(31)).count, 0, "without a complete one, none is recent");
}

/* A request whose client reads slowly is logged minutes after its answer. */
static void test_late(void)
{
    serve(&routes[0], 202, start + MINUTES(33), 5);
    serve(&routes[0], 202, start + MINUTES(34), 5);
    serve(&routes[0], 202, start + MINUTES(33), 5);
    is_int((long long)recent_of(ROW_ROUTES, start + MINUTES(35)).count, 3, "one that is logged late hides no others");
    is_int((long long)shared->minute, (long long)minute_of(start + MINUTES(35)), "and takes no snapshot");
}

/* Processes that use different copies, while the first ones take a snapshot. */
static void test_processes(void)
{
    long long before = count_of(ROW_ROUTES, 201);
    lh_requests_sums sums;
    apr_uint64_t times = 0;
    int i;

    for (i = 0; i < CHILDREN; i++) {
        fflush(stdout);
        if (fork() == 0) {
            apr_pool_t *pchild;

            apr_pool_create(&pchild, NULL);
            lh_counters_begin(pchild);
            lh_requests_begin();
            for (i = 0; i < 1000; i++) {
                serve(&routes[0], 201, start + MINUTES(40), i * 100);
            }
            _exit(0);
        }
    }
    for (i = 0; i < CHILDREN; i++) {
        wait(NULL);
    }
    is_int(count_of(ROW_ROUTES, 201) - before, CHILDREN * 1000, "no request of several processes is lost");
    lh_requests_sum(ROW_ROUTES, &sums);
    for (i = 0; i < LH_HISTOGRAM_BUCKETS; i++) {
        times += sums.times[i];
    }
    is_int((long long)times, (long long)lh_requests_sum(ROW_ROUTES, &sums), "each has a time");
}

/* Restarts after which the module has other routes: rows of the same number would be those of other routes. */
static void test_layouts(apr_pool_t *process)
{
    const lh_routes *const others[] = {&added, &removed, &swapped};
    long long before = count_of(ROW_ROUTES + 1, 299);
    lh_requests_sums sums;
    int i, number;

    is_int(before, 1, "a route has a request");
    for (i = 0; i < 3; i++) {
        apr_uint64_t sum = 0;

        is_int(lh_requests_share(process, others[i]), APR_SUCCESS, "other routes get memory");
        lh_requests_begin();
        for (number = 0; number < lh_requests_rows(); number++) {
            sum += lh_requests_sum(number, &sums);
        }
        is_int((long long)sum, 0, "without the requests of other ones");
        serve(lh_routes_at(others[i], 0), 299, start + MINUTES(41), 5);
    }
    is_int(lh_requests_share(process, &two), APR_SUCCESS, "the same routes as before");
    lh_requests_begin();
    ok(count_of(ROW_ROUTES + 1, 299) == before && count_of(ROW_ROUTES, 299) == 0, "have their requests");
}

int main(void)
{
    static void *config[1];
    request_rec r = {.request_config = (ap_conf_vector_t *)config};
    apr_pool_t *process;

    tap_begin();
    apr_pool_create(&process, tap_pool);
    start = (apr_time_now() / MINUTES(1) - 60) * MINUTES(1); /* all times are in the past */
    log_transaction(&r);
    is_int(lh_requests_rows(), 0, "LearnHub Off: there are no rows");
    ok(lh_counters_share(process, 8, "") == APR_SUCCESS && lh_requests_share(process, &two) == APR_SUCCESS,
       "the memory is created");
    memset(shared->taken, 0, sizeof(shared->taken));
    shared->minute = minute_of(start);
    shared->taken[shared->minute % SNAPSHOTS] = shared->minute;
    lh_counters_begin(process);
    lh_requests_begin();
    test_rows();
    test_recent();
    test_late();
    test_processes();
    test_layouts(process);
    return tap_end();
}
