/* SPDX-License-Identifier: Apache-2.0 */
/* Practice: the submissions of a problem. */
#include "api/shared.h"

/* clang-format off */

static const lh_field submission_keys[] = {
    {.name = "submission_id", .type = LH_OBJECT_ID},
    {.name = "session_id",    .type = LH_OBJECT_ID, .flags = LH_NULL,
     .note = "Null if the submission was not made from a session."},
    {.name = "score",         .type = LH_INTEGER},
    {.name = "max_score",     .type = LH_INTEGER, .note = "100."},
    {.name = "diagram_data",  .type = LH_OBJECT},
    {.name = "submitted_at",  .type = LH_TIME},
    {.name = "time_spent",    .type = LH_INTEGER, .note = "Seconds."},
    {0}};

static const lh_route routes[] = {
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
