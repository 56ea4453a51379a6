/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/status.h"

#include <httpd.h>

#include <apr_optional_hooks.h>
#include <http_protocol.h>
#include <mod_status.h>
#include <string.h>

#include "db/session.h"
#include "jobs/backlog.h"
#include "learnhub.h"
#include "metrics/requests.h"
#include "util/counters.h"

#define MILLISECOND 1000.0 /* microseconds */

/* Numbers: each is the sum of `count` counters or gauges. */
/* clang-format off */
static const struct {
    const char *key, *title;
    lh_counters_source from;
    int first, count;
} numbers[] = {
    {"DatabaseInUse", "Database connections in use", LH_GAUGE_SUM, LH_GAUGE_DB_IN_USE, 1},
    {"DatabaseIdle", "Database connections, idle", LH_GAUGE_SUM, LH_GAUGE_DB_IDLE, 1},
    {"DatabaseLimit", "Database connections, at most", LH_GAUGE_SUM, LH_GAUGE_DB_LIMIT, 1},
    {"DatabaseWaiting", "Requests that wait for a connection", LH_GAUGE_SUM, LH_GAUGE_DB_WAITING, 1},
    {"DatabaseUnavailable", "Processes without database", LH_GAUGE_SUM, LH_GAUGE_DB_DOWN, 1},
    {"SchemaVersion", "Version of the schema", LH_GAUGE_LOWEST, LH_GAUGE_SCHEMA, 1},
    {"ModelUnavailable", "Open circuit breakers of the model", LH_GAUGE_SUM, LH_GAUGE_MODEL_DOWN, 1},
    {"CacheHits", "Cache hits", LH_COUNTER, LH_COUNT_CACHE_HITS, 1},
    {"CacheMisses", "Cache misses", LH_COUNTER, LH_COUNT_CACHE_MISSES, 1},
    {"CacheBytes", "Cache, bytes", LH_GAUGE_SUM, LH_GAUGE_CACHE_BYTES, 1},
    {"RateLimited", "Requests refused by LearnHubRate", LH_COUNTER, LH_COUNT_RATE_ACCOUNT,
     LH_COUNT_SHARES - LH_COUNT_RATE_ACCOUNT},
    {"SharesRefused", "Requests refused as too many of a kind", LH_COUNTER, LH_COUNT_SHARES, LH_SHARE_KINDS}};
/* clang-format on */

static void write_number(request_rec *r, int flags, const char *key, const char *title, apr_int64_t value)
{
    if (flags & AP_STATUS_SHORT) {
        ap_rprintf(r, "LearnHub%s: %" APR_INT64_T_FMT "\n", key, value);
    }
    else {
        ap_rprintf(r, "<dt>%s: %" APR_INT64_T_FMT "</dt>\n", title, value);
    }
}

static void write_numbers(request_rec *r, int flags)
{
    lh_backlog mails;
    apr_size_t i;
    int j;

    write_number(r, flags, "Processes", "Processes", lh_counters_processes());
    for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        apr_int64_t value = 0;

        for (j = 0; j < numbers[i].count; j++) {
            value += lh_counters_value(numbers[i].from, numbers[i].first + j);
        }
        write_number(r, flags, numbers[i].key, numbers[i].title, value);
    }
    write_number(r, flags, "SchemaVersionNeeded", "Version of the schema that the module needs", LH_SESSION_SCHEMA);
    if (lh_backlog_sum(&mails)) {
        write_number(r, flags, "OutboxWaiting", "Mails that wait", mails.waiting);
        write_number(r, flags, "OutboxFailed", "Mails of the last day that have failed", mails.failed);
        write_number(r, flags, "OutboxOldestSeconds", "Age of the oldest mail that waits, in seconds", mails.oldest);
    }
}

/* ---- requests ---- */

/* What is shown of a route or of an API. The numbers from the second one on are those of recent requests. */
enum { COUNT, RECENT, CLIENT_ERRORS, SERVER_ERRORS, MEAN, P50, P90, P99, DATABASE, COLUMNS };

static const struct {
    const char *key, *title;
    int decimals;
} columns[COLUMNS] = {[COUNT] = {"Requests", "requests", 0},
                      [RECENT] = {"RecentRequests", "in " APR_STRINGIFY(LH_REQUESTS_RECENT) " min", 0},
                      [CLIENT_ERRORS] = {"RecentClientErrors", "4xx", 0},
                      [SERVER_ERRORS] = {"RecentServerErrors", "5xx", 0},
                      [MEAN] = {"RecentMeanMs", "mean ms", 1},
                      [P50] = {"RecentP50Ms", "p50 ms", 1},
                      [P90] = {"RecentP90Ms", "p90 ms", 1},
                      [P99] = {"RecentP99Ms", "p99 ms", 1},
                      [DATABASE] = {"RecentDatabaseMs", "database ms", 1}};

/* Milliseconds; 0 without requests. */
static double mean(apr_uint64_t microseconds, apr_uint64_t count)
{
    return count ? (double)microseconds / MILLISECOND / (double)count : 0;
}

static void set_values(apr_uint64_t count, const lh_requests_recent *recent, double values[COLUMNS])
{
    values[COUNT] = (double)count;
    values[RECENT] = (double)recent->count;
    values[CLIENT_ERRORS] = (double)recent->client_errors;
    values[SERVER_ERRORS] = (double)recent->server_errors;
    values[MEAN] = mean(recent->time, recent->count);
    values[P50] = lh_histogram_quantile(recent->times, 0.5) / MILLISECOND;
    values[P90] = lh_histogram_quantile(recent->times, 0.9) / MILLISECOND;
    values[P99] = lh_histogram_quantile(recent->times, 0.99) / MILLISECOND;
    values[DATABASE] = mean(recent->db_time, recent->count);
}

static void write_line(request_rec *r, int flags, const char *kind, const char *name, const double values[COLUMNS])
{
    const char *escaped = ap_escape_html(r->pool, name);
    int i, has_table = !(flags & (AP_STATUS_SHORT | AP_STATUS_NOTABLE));

    if (has_table) {
        ap_rprintf(r, "<tr><td>%s %s</td>", kind, escaped);
    }
    else if (flags & AP_STATUS_NOTABLE) {
        ap_rprintf(r, "<b>%s %s</b>", kind, escaped);
    }
    for (i = 0; i < COLUMNS; i++) {
        if (has_table) {
            ap_rprintf(r, "<td align=\"right\">%.*f</td>", columns[i].decimals, values[i]);
        }
        else if (flags & AP_STATUS_SHORT) {
            ap_rprintf(r, "LearnHub%s[%s]%s: %.*f\n", kind, name, columns[i].key, columns[i].decimals, values[i]);
        }
        else {
            ap_rprintf(r, ", %s: %.*f", columns[i].title, columns[i].decimals, values[i]);
        }
    }
    ap_rputs(has_table ? "</tr>\n" : flags & AP_STATUS_SHORT ? "" : "<br />\n", r);
}

/* Writes the line of an API, the sum of its routes, then those of its routes that have requests. */
static void write_api(request_rec *r, int flags, const char *api)
{
    apr_time_t now = apr_time_now();
    lh_requests_recent all = {.count = 0};
    apr_uint64_t count, sum = 0;
    lh_requests_label label;
    lh_requests_sums sums;
    double values[COLUMNS];
    int i;

    for (i = 0; i < lh_requests_rows(); i++) {
        lh_requests_label_of(i, &label);
        if (!strcmp(label.api, api)) {
            sum += lh_requests_sum(i, &sums);
            lh_requests_add_recent(i, now, &all);
        }
    }
    if (!sum) {
        return;
    }
    set_values(sum, &all, values);
    write_line(r, flags, "API", api, values);
    for (i = 0; i < lh_requests_rows(); i++) {
        lh_requests_recent recent = {.count = 0};

        lh_requests_label_of(i, &label);
        count = strcmp(label.api, api) ? 0 : lh_requests_sum(i, &sums);
        if (count) {
            lh_requests_add_recent(i, now, &recent);
            set_values(count, &recent, values);
            write_line(r, flags, "Route", label.route, values);
        }
    }
}

/* 1 if no row before this one is of the same API. */
static int is_first_of_api(int row, const char *api)
{
    lh_requests_label label;
    int i, found = 0;

    for (i = 0; i < row && !found; i++) {
        lh_requests_label_of(i, &label);
        found = !strcmp(label.api, api);
    }
    return !found;
}

static void write_requests(request_rec *r, int flags)
{
    int i, has_table = !(flags & (AP_STATUS_SHORT | AP_STATUS_NOTABLE));
    lh_requests_label label;

    if (has_table) {
        ap_rputs("<table rules=\"all\" cellpadding=\"1%\"><tr><th>API or route</th>", r);
        for (i = 0; i < COLUMNS; i++) {
            ap_rprintf(r, "<th>%s</th>", columns[i].title);
        }
        ap_rputs("</tr>\n", r);
    }
    for (i = 0; i < lh_requests_rows(); i++) {
        lh_requests_label_of(i, &label);
        if (is_first_of_api(i, label.api)) {
            write_api(r, flags, label.api);
        }
    }
    if (has_table) {
        ap_rputs("</table>\n", r);
    }
}

/* ---- the hook ---- */

static int write_section(request_rec *r, int flags)
{
    if (!lh_requests_rows()) {
        return DECLINED; /* LearnHub is Off in all servers */
    }
    if (flags & AP_STATUS_SHORT) {
        ap_rputs("LearnHubVersion: " LH_VERSION "\n", r);
        write_numbers(r, flags);
    }
    else {
        ap_rputs("<hr />\n<h2>LearnHub " LH_VERSION "</h2>\n<dl>\n", r);
        write_numbers(r, flags);
        ap_rputs("</dl>\n", r);
    }
    write_requests(r, flags);
    return OK;
}

void lh_status_hooks(void)
{
    APR_OPTIONAL_HOOK(ap, status_hook, write_section, NULL, NULL, APR_HOOK_MIDDLE);
}
