/* SPDX-License-Identifier: Apache-2.0 */
/* The start of httpd and its child processes: checks the configuration, compiles the routes, creates the servers. */
#ifndef LH_SERVER_H
#define LH_SERVER_H

#include <httpd.h>

#include "learnhub.h"

typedef struct lh_routes lh_routes;
typedef struct lh_server lh_server;

/* Registers the hooks that run at start. */
void lh_server_hooks(apr_pool_t *p);

/* The server of the request's virtual host; NULL when LearnHub is Off there. */
lh_server *lh_server_of(const request_rec *r);

/* The route group that serves the path of a URL on this server (LearnHubPrefix, LearnHubAPI, LearnHubPages), or NULL.
 * Sets *path to the path below LearnHubPrefix. Other paths below LearnHubPrefix have the group lh_server_no_group. */
const lh_route_group *lh_server_find_group(const lh_server *server, const char *uri, const char **path);

/* A group without routes: its paths are not found. */
extern const lh_route_group lh_server_no_group;

/* The routes of all groups, whether they are served or not. */
const lh_routes *lh_server_routes(void);

#endif
