/* SPDX-License-Identifier: Apache-2.0 */
/* Start of httpd and of child processes: checks of the configuration, the route table, the state of each server. */
#ifndef LH_SERVER_H
#define LH_SERVER_H

#include <httpd.h>

#include "learnhub.h"

typedef struct lh_routes lh_routes;
typedef struct lh_server lh_server;

void lh_server_hooks(apr_pool_t *p);

/* The server of a request's virtual host; NULL when LearnHub is Off there. */
lh_server *lh_server_of(const request_rec *r);

/* The route group that serves a path on this server, or NULL. */
const lh_route_group *lh_server_find_group(const lh_server *server, const char *path);

const lh_routes *lh_server_routes(void);

#endif
