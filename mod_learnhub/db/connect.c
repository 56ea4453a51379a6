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

#define DBD_MAX_KEY "learnhub:DBDMax"
#define SET_UP_TIMEOUT apr_time_from_sec(2)

/*
 * force_generic_plan: otherwise PostgreSQL plans a prepared statement again for each execution if a plan for its
 * current values, for example of LIMIT $1, looks cheaper than a plan for any values. jit: such a plan of a page looks
 * as expensive as one of the whole list, and compiling it takes longer than all statements of a request. Responses have
 * times in UTC and text in UTF-8.
 */
#define SESSION                                                                                                        \
    "SET statement_timeout TO %" APR_INT64_T_FMT ";"                                                                   \
    "SET plan_cache_mode TO force_generic_plan;"                                                                       \
    "SET jit TO off;"                                                                                                  \
    "SET timezone TO 'UTC';"                                                                                           \
    "SET client_encoding TO 'UTF8';"                                                                                   \
    "SET search_path TO learnhub, public"

/* Stores DBDMax in the pool of the connection, for open_entry(): mod_dbd passes it to this hook only. */
static apr_status_t store_dbd_max(apr_pool_t *p, dbd_cfg_t *cfg, ap_dbd_t *dbd)
{
    int *dbd_max = apr_palloc(p, sizeof(*dbd_max));

    *dbd_max = cfg->nmax;
    return apr_pool_userdata_setn(dbd_max, DBD_MAX_KEY, NULL, dbd->pool);
}

void lh_connect_hooks(void)
{
    APR_OPTIONAL_HOOK(dbd, post_connect, store_dbd_max, NULL, NULL, APR_HOOK_MIDDLE);
}

int lh_connect_possible(void)
{
    return APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open) && APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);
}

/* By default libpq writes notices to standard error, so they would appear in httpd's error log without time and
 * level. */
static void discard_notice(void *unused, const char *message)
{
    (void)unused;
    (void)message;
}

static void copy_first_line(char why[LH_CONNECT_WHY], const char *text)
{
    apr_snprintf(why, LH_CONNECT_WHY, "%.*s", (int)strcspn(text, "\n"), text);
}

static int open_entry(lh_pool_entry *entry, server_rec *s, char why[LH_CONNECT_WHY])
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_open) *dbd_open = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_open);
    void *dbd_max = NULL;
    ap_dbd_t *dbd;

    if (apr_pool_create_unmanaged_ex(&entry->pool, NULL, NULL) != APR_SUCCESS) {
        copy_first_line(why, "out of memory");
        return 0;
    }
    dbd = dbd_open(entry->pool, s);
    if (!dbd) {
        copy_first_line(why, "mod_dbd could not connect; it logs the cause");
        apr_pool_destroy(entry->pool);
        return 0;
    }
    entry->dbd = dbd;
    if (strcmp(apr_dbd_name(dbd->driver), "pgsql")) {
        copy_first_line(why, "DBDriver must be pgsql");
        lh_connect_close(entry, s);
        return 0;
    }
    apr_pool_userdata_get(&dbd_max, DBD_MAX_KEY, dbd->pool);
    entry->dbd_max = dbd_max ? *(int *)dbd_max : 0;
    entry->connection.pg = apr_dbd_native_handle(dbd->driver, dbd->handle);
    entry->connection.prepared = entry->prepared;
    PQsetNoticeProcessor(entry->connection.pg, discard_notice, NULL);
    return 1;
}

/* Milliseconds until `deadline` for poll(), rounded up; 0 if it has passed. */
static int poll_timeout(apr_time_t deadline)
{
    apr_time_t left = deadline - lh_clock();

    return left > 0 ? (int)((left + 999) / 1000) : 0;
}

/* Waits until PQgetResult() does not block; 0 if the deadline passes or the connection is lost. */
static int wait_for_result(PGconn *pg, apr_time_t deadline)
{
    while (PQisBusy(pg)) {
        struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};

        if (fd.fd < 0 || poll(&fd, 1, poll_timeout(deadline)) == 0 || !PQconsumeInput(pg)) {
            return 0;
        }
    }
    return 1;
}

/* PQexec() with a deadline: child exit waits for this thread, so it must not wait for a hanging server. */
static int execute(PGconn *pg, const char *sql)
{
    apr_time_t deadline = lh_clock() + SET_UP_TIMEOUT;
    PGresult *result;
    int succeeded = PQsendQuery(pg, sql);

    while (wait_for_result(pg, deadline)) {
        result = PQgetResult(pg);
        if (!result) {
            return succeeded;
        }
        succeeded = succeeded && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
    }
    return 0;
}

static int set_up_session(PGconn *pg, apr_time_t statement_timeout)
{
    char session[512];

    apr_snprintf(session, sizeof(session), SESSION, (apr_int64_t)apr_time_as_msec(statement_timeout));
    return PQsetnonblocking(pg, 0) == 0 && execute(pg, session) && PQsetnonblocking(pg, 1) == 0 &&
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
        lh_connect_shutdown(entry);
        PQreset(entry->connection.pg);
    }
    memset(entry->prepared, 0, sizeof(entry->prepared));
    entry->connection.stale = 0;
    if (PQstatus(entry->connection.pg) == CONNECTION_OK && set_up_session(entry->connection.pg, statement_timeout)) {
        return 1;
    }
    copy_first_line(why, PQerrorMessage(entry->connection.pg));
    lh_connect_shutdown(entry);
    return 0;
}

int lh_connect_is_clean(const lh_pool_entry *entry)
{
    const PGconn *pg = entry->connection.pg;

    /* PQTRANS_IDLE implies that no result is pending. */
    return PQstatus(pg) == CONNECTION_OK && PQtransactionStatus(pg) == PQTRANS_IDLE &&
           PQpipelineStatus(pg) == PQ_PIPELINE_ON;
}

int lh_connect_is_alive(const lh_pool_entry *entry)
{
    struct pollfd fd = {.fd = PQsocket(entry->connection.pg), .events = POLLIN};

    return fd.fd >= 0 && lh_connect_is_clean(entry) && poll(&fd, 1, 0) == 0;
}

void lh_connect_shutdown(lh_pool_entry *entry)
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
