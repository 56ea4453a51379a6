/* SPDX-License-Identifier: Apache-2.0 */
/* A virtual host with LearnHub On, in one child process: its configuration and what its requests share. */
#ifndef LH_SERVER_STATE_H
#define LH_SERVER_STATE_H

#include "core/config.h"

/* Limits on concurrent bcrypt, shared by all servers of the process. */
typedef struct lh_gates {
    struct lh_gate *login, *signup;
    struct lh_gate *change; /* new passwords of existing accounts */
} lh_gates;

typedef struct lh_server {
    server_rec *s;
    lh_config config; /* with all defaults */
    struct lh_pool *db;
    struct lh_batches *batches; /* of `db` */
    struct lh_standby *standby; /* NULL: all reads are on the primary */
    struct lh_spools *spools;   /* for long responses */
    lh_gates gates;
    struct lh_tokens *tokens;
    struct lh_jwt_memory *verified; /* access tokens */
    struct lh_mac *etags;           /* the key of entity tags */
    struct lh_lru *cache;           /* of responses; NULL: LearnHubCache is 0 */
    struct lh_topics *topics;       /* the changes that end cached responses; NULL without a cache */
    /* Clients of the model, for rates and for reviews of drawings; NULL: no model is configured. */
    struct lh_model *model, *reviewer;
    struct lh_kept *openapi;
    struct lh_pages *pages; /* for people */
    struct lh_job_state *jobs;
} lh_server;

#endif
