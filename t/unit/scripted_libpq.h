/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A libpq that plays a script instead of talking to a server, and a clock. A letter is what PQgetResult() returns:
 *
 *   C command, T rows, R one row of a stream, N NULL, S sync; E an error, F a FATAL one, O libpq's own, A aborted,
 *   Z neither success nor error
 *
 * or what happens before the next result: b no data yet, w no data yet and unsent data, i an interrupted wait, x a
 * failed wait, o only room to send; t nothing until the deadline; L the connection breaks, D it has no socket.
 */
#ifndef LH_SCRIPTED_LIBPQ_H
#define LH_SCRIPTED_LIBPQ_H

#include <apr_time.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/result.h"

struct pg_conn {
    const char *script;
    int broken, unsent, no_socket;
    int sends; /* that succeed before one fails; negative: all */
};

struct pg_result {
    char letter;
};

static struct pg_conn pg;
static apr_time_t now;
static char sent[1000]; /* what was sent, and ? for single-row mode */
static char waits[100]; /* the events and limits of poll() */
static int results_in_use;
static apr_pool_t *last_owner; /* of a result */

apr_time_t lh_clock(void)
{
    return now;
}

/* ---- libpq ---- */

static int note(const char *what, const char *value)
{
    if (pg.sends == 0) {
        return 0;
    }
    pg.sends--;
    strcat(strcat(strcat(sent, *sent ? " " : ""), what), value);
    return 1;
}

int PQsendQueryParams(PGconn *c, const char *sql, int n, const Oid *types, const char *const *v, const int *lengths,
                      const int *formats, int format)
{
    (void)c, (void)types, (void)v, (void)lengths, (void)formats;
    return note(n == 0 && format == 1 ? "" : "wrong:", sql);
}

int PQsendPrepare(PGconn *c, const char *name, const char *sql, int n, const Oid *types)
{
    (void)c, (void)sql, (void)types;
    return note(n == 0 ? "prepare:" : "wrong:", name);
}

int PQsendQueryPrepared(PGconn *c, const char *name, int n, const char *const *v, const int *lengths,
                        const int *formats, int format)
{
    int i;

    (void)c, (void)lengths, (void)formats;
    if (!note(format == 1 ? "" : "wrong:", name)) {
        return 0;
    }
    for (i = 0; i < n; i++) {
        strcat(strcat(sent, i ? "," : "="), v[i]);
    }
    return 1;
}

int PQpipelineSync(PGconn *c)
{
    (void)c;
    return note("sync", "");
}

int PQsendFlushRequest(PGconn *c)
{
    (void)c;
    return note("flush", "");
}

int PQsetSingleRowMode(PGconn *c)
{
    (void)c;
    return note("?", "");
}

ConnStatusType PQstatus(const PGconn *c)
{
    return c->broken ? CONNECTION_BAD : CONNECTION_OK;
}

/* Reads the events of the script up to the next result. */
int PQisBusy(PGconn *c)
{
    c->no_socket = *c->script == 'D';
    c->unsent = *c->script == 'w' || *c->script == 'o';
    c->broken |= *c->script == 'L';
    return *c->script && strchr("bwixotLD", *c->script) != NULL;
}

int PQflush(PGconn *c)
{
    return c->unsent;
}

int PQsocket(const PGconn *c)
{
    return c->no_socket ? -1 : 5;
}

int PQconsumeInput(PGconn *c)
{
    c->script++;
    return 1;
}

static int scripted_poll(struct pollfd *fd, nfds_t count, int timeout)
{
    char event = *pg.script;

    sprintf(waits + strlen(waits), "%s%s%d", *waits ? " " : "", fd->events == POLLIN ? "in" : "in+out", timeout);
    fd->revents = event == 'o' ? POLLOUT : POLLIN;
    if (count != 1 || event == 't') {
        now += timeout * 1000;
        return 0;
    }
    if (event == 'b' || event == 'w') {
        return 1;
    }
    pg.script++;
    errno = event == 'i' ? EINTR : EBADF;
    return event == 'o' ? 1 : -1;
}

PGresult *PQgetResult(PGconn *c)
{
    PGresult *result;

    if (c->broken || !*c->script || *c->script++ == 'N') {
        return NULL;
    }
    result = malloc(sizeof(*result));
    result->letter = c->script[-1];
    results_in_use++;
    return result;
}

ExecStatusType PQresultStatus(const PGresult *result)
{
    switch (result ? result->letter : 'E') {
    case 'C': return PGRES_COMMAND_OK;
    case 'T': return PGRES_TUPLES_OK;
    case 'R': return PGRES_SINGLE_TUPLE;
    case 'S': return PGRES_PIPELINE_SYNC;
    case 'A': return PGRES_PIPELINE_ABORTED;
    case 'Z': return PGRES_EMPTY_QUERY;
    default: return PGRES_FATAL_ERROR;
    }
}

char *PQresultErrorField(const PGresult *result, int field)
{
    static char sqlstate[] = "23505", fatal[] = "57P01", message[] = "duplicate", constraint[] = "users_email";

    if (result->letter != 'E' && result->letter != 'F') {
        return NULL;
    }
    if (field == PG_DIAG_SQLSTATE) {
        return result->letter == 'E' ? sqlstate : fatal;
    }
    if (field == PG_DIAG_MESSAGE_PRIMARY) {
        return result->letter == 'E' ? message : NULL;
    }
    return result->letter == 'E' ? constraint : NULL;
}

char *PQerrorMessage(const PGconn *c)
{
    static char text[] = "broken pipe\nsecond line";

    (void)c;
    return text;
}

void PQclear(PGresult *result)
{
    results_in_use -= result != NULL;
    free(result);
}

/* ---- db/result.h ---- */

lh_result *lh_result_own(apr_pool_t *p, struct pg_result *result)
{
    lh_result *own = apr_palloc(p, sizeof(*own));

    own->pg = result;
    last_owner = p;
    return own;
}

void lh_result_clear(lh_result *result)
{
    PQclear(result->pg);
    result->pg = NULL;
}

#endif
