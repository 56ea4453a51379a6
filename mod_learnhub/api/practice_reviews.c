/* SPDX-License-Identifier: Apache-2.0 */
/* Practice: evaluations of drawings, questions about them, and the submissions of a problem. */
#include "api/shared.h"
#include "learnhub_model.h"

/* The front ends send `message`; `content` is the name of other chat routes. */
static lh_error *check_question(lh_call *call, lh_error *errors)
{
    return lh_param(call, "message") || lh_param(call, "content") || errors
               ? errors
               : lh_fail_field(call, errors, "message", "This field is required.");
}

/* clang-format off */

#define PROBLEM_COLUMNS                                                                                                \
    "p.title AS _title, p.description AS _description, p.requirements AS _requirements, p.constraints AS _constraints "

/* The extra statements of the steps that evaluate a drawing. */
#define EVALUATION_SQL {                                                                                               \
    "SELECT CASE WHEN s.status IN ('submitted', 'abandoned') THEN s.status "                                           \
    "            WHEN p.id IS NULL THEN 'problem' "                                                                    \
    "       END AS \"!\", "                                                                                            \
    "       s.diagram_hash AS _hash, learnhub.evaluation_question(p, s.diagram_hash) AS _question, "                   \
    "       e.evaluation AS _evaluation, CASE WHEN e.evaluation IS NULL THEN s.diagram_data END AS _diagram, "         \
            PROBLEM_COLUMNS                                                                                            \
    "FROM learnhub.practice_sessions s "                                                                               \
    "LEFT JOIN learnhub.problems p ON p.id = s.problem_id "                                                            \
    "LEFT JOIN learnhub.evaluations e "                                                                                \
    "  ON e.user_id = s.user_id AND e.question = learnhub.evaluation_question(p, s.diagram_hash) "                     \
    "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint",                                                     \
                                                                                                                       \
    "SELECT c.error AS \"!\", c.stored AS _stored, c.claimed AS _claimed, c.wait AS _wait "                            \
    "FROM learnhub.claim_evaluation(:me::bigint, decode(:id, 'hex'), :asked::text, :submits::boolean, "                \
    "                               :waits::boolean, make_interval(secs => :timeout::float8)) c",                      \
                                                                                                                       \
    "UPDATE learnhub.evaluations "                                                                                     \
    "SET evaluation = :evaluation::jsonb "                                                                             \
    "WHERE user_id = :me::bigint AND claim = :claim::uuid",                                                  \
                                                                                                                       \
    "DELETE FROM learnhub.evaluations "                                                                                \
    "WHERE user_id = :me::bigint AND claim = :claim::uuid"}

#define FEEDBACK_COLUMNS                                                                                               \
    ":evaluation::jsonb -> 'implemented' AS \"feedback.implemented\", "                                                \
    ":evaluation::jsonb -> 'missing' AS \"feedback.missing\", "                                                        \
    ":evaluation::jsonb -> 'next_steps' AS \"feedback.next_steps\", "

#define FEEDBACK_KEYS                                                                                                  \
    {.name = "feedback.implemented", .type = LH_STRINGS},                                                              \
    {.name = "feedback.missing",     .type = LH_STRINGS},                                                              \
    {.name = "feedback.next_steps",  .type = LH_STRINGS}

#define EVALUATION_ERRORS                                                                                              \
    {"missing",   404, NULL, "Session not found."},                                                                    \
    {"problem",   404, NULL, "Problem not found."},                                                                    \
    {"submitted", 400, NULL, "This session has been submitted already."},                                              \
    {"abandoned", 400, NULL, "This session has been abandoned."},                                                      \
    {"empty",     400, NULL, "The drawing is empty. Draw your solution first."}

static const lh_field check_keys[] = {
    FEEDBACK_KEYS,
    {.name = "cached",    .type = LH_BOOLEAN, .object = "Review", .example = "false",
     .note = "The evaluation of this drawing was stored."},
    {.name = "timestamp", .type = LH_TIME},
    {0}};

static const lh_field resource_keys[] = {
    {.name = "title", .type = LH_STRING},
    {.name = "url",   .type = LH_STRING},
    {0}};

static const lh_field submit_keys[] = {
    {.name = "submission_id",    .type = LH_OBJECT_ID, .object = "Evaluation"},
    {.name = "session_id",       .type = LH_OBJECT_ID},
    {.name = "problem_id",       .type = LH_OBJECT_ID},
    {.name = "score",            .type = LH_INTEGER},
    {.name = "max_score",        .type = LH_INTEGER, .enum_values = "100", .example = "100"},
    {.name = "breakdown",        .type = LH_LIST, .items = (const lh_field[]){
        {.name = "requirement", .type = LH_STRING},
        {.name = "achieved", .type = LH_BOOLEAN},
        {.name = "points", .type = LH_INTEGER, .example = "80"},
        {.name = "note", .type = LH_STRING},
        {0}}},
    FEEDBACK_KEYS,
    {.name = "tips",             .type = LH_STRINGS},
    {.name = "resources.videos", .type = LH_LIST, .items = resource_keys, .example = "[]",
     .note = "Always empty."},
    {.name = "resources.docs",   .type = LH_LIST, .items = resource_keys, .example = "[]",
     .note = "Always empty."},
    {.name = "timestamp",        .type = LH_TIME},
    {0}};

static const lh_field submission_keys[] = {
    {.name = "submission_id", .type = LH_OBJECT_ID, .object = "EvaluatedSubmission"},
    {.name = "session_id",    .type = LH_OBJECT_ID, .flags = LH_NULL,
     .note = "Null if the submission was not made from a session."},
    {.name = "score",         .type = LH_INTEGER},
    {.name = "max_score",     .type = LH_INTEGER, .enum_values = "100", .example = "100"},
    {.name = "diagram_data",  .type = LH_OBJECT},
    {.name = "submitted_at",  .type = LH_TIME},
    {.name = "time_spent",    .type = LH_INTEGER, .note = "Seconds."},
    {0}};

#define QUESTION_MESSAGE                                                                                               \
    "jsonb_build_object('role', 'user', 'content', :question::text, 'timestamp', " MESSAGE_TIME ")"
#define MESSAGE_TIME "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')"

/* The chat of a session `s` takes a question and its answer. */
#define CHAT_HAS_ROOM "learnhub.chat_has_room(s.chat_messages || " QUESTION_MESSAGE ") "

#define CHAT_STATE                                                                                                     \
    "CASE WHEN s.status NOT IN ('active', 'paused') THEN 'closed' "                                                    \
    "     WHEN NOT " CHAT_HAS_ROOM "THEN 'full' "

static const lh_route routes[] = {
    {.name = "reviews.check", .method = "POST", .path = "/sessions/{id:oid}/check",
     .summary = "Evaluate the drawing of one of the caller's open sessions.",
     .roles = LH_MEMBER,
     .before = {&lh_step_check_drawing},
     .extra_sql = EVALUATION_SQL,
     .sql = {"SELECT " FEEDBACK_COLUMNS ":cached::boolean AS cached, clock_timestamp() AS timestamp"},
     .share = LH_SHARE_MODEL,
     .shape = LH_ONE,
     .returns = check_keys,
     .errors = (const lh_route_error[]){EVALUATION_ERRORS, {0}}},

    {.name = "reviews.submit", .method = "POST", .path = "/sessions/{id:oid}/submit",
     .summary = "Evaluate the drawing of one of the caller's open sessions, create a submission and end the session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .before = {&lh_step_submit_drawing},
     .extra_sql = EVALUATION_SQL,
     .sql = {"SELECT CASE WHEN status IN ('submitted', 'abandoned') THEN status "
             "            WHEN diagram_hash <> :hash THEN 'changed' "
             "       END AS \"!\" "
             "FROM learnhub.practice_sessions "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "
             "FOR UPDATE",

             "WITH ended AS ("
             "    UPDATE learnhub.practice_sessions "
             "    SET status = 'submitted', ended_at = clock_timestamp(), updated_at = clock_timestamp() "
             "    WHERE id = decode(:id, 'hex') AND user_id = :me::bigint AND status IN ('active', 'paused') "
             "      AND diagram_hash = :hash "
             "    RETURNING *) "
             "INSERT INTO learnhub.submissions AS s "
             "    (user_id, problem_id, session_id, status, score, time_spent, "
             "     diagram_data, strengths, improvements, missing_components, chat_messages) "
             "SELECT user_id, problem_id, id, 'completed', (:evaluation::jsonb ->> 'score')::int, time_spent, "
             "       diagram_data, :evaluation::jsonb -> 'implemented', :evaluation::jsonb -> 'next_steps', "
             "       :evaluation::jsonb -> 'missing', chat_messages "
             "FROM ended "
             "RETURNING s.id AS submission_id, s.session_id, s.problem_id, s.score, 100 AS max_score, "
             "          :evaluation::jsonb -> 'breakdown' AS breakdown, " FEEDBACK_COLUMNS
             "          :evaluation::jsonb -> 'tips' AS tips, '[]'::jsonb AS \"resources.videos\", "
             "          '[]'::jsonb AS \"resources.docs\", s.submitted_at AS timestamp"},
     .share = LH_SHARE_MODEL,
     .shape = LH_ONE,
     .returns = submit_keys,
     .errors = (const lh_route_error[]){
         EVALUATION_ERRORS,
         {"submitting", 400, NULL, "This session is being submitted."},
         {"changed",    409, NULL, "The drawing was changed during its evaluation. Submit again."},
         {0}}},

    {.name = "reviews.chat", .method = "POST", .path = "/sessions/{id:oid}/ai-chat",
     .summary = "Ask a question about the drawing of one of the caller's open sessions.",
     .roles = LH_MEMBER,
     .flags = LH_DIAGRAM | LH_IDEMPOTENT,
     .body = (const lh_field[]){
         {.name = "message",      .type = LH_STRING, .flags = LH_NULL, .min = 1, .max = 32768},
         {.name = "content",      .type = LH_STRING, .flags = LH_NULL, .min = 1, .max = 32768, .example = "",
          .note = "The same as message, which takes precedence."},
         {.name = "diagram_data", .type = LH_OBJECT, .flags = LH_NULL,
          .note = "The current drawing; without a scene in it, the stored one is used. It is not stored."},
         {0}},
     .either = "message content",
     .check = check_question,
     .before = {&lh_step_answer_question},
     .extra_sql = {
             "SELECT " CHAT_STATE " WHEN p.id IS NULL THEN 'problem' END AS \"!\", "
             "       CASE WHEN :stored::boolean THEN s.diagram_data END AS _diagram, "
             "       (SELECT jsonb_agg(jsonb_build_object('role', m.value ->> 'role', "
             "                                            'content', left(m.value ->> 'content', 2000)) ORDER BY m.n) "
             "        FROM jsonb_array_elements(s.chat_messages) WITH ORDINALITY m (value, n) "
             "        WHERE m.n > jsonb_array_length(s.chat_messages) - 10) AS _history, "
                     PROBLEM_COLUMNS
             "FROM learnhub.practice_sessions s "
             "LEFT JOIN learnhub.problems p ON p.id = s.problem_id "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint",

             "SELECT learnhub.model_turn(:me::bigint, 'question') AS _wait"},
     .sql = {"SELECT " CHAT_STATE "END AS \"!\" "
             "FROM learnhub.practice_sessions s "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint "
             "FOR UPDATE",

             "UPDATE learnhub.practice_sessions s "
             "SET chat_messages = s.chat_messages || " QUESTION_MESSAGE " || jsonb_build_object("
             "        'role', 'assistant', 'content', :answer::text, 'timestamp', " MESSAGE_TIME "), "
             "    updated_at = clock_timestamp() "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint AND s.status IN ('active', 'paused') "
             "  AND " CHAT_HAS_ROOM
             "RETURNING :answer::text AS _content"},
     .share = LH_SHARE_MODEL,
     .shape = LH_EVENTS,
     .examples = (const lh_route_example[]){
         {"text/event-stream", "data: The drawing has a cache, but nothing that keeps the likes.\n\n", 0},
         {0}},
     .errors = (const lh_route_error[]){
         {"missing", 404, NULL, "Session not found."},
         {"problem", 404, NULL, "Problem not found."},
         {"closed",  400, NULL, "This session has been submitted or abandoned."},
         {"full",    400, NULL, "A chat has at most 1000 messages and 1 MB."},
         {0}}},

    {.name = "reviews.submissions", .method = "GET", .path = "/sessions/problem/{problem_id:oid}/submissions",
     .summary = "List the caller's submissions for a problem, newest first.",
     .roles = LH_MEMBER,
     .flags = LH_STREAMED | LH_SLICED,
     .sql = {"SELECT s.id AS submission_id, s.session_id, s.score, 100 AS max_score, s.diagram_data, s.submitted_at, "
             "       s.time_spent "
             "FROM learnhub.submissions s "
             "WHERE s.user_id = :me::bigint AND s.problem_id = decode(:problem_id, 'hex') "
             "ORDER BY s.submitted_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .shape = LH_ALL,
     .returns = submission_keys},

    {0}};

const lh_route_group lh_group_reviews = {
    .name = "practice",
    .title = "Reviews of practice sessions",
    .prefixes = (const char *const[]){NULL},
    .error_format = LH_ERRORS_LOCATED,
    .time_format = LH_MILLIS_Z,
    .routes = routes};

/* clang-format on */
