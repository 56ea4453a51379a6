/* SPDX-License-Identifier: Apache-2.0 */
/* Submissions of practice: /submissions. The document is seeds' practice; contract section 2 settles the rest. */
#include "learnhub.h"

#define OWNER "(SELECT email FROM learnhub.users WHERE id = s.user_id) AS user_id, "
#define COLUMNS                                                                                                        \
    "s.id, " OWNER "s.problem_id, s.diagram_data, s.score, s.time_spent, s.status, "                                   \
    "s.strengths AS \"feedback.strengths\", s.improvements AS \"feedback.improvements\", "                             \
    "s.missing_components AS \"feedback.missing_components\", s.chat_messages, s.submitted_at, s.updated_at "
#define MINE "s.user_id = :me::bigint"
#define BY_ID "s.id = decode(:id, 'hex')"
#define NEWEST_FIRST " ORDER BY s.submitted_at DESC, s.id DESC "

/* Locks the submission: another's is a 403. */
#define OWN                                                                                                            \
    "SELECT CASE WHEN s.user_id <> :me::bigint THEN 'owner' END AS \"!\" FROM learnhub.submissions s "                 \
    "WHERE " BY_ID " FOR UPDATE"

static const lh_field message_keys[] = {
    {.name = "role", .type = LH_STRING, .enum_values = "user assistant"},
    {.name = "content", .type = LH_STRING},
    {.name = "timestamp",
     .type = LH_STRING,
     .note = "2024-01-15T10:35:00; 2024-01-15T10:35:00.000Z of a message that was copied from a session."},
    {0}};

#define LISTED_KEYS                                                                                                    \
    {.name = "id", .type = LH_OBJECT_ID},                                                                              \
        {.name = "user_id", .type = LH_EMAIL, .note = "The owner's present e-mail address."},                          \
        {.name = "problem_id", .type = LH_OBJECT_ID}, {.name = "score", .type = LH_INTEGER},                           \
        {.name = "time_spent", .type = LH_INTEGER, .note = "Seconds."},                                                \
        {.name = "status", .type = LH_STRING, .enum_values = "in-progress completed"},                                 \
        {.name = "submitted_at", .type = LH_TIME},                                                                     \
    {                                                                                                                  \
        .name = "updated_at", .type = LH_TIME                                                                          \
    }

static const lh_field listed_keys[] = {LISTED_KEYS, {0}};
static const lh_field keys[] = {LISTED_KEYS,
                                {.name = "diagram_data", .type = LH_OBJECT},
                                {.name = "feedback.strengths", .type = LH_STRINGS},
                                {.name = "feedback.improvements", .type = LH_STRINGS},
                                {.name = "feedback.missing_components", .type = LH_STRINGS},
                                {.name = "chat_messages", .type = LH_LIST, .items = message_keys},
                                {0}};
static const lh_field chat_keys[] = {
    {.name = "id", .type = LH_OBJECT_ID}, {.name = "chat_messages", .type = LH_LIST, .items = message_keys}, {0}};

#define CHANGEABLE                                                                                                     \
    {.name = "diagram_data", .type = LH_OBJECT, .flags = LH_NULL},                                                     \
        {.name = "status", .type = LH_STRING, .flags = LH_NULL, .enum_values = "in-progress completed"},               \
        {.name = "score", .type = LH_INTEGER, .flags = LH_NULL, .min = 0, .max = 100},                                 \
        {.name = "time_spent", .type = LH_INTEGER, .flags = LH_NULL, .min = 0, .max = APR_INT64_MAX},                  \
        {.name = "feedback", .type = LH_GROUP, .flags = LH_NULL},                                                      \
        {.name = "feedback.strengths", .type = LH_STRINGS, .flags = LH_NULL},                                          \
        {.name = "feedback.improvements", .type = LH_STRINGS, .flags = LH_NULL},                                       \
    {                                                                                                                  \
        .name = "feedback.missing_components", .type = LH_STRINGS, .flags = LH_NULL                                    \
    }

static const lh_field create_fields[] = {
    {.name = "problem_id", .type = LH_OBJECT_ID, .flags = LH_REQUIRED}, CHANGEABLE, {0}};
static const lh_field update_fields[] = {CHANGEABLE, {0}};
static const lh_field chat_fields[] = {
    {.name = "role", .type = LH_STRING, .flags = LH_REQUIRED, .enum_values = "user assistant"},
    {.name = "content", .type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 32768},
    {0}};

/* A feedback that is sent replaces all of it: a part that it lacks is an empty list. */
#define FEEDBACK(part)                                                                                                 \
    part " = CASE WHEN :feedback::boolean THEN coalesce(:feedback_" part "::jsonb, '[]') ELSE s." part " END"

#define MISSING                                                                                                        \
    {                                                                                                                  \
        "missing", 404, NULL, "Submission not found."                                                                  \
    }
#define NOT_YOURS                                                                                                      \
    {                                                                                                                  \
        "owner", 403, NULL, "This submission belongs to somebody else."                                                \
    }
static const lh_route_error own_errors[] = {MISSING, NOT_YOURS, {0}};

static const lh_route routes[] = {
    {.name = "submissions.create",
     .method = "POST",
     .path = "/submissions/",
     .roles = LH_MEMBER,
     .summary = "Submit a solution.",
     .body = create_fields,
     .sql = {"SELECT NULL::text AS \"!\" FROM learnhub.problems WHERE id = decode(:problem_id, 'hex') FOR KEY SHARE",
             "INSERT INTO learnhub.submissions AS s (user_id, problem_id, status, score, time_spent, diagram_data, "
             "strengths, improvements, missing_components) SELECT :me::bigint, p.id, "
             "coalesce(:status, 'in-progress'), coalesce(:score::int, 0), coalesce(:time_spent::bigint, 0), "
             "coalesce(:diagram_data::json, '{}'), coalesce(:feedback_strengths::jsonb, '[]'), "
             "coalesce(:feedback_improvements::jsonb, '[]'), coalesce(:feedback_missing_components::jsonb, '[]') "
             "FROM learnhub.problems p WHERE p.id = decode(:problem_id, 'hex') RETURNING " COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "Submission created successfully",
     .key = "submission",
     .returns = keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Problem not found."}, {0}}},
    {.name = "submissions.from_session",
     .method = "POST",
     .path = "/submissions/from-session/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "Submit what a practice session holds, and end the session.",
     .sql = {"SELECT CASE WHEN user_id <> :me::bigint THEN 'owner' WHEN status = 'submitted' THEN 'submitted' "
             "WHEN status = 'abandoned' THEN 'abandoned' END AS \"!\" FROM learnhub.practice_sessions "
             "WHERE id = decode(:id, 'hex') FOR UPDATE",
             "WITH ended AS (UPDATE learnhub.practice_sessions SET status = 'submitted', ended_at = clock_timestamp(), "
             "updated_at = clock_timestamp() WHERE id = decode(:id, 'hex') AND user_id = :me::bigint "
             "AND status IN ('active', 'paused') RETURNING *) "
             "INSERT INTO learnhub.submissions AS s (user_id, problem_id, session_id, status, time_spent, "
             "diagram_data, chat_messages) SELECT user_id, problem_id, id, 'completed', time_spent, diagram_data, "
             "chat_messages FROM ended RETURNING " COLUMNS},
     .shape = LH_ONE,
     .status = 201,
     .message = "Submission created from session successfully",
     .key = "submission",
     .returns = keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Session not found."},
                                        {"owner", 403, NULL, "This session belongs to somebody else."},
                                        {"submitted", 400, NULL, "This session has been submitted already."},
                                        {"abandoned", 400, NULL, "An abandoned session cannot be submitted."},
                                        {0}}},
    {.name = "submissions.mine",
     .method = "GET",
     .path = "/submissions/user/my-submissions",
     .roles = LH_MEMBER,
     .summary = "The caller's submissions, newest first.",
     .count = "SELECT count(*) FROM learnhub.submissions s WHERE " MINE,
     .sql = {"SELECT s.id, " OWNER "s.problem_id, s.score, s.time_spent, s.status, s.submitted_at, s.updated_at "
             "FROM learnhub.submissions s WHERE " MINE NEWEST_FIRST "LIMIT :limit::bigint OFFSET :skip::bigint"},
     .shape = LH_SKIP_LIMIT,
     .key = "submissions",
     .returns = listed_keys},
    {.name = "submissions.by_problem",
     .method = "GET",
     .path = "/submissions/problem/{problem_id:oid}",
     .roles = LH_MEMBER,
     .summary = "The caller's newest submission for a problem.",
     .sql = {"SELECT " COLUMNS "FROM learnhub.submissions s WHERE " MINE
             " AND s.problem_id = decode(:problem_id, 'hex')" NEWEST_FIRST "LIMIT 1"},
     .shape = LH_ONE,
     .returns = keys,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "No submission found for this problem."}, {0}}},
    {.name = "submissions.get",
     .method = "GET",
     .path = "/submissions/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "One submission of the caller's.",
     .sql = {"SELECT CASE WHEN s.user_id <> :me::bigint THEN 'owner' END AS \"!\", " COLUMNS
             "FROM learnhub.submissions s WHERE " BY_ID},
     .shape = LH_ONE,
     .returns = keys,
     .errors = own_errors},
    {.name = "submissions.update",
     .method = "PUT",
     .path = "/submissions/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "Change a submission; null leaves a field as it is.",
     .body = update_fields,
     .sql = {OWN,
             "UPDATE learnhub.submissions s SET diagram_data = coalesce(:diagram_data::json, s.diagram_data), "
             "status = coalesce(:status, s.status), score = coalesce(:score::int, s.score), "
             "time_spent = coalesce(:time_spent::bigint, s.time_spent), " FEEDBACK("strengths") ", " FEEDBACK(
                 "improvements") ", " FEEDBACK("missing_components") ", updated_at = clock_timestamp() "
                                                                     "WHERE " BY_ID " AND " MINE " RETURNING " COLUMNS},
     .shape = LH_ONE,
     .message = "Submission updated successfully",
     .key = "submission",
     .returns = keys,
     .errors = own_errors},
    {.name = "submissions.chat",
     .method = "POST",
     .path = "/submissions/{id:oid}/chat",
     .roles = LH_MEMBER,
     .summary = "Add a chat message.",
     .body = chat_fields,
     .sql =
         {"SELECT CASE WHEN s.user_id <> :me::bigint THEN 'owner' "
          "WHEN NOT learnhub.chat_has_room(s.chat_messages) THEN 'full' END AS \"!\" FROM learnhub.submissions s "
          "WHERE " BY_ID " FOR UPDATE",
          "UPDATE learnhub.submissions s SET chat_messages = s.chat_messages || jsonb_build_object('role', "
          ":role::text, 'content', :content::text, 'timestamp', "
          "to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS')), updated_at = clock_timestamp() "
          "WHERE " BY_ID " AND " MINE " AND learnhub.chat_has_room(s.chat_messages) RETURNING s.id, s.chat_messages"},
     .shape = LH_ONE,
     .message = "Chat message added successfully",
     .key = "submission",
     .returns = chat_keys,
     .errors =
         (const lh_route_error[]){
             MISSING, NOT_YOURS, {"full", 400, NULL, "A chat has at most 1000 messages and 1 MB."}, {0}}},
    {.name = "submissions.delete",
     .method = "DELETE",
     .path = "/submissions/{id:oid}",
     .roles = LH_MEMBER,
     .summary = "Delete a submission of the caller's.",
     .sql = {"DELETE FROM learnhub.submissions s WHERE " BY_ID " AND " MINE " RETURNING s.id"},
     .shape = LH_NOTHING,
     .errors = (const lh_route_error[]){{"missing", 404, NULL, "Submission not found, or not yours to delete."}, {0}}},
    {0}};

const lh_route_group lh_group_submissions = {.name = "practice",
                                             .title = "Submissions",
                                             .prefixes = (const char *const[]){"/submissions", NULL},
                                             .error_format = LH_ERRORS_LOCATED,
                                             .time_format = LH_SECONDS,
                                             .routes = routes};
