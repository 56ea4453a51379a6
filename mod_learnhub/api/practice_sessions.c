/* SPDX-License-Identifier: Apache-2.0 */
/* Practice sessions: /sessions. The document is seeds' practice; contract section 2 settles the rest. */
#include "learnhub.h"

/*
 * Everybody who practises sends the whole diagram every ten seconds, and mostly the same one. A diagram whose bytes
 * are the ones that were sent last is known by their digest: it is neither parsed, nor sent to the database, nor read
 * back. One that is only spelled otherwise has the same hash, and the stored one stays.
 */
static lh_error *save_unchanged(lh_call *call)
{
    const char *hash = NULL;
    lh_error *error;

    lh_reply_json(call, "diagram_data", lh_param(call, "diagram_data"));
    lh_bind(call, "fingerprint", lh_fingerprint(call, "diagram_data"));
    error = lh_query(call, 0);
    if (!error && lh_row_count(call)) {
        lh_reply_complete(call);
        return NULL;
    }
    if (!error) {
        error = lh_canonical_md5(call, "diagram_data", &hash);
    }
    lh_bind(call, "hash", hash);
    return error;
}

static const lh_step save_unchanged_diagram = {.name = "save_unchanged",
                                               .run = save_unchanged,
                                               .fields = "diagram_data",
                                               .binds = "fingerprint hash",
                                               .extra_sql = 1};

#define OWNER "(SELECT email FROM learnhub.users WHERE id = s.user_id) AS user_id, "
#define COLUMNS_BUT_DIAGRAM                                                                                            \
    "s.id, " OWNER "s.problem_id, s.diagram_hash, s.time_spent, s.status, s.chat_messages, s.last_saved_at, "          \
    "s.started_at, s.ended_at, s.created_at, s.updated_at "
#define COLUMNS "s.diagram_data, " COLUMNS_BUT_DIAGRAM
#define MINE "s.user_id = :me::bigint"
#define BY_ID "s.id = decode(:id, 'hex')"
#define OPEN "s.status IN ('active', 'paused')"

/* Locks the caller's session and refuses in the states that `error`, a part of a CASE, names: another's is a 404. */
#define LOCK(error)                                                                                                    \
    "SELECT CASE " error " END AS \"!\" FROM learnhub.practice_sessions s WHERE " BY_ID " AND " MINE " FOR UPDATE"
#define NOT_OPEN "WHEN s.status NOT IN ('active', 'paused') THEN 'closed'"

/* What may follow behind LOCK: the same row in the states in which it may be changed. */
#define CHANGE(change, states)                                                                                         \
    "UPDATE learnhub.practice_sessions s SET " change " WHERE " BY_ID " AND " MINE " AND " states

#define SAVED "time_spent = :time_spent::bigint, last_saved_at = clock_timestamp(), updated_at = clock_timestamp()"

static const lh_field message_keys[] = {{.name = "role", .type = LH_STRING, .enum_values = "user assistant"},
                                        {.name = "content", .type = LH_STRING},
                                        {.name = "timestamp", .type = LH_TIME},
                                        {0}};

static const lh_field keys[] = {
    {.name = "id", .type = LH_OBJECT_ID},
    {.name = "user_id", .type = LH_EMAIL, .note = "The owner's present e-mail address."},
    {.name = "problem_id", .type = LH_OBJECT_ID},
    {.name = "diagram_data", .type = LH_OBJECT},
    {.name = "diagram_hash",
     .type = LH_STRING,
     .note = "MD5 of the diagram as compact UTF-8 JSON with sorted keys; of the empty text for an empty diagram."},
    {.name = "time_spent", .type = LH_INTEGER, .note = "Seconds."},
    {.name = "status", .type = LH_STRING, .enum_values = "active paused submitted abandoned"},
    {.name = "chat_messages", .type = LH_LIST, .items = message_keys},
    {.name = "last_saved_at", .type = LH_TIME},
    {.name = "started_at", .type = LH_TIME},
    {.name = "ended_at", .type = LH_TIME, .flags = LH_NULL},
    {.name = "created_at", .type = LH_TIME},
    {.name = "updated_at", .type = LH_TIME},
    {0}};

#define TIME_SPENT                                                                                                     \
    {                                                                                                                  \
        .name = "time_spent", .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 0, .max = APR_INT64_MAX,                \
        .note = "Seconds."                                                                                             \
    }

static const lh_field create_fields[] = {{.name = "problem_id", .type = LH_OBJECT_ID, .flags = LH_REQUIRED}, {0}};
static const lh_field save_fields[] = {
    {.name = "diagram_data", .type = LH_OBJECT, .flags = LH_REQUIRED | LH_DEFERRED}, TIME_SPENT, {0}};
static const lh_field pause_fields[] = {TIME_SPENT, {0}};
static const lh_field chat_fields[] = {
    {.name = "role", .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "user assistant"},
    {.name = "content", .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 32768},
    {0}};

#define MISSING                                                                                                        \
    {                                                                                                                  \
        "missing", 404, NULL, "Session not found."                                                                     \
    }

static const lh_route_error open_errors[] = {
    MISSING, {"closed", 400, NULL, "This session has been submitted or abandoned."}, {0}};

static const lh_route routes[] = {
    {.name = "sessions.create",
     .method = "POST",
     .path = "/sessions/",
     .roles = LH_MEMBER,
     .summary = "Begin a session, or go on with the open one for this problem.",
     .body = create_fields,
     .sql =
         {"SELECT NULL::text AS \"!\" FROM learnhub.problems WHERE id = decode(:problem_id, 'hex') FOR KEY SHARE",
          /* The change that changes nothing locks the session that is open, so that it is still open in the answer. */
          "WITH new AS (SELECT learnhub.object_id() AS id) "
          "INSERT INTO learnhub.practice_sessions AS s (id, user_id, problem_id) SELECT new.id, :me::bigint, p.id "
          "FROM new, learnhub.problems p WHERE p.id = decode(:problem_id, 'hex') "
          "ON CONFLICT (user_id, problem_id) WHERE status IN ('active', 'paused') DO UPDATE SET status = s.status "
          "RETURNING CASE WHEN s.id = (SELECT id FROM new) THEN 201 ELSE 200 END AS _status, " COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .returns = keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Problem not found."}, {0}}},
    {.name = "sessions.mine",
     .method = "GET",
     .path = "/sessions/user/my-sessions",
     .roles = LH_MEMBER,
     .summary = "The caller's sessions, newest first.",
     .sql = {"SELECT " COLUMNS "FROM learnhub.practice_sessions s WHERE " MINE
             " ORDER BY s.created_at DESC, s.id DESC LIMIT :limit::bigint OFFSET :skip::bigint"},
     .shape = LH_ALL,
     .flags = LH_STREAMED | LH_SLICED,
     .returns = keys},
    {.name = "sessions.by_problem",
     .method = "GET",
     .path = "/sessions/problem/{problem_id:oid}",
     .roles = LH_MEMBER,
     .summary = "The caller's open session for a problem, or null.",
     .sql = {"SELECT " COLUMNS "FROM learnhub.practice_sessions s WHERE " MINE
             " AND s.problem_id = decode(:problem_id, 'hex') AND " OPEN},
     .shape = LH_ONE_OR_NULL,
     .returns = keys},
    {.name = "sessions.get",
     .method = "GET",
     .path = "/sessions/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "One session of the caller's.",
     .sql = {"SELECT CASE WHEN s.user_id <> :me::bigint THEN 'owner' END AS \"!\", " COLUMNS
             "FROM learnhub.practice_sessions s WHERE " BY_ID},
     .shape = LH_ONE,
     .returns = keys,
     .errors = (const lh_route_error[]){MISSING, {"owner", 403, NULL, "This session belongs to somebody else."}, {0}}},
    {.name = "sessions.autosave",
     .method = "PUT",
     .path = "/sessions/{id:oid}/autosave",
     .roles = LH_MEMBER,
     .summary = "Save the diagram and the time spent.",
     .body = save_fields,
     .before = {&save_unchanged_diagram},
     .extra_sql = {CHANGE(SAVED, OPEN) " AND s.diagram_fingerprint = decode(:fingerprint, 'hex') "
                                       "RETURNING " COLUMNS_BUT_DIAGRAM},
     .sql = {LOCK(NOT_OPEN), CHANGE(SAVED ", diagram_data = CASE WHEN s.diagram_hash = :hash THEN s.diagram_data "
                                          "ELSE :diagram_data::json END, diagram_hash = :hash, "
                                          "diagram_fingerprint = decode(:fingerprint, 'hex')",
                                    OPEN) " RETURNING " COLUMNS_BUT_DIAGRAM},
     .shape = LH_ONE,
     .returns = keys,
     .errors = open_errors},
    {.name = "sessions.pause",
     .method = "PUT",
     .path = "/sessions/{id:oid}/pause",
     .roles = LH_MEMBER,
     .summary = "Pause an active session.",
     .body = pause_fields,
     .sql = {LOCK(NOT_OPEN), CHANGE("status = 'paused', " SAVED, "s.status = 'active'"),
             "SELECT " COLUMNS "FROM learnhub.practice_sessions s WHERE " BY_ID " AND " MINE},
     .shape = LH_ONE,
     .returns = keys,
     .errors = open_errors},
    {.name = "sessions.resume",
     .method = "PUT",
     .path = "/sessions/{id:oid}/resume",
     .roles = LH_MEMBER,
     .summary = "Go on with a paused session.",
     .sql = {LOCK(NOT_OPEN), CHANGE("status = 'active', updated_at = clock_timestamp()", "s.status = 'paused'"),
             "SELECT " COLUMNS "FROM learnhub.practice_sessions s WHERE " BY_ID " AND " MINE},
     .shape = LH_ONE,
     .returns = keys,
     .errors = open_errors},
    {.name = "sessions.chat",
     .method = "POST",
     .path = "/sessions/{id:oid}/chat",
     .roles = LH_MEMBER,
     .summary = "Add a chat message.",
     .body = chat_fields,
     .sql = {LOCK(NOT_OPEN " WHEN NOT learnhub.chat_has_room(s.chat_messages) THEN 'full'"),
             CHANGE("chat_messages = s.chat_messages || jsonb_build_object('role', :role::text, 'content', "
                    ":content::text, 'timestamp', "
                    "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')), updated_at = "
                    "clock_timestamp()",
                    OPEN " AND learnhub.chat_has_room(s.chat_messages)") " RETURNING " COLUMNS},
     .shape = LH_ONE,
     .returns = keys,
     .errors = (const lh_route_error[]){MISSING,
                                        {"closed", 400, NULL, "This session has been submitted or abandoned."},
                                        {"full", 400, NULL, "A chat has at most 1000 messages and 1 MB."},
                                        {0}}},
    {.name = "sessions.abandon",
     .method = "DELETE",
     .path = "/sessions/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "Abandon an open session; it stays readable.",
     .sql = {LOCK(NOT_OPEN),
             CHANGE("status = 'abandoned', ended_at = clock_timestamp(), updated_at = clock_timestamp()",
                    OPEN) " RETURNING s.id"},
     .shape = LH_NOTHING,
     .errors = open_errors},
    {0}};

const lh_route_group lh_group_practice = {.name = "practice",
                                          .title = "Practice sessions",
                                          .prefixes = (const char *const[]){"/sessions", NULL},
                                          .error_format = LH_ERRORS_LOCATED,
                                          .time_format = LH_MILLIS_Z,
                                          .routes = routes};
