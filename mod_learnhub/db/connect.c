/* SPDX-License-Identifier: Apache-2.0 */
#include "db/connect.h"

#include <httpd.h>

#include <apr_dbd.h>
#include <apr_strings.h>
#include <fcntl.h>
#include <libpq-fe.h>
#include <mod_dbd.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "db/cancel.h"
#include "db/hosts.h"

#define DBD_MAX_KEY "learnhub:DBDMax"

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

/* libpq has no message if the server did not answer in time. */
static void copy_first_line(char why[LH_CONNECT_WHY], const char *text)
{
    apr_snprintf(why, LH_CONNECT_WHY, "%.*s", (int)strcspn(text, "\n"), *text ? text : "no response");
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
    entry->hosts = lh_hosts_of(entry->pool, entry->connection.pg, &entry->host);
    PQsetNoticeProcessor(entry->connection.pg, discard_notice, NULL);
    return 1;
}

/* Shuts the socket down: the server notices, and a later reset does not block on unsent data. */
static void shut_down(const lh_pool_entry *entry)
{
    int fd = entry->connection.pg ? PQsocket(entry->connection.pg) : -1;

    if (fd >= 0) {
        shutdown(fd, SHUT_RDWR);
    }
}

static void end_connection(lh_pool_entry *entry)
{
    if (entry->cancel) {
        lh_cancel_send(entry->cancel);
        entry->cancel = NULL;
    }
    shut_down(entry);
}

/* Opens a connection to one of the hosts. Of the connection that mod_dbd has opened only the socket is closed: mod_dbd
 * owns it. */
static int open_own(lh_pool_entry *entry, const lh_connect_options *options, char why[LH_CONNECT_WHY])
{
    if (entry->own) {
        PQfinish(entry->connection.pg);
    }
    else if (entry->connection.pg) {
        PQconsumeInput(entry->connection.pg);
    }
    entry->own = 1;
    entry->connection.pg = lh_hosts_connect(options->hosts, options->host, &entry->host, why, LH_CONNECT_WHY);
    if (entry->connection.pg) {
        PQsetNoticeProcessor(entry->connection.pg, discard_notice, NULL);
    }
    return entry->connection.pg != NULL;
}

static int open_connection(lh_pool_entry *entry, const lh_connect_options *options, char why[LH_CONNECT_WHY])
{
    if (options->hosts) {
        return open_own(entry, options, why);
    }
    if (!entry->dbd) {
        return open_entry(entry, options->server, why);
    }
    PQreset(entry->connection.pg);
    return 1; /* the caller checks the status */
}

/* "5", or what is known if there is no number. */
static const char *version_text(int schema, char text[16])
{
    apr_snprintf(text, 16, schema ? "%d" : "unknown", schema);
    return text;
}

lh_connect_outcome lh_connect(lh_pool_entry *entry, const lh_connect_options *options, char why[LH_CONNECT_WHY])
{
    lh_session *session = &entry->session;
    char version[16];

    end_connection(entry);
    if (!open_connection(entry, options, why)) {
        return LH_CONNECT_FAILED;
    }
    memset(entry->prepared, 0, sizeof(entry->prepared));
    entry->connection.prepared = entry->prepared;
    entry->connection.stale = 0;
    if (PQstatus(entry->connection.pg) != CONNECTION_OK ||
        !lh_session_begin(session, entry->connection.pg, &options->session)) {
        copy_first_line(why, PQerrorMessage(entry->connection.pg));
        shut_down(entry);
        return LH_CONNECT_FAILED;
    }
    entry->connection.settings = *session->settings ? session->settings : NULL;
    if (session->schema < LH_SESSION_SCHEMA) {
        apr_snprintf(why, LH_CONNECT_WHY, "the version of its schema is %s, this module needs %d",
                     version_text(session->schema, version), LH_SESSION_SCHEMA);
        shut_down(entry);
        return LH_CONNECT_OUTDATED;
    }
    if (session->serves_from > LH_SESSION_SCHEMA) {
        apr_snprintf(why, LH_CONNECT_WHY,
                     "the version of its schema is %d, which serves modules for %d or newer, this module is for %d",
                     session->schema, session->serves_from, LH_SESSION_SCHEMA);
        shut_down(entry);
        return LH_CONNECT_NEWER;
    }
    return LH_CONNECT_OK;
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

void lh_connect_abandon(lh_pool_entry *entry)
{
    PGconn *pg = entry->connection.pg;

    if (PQstatus(pg) == CONNECTION_OK && PQtransactionStatus(pg) == PQTRANS_ACTIVE) {
        entry->cancel = PQgetCancel(pg);
    }
    if (!entry->cancel) {
        shut_down(entry);
    }
}

int lh_connect_duplicate(const lh_pool_entry *entry)
{
    return fcntl(PQsocket(entry->connection.pg), F_DUPFD_CLOEXEC, 0);
}

void lh_connect_close(lh_pool_entry *entry, server_rec *s)
{
    APR_OPTIONAL_FN_TYPE(ap_dbd_close) *dbd_close = APR_RETRIEVE_OPTIONAL_FN(ap_dbd_close);

    if (entry->cancel) {
        PQfreeCancel(entry->cancel);
        entry->cancel = NULL;
        shut_down(entry);
    }
    if (entry->own) {
        PQfinish(entry->connection.pg);
    }
    if (entry->dbd) {
        dbd_close(s, entry->dbd);
        apr_pool_destroy(entry->pool);
    }
    entry->dbd = NULL;
    entry->connection.pg = NULL;
}
