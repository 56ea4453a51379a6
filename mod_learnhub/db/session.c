/* SPDX-License-Identifier: Apache-2.0 */
#include "db/session.h"

#include <apr_strings.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

#define TIMEOUT apr_time_from_sec(2)

/*
 * force_generic_plan: otherwise PostgreSQL plans a prepared statement again for each execution if a plan for its
 * current values, for example of LIMIT $1, looks cheaper than a plan for any values. jit: such a plan of a page looks
 * as expensive as one of the whole list, and compiling it takes longer than all statements of a request. Responses have
 * times in UTC and text in UTF-8.
 */
/* clang-format off */
static const struct {
    const char *name, *value; /* an SQL expression */
} settings[] = {
    {"plan_cache_mode", "'force_generic_plan'"},
    {"jit",             "'off'"},
    {"timezone",        "'UTC'"},
    {"client_encoding", "'UTF8'"},
    {"search_path",     "'learnhub, public'"},
    /* Operators may set these for the role or the database. */
    {"idle_in_transaction_session_timeout",
     "coalesce(nullif(current_setting('idle_in_transaction_session_timeout'), '0'), '10s')"},
    {"client_connection_check_interval", /* stops statements whose connection was shut down */
     "coalesce(nullif(current_setting('client_connection_check_interval'), '0'), '500ms')"}};
/* clang-format on */

#define DESCRIPTION                                                                                                    \
    "SELECT pg_backend_pid() <> %d, version[1], version[2], "                                                          \
    "current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int, "

/* `learnhub-ctl migrate` writes the version of the schema into its comment, which every role can read. While the schema
 * serves all modules that accept newer schemas, the comment has no second number. */
#define VERSION                                                                                                        \
    " FROM regexp_match(obj_description(to_regnamespace('learnhub'), 'pg_namespace'), "                                \
    "'^mod_learnhub schema ([0-9]+)(?:, serves modules from ([0-9]+))?$') version"

/* Appends set_config() for all settings to `text`. `local` is SQL: whether they hold for the transaction only. */
static void append_settings(char *text, apr_size_t size, apr_time_t statement_timeout, const char *local)
{
    char *out = text + strlen(text), *const end = text + size;
    apr_size_t i;

    out += apr_snprintf(out, (apr_size_t)(end - out), "set_config('statement_timeout', '%" APR_TIME_T_FMT "', %s)",
                        apr_time_as_msec(statement_timeout), local);
    for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        out += apr_snprintf(out, (apr_size_t)(end - out), ", set_config('%s', %s, %s)", settings[i].name,
                            settings[i].value, local);
    }
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

/* PQexec() with a deadline, for a query with one row: child exit waits for this thread, so it must not wait for a
 * hanging server. NULL: it failed. */
static PGresult *query(PGconn *pg, const char *sql)
{
    apr_time_t deadline = lh_clock() + TIMEOUT;
    PGresult *result, *row = NULL;
    int sent = PQsendQuery(pg, sql);

    while (sent && wait_for_result(pg, deadline)) {
        result = PQgetResult(pg);
        if (!result) {
            return row;
        }
        PQclear(row);
        row = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 ? result : NULL;
        if (!row) {
            PQclear(result);
        }
    }
    PQclear(row);
    return NULL;
}

int lh_session_begin(lh_session *session, PGconn *pg, const lh_session_options *options)
{
    char sql[LH_SESSION_SETTINGS + sizeof(DESCRIPTION) + sizeof(VERSION)], local[64] = "false";
    PGresult *row;

    /* PQbackendPID() is the number that was sent when the connection was opened: a pooler sends one of its own. */
    if (options->prepared != LH_PREPARED_ON) {
        apr_snprintf(local, sizeof(local), options->prepared == LH_PREPARED_OFF ? "true" : "pg_backend_pid() <> %d",
                     PQbackendPID(pg));
    }
    apr_snprintf(sql, sizeof(sql), DESCRIPTION, PQbackendPID(pg));
    append_settings(sql, sizeof(sql), options->statement_timeout, local);
    apr_cpystrn(sql + strlen(sql), VERSION, sizeof(VERSION));
    row = PQsetnonblocking(pg, 0) == 0 ? query(pg, sql) : NULL;
    if (!row) {
        return 0;
    }
    session->pooled = *PQgetvalue(row, 0, 0) == 't';
    session->schema = atoi(PQgetvalue(row, 0, 1));
    session->serves_from = atoi(PQgetvalue(row, 0, 2));
    session->connections = atoi(PQgetvalue(row, 0, 3));
    PQclear(row);
    session->settings[0] = '\0';
    if (options->prepared == LH_PREPARED_OFF || (options->prepared == LH_PREPARED_AUTO && session->pooled)) {
        apr_cpystrn(session->settings, "SELECT ", sizeof(session->settings));
        append_settings(session->settings, sizeof(session->settings), options->statement_timeout, "true");
    }
    return PQsetnonblocking(pg, 1) == 0 && PQenterPipelineMode(pg);
}
