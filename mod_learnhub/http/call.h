/* SPDX-License-Identifier: Apache-2.0 */
/* One request in progress, and the accessors of its values. */
#ifndef LH_CALL_H
#define LH_CALL_H

#include <httpd.h>

#include "db/sql_run.h"
#include "learnhub.h"

typedef struct lh_compiled_route lh_compiled_route;
typedef struct lh_json lh_json;
typedef struct lh_server lh_server;

/* The user that a token authenticates. */
typedef struct lh_identity {
    apr_int64_t id; /* users.id; 0: not authenticated */
    unsigned role;
    int version;             /* users.token_version when the token was issued */
    apr_int64_t expires;     /* seconds since 1970; 0: never */
    unsigned char key[16];   /* of the token: its jti, or the first bytes of its digest */
    unsigned char login[16]; /* logins.id; zero bytes: the token is of an older version and has no login */
    const char *digest; /* in hex: the jti, or the complete digest as stored in the database; NULL before lh_auth() */
} lh_identity;

/* A member that a step adds to the response: see lh_reply_json(). */
typedef struct lh_member {
    const char *key;
    const char *json;
    apr_size_t length;
    struct lh_member *next;
} lh_member;

/* A share that a call has taken (share.h); `network` NULL: none. */
typedef struct lh_call_share {
    struct lh_tally_entry *account, *network, *all;
} lh_call_share;

struct lh_call {
    request_rec *r;
    lh_server *server;
    const char *path;       /* below LearnHubPrefix */
    const char *request_id; /* for logs (request_id.h); NULL: none */
    const lh_route_group *group;
    const lh_compiled_route *route; /* NULL until the request is routed */
    char **custom_responses;        /* of the request before it was claimed */
    int preflight;                  /* the request is a CORS preflight */
    int dropped;                    /* another module has translated the URL and serves the request */
    int error_status;               /* of an internal error redirect: the status to return; otherwise 0 */
    apr_pool_t *body_pool;          /* of a long body, or NULL */
    lh_identity me;
    const char **values;     /* by slot, as text for PostgreSQL; NULL is SQL NULL */
    unsigned filters;        /* bits: which of the route's filters were sent */
    int page_sent;           /* page or page_size was sent */
    lh_result *count, *last; /* the results of the route's count, and of the statement that ran last */
    int status;              /* of the response, when a step set it; 0: the route's */
    int complete;            /* a step completed the response */
    lh_member *members, *last_member;
    apr_size_t members_size;     /* bytes of the members' values */
    const lh_document *document; /* the response, or NULL: that of the route's shape */
    struct lh_output *output;    /* the body of a response that may be long (output.h), or NULL */
    apr_interval_time_t db_time; /* microseconds spent in the database layer */
    apr_time_t answered_at;      /* when the handler ended; 0: it has not run */
    lh_sql_time spent;           /* of the time for the database (deadline.h) */
    lh_call_share shares[LH_SHARE_KINDS];
    int rate_shown;             /* the response has the headers of a limit */
    apr_int64_t rate_remaining; /* of that limit */

    struct lh_idempotency *idempotency; /* of the request's Idempotency-Key (idempotency.h), or NULL */
    const struct lh_response *kept;     /* the response that is stored for this key, or NULL */
    int replays;                        /* `kept` is the response to an earlier request */

    /* How to store the response in the cache; NULL: it is not stored. */
    struct lh_cache_miss *cache_miss;
};

/* Sets one of the parameters that every route has; `builtin` is LH_BUILTIN_ME etc. (route.h). */
void lh_call_set_builtin(lh_call *call, int builtin, const char *value);

/* 1 when the route is LH_UNPAGED and neither page nor page_size was sent: all rows are returned. */
int lh_call_unpaged(const lh_call *call);

/* A cell as text in the request's pool (see lh_rows_text()); NULL for SQL NULL. */
const char *lh_call_cell(const lh_call *call, const lh_result *result, int row, int column);

#endif
