/* SPDX-License-Identifier: Apache-2.0 */
/* Practice submissions: /submissions. */
#include "api/shared.h"

/* clang-format off */

#define SUBMISSION_COLUMNS                                                                                             \
    "s.id, (SELECT email FROM learnhub.users WHERE id = s.user_id) AS user_id, s.problem_id, s.diagram_data, "         \
    "s.score, s.time_spent, s.status, s.strengths AS \"feedback.strengths\", "                                         \
    "s.improvements AS \"feedback.improvements\", s.missing_components AS \"feedback.missing_components\", "           \
    "s.chat_messages, s.submitted_at, s.updated_at "

#define SUBMISSION_FIELDS                                                                                              \
    {.name = "diagram_data",                .type = LH_OBJECT, .flags = LH_NULL},                                      \
    {.name = "status",                      .type = LH_STRING, .flags = LH_NULL,                                       \
     .enum_values = "in-progress completed"},                                                                          \
    {.name = "score",                       .type = LH_INTEGER, .flags = LH_NULL, .min = 0, .max = 100},               \
    {.name = "time_spent",                  .type = LH_INTEGER, .flags = LH_NULL, .min = 0, .max = APR_INT64_MAX},     \
    {.name = "feedback",                    .type = LH_GROUP, .flags = LH_NULL},                                       \
    {.name = "feedback.strengths",          .type = LH_STRINGS, .flags = LH_NULL},                                     \
    {.name = "feedback.improvements",       .type = LH_STRINGS, .flags = LH_NULL},                                     \
    {.name = "feedback.missing_components", .type = LH_STRINGS, .flags = LH_NULL}

#define SUBMISSION_NOT_FOUND {"missing", 404, NULL, "Submission not found."}
#define SUBMISSION_OF_ANOTHER {"owner", 403, NULL, "This submission belongs to another user."}

static const lh_field message_keys[] = {
    {.name = "role",      .type = LH_STRING, .enum_values = "user assistant"},
    {.name = "content",   .type = LH_STRING},
    {.name = "timestamp", .type = LH_STRING,
     .note = "2024-01-15T10:35:00; 2024-01-15T10:35:00.000Z if the message was copied from a session."},
    {0}};

static const lh_field listed_keys[] = {
    {.name = "id",           .type = LH_OBJECT_ID, .object = "SubmissionSummary"},
    {.name = "user_id",      .type = LH_EMAIL, .note = "The owner's current e-mail address."},
    {.name = "problem_id",   .type = LH_OBJECT_ID},
    {.name = "score",        .type = LH_INTEGER},
    {.name = "time_spent",   .type = LH_INTEGER, .note = "Seconds."},
    {.name = "status",       .type = LH_STRING, .enum_values = "in-progress completed"},
    {.name = "submitted_at", .type = LH_TIME},
    {.name = "updated_at",   .type = LH_TIME},
    {0}};

static const lh_field submission_keys[] = {
    {.name = "id",                          .type = LH_OBJECT_ID, .object = "Submission"},
    {.name = "user_id",                     .type = LH_EMAIL, .note = "The owner's current e-mail address."},
    {.name = "problem_id",                  .type = LH_OBJECT_ID},
    {.name = "score",                       .type = LH_INTEGER},
    {.name = "time_spent",                  .type = LH_INTEGER, .note = "Seconds."},
    {.name = "status",                      .type = LH_STRING, .enum_values = "in-progress completed"},
    {.name = "submitted_at",                .type = LH_TIME},
    {.name = "updated_at",                  .type = LH_TIME},
    {.name = "diagram_data",                .type = LH_OBJECT},
    {.name = "feedback.strengths",          .type = LH_STRINGS},
    {.name = "feedback.improvements",       .type = LH_STRINGS},
    {.name = "feedback.missing_components", .type = LH_STRINGS},
    {.name = "chat_messages",               .type = LH_LIST, .items = message_keys},
    {0}};

static const lh_field chat_keys[] = {
    {.name = "id",            .type = LH_OBJECT_ID, .object = "SubmissionChat"},
    {.name = "chat_messages", .type = LH_LIST, .items = message_keys},
    {0}};

static const lh_route routes[] = {
    {.name = "submissions.create", .method = "POST", .path = "/submissions/",
     .summary = "Create a submission.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = (const lh_field[]){
         {.name = "problem_id", .type = LH_OBJECT_ID, .flags = LH_REQUIRED},
         SUBMISSION_FIELDS,
         {0}},
     .sql = {"SELECT NULL::text AS \"!\" "
             "FROM learnhub.problems "
             "WHERE id = decode(:problem_id, 'hex') "
             "FOR KEY SHARE",

             "INSERT INTO learnhub.submissions AS s "
             "    (user_id, problem_id, status, score, time_spent, "
             "     diagram_data, strengths, improvements, missing_components) "
             "SELECT :me::bigint, p.id, coalesce(:status, 'in-progress'), coalesce(:score::int, 0), "
             "       coalesce(:time_spent::bigint, 0), coalesce(:diagram_data::json, '{}'), "
             "       coalesce(:feedback_strengths::jsonb, '[]'), coalesce(:feedback_improvements::jsonb, '[]'), "
             "       coalesce(:feedback_missing_components::jsonb, '[]') "
             "FROM learnhub.problems p "
             "WHERE p.id = decode(:problem_id, 'hex') "
             "RETURNING " SUBMISSION_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "Submission created successfully",
     .key = "submission",
     .returns = submission_keys,
     .examples = (const lh_route_example[]){{"chat_messages", "[]", 0}, {0}},
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Problem not found."}, {0}}},

    {.name = "submissions.from_session", .method = "POST", .path = "/submissions/from-session/{id:oid}",
     .summary = "Create a submission from a practice session and end the session.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .sql = {"SELECT CASE WHEN user_id <> :me::bigint THEN 'owner' "
             "            WHEN status = 'submitted' THEN 'submitted' "
             "            WHEN status = 'abandoned' THEN 'abandoned' "
             "       END AS \"!\" "
             "FROM learnhub.practice_sessions "
             "WHERE id = decode(:id, 'hex') "
             "FOR UPDATE",

             "WITH ended AS ("
             "    UPDATE learnhub.practice_sessions "
             "    SET status = 'submitted', ended_at = clock_timestamp(), updated_at = clock_timestamp() "
             "    WHERE id = decode(:id, 'hex') AND user_id = :me::bigint AND status IN ('active', 'paused') "
             "    RETURNING *) "
             "INSERT INTO learnhub.submissions AS s "
             "    (user_id, problem_id, session_id, status, time_spent, diagram_data, chat_messages) "
             "SELECT user_id, problem_id, id, 'completed', time_spent, diagram_data, chat_messages "
             "FROM ended "
             "RETURNING " SUBMISSION_COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "Submission created from session successfully",
     .key = "submission",
     .returns = submission_keys,
     .examples = (const lh_route_example[]){
         {"status", "completed", 0}, {"score", "0", 0}, {"feedback.strengths", "[]", 0},
         {"feedback.improvements", "[]", 0}, {"feedback.missing_components", "[]", 0}, {0}},
     .errors = (const lh_route_error[]){
         {"missing",   404, NULL, "Session not found."},
         {"owner",     403, NULL, "This session belongs to another user."},
         {"submitted", 400, NULL, "This session has been submitted already."},
         {"abandoned", 400, NULL, "An abandoned session cannot be submitted."},
         {0}}},

    {.name = "submissions.mine", .method = "GET", .path = "/submissions/user/my-submissions",
     .summary = "List the caller's submissions, newest first.",
     .roles = LH_MEMBER,
     .count = "SELECT count(*) "
              "FROM learnhub.submissions "
              "WHERE user_id = :me::bigint",
     .sql = {"SELECT s.id, (SELECT email FROM learnhub.users WHERE id = s.user_id) AS user_id, s.problem_id, "
             "       s.score, s.time_spent, s.status, s.submitted_at, s.updated_at "
             "FROM learnhub.submissions s "
             "WHERE s.user_id = :me::bigint "
             "ORDER BY s.submitted_at DESC, s.id DESC "
             "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .shape = LH_SKIP_LIMIT,
     .key = "submissions",
     .returns = listed_keys},

    {.name = "submissions.by_problem", .method = "GET", .path = "/submissions/problem/{problem_id:oid}",
     .summary = "Get the caller's newest submission for a problem.",
     .roles = LH_MEMBER,
     .sql = {"SELECT " SUBMISSION_COLUMNS
             "FROM learnhub.submissions s "
             "WHERE s.user_id = :me::bigint AND s.problem_id = decode(:problem_id, 'hex') "
             "ORDER BY s.submitted_at DESC, s.id DESC "
             "LIMIT 1"},
     .shape = LH_ONE,
     .returns = submission_keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "No submission found for this problem."}, {0}}},

    {.name = "submissions.get", .method = "GET", .path = "/submissions/{id:oid}",
     .summary = "Get one of the caller's submissions.",
     .roles = LH_MEMBER,
     .lock = "SELECT FROM learnhub.submissions "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "
             "FOR UPDATE",
     .sql = {"SELECT CASE WHEN s.user_id <> :me::bigint THEN 'owner' END AS \"!\", " SUBMISSION_COLUMNS
             "FROM learnhub.submissions s "
             "WHERE s.id = decode(:id, 'hex')"},
     .shape = LH_ONE,
     .returns = submission_keys,
     .errors = (const lh_route_error[]){SUBMISSION_NOT_FOUND, SUBMISSION_OF_ANOTHER, {0}}},

    {.name = "submissions.update", .method = "PUT", .path = "/submissions/{id:oid}",
     .summary = "Change a submission; null leaves a field unchanged.",
     .roles = LH_MEMBER,
     .body = (const lh_field[]){SUBMISSION_FIELDS, {0}},
     .sql = {"SELECT CASE WHEN user_id <> :me::bigint THEN 'owner' END AS \"!\" "
             "FROM learnhub.submissions "
             "WHERE id = decode(:id, 'hex') "
             "FOR UPDATE",

             /* `feedback` replaces all three parts: a part that was not sent becomes an empty list. */
             "UPDATE learnhub.submissions s "
             "SET diagram_data = coalesce(:diagram_data::json, s.diagram_data), "
             "    status = coalesce(:status, s.status), "
             "    score = coalesce(:score::int, s.score), "
             "    time_spent = coalesce(:time_spent::bigint, s.time_spent), "
             "    strengths = CASE WHEN :feedback::boolean "
             "        THEN coalesce(:feedback_strengths::jsonb, '[]') ELSE s.strengths END, "
             "    improvements = CASE WHEN :feedback::boolean "
             "        THEN coalesce(:feedback_improvements::jsonb, '[]') ELSE s.improvements END, "
             "    missing_components = CASE WHEN :feedback::boolean "
             "        THEN coalesce(:feedback_missing_components::jsonb, '[]') ELSE s.missing_components END, "
             "    updated_at = clock_timestamp() "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint "
             "RETURNING " SUBMISSION_COLUMNS},
     .shape = LH_ONE,
     .message = "Submission updated successfully",
     .key = "submission",
     .returns = submission_keys,
     .errors = (const lh_route_error[]){SUBMISSION_NOT_FOUND, SUBMISSION_OF_ANOTHER, {0}}},

    {.name = "submissions.chat", .method = "POST", .path = "/submissions/{id:oid}/chat",
     .summary = "Add a chat message.",
     .roles = LH_MEMBER,
     .flags = LH_IDEMPOTENT,
     .body = CHAT_FIELDS,
     .sql = {"SELECT CASE WHEN user_id <> :me::bigint THEN 'owner' "
             "            WHEN NOT learnhub.chat_has_room(chat_messages) THEN 'full' "
             "       END AS \"!\" "
             "FROM learnhub.submissions "
             "WHERE id = decode(:id, 'hex') "
             "FOR UPDATE",

             "UPDATE learnhub.submissions s "
             "SET chat_messages = s.chat_messages || jsonb_build_object("
             "        'role', :role::text, 'content', :content::text, 'timestamp', "
             "        to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')), "
             "    updated_at = clock_timestamp() "
             "WHERE s.id = decode(:id, 'hex') AND s.user_id = :me::bigint AND learnhub.chat_has_room(s.chat_messages) "
             "RETURNING s.id, s.chat_messages"},
     .shape = LH_ONE,
     .message = "Chat message added successfully",
     .key = "submission",
     .returns = chat_keys,
     .errors = (const lh_route_error[]){
         SUBMISSION_NOT_FOUND,
         SUBMISSION_OF_ANOTHER,
         {"full", 400, NULL, "A chat has at most 1000 messages and 1 MB."},
         {0}}},

    {.name = "submissions.delete", .method = "DELETE", .path = "/submissions/{id:oid}",
     .summary = "Delete one of the caller's submissions.",
     .roles = LH_MEMBER,
     .sql = {"DELETE FROM learnhub.submissions "
             "WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "
             "RETURNING id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){
         {"missing", 404, NULL, "Submission not found, or not yours to delete."},
         {0}}},

    {0}};

const lh_route_group lh_group_submissions = {
    .name = "practice",
    .title = "Submissions",
    .prefixes = (const char *const[]){"/submissions", NULL},
    .error_format = LH_ERRORS_LOCATED,
    .time_format = LH_SECONDS,
    .routes = routes};

/* clang-format on */
