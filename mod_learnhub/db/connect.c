/* SPDX-License-Identifier: Apache-2.0 */
#include "db/connect.h"

#include <httpd.h>

#include <apr_dbd.h>
#include <apr_strings.h>
#include <libpq-fe.h>
#include <mod_dbd.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "util/clock.h"

#define LIMIT_KEY "learnhub:DBDMax"
#define SETTLE_TIMEOUT apr_time_from_sec(2)

/*
 * Generic plans: LIMIT $1 in a prepared statement would be planned anew each time, and a plan chosen for one user's
 * values would be kept for all. timezone and client_encoding are what json.c expects.
 */
#define SESSION                                                                                                        \
    "SET statement_timeout TO %" APR_INT64_T_FMT ";"                                                                   \
    "SET plan_cache_mode TO force_generic_plan;"                                                                       \
    "SET timezone TO 'UTC';"                                                                                           \
    "SET client_encoding TO 'UTF8';"                                                                                   \
    "SET search_path TO learnhub, public"

/* DBDMax is in mod_dbd's private configuration: only this hook shows it. It is left where lh_connect() finds it. */
static apr_status_t note_limit(apr_pool_t *p, dbd_cfg_t *cfg, ap_dbd_t *dbd)
{
    int *limit = apr_palloc(p, sizeof(*limit));

    *limit = cfg->nmax;
    return apr_pool_userdata_setn(limit, LIMIT_KEY, NULL, dbd->pool);
}

void lh_connect_hooks(void)
{
    APR_OPTIONAL_HOOK(dbd, post_connect, note_limit, NULL, NULL, APR_HOOK_MIDDLE);
}

int lh_connect_possible(void)
{
    return APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open) && APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
}

/* libpq writes to standard error otherwise, which is httpd's error log, without a time or a level. */
static void swallow_notice(void *unused, const char *message)
{
    (void)unused;
    (void)message;
}

static void first_line(char why[LH_CONNECT_WHY], const char *text)
{
    apr_snprintf(why, LH_CONNECT_WHY, "%.*s", (int)strcspn(text, "\n"), text);
}

static int open_entry(lh_pool_entry *entry, server_rec *s, char why[LH_CONNECT_WHY])
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_open) *dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    void *limit = NULL;
    ap_dbd_t *dbd;

    if (apr_pool_create_unmanaged_ex(&entry->pool, NULL, NULL) != APR_SUCCESS) {
        first_line(why, "out of memory");
        return 0;
    }
    dbd = dbd_open(entry->pool, s);
    if (!dbd) {
        first_line(why, "mod_dbd could not connect; its own line says why");
        apr_pool_destroy(entry->pool);
        return 0;
    }
    entry->dbd = dbd;
    if (strcmp(apr_dbd_name(dbd->driver), "pgsql")) {
        first_line(why, "DBDriver must be pgsql");
        lh_connect_close(entry, s);
        return 0;
    }
    apr_pool_userdata_get(&limit, LIMIT_KEY, dbd->pool);
    entry->limit = limit ? *(int *)limit : 0;
    entry->connection.pg = apr_dbd_native_handle(dbd->driver, dbd->handle);
    entry->connection.prepared = entry->prepared;
    PQsetNoticeProcessor(entry->connection.pg, swallow_notice, NULL);
    return 1;
}

/* Milliseconds for poll() until `deadline`, rounded up; 0 when it has passed. */
static int left_until(apr_time_t deadline)
{
    apr_time_t left = deadline - lh_clock();

    return left > 0 ? (int)((left + 999) / 1000) : 0;
}

/* Waits until PQgetResult() will not block. */
static int result_ready(PGconn *pg, apr_time_t deadline)
{
    while (PQisBusy(pg)) {
        struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};

        if (fd.fd < 0 || poll(&fd, 1, left_until(deadline)) == 0 || !PQconsumeInput(pg)) {
            return 0;
        }
    }
    return 1;
}

/* PQexec() with a time limit: a server that hangs just now must not keep this thread, which child exit waits for. */
static int command(PGconn *pg, const char *sql)
{
    apr_time_t deadline = lh_clock() + SETTLE_TIMEOUT;
    PGresult *result;
    int done = PQsendQuery(pg, sql);

    while (result_ready(pg, deadline)) {
        result = PQgetResult(pg);
        if (!result) {
            return done;
        }
        done = done && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return 0;
}

static int set_up(PGconn *pg, apr_time_t statement_timeout)
{
    char session[512];

    apr_snprintf(session, sizeof(session), SESSION, (apr_int64_t)apr_time_as_msec(statement_timeout));
    return PQsetnonblocking(pg, 0) == 0 && command(pg, session) && PQsetnonblocking(pg, 1) == 0 &&
           PQenterPipelineMode(pg);
}

int lh_connect(lh_pool_entry *entry, server_rec *s, apr_time_t statement_timeout, char why[LH_CONNECT_WHY])
{
    if (!entry->dbd) {
        if (!open_entry(entry, s, why)) {
            return 0;
        }
    }
    else {
        lh_connect_cut(entry);
        PQreset(entry->connection.pg);
    }
    memset(entry->prepared, 0, sizeof(entry->prepared));
    entry->connection.stale = 0;
    if (PQstatus(entry->connection.pg) == CONNECTION_OK && set_up(entry->connection.pg, statement_timeout)) {
        return 1;
    }
    first_line(why, PQerrorMessage(entry->connection.pg));
    lh_connect_cut(entry);
    return 0;
}

int lh_connect_clean(const lh_pool_entry *entry)
{
    const PGconn *pg = entry->connection.pg;

    /* A transaction status other than idle covers a result that nobody has read as well. */
    return PQstatus(pg) == CONNECTION_OK && PQtransactionStatus(pg) == PQTRANS_IDLE &&
           PQpipelineStatus(pg) == PQ_PIPELINE_ON;
}

int lh_connect_alive(const lh_pool_entry *entry)
{
    struct pollfd fd = {.fd = PQsocket(entry->connection.pg), .events = POLLIN};

    return fd.fd >= 0 && lh_connect_clean(entry) && poll(&fd, 1, 0) == 0;
}

void lh_connect_cut(lh_pool_entry *entry)
{
    int fd = entry->connection.pg ? PQsocket(entry->connection.pg) : -1;

    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

void lh_connect_close(lh_pool_entry *entry, server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_close) *dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);

    if (entry->dbd) {
        dbd_close(s, entry->dbd);
        apr_pool_destroy(entry->pool);
        entry->dbd = NULL;
        entry->connection.pg = NULL;
    }
}
