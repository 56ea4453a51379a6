/* SPDX-License-Identifier: Apache-2.0 */
/* What lives as long as httpd: checks before the start, the route table, and what each child process makes. */
#ifndef LH_SERVER_H
#define LH_SERVER_H

#include "call.h"

extern const lh_api *const lh_apis[]; /* ends with NULL */

void lh_server_hooks(apr_pool_t *p);

/* The server of a request's virtual host; NULL when LearnHub is Off there. */
lh_server *lh_server_of(const request_rec *r);

/* The API or page that serves a path here, or NULL: then it is not ours. */
const lh_api *lh_server_owner(const lh_server *server, const char *path);

const lh_routes *lh_server_routes(void);

#endif
