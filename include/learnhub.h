/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of route files: everything that mod_learnhub/api/ may use.
 *
 * An endpoint is one lh_route, an entry of a table. The module interprets it: it matches the path, authenticates the
 * caller, validates query and body against the route's fields, binds named parameters, runs the route's statements in
 * one transaction and one round trip, and writes the rows of the last one as JSON in the group's envelope. Most routes
 * need no C function; the others add steps, C functions that run before or after the statements.
 *
 * - The SQL defines the response: a column's name is its key, a dotted name nests, the type selects the format.
 *   Columns whose name begins with `_` are not written: steps read them, and `_status` sets the status of the response.
 *   `_expires`, a bigint, is the number of microseconds from now() after which a row of a cached response changes by
 *   itself; NULL: never. `_audit`, of a route that is not GET, is text for the error log, such as
 *   'role_changed user 17' (LH0090); NULL: none.
 * - A statement reports errors as codes in the first row of a column named `!`: NULL, or codes separated by spaces.
 *   With that column, no row is the code `missing`. A violated constraint reports its name as the code. The route's
 *   errors map a code to a status and a sentence. The first statement that reports an error decides the response.
 * - All statements of a route run and are committed, even if an earlier one reports an error in its `!` column.
 *   Therefore each later statement that writes must repeat the condition. A shape that needs a row (see lh_shape) does
 *   not roll back either when it gets none. Only errors of PostgreSQL, such as a violated constraint, roll back all
 *   statements of the route.
 * - Statements name their parameters: `:name` of path, query, body or steps. Always defined are `:me` (the caller's
 *   users.id), `:base` (the base URL of this server without a trailing slash), `:meeting_url`, `:eco_verify` and
 *   `:signup_roles` (the values of LearnHubMeetingURL, LearnHubEcoVerify and LearnHubSignupRoles), `:address` (the
 *   client's IP address), and `:limit` and `:offset` (of the page; NULL without pages).
 * - A function that can fail returns an lh_error: NULL is success; otherwise it is the complete error response.
 *
 * httpd checks all routes when it starts, and for `apachectl configtest`: an invalid route is reported by its name.
 */
#ifndef LEARNHUB_H
#define LEARNHUB_H

#include <apr_pools.h>
#include <apr_time.h>

#include "learnhub_time.h"

#define LH_VERSION "0.1.0"

typedef struct lh_call lh_call;   /* one request in progress */
typedef struct lh_error lh_error; /* an error response: status and sentences */

/* ---- fields: input of a request, and keys of a response ---- */

typedef enum {
    LH_STRING,    /* a string of min..max characters (max 0: limited by the body's size only). Without LH_TRIM and
                   * LH_SECRET it is a text: control characters other than tabs and line breaks are rejected */
    LH_EMAIL,     /* a string of the form local@domain, at most 254 characters, none of them invisible or white space */
    LH_INTEGER,   /* min..max */
    LH_BOOLEAN,   /* true or false */
    LH_TIME,      /* ISO 8601 date-time, bound in UTC */
    LH_DATE,      /* YYYY-MM-DD, or an ISO 8601 date-time; bound as its UTC date */
    LH_DURATION,  /* HH:MM:SS, more than 00:00:00 and at most 24:00:00; bound in seconds */
    LH_OBJECT_ID, /* 24 hex digits */
    LH_STRINGS,   /* an array of min..max texts (max 0: no upper limit), bound as its JSON text */
    LH_OBJECT, /* input: any object, bound as the JSON text that was sent; response: an object with the keys `items` */
    LH_GROUP,  /* an object whose members are separate fields, "name.part"; bound as true when it was sent */
    LH_PHONE,  /* E.164: + and 8 to 15 digits, the first of them not 0; bound without the spaces, dots, dashes and
                * parentheses that were sent */
    LH_PHOTO,  /* a file in a multipart body: JPEG, PNG, WebP, GIF; bound as hex without metadata, its media type as
                * <name>_type */
    LH_UUID,   /* 8-4-4-4-12 hex digits */
    LH_NUMBER, /* min..max, even if both are 0, with at most two decimals */
    LH_COLOR,  /* #rrggbb */
    LH_LIST    /* in responses only: an array of objects with the keys `items` */
} lh_type;

enum {
    LH_REQUIRED = 1,    /* must be present and not null */
    LH_TRIM = 2,        /* for one line, such as a name or title: white space at both ends is removed before
                         * validation; line breaks and other control characters are rejected */
    LH_NULL = 4,        /* input: null is accepted and means the same as an absent field; `returns`: may be null */
    LH_COERCE = 8,      /* accepts integers and booleans as strings ("4", "True", "1"), 0 and 1 for an LH_BOOLEAN, an
                         * integer for an LH_STRING, one digit for the hours of an LH_DURATION, and a single string for
                         * LH_STRINGS, bound as a JSON string; `returns`: LH_STRINGS may be a single string */
    LH_FUTURE = 16,     /* the time must be in the future */
    LH_CLAMP = 32,      /* an integer above max becomes max */
    LH_SECRET = 64,     /* no statement can name it; only steps can read it, with lh_param() */
    LH_DEFERRED = 128,  /* of an LH_OBJECT: its contents are not validated until a step calls lh_canonical_md5() */
    LH_CLEARABLE = 256, /* null and an empty string (not for LH_PHOTO in JSON) are bound as an empty string, with which
                         * the statement removes the stored value */
    LH_PAST = 512,      /* the time must not be in the future; an LH_DATE may be tomorrow's (UTC), which is today's in
                         * other time zones */
    LH_EMPTY = 1024,    /* an empty string means the same as an absent field */
    LH_NAME = 2048      /* LH_TRIM for names of people: all invisible characters are rejected */
};

/*
 * Arrays of fields end with {0}. In a query or a form an empty value counts as absent; in a multipart body it is an
 * empty string, and only an empty file field counts as absent. A dotted name refers to a nested member of a JSON body:
 * "feedback.strengths" is bound as :feedback_strengths.
 */
typedef struct lh_field {
    const char *name;
    const char *alias; /* of a string (also UUIDs, dates ...) or number in a JSON body: another name for it; clients may
                        * send both names if the values are equal, ignoring letter case */
    lh_type type;
    unsigned flags;
    apr_int64_t min, max; /* characters of a string, entries of an array, or the value itself; both 0: no limit, except
                           * for LH_NUMBER */
    const char *enum_values;   /* of LH_STRING: the allowed values, separated by spaces; of other types: words accepted
                                * besides the type's own values; bound unchanged. In responses also of LH_INTEGER: its
                                * values */
    const char *default_value; /* used when the field is absent, as text */
    const char *where;         /* of a query field: " AND where" replaces :filters in the route's count, in its last
                                * statement and in deep_sql when the field is present */
    const struct lh_field *items; /* of LH_OBJECT and LH_LIST in responses: the keys of the objects */
    const char *object; /* of responses: names the objects of this table in /openapi.json, such as "Problem"; of several
                          * in a table, the last one does */
    const char *example; /* a valid value for /openapi.json, as text or JSON, or "null"; "": the field is left out of
                          * examples of requests; NULL: a value by name and type */
    const char *note;    /* one sentence for readers of the table and of /openapi.json */
} lh_field;

/* ---- errors ---- */

/*
 * Arrays of errors end with {0}. `code` is a code of a statement's `!` column or the name of a constraint. The codes
 * `missing` (404), `page` (404), `role` (403), `slow` (422) and `account_deleted` (401) have defaults, which a route
 * can replace.
 */
typedef struct lh_route_error {
    const char *code;
    int status;        /* ignored when `field` is set: then the group's status of a validation error is used */
    const char *field; /* the invalid field, or NULL */
    const char *text;  /* one sentence for the client */
} lh_route_error;

/* ---- examples ---- */

/*
 * A value in the examples of a route's responses. Arrays end with {0}. Without one, a key has the value that the
 * example of the request sends in a field of the same name and type, or else that of `returns`.
 */
typedef struct lh_route_example {
    const char *name;  /* a key of `returns`, or a media type in `media`; of LH_EVENTS, text/event-stream */
    const char *value; /* as lh_field.example */
    int status;        /* of the response; 0: of any */
} lh_route_example;

/* ---- steps ---- */

/*
 * A C function that runs before or after the statements of a route, with its requirements. A route that does not meet
 * them is rejected when httpd starts.
 */
typedef struct lh_step {
    const char *name; /* for messages at start */
    lh_error *(*run)(lh_call *call);
    const char *fields; /* body fields that it reads, separated by spaces: the route must have them; a|b: one of both */
    const char *binds;  /* parameters that it sets with lh_bind(), separated by spaces */
    int extra_sql; /* the number of extra statements that it runs, from extra_sql[0] on: the route must have them */
    /* Columns that it reads, separated by spaces: of extra_sql[0] for a step before the statements, of the last
     * statement for a step after them. That statement must contain `AS name` for each. */
    const char *columns;
    const char *adds; /* keys of strings that it adds to an LH_SKIP_LIMIT, separated by spaces */
} lh_step;

/* ---- routes ---- */

/* Roles that may call a route: LH_ANYONE (no authentication), or a combination of the others. */
enum {
    LH_ANYONE = 0,
    LH_STUDENT = 1,
    LH_INSTRUCTOR = 2,
    LH_ADMIN = 4,
    LH_SERVICE = 8,
    LH_MEMBER = LH_STUDENT | LH_INSTRUCTOR | LH_ADMIN | LH_SERVICE
};

/* The shape of a successful response. "The first row" and "all rows" are those of the route's last statement. */
typedef enum {
    LH_ONE,         /* the first row as an object; no row is the error `missing` */
    LH_ONE_OR_NULL, /* the first row as an object, or null */
    LH_ALL,         /* all rows as an array; {key: [...]} when the route has a key */
    LH_PAGE,        /* {count, next, previous, results}; adds the query fields page and page_size */
    LH_SKIP_LIMIT,  /* {total, skip, limit, <key>}; adds the query fields skip and limit */
    LH_NOTHING,     /* no body; no row is the error `missing` */
    LH_EVENTS,      /* column `_content` of the first row as one event of text/event-stream; no row is the error
                     * `missing` */
    LH_BYTES,       /* column `_content` of the first row with media type `_type` and ETag `_tag`, immutable; no row is
                     * the error `missing` */
    LH_DOCUMENT     /* of GET without statements: the document that a step sets with lh_reply_document() */
} lh_shape;

/* The format of error responses. */
typedef enum {
    LH_ERRORS_DETAIL,   /* {"detail": ...}; 400 {"field": ["..."]} */
    LH_ERRORS_LOCATED,  /* {"detail": ...}; 422 {"detail": [{"loc": ["body", "field"], "msg", "type"}]} */
    LH_ERRORS_FLAT,     /* {"error": ...}; 400 {"error": ..., "fields": {"field": ["..."]}} */
    LH_ERRORS_ENVELOPE, /* {"success": false, "data": {"detail": ...}}; 400 data {"field": ["..."]} */
    LH_ERRORS_LIST      /* {"detail": ...}; 400 ["field: ...", "..."], for clients that display the body itself */
} lh_error_format;

/* The media types that a route accepts for its body; 0 means JSON. */
enum { LH_JSON = 1, LH_FORM = 2, LH_MULTIPART = 4 };

enum {
    LH_RETRYABLE = 1,     /* its statements may be run twice: they are retried after a lost connection (as every GET) */
    LH_REVOKES = 2,       /* revokes tokens or changes roles: after success it takes effect at once on this node */
    LH_UNWRAP_ARRAY = 4,  /* a body that is an array of one object is accepted as that object */
    LH_STREAMED = 8,      /* of LH_ALL: the response is written while the rows arrive; their number is not limited */
    LH_UNPAGED = 16,      /* of LH_PAGE and LH_ALL: adds the query fields page and page_size; when neither is sent, all
                          * rows are returned as LH_STREAMED does, for LH_PAGE as {results} */
    LH_SLICED = 32,       /* of LH_ALL: adds the query fields skip and limit */
    LH_DIAGRAM = 64,      /* its body contains a diagram: limited by LearnHubMaxDiagram instead of LearnHubMaxBody */
    LH_SHORT = 128,       /* of GET: its statements find their rows by an index and take PostgreSQL less than a
                          * millisecond; concurrent requests without filters share a round trip, except for deep_sql */
    LH_KEEPS_CACHE = 256, /* changes nothing that routes with `depends` or LH_STANDBY show: its statements store no
                           * topic */
    LH_STANDBY = 1024,  /* of GET: a standby may answer it (LearnHubReadFrom), because it shows public data or those of
                           * other users; with LH_SHORT only if it shares no round trip. Without authentication it needs
                           * `depends` */
    LH_IDEMPOTENT = 512 /* of POST: with the header Idempotency-Key, its response is stored in the transaction of `sql`,
                           * and a repeated request gets it instead of a second change (LearnHubIdempotencyTTL). The
                           * steps after `sql` then run before the commit, again if the transaction is retried, and may
                           * only add to the response. `sql` must be what creates: a repeated request that is not
                           * answered with the stored response runs the steps before `sql` again */
};

/* The classes of LearnHubRate. A route that is not of the class of its method names one of the others. */
typedef enum {
    LH_RATE_BY_METHOD, /* LH_RATE_READ for GET, otherwise LH_RATE_WRITE */
    LH_RATE_SIGNUP,    /* creates an account */
    LH_RATE_LOGIN,     /* takes a name and a password */
    LH_RATE_MAIL,      /* can send a mail */
    LH_RATE_SEARCH,    /* searches texts */
    LH_RATE_WRITE,
    LH_RATE_READ
} lh_rate;

/* Expensive things that a route's requests do: http/share.c limits how many of them one account and one network may
 * have in progress at once. */
typedef enum {
    LH_SHARE_NONE,
    LH_SHARE_MODEL,      /* asks the language model; no limit if none is configured */
    LH_SHARE_SEARCH,     /* reads many texts */
    LH_SHARE_EXPRESSION, /* a search whose time nobody can foresee */
    LH_SHARE_BODY,       /* a body of more than 64 KB */
    LH_SHARE_UPLOAD,     /* a body that arrives later than its header: a thread waits for it */
    LH_SHARE_LIST,       /* reads a list of unlimited length: taken by all such routes without another share */
    LH_SHARE_SENDER,     /* a long response that LearnHubSpool has no room for */
    LH_SHARE_KINDS       /* their number */
} lh_share;

#define LH_SQL_MAX 4
#define LH_EXTRA_SQL_MAX 4
#define LH_STEPS_MAX 4
#define LH_DEEP 100     /* rows before a page, see deep_sql; the last statement skips fewer in less time */
#define LH_TOPICS_MAX 4 /* in `depends` */

/* Validates rules over several fields after the fields' own rules. `errors`: the errors so far; NULL: none. */
typedef lh_error *lh_check(lh_call *call, lh_error *errors);

typedef struct lh_route {
    const char *name;    /* unique, such as "tutoring.join"; identifies the route in logs */
    const char *method;  /* GET serves HEAD as well */
    const char *path;    /* "/api/sessions/{id:int}/join/": {name:int|oid|uuid|text}; the last slash is optional */
    const char *summary; /* one sentence for readers of the table and of /openapi.json */
    unsigned roles;      /* LH_ANYONE, or the roles that may call it */
    unsigned flags;
    unsigned accepts; /* LH_JSON, LH_FORM, LH_MULTIPART */
    const lh_field *query;
    const lh_field *body;
    const char *either; /* body fields of which one must be sent, as `check` requires, separated by spaces */
    lh_check *check;    /* NULL: the fields' own rules suffice */
    const lh_step *before[LH_STEPS_MAX];     /* run in order before the statements; the first error ends the request */
    const char *extra_sql[LH_EXTRA_SQL_MAX]; /* statements that steps run with lh_query() */
    const char *count;                       /* of LH_PAGE and LH_SKIP_LIMIT: SELECT count(*) with :filters */
    const char *lock;                        /* of GET: required if its path has PUT, PATCH or DELETE too. With
                                              * If-Match, these run it and then sql at the start of their transaction:
                                              * it locks the rows that they change */
    const char *sql[LH_SQL_MAX];             /* run in order in one transaction, all of them even if an earlier one
                                              * reports an error in `!`; the last one returns the response */
    const char *deep_sql; /* of LH_PAGE and LH_SKIP_LIMIT: replaces the last statement when LH_DEEP or more rows precede
                           * the page; returns the same rows in less time, because it does not read all of these */
    const lh_step *after[LH_STEPS_MAX]; /* run in order after the statements have been committed, unless these
                                              * reported an error */
    int timeout_ms; /* of each statement in sql, in milliseconds: then the error `slow`; 0: LearnHubStatementTimeout.
                     * All requests with a timeout_ms together use at most a quarter of the connections, in turns of the
                     * clients' networks */
    lh_rate rate;   /* the class of LearnHubRate that its requests count for, if not that of its method */
    lh_share share; /* the share that a request takes before its steps run, or 429; LH_SHARE_NONE: none */
    /* Of a GET route: what its responses show. Without steps they are cached until one of these topics changes
     * (LearnHubCache); with steps it must be LH_STANDBY. Topics are stored by triggers (conf/schema/0015_changes.sql)
     * and separated by spaces; one can end in a parameter of the path or in {me}, the caller: "problem:{id} creators".
     */
    const char *depends;
    lh_shape shape;
    const char *media;       /* of LH_BYTES and of documents: the media types of the response, separated by spaces */
    int status;              /* of success; 0: 200, or 204 for LH_NOTHING */
    int other_status;        /* that the column `_status` or a step sets instead; 0: none */
    const char *message;     /* {"message": message, key: response} */
    const char *key;         /* the key of the response */
    const lh_field *returns; /* the keys of the response (dotted names nest); a test compares responses with it */
    const lh_route_example *examples; /* what /openapi.json shows, if it differs from the examples of `returns` */
    const lh_route_error *errors;
} lh_route;

/* Routes with common path prefixes and formats. */
typedef struct lh_route_group {
    const char *name;            /* as in LearnHubAPI */
    const char *title;           /* unique, for readers of the table and of /openapi.json */
    const char *const *prefixes; /* terminated by NULL; "/x" is /x and all paths below it */
    const char *pages; /* of service pages: the words of LearnHubPages, one for each prefix, separated by spaces */
    lh_error_format error_format;
    lh_time_format time_format;
    int always;             /* served whatever LearnHubAPI contains */
    const lh_route *routes; /* ends with {0} */
} lh_route_group;

/* All route groups, terminated by NULL (api/groups.c). */
extern const lh_route_group *const lh_route_groups[];

extern const lh_route_group lh_group_users, lh_group_auth, lh_group_account_mail;
extern const lh_route_group lh_group_problems, lh_group_submissions, lh_group_practice;
extern const lh_route_group lh_group_tutoring_login, lh_group_coding_token, lh_group_coding_users, lh_group_xp_login;
extern const lh_route_group lh_group_reviews, lh_group_sessions, lh_group_account_data;
extern const lh_route_group lh_group_tutoring, lh_group_profile, lh_group_mentors, lh_group_mentoring;
extern const lh_route_group lh_group_availabilities, lh_group_own_availabilities;
extern const lh_route_group lh_group_settings, lh_group_coding, lh_group_eco, lh_group_credits, lh_group_activities;
extern const lh_route_group lh_group_coding_activities, lh_group_rewards, lh_group_coding_profile;
extern const lh_route_group lh_group_xp, lh_group_admin, lh_group_service;

/* ---- functions for steps and checks ---- */

/* The validated value of a field or path parameter as text; NULL when it is absent. */
const char *lh_param(const lh_call *call, const char *name);

/* Sets a parameter that the step's `binds` names; NULL is SQL NULL. The text is not copied. */
void lh_bind(lh_call *call, const char *name, const char *value);

/* Runs extra_sql[index] in a transaction of its own, which is committed even if the statement reports an error in `!`.
 * Errors are mapped as for `sql`; no row is not an error. */
lh_error *lh_query(lh_call *call, int index);

/* The number of rows of the statement that ran last. */
int lh_row_count(const lh_call *call);

/* A value in the first row of the statement that ran last, as text; NULL for SQL NULL, no row or no such column.
 * Booleans are "true" and "false". */
const char *lh_cell(const lh_call *call, const char *column);

/* Adds a member (a string, an integer or JSON text) to the response: before the members of the row, or of an
 * LH_SKIP_LIMIT after `total`. `key` and JSON text are not copied. */
void lh_reply_string(lh_call *call, const char *key, const char *value);
void lh_reply_int(lh_call *call, const char *key, apr_int64_t value);
void lh_reply_json(lh_call *call, const char *key, const char *value);

/* A response that is sent as it is. It lives as long as the process. */
typedef struct lh_document {
    const char *type; /* the media type */
    const char *body;
    apr_size_t length;
    const char *etag; /* with quotes; NULL: computed for each response */
    int immutable;    /* clients may keep it without asking again */
} lh_document;

/* Sends this document with status 200 instead of a response of the route's shape. Of GET. */
void lh_reply_document(lh_call *call, const lh_document *document);

/* The description of this server's routes, /openapi.json. */
const lh_document *lh_openapi(const lh_call *call);

/* Sets the status of the response instead of the route's. */
void lh_reply_status(lh_call *call, int status);

/* Skips the route's statements and the remaining steps. The response is written from the last result of lh_query(). */
void lh_reply_complete(lh_call *call);

/* The path prefixes that this server serves, as JSON: {"users": "/users", ...}. */
const char *lh_links(const lh_call *call);

/* Whether the database cannot be used because of its schema: -1: the schema is older than the module needs; 1: it is
 * newer and does not serve this module; 0: no. */
int lh_schema_mismatch(const lh_call *call);

/*
 * Takes a share of `kind` for the call's account, unless the caller is anonymous, and for its network. It is held until
 * the request ends: when its response has been written. Returns 429 if the account or the network has all of its
 * shares, 503 if the process has. A call that has a share of this kind keeps it.
 */
lh_error *lh_share_take(lh_call *call, lh_share kind);

/* The SHA-256, in hex, of the value that lh_param() returns (of an LH_OBJECT, the text as it was sent); NULL when it is
 * absent. */
const char *lh_fingerprint(const lh_call *call, const char *name);

/* Remembers the last value of a key, such as the fingerprint of a session's diagram, for all processes of this node.
 * Both may be NULL: then nothing is remembered. */
void lh_remember(const char *key, const char *value);

/* 1 when another value than `value` is remembered for the key. This is only a hint: old keys are forgotten, and another
 * node may have stored another value. */
int lh_recalls_other(const char *key, const char *value);

/*
 * Sets *md5 to the MD5, in hex, of the canonical form of an LH_OBJECT: compact JSON with sorted keys, strings in their
 * shortest form and numbers as they were sent. For an empty object it is the MD5 of the empty string. Invalid JSON,
 * duplicate keys, more than 200 levels of nesting and more than 250,000 members of an object are errors. The field must
 * be present.
 */
lh_error *lh_canonical_md5(lh_call *call, const char *name, const char **md5);

/* The route's error with this code, or one error for several codes separated by spaces. */
lh_error *lh_fail(lh_call *call, const char *codes);

/* Adds an invalid field to `errors` (NULL: the first one); `field` NULL: the whole body. */
lh_error *lh_fail_field(lh_call *call, lh_error *errors, const char *field, const char *text);

#endif
