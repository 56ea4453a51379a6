/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vocabulary of an API file: everything api/ may know.
 *
 * An endpoint is one row, an lh_route. The machine reads the row: it finds the route, checks the caller, checks
 * query and body against the row's fields, binds named parameters, runs the row's statements in one transaction
 * and one round trip, writes the rows of the last one as JSON and dresses them in the API's envelope. Most rows
 * need no C function; those that do name a handler.
 *
 * Four ideas carry it:
 * - The SQL is the shape of the answer: a column's name is its key, a dotted name nests, the type picks the format.
 *   A column whose name begins with `_` is for the handler and is not written; `_status` is the answer's status.
 * - A statement refuses by itself: a column named `!` holds NULL or refusal codes (separated by spaces), and a
 *   violated constraint refuses by its name. The row's refusals turn a code into a status and a sentence.
 *   No row at all is the refusal `missing`.
 * - Statements name their parameters: `:name` of path, query, body or binds; `:me` is the caller's users.id, `:base`
 *   where the URLs of this server begin, without a slash at its end, and `:meeting_url` and
 *   `:eco_verify` what these directives say.
 * - Whatever fails returns an lh_problem; NULL means go on. The one who made the problem has said everything.
 *
 * Rows are checked before httpd starts: a row that cannot work is named and httpd refuses to start.
 */
#ifndef LEARNHUB_H
#define LEARNHUB_H

#include <apr_pools.h>
#include <apr_time.h>

#define LH_VERSION "0.1.0"

typedef struct lh_call lh_call;       /* one request on its way through the machine */
typedef struct lh_problem lh_problem; /* a refusal with its status and sentences */

/* ---- fields: what comes in, and what an answer is made of ---- */

typedef enum {
    LH_TEXT,      /* a string of min..max characters (max 0: no limit but the body's) */
    LH_EMAIL,     /* a string of the form local@domain, at most 254 characters */
    LH_INTEGER,   /* min..max */
    LH_BOOLEAN,   /* true or false */
    LH_TIME,      /* ISO 8601 date-time, bound in UTC */
    LH_DURATION,  /* HH:MM:SS, more than nothing and at most 24:00:00; bound in seconds */
    LH_OBJECT_ID, /* 24 hex digits */
    LH_TEXTS,     /* an array of min..max strings, bound as its JSON text */
    LH_OBJECT,    /* in a body: any object, bound as the JSON text that was sent; in answers: with the keys `of` */
    LH_GROUP,     /* an object whose fields are rows of their own, "name.part"; bound as true when it was sent */
    LH_PHONE,     /* E.164: + and 8 to 15 digits, the first of them not 0 */
    LH_PHOTO,     /* a file in a multipart body: JPEG, PNG, WebP, GIF; bound as hex, its type as <name>_type */
    LH_UUID,      /* 8-4-4-4-12 hex digits */
    LH_NUMBER,    /* min..max with at most two decimals */
    LH_COLOR,     /* #rrggbb */
    LH_LIST       /* only in answers: an array of such objects */
} lh_type;

enum {
    LH_REQUIRED = 1, /* must be there and not null */
    LH_TRIM = 2,     /* white space at both ends is dropped before anything is checked: names and titles */
    LH_NULL = 4,     /* null may be sent and means the same as not sent */
    LH_LOOSE = 8,    /* integers and booleans may also come as text: "4", "True", "1"; text as an integer;
                      * LH_TEXTS as one text */
    LH_FUTURE = 16,  /* the time must lie ahead */
    LH_CLAMP = 32,   /* an integer above max counts as max */
    LH_SECRET = 64,  /* no statement can name it: handlers read it with lh_text() */
    LH_UNREAD = 128, /* of an LH_OBJECT: its inside is not looked at before the handler calls lh_canonical_md5() */
    LH_PAST = 512,   /* the time may not lie ahead */
    LH_CLEARS = 256  /* null and an empty text are bound as an empty text: they take away what is there */
};

/*
 * Arrays of fields end with {0}. In a query or a form an empty value counts as not sent; in a multipart body it is an
 * empty text, and only a file field that was left empty counts as not sent. A dotted name of a JSON body's field looks
 * inside: "feedback.strengths" is the parameter :feedback_strengths.
 */
typedef struct lh_field {
    const char *name;
    lh_type type;
    unsigned flags;
    apr_int64_t min, max;      /* characters of text, entries of an array, or the value itself; both 0: no limit */
    const char *one_of;        /* the allowed words, separated by spaces */
    const char *initial;       /* the value when none is sent, as text */
    const char *where;         /* of a query field: the condition added at :filters when it is sent */
    const struct lh_field *of; /* of LH_OBJECT and LH_LIST: the keys of the objects */
    const char *note;          /* one sentence for readers of the API's description */
} lh_field;

/* ---- refusals ---- */

/* Arrays of refusals end with {0}. `code` is what a statement's `!` column says or the name of a constraint. */
typedef struct lh_refusal {
    const char *code;
    int status;        /* with `field`: the API's own status of a validation failure is used instead */
    const char *field; /* the field at fault, or NULL */
    const char *text;  /* one sentence for the client */
} lh_refusal;

/* ---- routes ---- */

/* Who may call: LH_ANYONE, or the roles that may. */
enum {
    LH_ANYONE = 0,
    LH_STUDENT = 1,
    LH_INSTRUCTOR = 2,
    LH_ADMIN = 4,
    LH_SERVICE = 8,
    LH_MEMBER = LH_STUDENT | LH_INSTRUCTOR | LH_ADMIN | LH_SERVICE
};

typedef enum {
    LH_ONE,     /* the first row as an object; no row is the refusal `missing` */
    LH_MAYBE,   /* the first row as an object, or null */
    LH_ALL,     /* all rows as an array; {key: [...]} when the row has a key */
    LH_PAGE,    /* {count, next, previous, results}; query fields page and page_size are the machine's own */
    LH_WINDOW,  /* {total, skip, limit, <key>}; the row has query fields skip and limit */
    LH_NOTHING, /* no body; no row is the refusal `missing` */
    LH_BYTES    /* `_content` of the first row, of type `_type`, for ever, with ETag `_tag`; no row: `missing` */
} lh_shape;

/* How the API writes a timestamptz, always UTC. */
typedef enum {
    LH_SECONDS_Z, /* 2024-01-15T14:00:00Z */
    LH_SECONDS,   /* 2024-01-15T10:30:00 */
    LH_MILLIS_Z,  /* 2024-01-15T10:30:00.000Z */
    LH_MICROS_Z   /* 2025-09-07T17:10:29.123449Z, the fraction left out when it is zero */
} lh_time_style;

/* How the API writes an error: see problem.c. */
typedef enum {
    LH_PLAIN,   /* {"detail": ...}; 400 {"field": ["..."]} */
    LH_LOCATED, /* {"detail": ...}; 422 {"detail": [{"loc": ["body", "field"], "msg", "type"}]} */
    LH_ERROR,   /* {"error": ...}; 400 {"error": ..., "fields": {"field": ["..."]}} */
    LH_WRAPPED  /* {"success": false, "data": {"detail": ...}}; 400 data {"field": ["..."]} */
} lh_problem_style;

/* The media types a row's body may have; none given means JSON. */
enum { LH_JSON = 1, LH_FORM = 2, LH_MULTIPART = 4 };

#define LH_STEPS 4
#define LH_MORE 4

typedef lh_problem *lh_handler(lh_call *call);

/* Rules over several fields: runs after their own checks, with what is wrong so far (NULL: nothing). */
typedef lh_problem *lh_check(lh_call *call, lh_problem *so_far);

typedef struct lh_route {
    const char *name;    /* unique: "tutoring.join"; the label in logs and metrics, the operation's id */
    const char *method;  /* GET serves HEAD too */
    const char *path;    /* "/api/sessions/{id:int}/join/": {name:int|oid|uuid|text}; the last slash is optional */
    const char *summary; /* one sentence */
    unsigned who;        /* LH_ANYONE or roles */
    const lh_field *query;
    const lh_field *body;
    unsigned accepts;          /* LH_JSON, LH_FORM, LH_MULTIPART; 0 is LH_JSON */
    const char *binds;         /* names of parameters a handler sets with lh_bind(), separated by spaces */
    const char *count;         /* of LH_PAGE and LH_WINDOW: SELECT count(*), with the same :filters */
    const char *sql[LH_STEPS]; /* run in order in one transaction; the last one's rows are the answer */
    const char *more[LH_MORE]; /* further statements a handler runs with lh_query() */
    lh_shape shape;
    int status;              /* of success; 0 is 200, or 204 for LH_NOTHING */
    const char *message;     /* {"message": message, key: answer} */
    const char *key;         /* the key the answer stands under */
    const lh_field *returns; /* the keys of the answer (dotted names nest); a test holds answers to it */
    const lh_refusal *refusals;
    lh_check *check;     /* NULL: the fields' own rules are all */
    lh_handler *handler; /* NULL: lh_run() */
    int bound;           /* milliseconds a statement may run, above which it refuses with `slow`; 0: no bound of
                                   its own. Such rows have a quarter of the connections at most */
    unsigned flags;      /* LH_SAFE, LH_ENDS_TOKENS, LH_UNWRAPS, LH_STREAMED, LH_WHOLE */
} lh_route;

enum {
    LH_SAFE = 1,        /* running its statements twice does no harm: they may be repeated after a lost connection */
    LH_ENDS_TOKENS = 2, /* success ends tokens or changes roles: all processes of this node hear of it at once */
    LH_UNWRAPS = 4,     /* a body that is an array of one object counts as that object */
    LH_STREAMED = 8,    /* of LH_ALL: the answer is sent while the rows arrive, however many there are */
    LH_WHOLE = 16       /* of LH_PAGE: {results} with all rows, streamed, when neither page nor page_size is sent */
};

typedef struct lh_api {
    const char *name; /* as in LearnHubAPI */
    const char *title;
    const char *const *prefixes; /* paths it owns, ended by NULL; "/x" owns /x and all below it */
    lh_problem_style problems;
    lh_time_style times;
    int always;             /* served whatever LearnHubAPI says */
    const lh_route *routes; /* ends with {0} */
} lh_api;

extern const lh_api lh_api_users, lh_api_auth, lh_api_problems, lh_api_submissions, lh_api_practice;
extern const lh_api lh_api_tutoring, lh_api_profile, lh_api_mentors, lh_api_mentoring, lh_api_settings;
extern const lh_api lh_api_coding, lh_api_eco, lh_api_credits, lh_api_activities, lh_api_xp, lh_api_admin;
extern const lh_api lh_api_service;

/* ---- what a handler may do ---- */

/* The call's pool; everything a handler makes lives and dies with it. */
apr_pool_t *lh_memory(const lh_call *call);

/* A field's or path parameter's value as text after its check, or NULL when it was not sent. */
const char *lh_text(const lh_call *call, const char *name);

/* Gives the parameter `name`, one of the row's `binds`, its value; NULL is SQL NULL. The text is not copied. */
void lh_bind(lh_call *call, const char *name, const char *value);

/* 1 when two texts are the same; takes the same time wherever they differ. */
int lh_same(const char *a, const char *b);

/* The caller's id; 0 when the route is public. */
apr_int64_t lh_me(const lh_call *call);

/* Runs the row's `sql` and prepares the answer. The default handler. */
lh_problem *lh_run(lh_call *call);

/* Runs the row's `more[index]` in a transaction of its own; refusals work as in `sql`, but no row is no refusal. */
lh_problem *lh_query(lh_call *call, int index);

/* Rows of the statement that ran last. */
int lh_rows(const lh_call *call);

/* A value in the first row of the statement that ran last, as text; NULL for SQL NULL, no row or no such column.
 * Booleans are "true" and "false". */
const char *lh_cell(const lh_call *call, const char *column);

/* Puts a text, an integer or ready JSON in front of the answer's own keys. */
void lh_answer_text(lh_call *call, const char *key, const char *value);
void lh_answer_int(lh_call *call, const char *key, apr_int64_t value);
void lh_answer_json(lh_call *call, const char *key, const char *value);

/* The digest of a field's text as it was sent, in hex. */
const char *lh_fingerprint(const lh_call *call, const char *name);

/*
 * The MD5, in hex, of an object as compact JSON with sorted keys, strings in their shortest form and numbers as they
 * were sent; of the empty text for an empty object. Refuses what is no JSON, has a key twice or is nested too deep.
 */
lh_problem *lh_canonical_md5(lh_call *call, const char *name, const char **md5);

/* What this call runs is not costly: its row's `bound` does not count. */
void lh_unbound(lh_call *call);

/* Another status than the row's. */
void lh_answer_status(lh_call *call, int status);

/* {"users": "/users", ...}: where the APIs and pages of this server begin, as JSON. */
const char *lh_links(const lh_call *call);

/* The refusal `code` of this row. */
lh_problem *lh_refuse(lh_call *call, const char *code);

/* One more wrong field: collects them all. Pass NULL or what the last call returned; `field` NULL: the whole body. */
lh_problem *lh_refuse_field(lh_call *call, lh_problem *so_far, const char *field, const char *text);

/* ---- the model of xp's rates ---- */

/* What a row that asks the model binds. */
#define LH_MODEL_BINDS "patience question physique energy logic creativity social"

/*
 * Asks the model of LearnHubModelURL, where there is one and it has not just failed several times, within its time
 * limit and with no connection held. more[0] claims the question: one row with `_question`, `_activity`, `_category`,
 * `_goal` and `_goal_category`, or none when it need not be asked, or was by somebody else in the last `patience`
 * seconds. more[1] keeps the five numbers for `question`. No answer, or nonsense, is no problem: nothing is kept.
 */
lh_problem *lh_ask_model(lh_call *call);

/* ---- accounts ---- */

/* A row's `check` for a new `password` or `new_password`: the rules, with the row's names and e-mail as the user's own.
 * A field of the same name with `re_` before it must say the same, when it is sent. */
lh_problem *lh_check_password(lh_call *call, lh_problem *so_far);

/* The same rules for `new_password` and the account in `_username`, `_email`, `_first_name` and `_last_name` of the
 * statement that ran last. */
lh_problem *lh_check_own_password(lh_call *call);

/* Binds `password_hash` of that field. Waits its turn: 503 when that takes too long. */
lh_problem *lh_hash_password(lh_call *call);

/* What a row that logs in binds. */
#define LH_LOGIN_BINDS "address failures seconds user_id"

/*
 * The one way to show a password, in the field `password` or `current_password`: throttled (429), same time and same
 * answer for an unknown user and a wrong password, which is the row's refusal `credentials`. more[0] answers with one
 * row: `_id`, `_role`, `_version` and `_hash` of the account or nulls, and in `_wait` the seconds until the throttle
 * ends, or null. more[1] counts a failure. Binds `user_id`.
 */
lh_problem *lh_log_in(lh_call *call);

/* Puts `access_token` (and `refresh_token`), `token_type` and `expires_in` in front of the answer, for the user in the
 * columns `_id`, `_role` and `_version` of the statement that ran last. */
lh_problem *lh_answer_tokens(lh_call *call, int refresh);

/* Checks the field `refresh_token`: binds `user_id` and `version`, or refuses with `missing`. */
lh_problem *lh_refresh_token(lh_call *call);

/* Makes an opaque token: binds `digest` (hex) and `lifetime` (seconds, or NULL), and puts `auth_token` in front of the
 * answer. */
lh_problem *lh_new_token(lh_call *call);

/* Binds `digest` of the token that was sent (hex; of a JWT its jti). */
void lh_bind_sent_token(lh_call *call);

/* Makes the token of a link to choose a new password: binds `digest` (hex) and `link`, in which `{uid}` is left to be
 * replaced. */
lh_problem *lh_new_link(lh_call *call);

/* Binds `digest` of the field `token`. */
lh_problem *lh_bind_link(lh_call *call);

#endif
