/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connection string with several hosts, of which the one that accepts writes is used (target_session_attrs=read-write
 * or primary), or for reads one that is a standby. libpq tries the hosts one after the other, so a host that hangs
 * costs connect_timeout for each connection. Here the other hosts are tried at the same time when the first one does
 * not answer soon.
 */
#ifndef LH_HOSTS_H
#define LH_HOSTS_H

#include <apr_pools.h>
#include <apr_time.h>

#include "core/conninfo.h"

struct pg_conn;

#define LH_HOSTS_MAX LH_CONNINFO_HOSTS

/* The hosts of a connection string and its other parameters. Does not change, so that threads can share it. */
typedef struct lh_hosts lh_hosts;

/* The hosts with which `pg` was opened; sets *current to the one that it is connected to. NULL if there is only one, if
 * there are more than LH_HOSTS_MAX, or if hosts may be chosen that do not accept writes. */
lh_hosts *lh_hosts_of(apr_pool_t *p, const struct pg_conn *pg, int *current);

/* The hosts of a valid connection string for reads, at most LH_HOSTS_MAX. Without target_session_attrs, they must be
 * standbys. Returns NULL if there is not enough memory. */
lh_hosts *lh_hosts_parse(apr_pool_t *p, const char *conninfo);

/* A name for logs: "host:port". */
const char *lh_hosts_name(const lh_hosts *hosts, int host);

/*
 * Connects to host number `first`, and to the others if it does not answer within half a second or refuses. Returns
 * the first connection to a server of the required kind, and sets *host to its number. Returns NULL after two
 * seconds, or when all hosts have refused, with the cause as one line in `why`. Blocks, so only background threads may
 * call it.
 */
struct pg_conn *lh_hosts_connect(const lh_hosts *hosts, int first, int *host, char *why, apr_size_t why_size);

/* Does the same, closes the connection and returns the number of its host, or -1. */
int lh_hosts_probe(const lh_hosts *hosts, int first);

#endif
