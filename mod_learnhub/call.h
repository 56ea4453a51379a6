/* SPDX-License-Identifier: Apache-2.0 */
/* One request on its way through the machine, and the server it came to. For the rooms that know httpd. */
#ifndef LH_CALL_H
#define LH_CALL_H

#include <httpd.h>

#include "config.h"
#include "json.h"
#include "password.h"
#include "problem.h"
#include "route.h"
#include "sql.h"

typedef struct lh_tokens lh_tokens;
typedef struct lh_rates lh_rates;

/* A server with LearnHub On, in one child process. */
typedef struct lh_server {
    server_rec *s;
    lh_config config; /* complete */
    lh_pool *db;
    lh_gate *login_gate, *signup_gate; /* of bcrypt; all servers of the process have them in common */
    lh_tokens *tokens;
    lh_rates *rates; /* NULL: no model is configured */
} lh_server;

/* Who calls. */
typedef struct lh_identity {
    apr_int64_t id; /* 0: nobody */
    unsigned role;
    int version;           /* of the user's tokens when this one was made */
    apr_int64_t expires;   /* seconds since 1970; 0: never */
    unsigned char key[16]; /* of the token: its jti, or the beginning of its digest */
    const char *digest;    /* the key's full form in hex, as the database knows it; NULL until lh_auth() */
} lh_identity;

/* A member the handler puts in front of the answer's own. */
typedef struct lh_member {
    const char *key;
    const char *json;
    struct lh_member *next;
} lh_member;

struct lh_call {
    request_rec *r;
    lh_server *server;
    const lh_api *api;
    const lh_operation *op; /* once routed */
    int error_status;       /* httpd refused the request with it before we saw it; 0: it did not */
    lh_identity me;
    lh_value *values;        /* by slot */
    unsigned filters;        /* which of the operation's filters were sent */
    int paged;               /* page or page_size was sent */
    lh_result *count, *last; /* of the row's count, and of the statement that ran last */
    int status;              /* of the answer, when a handler set it; 0: the row's */
    lh_member *front, *front_last;
    int unbound;                 /* the row's time bound does not count */
    lh_json *body;               /* of a streamed answer that is short enough to be sent at once */
    int sent;                    /* the answer has gone out in parts */
    apr_interval_time_t db_time; /* microseconds spent in the database layer */
};

#endif
