/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics/exposition.h"

#include <apr_strings.h>
#include <http_config.h>
#include <http_protocol.h>
#include <http_request.h>
#include <string.h>

#include "core/config.h"
#include "db/session.h"
#include "http/accept.h"
#include "jobs/backlog.h"
#include "jobs/jobs.h"
#include "metrics/requests.h"
#include "util/counters.h"
#include "util/text.h"

#define PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define OPENMETRICS_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

/* The response that is written. */
typedef struct page {
    request_rec *r;
    int openmetrics;
} page;

/*
 * A metric of single numbers: of `first`, or with `values`, words separated by spaces, of as many counters or gauges
 * from `first` on, each with one of the words as the value of `label`. Without a name it continues the metric above it.
 * Counters get the suffix _total.
 */
typedef struct metric {
    const char *name, *help;
    lh_counters_source from;
    int first;
    const char *label, *values; /* `values` NULL with a label: the names of the jobs */
    const char *fixed;          /* a further label with its value and a comma; NULL: none */
    int is_time;                /* counted in microseconds, shown in seconds */
} metric;

/* clang-format off */
static const metric metrics[] = {
    {"learnhub_cache_lookups", "Responses looked for in the cache.",
     LH_COUNTER, LH_COUNT_CACHE_HITS, "result", "hit miss off", NULL, 0},
    {"learnhub_cache_bytes", "Memory of cached responses in all processes.",
     LH_GAUGE_SUM, LH_GAUGE_CACHE_BYTES, NULL, NULL, NULL, 0},
    {"learnhub_rate_limited", "Requests refused by LearnHubRate.",
     LH_COUNTER, LH_COUNT_RATE_ACCOUNT + LH_RATE_SIGNUP, "class", lh_config_rates, "by=\"account\",", 0},
    {NULL, NULL,
     LH_COUNTER, LH_COUNT_RATE_NETWORK + LH_RATE_SIGNUP, "class", lh_config_rates, "by=\"network\",", 0},
    {"learnhub_shares_refused", "Requests refused because too many of the same kind were in progress.",
     LH_COUNTER, LH_COUNT_SHARES + LH_SHARE_MODEL, "kind", "model search expression body upload list sender", NULL, 0},
    {"learnhub_idempotent_replays", "Stored responses returned for a repeated Idempotency-Key.",
     LH_COUNTER, LH_COUNT_REPLAYS, NULL, NULL, NULL, 0},

    {"learnhub_database_connections", "Database connections by state.",
     LH_GAUGE_SUM, LH_GAUGE_DB_IN_USE, "state", "in_use idle connecting", NULL, 0},
    {"learnhub_database_connections_limit", "Database connections that the processes may open.",
     LH_GAUGE_SUM, LH_GAUGE_DB_LIMIT, NULL, NULL, NULL, 0},
    {"learnhub_database_waiting", "Requests and jobs that wait for a database connection.",
     LH_GAUGE_SUM, LH_GAUGE_DB_WAITING, NULL, NULL, NULL, 0},
    {"learnhub_database_waits", "Waits for a database connection.",
     LH_COUNTER, LH_COUNT_DB_WAITS, NULL, NULL, NULL, 0},
    {"learnhub_database_wait_seconds", "Time waited for database connections.",
     LH_COUNTER, LH_COUNT_DB_WAIT_US, NULL, NULL, NULL, 1},
    {"learnhub_database_unavailable", "Connection pools that refuse requests: the database is down or outdated.",
     LH_GAUGE_SUM, LH_GAUGE_DB_DOWN, NULL, NULL, NULL, 0},
    {"learnhub_database_connects", "Attempts to open a database connection.",
     LH_COUNTER, LH_COUNT_CONNECTS, "result", "failed outdated newer ok", NULL, 0},
    {"learnhub_database_failures", "Transactions that failed, by cause.",
     LH_COUNTER, LH_COUNT_DB_FAILURES + 1, "cause", "busy down timeout lost rejected", NULL, 0},
    {"learnhub_database_retries", "Transactions that were executed again.",
     LH_COUNTER, LH_COUNT_DB_RETRIES, NULL, NULL, NULL, 0},
    {"learnhub_database_statement_timeouts", "Statements that PostgreSQL ended at their timeout.",
     LH_COUNTER, LH_COUNT_DB_CANCELED, NULL, NULL, NULL, 0},
    {"learnhub_schema_version", "Version of the schema that was found; 0 if unknown.",
     LH_GAUGE_LOWEST, LH_GAUGE_SCHEMA, NULL, NULL, NULL, 0},

    {"learnhub_model_unavailable", "Circuit breakers of the language model that are open.",
     LH_GAUGE_SUM, LH_GAUGE_MODEL_DOWN, NULL, NULL, NULL, 0},
    {"learnhub_mails", "Attempts to send a mail, by outcome.",
     LH_COUNTER, LH_COUNT_MAILS_SENT, "outcome", "sent failed retried", NULL, 0},
    {"learnhub_job_runs", "Runs of the jobs.",
     LH_COUNTER, LH_COUNT_JOB_RUNS, "task", NULL, NULL, 0},
    {"learnhub_job_failures", "Runs of the jobs in which a statement failed.",
     LH_COUNTER, LH_COUNT_JOB_FAILURES, "task", NULL, NULL, 0}};
/* clang-format on */

/* ---- lines ---- */

/* `name` is without the suffix of counters, which the format of Prometheus has here too. */
static void write_head(const page *out, const char *name, const char *type, const char *help)
{
    const char *suffix = !strcmp(type, "counter") && !out->openmetrics ? "_total" : "";

    ap_rprintf(out->r, "# HELP %s%s %s\n# TYPE %s%s %s\n", name, suffix, help, name, suffix, type);
}

static const char *integer(const page *out, apr_int64_t value)
{
    return apr_psprintf(out->r->pool, "%" APR_INT64_T_FMT, value);
}

/* Microseconds as seconds, without zeroes at the end: "0.0005", "1.0". */
static const char *seconds(const page *out, apr_uint64_t time)
{
    char *text = apr_psprintf(out->r->pool, "%" APR_UINT64_T_FMT ".%06d", time / APR_USEC_PER_SEC,
                              (int)(time % APR_USEC_PER_SEC));
    char *end = text + strlen(text) - 1;

    while (*end == '0' && end[-1] != '.') {
        *end-- = '\0';
    }
    return text;
}

static const char *value_of(const page *out, const metric *m, int index)
{
    apr_int64_t value = lh_counters_value(m->from, m->first + index);

    return m->is_time ? seconds(out, (apr_uint64_t)value) : integer(out, value);
}

static void write_metric(const page *out, const metric *m, const char *name)
{
    const char *suffix = m->from == LH_COUNTER ? "_total" : "", *word;
    const char *words = m->label && !m->values ? lh_jobs_names(out->r->pool) : m->values;
    apr_size_t length;
    int index = 0;

    if (!words) {
        ap_rprintf(out->r, "%s%s %s\n", name, suffix, value_of(out, m, 0));
    }
    while ((word = lh_text_word(&words, &length))) {
        ap_rprintf(out->r, "%s%s{%s%s=\"%.*s\"} %s\n", name, suffix, m->fixed ? m->fixed : "", m->label, (int)length,
                   word, value_of(out, m, index++));
    }
}

static void write_metrics(const page *out)
{
    const char *name = NULL;
    apr_size_t i;

    for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        if (metrics[i].name) {
            name = metrics[i].name;
            write_head(out, name, metrics[i].from == LH_COUNTER ? "counter" : "gauge", metrics[i].help);
        }
        write_metric(out, &metrics[i], name);
    }
}

static void write_gauge(const page *out, const char *name, const char *help, const char *value)
{
    write_head(out, name, "gauge", help);
    ap_rprintf(out->r, "%s %s\n", name, value);
}

/* ---- requests ---- */

/* Writes the lines of a row that has requests. */
typedef void write_row(const page *out, const char *labels, const lh_requests_sums *sums);

static void write_rows(const page *out, write_row *write)
{
    lh_requests_label label;
    lh_requests_sums sums;
    char labels[200];
    int i;

    for (i = 0; i < lh_requests_rows(); i++) {
        if (lh_requests_sum(i, &sums)) {
            lh_requests_label_of(i, &label);
            apr_snprintf(labels, sizeof(labels), "api=\"%s\",route=\"%s\",method=\"%s\"", label.api, label.route,
                         label.method);
            write(out, labels, &sums);
        }
    }
}

/* Statuses that did not occur are omitted, but for the usual ones of a server that fails: Prometheus does not see a
 * number grow that was not there before. */
static void write_statuses(const page *out, const char *labels, const lh_requests_sums *sums)
{
    int i;

    for (i = 0; i < LH_REQUESTS_STATUSES; i++) {
        const char *status = lh_requests_status(out->r->pool, i);

        if (sums->statuses[i] || !strcmp(status, "500") || !strcmp(status, "503")) {
            ap_rprintf(out->r, "learnhub_http_requests_total{%s,status=\"%s\"} %" APR_UINT64_T_FMT "\n", labels, status,
                       sums->statuses[i]);
        }
    }
}

#define DURATION "learnhub_http_request_duration_seconds"

static void write_bucket(const page *out, const char *labels, const char *limit, apr_uint64_t count)
{
    ap_rprintf(out->r, DURATION "_bucket{%s,le=\"%s\"} %" APR_UINT64_T_FMT "\n", labels, limit, count);
}

static void write_times(const page *out, const char *labels, const lh_requests_sums *sums)
{
    apr_uint64_t count = 0;
    int i;

    for (i = 0; i < LH_HISTOGRAM_BUCKETS; i++) {
        count += sums->times[i];
        if (i < LH_HISTOGRAM_LIMITS && lh_histogram_is_coarse(i)) {
            write_bucket(out, labels, seconds(out, (apr_uint64_t)lh_histogram_limit(i)), count);
        }
    }
    write_bucket(out, labels, "+Inf", count);
    ap_rprintf(out->r, DURATION "_sum{%s} %s\n", labels, seconds(out, sums->time));
    ap_rprintf(out->r, DURATION "_count{%s} %" APR_UINT64_T_FMT "\n", labels, count);
}

static void write_database_time(const page *out, const char *labels, const lh_requests_sums *sums)
{
    ap_rprintf(out->r, "learnhub_http_request_database_seconds_total{%s} %s\n", labels, seconds(out, sums->db_time));
}

static void write_requests(const page *out)
{
    write_head(out, "learnhub_http_requests", "counter", "Requests by route and status.");
    write_rows(out, write_statuses);
    write_head(out, DURATION, "histogram", "Time from the first line of a request to the end of its handler.");
    write_rows(out, write_times);
    write_head(out, "learnhub_http_request_database_seconds", "counter",
               "Part of the requests' time that was spent on the database, with waits for connections.");
    write_rows(out, write_database_time);
}

/* ---- the outbox ---- */

/* Nothing while no database was measured recently. */
static void write_backlog(const page *out)
{
    lh_backlog all;

    if (lh_backlog_sum(&all)) {
        write_gauge(out, "learnhub_outbox_waiting", "Mails that wait, at most " LH_BACKLOG_MOST " per database.",
                    integer(out, all.waiting));
        write_gauge(out, "learnhub_outbox_failed", "Mails of the last day that have failed.", integer(out, all.failed));
        write_gauge(out, "learnhub_outbox_oldest_seconds", "Age of the oldest mail that waits.",
                    integer(out, all.oldest));
    }
}

/* ---- the handler ---- */

static void write_page(const page *out)
{
    write_requests(out);
    write_metrics(out);
    write_backlog(out);
    write_gauge(out, "learnhub_schema_version_needed", "Version of the schema that the module needs.",
                integer(out, LH_SESSION_SCHEMA));
    write_gauge(out, "learnhub_processes", "Child processes of httpd.", integer(out, lh_counters_processes()));
    write_gauge(out, "learnhub_start_time_seconds", "Time since which the counters count, in seconds since 1970.",
                seconds(out, (apr_uint64_t)lh_counters_since()));
    write_head(out, "learnhub_build_info", "gauge", "Version of the module; the value is always 1.");
    ap_rputs("learnhub_build_info{version=\"" LH_VERSION "\"} 1\n", out->r);
    if (out->openmetrics) {
        ap_rputs("# EOF\n", out->r);
    }
}

/* The client must name OpenMetrics: a range such as any type does not suffice. */
static int prefers_openmetrics(const request_rec *r)
{
    static const char type[] = "application/openmetrics-text";
    const char *accept = apr_table_get(r->headers_in, "Accept");
    int quality = accept && strstr(accept, type) ? lh_accept_quality(accept, type) : 0;

    return quality && quality >= lh_accept_quality(accept, "text/plain");
}

static int handle(request_rec *r)
{
    page out = {r, prefers_openmetrics(r)};

    if (!r->handler || strcmp(r->handler, LH_EXPOSITION_HANDLER)) {
        return DECLINED;
    }
    ap_allow_methods(r, REPLACE_ALLOW, "GET", NULL);
    if (r->method_number != M_GET) {
        return r->method_number == M_OPTIONS ? DECLINED : HTTP_METHOD_NOT_ALLOWED;
    }
    if (!lh_requests_rows()) {
        return HTTP_NOT_FOUND; /* LearnHub is Off in all servers */
    }
    ap_set_content_type(r, out.openmetrics ? OPENMETRICS_TYPE : PROMETHEUS_TYPE);
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    apr_table_setn(r->headers_out, "Vary", "Accept");
    if (!r->header_only) {
        write_page(&out);
    }
    return OK;
}

void lh_exposition_hooks(void)
{
    ap_hook_handler(handle, NULL, NULL, APR_HOOK_MIDDLE);
}
