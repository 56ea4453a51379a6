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
 *   Columns whose name begins with `_` are read by steps and not written; `_status` sets the status of the response.
 * - A statement reports errors itself: a column named `!` holds NULL or error codes (separated by spaces), and a
 *   violated constraint reports its name as the code. The route's errors map a code to a status and a sentence. No
 *   row at all is the code `missing`.
 * - Statements name their parameters: `:name` of path, query, body or steps. Always defined are `:me` (the caller's
 *   users.id), `:base` (the base URL of this server without a trailing slash), `:meeting_url` and `:eco_verify` (the
 *   values of these directives), and for pages `:limit` and `:offset`.
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
    LH_STRING,    /* a string of min..max characters (max 0: limited by the body's size only) */
    LH_EMAIL,     /* a string of the form local@domain, at most 254 characters */
    LH_INTEGER,   /* min..max */
    LH_BOOLEAN,   /* true or false */
    LH_TIME,      /* ISO 8601 date-time, bound in UTC */
    LH_DURATION,  /* HH:MM:SS, more than 00:00:00 and at most 24:00:00; bound in seconds */
    LH_OBJECT_ID, /* 24 hex digits */
    LH_STRINGS,   /* an array of min..max strings, bound as its JSON text */
    LH_OBJECT, /* input: any object, bound as the JSON text that was sent; response: an object with the keys `items` */
    LH_GROUP,  /* an object whose members are fields of their own, "name.part"; bound as true when it was sent */
    LH_PHONE,  /* E.164: + and 8 to 15 digits, the first of them not 0 */
    LH_PHOTO,  /* a file in a multipart body: JPEG, PNG, WebP, GIF; bound as hex, its media type as <name>_type */
    LH_UUID,   /* 8-4-4-4-12 hex digits */
    LH_NUMBER, /* min..max with at most two decimals */
    LH_COLOR,  /* #rrggbb */
    LH_LIST    /* in responses only: an array of objects with the keys `items` */
} lh_type;

enum {
    LH_REQUIRED = 1,    /* must be present and not null */
    LH_TRIM = 2,        /* white space at both ends is removed before validation: names and titles */
    LH_NULL = 4,        /* null is accepted and means the same as an absent field */
    LH_COERCE = 8,      /* accepts integers and booleans as strings ("4", "True", "1"), an integer for an LH_STRING,
                         * and a single string for LH_STRINGS */
    LH_FUTURE = 16,     /* the time must be in the future */
    LH_CLAMP = 32,      /* an integer above max becomes max */
    LH_SECRET = 64,     /* no statement can name it; only steps can read it, with lh_param() */
    LH_DEFERRED = 128,  /* of an LH_OBJECT: its contents are not validated before a step calls lh_canonical_md5() */
    LH_CLEARABLE = 256, /* null and an empty string are bound as an empty string: they remove the stored value */
    LH_PAST = 512       /* the time must not be in the future */
};

/*
 * Arrays of fields end with {0}. In a query or a form an empty value counts as absent; in a multipart body it is an
 * empty string, and only an empty file field counts as absent. A dotted name refers to a nested member of a JSON body:
 * "feedback.strengths" is bound as :feedback_strengths.
 */
typedef struct lh_field {
    const char *name;
    lh_type type;
    unsigned flags;
    apr_int64_t min, max;      /* characters of a string, entries of an array, or the value itself; both 0: no limit */
    const char *enum_values;   /* the allowed values, separated by spaces */
    const char *default_value; /* used when the field is absent, as text */
    const char *where;         /* of a query field: the condition added at :filters when the field is present */
    const struct lh_field *items; /* of LH_OBJECT and LH_LIST in responses: the keys of the objects */
    const char *note;             /* one sentence for the API's description */
} lh_field;

/* ---- errors ---- */

/* Arrays of errors end with {0}. `code` is a value of a statement's `!` column or the name of a constraint. */
typedef struct lh_route_error {
    const char *code;
    int status;        /* ignored when `field` is set: then the group's status of a validation error is used */
    const char *field; /* the invalid field, or NULL */
    const char *text;  /* one sentence for the client */
} lh_route_error;

/* ---- steps ---- */

/*
 * A C function that runs before or after the statements of a route, with its requirements. A route that does not meet
 * them is rejected when httpd starts.
 */
typedef struct lh_step {
    const char *name; /* for messages at start */
    lh_error *(*run)(lh_call *call);
    const char *fields; /* body fields that it reads, separated by spaces: the route must have them */
    const char *binds;  /* parameters that it sets with lh_bind(), separated by spaces */
    int extra_sql;      /* it runs the first extra_sql of the route's extra statements: these must exist */
    /* Columns that it reads, separated by spaces: of extra_sql[0] for a step before the statements, of the last
     * statement for a step after them. */
    const char *columns;
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

/* The shape of a successful response. */
typedef enum {
    LH_ONE,         /* the first row as an object; no row is the error `missing` */
    LH_ONE_OR_NULL, /* the first row as an object, or null */
    LH_ALL,         /* all rows as an array; {key: [...]} when the route has a key */
    LH_PAGE,        /* {count, next, previous, results}; adds the query fields page and page_size */
    LH_SKIP_LIMIT,  /* {total, skip, limit, <key>}; adds the query fields skip and limit */
    LH_NOTHING,     /* no body; no row is the error `missing` */
    LH_BYTES        /* column `_content` of the first row with media type `_type` and ETag `_tag`, immutable; no row is
                     * the error `missing` */
} lh_shape;

/* The format of error responses. */
typedef enum {
    LH_ERRORS_DETAIL,  /* {"detail": ...}; 400 {"field": ["..."]} */
    LH_ERRORS_LOCATED, /* {"detail": ...}; 422 {"detail": [{"loc": ["body", "field"], "msg", "type"}]} */
    LH_ERRORS_FLAT,    /* {"error": ...}; 400 {"error": ..., "fields": {"field": ["..."]}} */
    LH_ERRORS_ENVELOPE /* {"success": false, "data": {"detail": ...}}; 400 data {"field": ["..."]} */
} lh_error_format;

/* The media types that a route accepts for its body; 0 means JSON. */
enum { LH_JSON = 1, LH_FORM = 2, LH_MULTIPART = 4 };

enum {
    LH_RETRYABLE = 1,    /* its statements may be run twice: they are retried after a lost connection (as every GET) */
    LH_REVOKES = 2,      /* success ends tokens or changes roles: all processes of this node read the events at once */
    LH_UNWRAP_ARRAY = 4, /* a body that is an array of one object is accepted as that object */
    LH_STREAMED = 8,     /* of LH_ALL: the response is sent while the rows arrive, whatever their number */
    LH_UNPAGED = 16,     /* of LH_PAGE and LH_ALL: adds page and page_size; when neither is sent, all rows are streamed,
                          * of an LH_PAGE as {results} */
    LH_SLICED = 32       /* of LH_ALL: adds the query fields skip and limit */
};

#define LH_SQL_MAX 4
#define LH_EXTRA_SQL_MAX 4
#define LH_STEPS_MAX 4

/* Validates rules over several fields after the fields' own rules. `errors`: the errors so far; NULL: none. */
typedef lh_error *lh_check(lh_call *call, lh_error *errors);

typedef struct lh_route {
    const char *name;    /* unique: "tutoring.join"; the label in logs and metrics, the operation's id */
    const char *method;  /* GET serves HEAD as well */
    const char *path;    /* "/api/sessions/{id:int}/join/": {name:int|oid|uuid|text}; the last slash is optional */
    const char *summary; /* one sentence */
    unsigned roles;
    unsigned flags;
    unsigned accepts; /* LH_JSON, LH_FORM, LH_MULTIPART */
    const lh_field *query;
    const lh_field *body;
    lh_check *check;                         /* NULL: the fields' own rules suffice */
    const lh_step *before[LH_STEPS_MAX];     /* run in order before the statements; the first error ends the call */
    const char *extra_sql[LH_EXTRA_SQL_MAX]; /* statements that steps run with lh_query() */
    const char *count;                       /* of LH_PAGE and LH_SKIP_LIMIT: SELECT count(*) with :filters */
    const char *sql[LH_SQL_MAX];             /* run in order in one transaction; the last one returns the response */
    const lh_step *after[LH_STEPS_MAX];      /* run in order after the statements have been committed */
    /* Milliseconds that a statement may run, else the error `slow`; 0: no limit of its own. All routes
     * with a limit together use at most a quarter of the connections. */
    int timeout_ms;
    lh_shape shape;
    int status;              /* of success; 0: 200, or 204 for LH_NOTHING */
    const char *message;     /* {"message": message, key: response} */
    const char *key;         /* the key of the response */
    const lh_field *returns; /* the keys of the response (dotted names nest); a test compares responses with it */
    const lh_route_error *errors;
} lh_route;

/* Routes with common path prefixes and formats. */
typedef struct lh_route_group {
    const char *name; /* as in LearnHubAPI */
    const char *title;
    const char *const *prefixes; /* its paths, terminated by NULL; "/x" is /x and all paths below it */
    lh_error_format error_format;
    lh_time_format time_format;
    int always;             /* served whatever LearnHubAPI contains */
    const lh_route *routes; /* ends with {0} */
} lh_route_group;

/* All route groups, terminated by NULL (api/groups.c). */
extern const lh_route_group *const lh_route_groups[];

extern const lh_route_group lh_group_users, lh_group_auth, lh_group_problems, lh_group_submissions, lh_group_practice;
extern const lh_route_group lh_group_tutoring, lh_group_profile, lh_group_mentors, lh_group_mentoring;
extern const lh_route_group lh_group_settings, lh_group_coding, lh_group_eco, lh_group_credits, lh_group_activities;
extern const lh_route_group lh_group_xp, lh_group_admin, lh_group_service;

/* ---- functions for steps and checks ---- */

/* The validated value of a field or path parameter as text; NULL when it is absent. */
const char *lh_param(const lh_call *call, const char *name);

/* Sets a parameter that the step's `binds` names; NULL is SQL NULL. The text is not copied. */
void lh_bind(lh_call *call, const char *name, const char *value);

/* Runs extra_sql[index] in a transaction of its own. Its `!` column and constraints report errors as in `sql`; no row
 * is not an error. */
lh_error *lh_query(lh_call *call, int index);

/* The number of rows of the statement that ran last. */
int lh_row_count(const lh_call *call);

/* A value in the first row of the statement that ran last, as text; NULL for SQL NULL, no row or no such column.
 * Booleans are "true" and "false". */
const char *lh_cell(const lh_call *call, const char *column);

/* Adds a member in front of the response's own: a string, an integer or JSON text. */
void lh_reply_string(lh_call *call, const char *key, const char *value);
void lh_reply_int(lh_call *call, const char *key, apr_int64_t value);
void lh_reply_json(lh_call *call, const char *key, const char *value);

/* Sets the status of the response instead of the route's. */
void lh_reply_status(lh_call *call, int status);

/* The response is complete: the route's statements and the steps that remain are skipped. */
void lh_reply_complete(lh_call *call);

/* {"users": "/users", ...}: the path prefixes that this server serves, as JSON. */
const char *lh_links(const lh_call *call);

/* Lifts the route's timeout_ms and its share of connections for this request. */
void lh_lift_timeout(lh_call *call);

/* The SHA-256, in hex, of a field's text as it was sent; NULL when it is absent. */
const char *lh_fingerprint(const lh_call *call, const char *name);

/*
 * Sets *md5 to the MD5, in hex, of an object as compact JSON with sorted keys, strings in their shortest form and
 * numbers as they were sent; of the empty string for an empty object. Invalid JSON, duplicate keys and deep nesting
 * are errors.
 */
lh_error *lh_canonical_md5(lh_call *call, const char *name, const char **md5);

/* The route's error with this code, or one error for several codes separated by spaces. */
lh_error *lh_fail(lh_call *call, const char *codes);

/* Adds an invalid field to `errors` (NULL: the first one); `field` NULL: the whole body. */
lh_error *lh_fail_field(lh_call *call, lh_error *errors, const char *field, const char *text);

#endif
