/* SPDX-License-Identifier: Apache-2.0 */
#include "db/hosts.h"

#include <apr_strings.h>
#include <libpq-fe.h>
#include <poll.h>
#include <string.h>

#include "util/clock.h"

#define TIMEOUT apr_time_from_sec(2)

/* How long the first host may take before the others are tried, and the pause before a host is tried again that has
 * refused: a standby may be promoted meanwhile. */
#define PATIENCE apr_time_from_msec(500)
#define PAUSE apr_time_from_msec(200)

#define OPTIONS_MAX 64
#define DEFAULT_PORT "5432"

struct lh_hosts {
    int count;
    const char *names[LH_HOSTS_MAX];
    const char *keywords[OPTIONS_MAX + 1];             /* of libpq, NULL at the end */
    const char *values[LH_HOSTS_MAX][OPTIONS_MAX + 1]; /* by host */
};

/* ---- parameters ---- */

static int count_parts(const char *list)
{
    int parts = 1;

    for (; *list; list++) {
        parts += *list == ',';
    }
    return parts;
}

/* Part `index` of a list that is separated by commas. A list with one part has it for every index. */
static const char *part_of(apr_pool_t *p, const char *list, int index)
{
    if (!strchr(list, ',')) {
        return list;
    }
    for (; index > 0; index--) {
        list += strcspn(list, ",");
        list += *list == ',';
    }
    return apr_pstrmemdup(p, list, strcspn(list, ","));
}

static int is_list(const char *keyword)
{
    return !strcmp(keyword, "host") || !strcmp(keyword, "hostaddr") || !strcmp(keyword, "port");
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    for (; options->keyword; options++) {
        if (!strcmp(options->keyword, keyword)) {
            return options->val && *options->val ? options->val : NULL;
        }
    }
    return NULL;
}

/* Copies the options that are set. */
static void copy_options(apr_pool_t *p, lh_hosts *hosts, const PQconninfoOption *options)
{
    int i, n = 0;

    for (; options->keyword && n < OPTIONS_MAX; options++) {
        if (!options->val || !*options->val) {
            continue;
        }
        hosts->keywords[n] = apr_pstrdup(p, options->keyword);
        for (i = 0; i < hosts->count; i++) {
            const char *value = apr_pstrdup(p, options->val);
            hosts->values[i][n] = is_list(options->keyword) ? part_of(p, value, i) : value;
        }
        n++;
    }
}

/* The number of the host that `pg` is connected to, of those with these lists of names and ports; 0 if unknown. */
static int find_current(apr_pool_t *p, const lh_hosts *hosts, const PGconn *pg, const char *names, const char *ports)
{
    int i;

    for (i = 0; i < hosts->count; i++) {
        const char *port = part_of(p, ports, i);
        if (!strcmp(part_of(p, names, i), PQhost(pg)) && !strcmp(*port ? port : DEFAULT_PORT, PQport(pg))) {
            return i;
        }
    }
    return 0;
}

static int wants_writes(const char *attributes)
{
    return attributes && (!strcmp(attributes, "read-write") || !strcmp(attributes, "primary"));
}

/* The lists of hosts and ports in the options. Returns the number of hosts. */
static int read_lists(const PQconninfoOption *options, const char **names, const char **ports)
{
    *names = value_of(options, "host");
    *names = *names ? *names : value_of(options, "hostaddr");
    *ports = value_of(options, "port");
    *ports = *ports ? *ports : DEFAULT_PORT;
    return *names ? count_parts(*names) : 1;
}

static lh_hosts *make_hosts(apr_pool_t *p, const PQconninfoOption *options, int count, const char *names,
                            const char *ports)
{
    lh_hosts *hosts = apr_pcalloc(p, sizeof(*hosts));
    int i;

    hosts->count = count;
    copy_options(p, hosts, options);
    for (i = 0; i < count; i++) {
        hosts->names[i] = apr_pstrcat(p, part_of(p, names, i), ":", part_of(p, ports, i), NULL);
    }
    return hosts;
}

lh_hosts *lh_hosts_of(apr_pool_t *p, const PGconn *pg, int *current)
{
    PQconninfoOption *options = PQconninfo((PGconn *)pg);
    lh_hosts *hosts = NULL;
    const char *names, *ports;
    int count;

    if (!options) {
        return NULL;
    }
    count = read_lists(options, &names, &ports);
    if (count > 1 && count <= LH_HOSTS_MAX && wants_writes(value_of(options, "target_session_attrs"))) {
        hosts = make_hosts(p, options, count, names, ports);
        *current = find_current(p, hosts, pg, names, ports);
    }
    PQconninfoFree(options);
    return hosts;
}

/* A standby is required by default: then a server that has been promoted is not used. */
static void require_standby(lh_hosts *hosts, const PQconninfoOption *options)
{
    int i, n = 0;

    while (hosts->keywords[n]) {
        n++;
    }
    if (!value_of(options, "target_session_attrs") && n < OPTIONS_MAX) {
        hosts->keywords[n] = "target_session_attrs";
        for (i = 0; i < hosts->count; i++) {
            hosts->values[i][n] = "standby";
        }
    }
}

lh_hosts *lh_hosts_parse(apr_pool_t *p, const char *conninfo)
{
    PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
    const char *names, *ports;
    lh_hosts *hosts;
    int count;

    if (!options) {
        return NULL;
    }
    count = read_lists(options, &names, &ports);
    hosts = make_hosts(p, options, count, names, ports);
    require_standby(hosts, options);
    PQconninfoFree(options);
    return hosts;
}

const char *lh_hosts_name(const lh_hosts *hosts, int host)
{
    return hosts->names[host];
}

/* ---- connecting ---- */

/* A connection to one host that is being opened. */
typedef struct attempt {
    PGconn *pg;       /* NULL: not in progress */
    short events;     /* for poll() */
    apr_time_t start; /* of the next one, if none is in progress */
    int tried;
} attempt;

typedef struct search {
    const lh_hosts *hosts;
    attempt attempts[LH_HOSTS_MAX];
    char *why;
    apr_size_t why_size;
} search;

/* Ends an attempt. The cause of the last one remains. */
static void give_up(const search *s, attempt *a)
{
    const char *message = PQerrorMessage(a->pg);

    if (*message) {
        apr_snprintf(s->why, s->why_size, "%.*s", (int)strcspn(message, "\n"), message);
    }
    PQfinish(a->pg);
    a->pg = NULL;
    a->start = lh_clock() + PAUSE;
}

/* Starts the attempts that are due. Returns the number of those in progress. */
static int start_due(search *s)
{
    int i, running = 0;

    for (i = 0; i < s->hosts->count; i++) {
        attempt *a = &s->attempts[i];

        if (!a->pg && lh_clock() >= a->start) {
            a->pg = PQconnectStartParams(s->hosts->keywords, s->hosts->values[i], 0);
            a->events = POLLOUT;
            a->tried = 1;
            if (a->pg && PQstatus(a->pg) == CONNECTION_BAD) {
                give_up(s, a);
            }
        }
        running += a->pg != NULL;
    }
    return running;
}

/* Starts the hosts that were not tried yet at the next call of start_due(). Returns 0 if there are none. */
static int hurry(search *s)
{
    int i, any = 0;

    for (i = 0; i < s->hosts->count; i++) {
        if (!s->attempts[i].tried) {
            s->attempts[i].start = 0;
            any = 1;
        }
    }
    return any;
}

/* Waits until an attempt can go on, another one is due, or the deadline has passed. */
static void wait_for_any(search *s, struct pollfd *fds, apr_time_t deadline)
{
    apr_time_t until = deadline;
    int i;

    for (i = 0; i < s->hosts->count; i++) {
        const attempt *a = &s->attempts[i];

        fds[i] = (struct pollfd){.fd = a->pg ? PQsocket(a->pg) : -1, .events = a->events};
        if (!a->pg && a->start < until) {
            until = a->start;
        }
    }
    until -= lh_clock();
    poll(fds, (nfds_t)s->hosts->count, until > 0 ? (int)((until + 999) / 1000) : 0);
}

/* Continues the attempts after poll(). Returns the number of a connected host, or -1. */
static int advance(search *s, const struct pollfd *fds)
{
    int i;

    for (i = 0; i < s->hosts->count; i++) {
        attempt *a = &s->attempts[i];
        PostgresPollingStatusType state;

        if (!a->pg || !fds[i].revents) {
            continue;
        }
        state = PQconnectPoll(a->pg);
        a->events = state == PGRES_POLLING_READING ? POLLIN : POLLOUT;
        if (state == PGRES_POLLING_OK) {
            return i;
        }
        if (state == PGRES_POLLING_FAILED) {
            give_up(s, a);
        }
    }
    return -1;
}

PGconn *lh_hosts_connect(const lh_hosts *hosts, int first, int *host, char *why, apr_size_t why_size)
{
    apr_time_t now = lh_clock(), deadline = now + TIMEOUT;
    struct pollfd fds[LH_HOSTS_MAX];
    search s = {.hosts = hosts, .why = why, .why_size = why_size};
    int i, connected = -1;

    apr_cpystrn(why, "no host answered within two seconds", why_size);
    for (i = 0; i < hosts->count; i++) {
        s.attempts[i].start = i == first ? now : now + PATIENCE;
    }
    while (connected < 0 && lh_clock() < deadline && (start_due(&s) || hurry(&s))) {
        wait_for_any(&s, fds, deadline);
        connected = advance(&s, fds);
    }
    for (i = 0; i < hosts->count; i++) {
        if (i != connected) {
            PQfinish(s.attempts[i].pg);
        }
    }
    *host = connected;
    return connected < 0 ? NULL : s.attempts[connected].pg;
}

int lh_hosts_probe(const lh_hosts *hosts, int first)
{
    char ignored[256];
    int host;

    PQfinish(lh_hosts_connect(hosts, first, &host, ignored, sizeof(ignored)));
    return host;
}
