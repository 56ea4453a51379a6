/* SPDX-License-Identifier: Apache-2.0 */
/* Practice sessions: /sessions. */
#include "api/shared.h"

/*
 * Clients save the whole diagram every ten seconds, mostly unchanged. A diagram that is byte-identical to the last one
 * sent is recognised by its fingerprint: it is neither parsed, nor sent to the database, nor read back. A diagram that
 * differs only in white space, order of keys or escapes has the same hash; the stored diagram is kept.
 *
 * The fingerprint that was saved last on this node tells which of the two is likely, so that one statement suffices.
 */
static lh_error *save_unchanged(lh_call *call)
{
    const char *id = lh_param(call, "id"), *fingerprint = lh_fingerprint(call, "diagram_data"), *hash;
    lh_error *error;

    lh_reply_json(call, "diagram_data", lh_param(call, "diagram_data"));
    lh_bind(call, "fingerprint", fingerprint);
    if (!lh_recalls_other(id, fingerprint)) {
        error = lh_query(call, 0);
        if (error) {
            return error;
        }
        if (lh_row_count(call)) {
            lh_remember(id, fingerprint);
            lh_reply_complete(call);
            return NULL;
        }
    }
    error = lh_canonical_md5(call, "diagram_data", &hash);
    if (!error) {
        lh_bind(call, "hash", hash);
    }
    return error;
}

static lh_error *remember_saved(lh_call *call)
{
    lh_remember(lh_param(call, "id"), lh_param(call, "fingerprint"));
    return NULL;
}

/* clang-format off */

static const lh_step save_unchanged_diagram = {
    .name = "save_unchanged", .run = save_unchanged, .fields = "diagram_data", .binds = "fingerprint hash",
    .extra_sql = 1};

static const lh_step remember_saved_diagram = {.name = "remember_saved", .run = remember_saved};

/* All columns but s.diagram_data. */
#define SESSION_COLUMNS                                                                                                \
    "s.id, (SELECT email FROM learnhub.users WHERE id = s.user_id) AS user_id, s.problem_id, s.diagram_hash, "         \
    "s.time_spent, s.status, s.chat_messages, s.last_saved_at, s.started_at, s.ended_at, s.created_at, s.updated_at "

/*
 * Locks the caller's session and reports an error if it is closed. The statements after it run nevertheless, so they
 * repeat its conditions.
 */
#define SESSION_LOCK                                                                                                   \
    "SELECT CASE WHEN status NOT IN ('active', 'paused') THEN 'closed' END AS \"!\" "                                  \
    "FROM learnhub.practice_sessions "                                                                                 \
    "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "                                                         \
    "FOR UPDATE"

#define SESSION_NOT_FOUND {"missing", 404, NULL, "Session not found."}
#define SESSION_CLOSED {"closed", 400, NULL, "This session has been submitted or abandoned."}

static const lh_field session_keys[] = {
    {.name = "id",            .type = LH_OBJECT_ID, .object = "PracticeSession"},
    {.name = "user_id",       .type = LH_EMAIL, .note = "The owner's current e-mail address."},
    {.name = "problem_id",    .type = LH_OBJECT_ID},
    {.name = "diagram_data",  .type = LH_OBJECT},
    {.name = "diagram_hash",  .type = LH_STRING,
     .note = "MD5 of the diagram as compact UTF-8 JSON with sorted keys; of the empty string for an empty diagram."},
    {.name = "time_spent",    .type = LH_INTEGER, .note = "Seconds."},
    {.name = "status",        .type = LH_STRING, .enum_values = "active paused submitted abandoned"},
    {.name = "chat_messages", .type = LH_LIST, .items = (const lh_field[]){
        {.name = "role", .type = LH_STRING, .enum_values = "user assistant"},
        {.name = "content", .type = LH_STRING},
        {.name = "timestamp", .type = LH_TIME},
        {0}}},
    {.name = "last_saved_at", .type = LH_TIME},
    {.name = "started_at",    .type = LH_TIME},
    {.name = "ended_at",      .type = LH_TIME, .flags = LH_NULL, .example = "null"},
    {.name = "created_at",    .type = LH_TIME},
    {.name = "updated_at",    .type = LH_TIME},
    {0}};

static const lh_field create_fields[] = {
    {.name = "problem_id", .type = LH_OBJECT_ID, .flags = LH_REQUIRED},
    {0}};

static const lh_field save_fields[] = {
    {.name = "diagram_data", .type = LH_OBJECT, .flags = LH_REQUIRED | LH_DEFERRED},
    {.name = "time_spent",   .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 0, .max = APR_INT64_MAX,
     .note = "Seconds."},
    {0}};

static const lh_field pause_fields[] = {
    {.name = "time_spent", .type = LH_INTEGER, .flags = LH_REQUIRED, .min = 0, .max = APR_INT64_MAX,
     .note = "Seconds."},
    {0}};

static const lh_route routes[] = {
    {.name = "sessions.create", .method = "POST", .path = "/sessions/",
     .summary = "Create a session, or get the open one for this problem.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = create_fields,
     .sql = {"SELECT NULL::text AS \"!\" "
             "FROM learnhub.problems "
             "WHERE id = decode(:problem_id, 'hex') "
             "FOR KEY SHARE",

             /* The update changes nothing; it locks the open session, so that a concurrent request cannot close it. */
             "WITH new AS (SELECT learnhub.object_id() AS id) "
             "INSERT INTO learnhub.practice_sessions AS s (id, user_id, problem_id) "
             "SELECT new.id, :me::bigint, p.id "
             "FROM new, learnhub.problems p "
             "WHERE p.id = decode(:problem_id, 'hex') "
             "ON CONFLICT (user_id, problem_id) WHERE status IN ('active', 'paused') DO UPDATE SET status = s.status "
             "RETURNING CASE WHEN s.id = (SELECT id FROM new) THEN 201 ELSE 200 END AS _status, "
             "          s.diagram_data, " SESSION_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .other_status = 200,
     .returns = session_keys,
     .examples = (const lh_route_example[]){
         {"diagram_data",  "{}", 201},
         {"diagram_hash",  "d41d8cd98f00b204e9800998ecf8427e", 201},
         {"time_spent",    "0", 201},
         {"chat_messages", "[]", 201},
         {0}},
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Problem not found."}, {0}}},

    {.name = "sessions.mine", .method = "GET", .path = "/sessions/user/my-sessions",
     .summary = "List the caller's sessions, newest first.",
     .roles = LH_MEMBER,
     .flags = LH_STREAMED | LH_SLICED,
     .sql = {"SELECT s.diagram_data, " SESSION_COLUMNS
             "FROM learnhub.practice_sessions s "
             "WHERE s.user_id = :me::bigint "
             "ORDER BY s.created_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .shape = LH_ALL,
     .returns = session_keys},

    {.name = "sessions.by_problem", .method = "GET", .path = "/sessions/problem/{problem_id:oid}",
     .summary = "Get the caller's open session for a problem, or null.",
     .roles = LH_MEMBER,
     .sql = {"SELECT s.diagram_data, " SESSION_COLUMNS
             "FROM learnhub.practice_sessions s "
             "WHERE s.user_id = :me::bigint AND s.problem_id = decode(:problem_id, 'hex') "
             "  AND s.status IN ('active', 'paused')"},
     .shape = LH_ONE_OR_NULL,
     .returns = session_keys},

    {.name = "sessions.get", .method = "GET", .path = "/sessions/{id:oid}",
     .summary = "Get one of the caller's sessions.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.practice_sessions "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "
             "FOR UPDATE",
     .sql = {"SELECT CASE WHEN s.user_id <> :me::bigint THEN 'owner' END AS \"!\", s.diagram_data, " SESSION_COLUMNS
             "FROM learnhub.practice_sessions s "
             "WHERE s.id = decode(:id, 'hex')"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         {"owner", 403, NULL, "This session belongs to another user."},
         {0}}},

    {.name = "sessions.autosave", .method = "PUT", .path = "/sessions/{id:oid}/autosave",
     .summary = "Save the diagram and the time spent.",
     .roles = LH_MEMBER,
     .flags = LH_DIAGRAM | LH_KEEPS_CACHE,
     .body = save_fields,
     .before = {&save_unchanged_diagram},
     .extra_sql = {
             "UPDATE learnhub.practice_sessions s "
             "SET time_spent = :time_spent::bigint, last_saved_at = clock_timestamp(), updated_at = clock_timestamp() "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint AND s.status IN ('active', 'paused') "
             "  AND s.diagram_fingerprint = decode(:fingerprint, 'hex') "
             "RETURNING " SESSION_COLUMNS},
     /* The conditions of the update hold for the row as it is when it is locked. A session that was not updated is
      * closed, for nothing opens it again. */
     .sql = {"WITH saved AS ("
             "    UPDATE learnhub.practice_sessions s "
             "    SET time_spent = :time_spent::bigint, last_saved_at = clock_timestamp(), "
             "        updated_at = clock_timestamp(), diagram_hash = :hash, "
             "        diagram_data = CASE WHEN s.diagram_hash = :hash THEN s.diagram_data "
             "                            ELSE :diagram_data::json END, "
             "        diagram_fingerprint = decode(:fingerprint, 'hex') "
             "    WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint AND s.status IN ('active', 'paused') "
             "    RETURNING " SESSION_COLUMNS ") "
             "SELECT CASE WHEN saved.id IS NULL THEN 'closed' END AS \"!\", saved.* "
             "FROM learnhub.practice_sessions s LEFT JOIN saved ON true "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint"},
     .after = {&remember_saved_diagram},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){SESSION_NOT_FOUND, SESSION_CLOSED, {0}}},

    {.name = "sessions.pause", .method = "PUT", .path = "/sessions/{id:oid}/pause",
     .summary = "Pause an active session.",
     .roles = LH_MEMBER,
     .body = pause_fields,
     .sql = {SESSION_LOCK,

             "UPDATE learnhub.practice_sessions "
             "SET status = 'paused', time_spent = :time_spent::bigint, last_saved_at = clock_timestamp(), "
             "    updated_at = clock_timestamp() "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint AND status = 'active'",

             "SELECT s.diagram_data, " SESSION_COLUMNS
             "FROM learnhub.practice_sessions s "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint"},
     .shape = LH_ONE,
     .returns = session_keys,
     .examples = (const lh_route_example[]){{"status", "paused", 0}, {0}},
     .errors = (const lh_route_error[]){SESSION_NOT_FOUND, SESSION_CLOSED, {0}}},

    {.name = "sessions.resume", .method = "PUT", .path = "/sessions/{id:oid}/resume",
     .summary = "Resume a paused session.",
     .roles = LH_MEMBER,
     .sql = {SESSION_LOCK,

             "UPDATE learnhub.practice_sessions "
             "SET status = 'active', updated_at = clock_timestamp() "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint AND status = 'paused'",

             "SELECT s.diagram_data, " SESSION_COLUMNS
             "FROM learnhub.practice_sessions s "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint"},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){SESSION_NOT_FOUND, SESSION_CLOSED, {0}}},

    {.name = "sessions.chat", .method = "POST", .path = "/sessions/{id:oid}/chat",
     .summary = "Add a chat message.",
     .roles = LH_MEMBER,
     .flags = LH_KEEPS_CACHE | LH_IDEMPOTENT,
     .body = CHAT_FIELDS,
     .sql = {"SELECT CASE WHEN status NOT IN ('active', 'paused') THEN 'closed' "
             "            WHEN NOT learnhub.chat_has_room(chat_messages) THEN 'full' "
             "       END AS \"!\" "
             "FROM learnhub.practice_sessions "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "
             "FOR UPDATE",

             "UPDATE learnhub.practice_sessions s "
             "SET chat_messages = s.chat_messages || jsonb_build_object("
             "        'role', :role::text, 'content', :content::text, 'timestamp', "
             "        to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')), "
             "    updated_at = clock_timestamp() "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint AND s.status IN ('active', 'paused') "
             "  AND learnhub.chat_has_room(s.chat_messages) "
             "RETURNING s.diagram_data, " SESSION_COLUMNS},
     .shape = LH_ONE,
     .returns = session_keys,
     .errors = (const lh_route_error[]){
         SESSION_NOT_FOUND,
         SESSION_CLOSED,
         {"full", 400, NULL, "A chat has at most 1000 messages and 1 MB."},
         {0}}},

    {.name = "sessions.abandon", .method = "DELETE", .path = "/sessions/{id:oid}",
     .summary = "Abandon an open session; it remains readable.",
     .roles = LH_MEMBER,
     .sql = {SESSION_LOCK,

             "UPDATE learnhub.practice_sessions "
             "SET status = 'abandoned', ended_at = clock_timestamp(), updated_at = clock_timestamp() "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint AND status IN ('active', 'paused') "
             "RETURNING id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){SESSION_NOT_FOUND, SESSION_CLOSED, {0}}},

    {0}};

const lh_route_group lh_group_practice = {
    .name = "practice",
    .title = "Practice sessions",
    .prefixes = (const char *const[]){"/sessions", NULL},
    .error_format = LH_ERRORS_LOCATED,
    .time_format = LH_MILLIS_Z,
    .routes = routes};

/* clang-format on */
