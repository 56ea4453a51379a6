/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals in the four shapes, and what a client is told of a database error. */
#include "problem.h"

#include <apr_strings.h>

#include "tap.h"

static const char *written(const lh_problem *problem, lh_problem_style style)
{
    lh_json json;

    lh_json_init(&json, tap_pool, 64);
    lh_problem_write(&json, problem, style);
    return apr_pstrmemdup(tap_pool, json.data, json.length);
}

static void test_refusals(void)
{
    const lh_problem *problem = lh_problem_make(tap_pool, 403, "No \"entry\".");

    is_str(written(problem, LH_PLAIN), "{\"detail\":\"No \\\"entry\\\".\"}", "plain");
    is_str(written(problem, LH_LOCATED), "{\"detail\":\"No \\\"entry\\\".\"}", "located");
    is_str(written(problem, LH_ERROR), "{\"error\":\"No \\\"entry\\\".\"}", "error");
    is_str(written(problem, LH_WRAPPED), "{\"success\":false,\"data\":{\"detail\":\"No \\\"entry\\\".\"}}", "wrapped");
    is_int(lh_problem_status(problem, LH_LOCATED), 403, "its status");
}

static void test_fields(void)
{
    lh_problem *problem = lh_problem_field(tap_pool, NULL, "body", "a", "One.");

    problem = lh_problem_field(tap_pool, problem, "body", NULL, "Two.");
    problem = lh_problem_field(tap_pool, problem, "body", "a", "Three.");
    is_str(written(problem, LH_PLAIN), "{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}", "plain");
    is_str(written(problem, LH_LOCATED),
           "{\"detail\":[{\"loc\":[\"body\",\"a\"],\"msg\":\"One.\",\"type\":\"value_error\"},"
           "{\"loc\":[\"body\"],\"msg\":\"Two.\",\"type\":\"value_error\"},"
           "{\"loc\":[\"body\",\"a\"],\"msg\":\"Three.\",\"type\":\"value_error\"}]}",
           "located");
    is_str(written(problem, LH_ERROR),
           "{\"error\":\"a: One.\",\"fields\":{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}}", "error");
    is_str(written(problem, LH_WRAPPED),
           "{\"success\":false,\"data\":{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}}", "wrapped");
    is_int(lh_problem_status(problem, LH_LOCATED), 422, "422 where practice's clients expect it");
    is_int(lh_problem_status(problem, LH_PLAIN), 400, "else 400");
    problem = lh_problem_field(tap_pool, NULL, "body", "feedback.strengths", "One.");
    is_str(written(problem, LH_LOCATED),
           "{\"detail\":[{\"loc\":[\"body\",\"feedback\",\"strengths\"],\"msg\":\"One.\",\"type\":\"value_error\"}]}",
           "a dotted name is a path");
}

static void test_statuses(void)
{
    static const struct {
        const char *sqlstate;
        int status;
    } cases[] = {{"23505", 409}, {"23P01", 409}, {"23503", 400}, {"23514", 400}, {"22003", 400}, {"40001", 503},
                 {"40P01", 503}, {"55P03", 503}, {"57014", 503}, {"57P01", 503}, {"53300", 503}, {"08006", 503},
                 {"25006", 503}, {"42501", 500}, {"42P01", 500}, {"XX000", 500}, {"", 500}};
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const lh_problem *problem = lh_problem_of_sqlstate(tap_pool, cases[i].sqlstate);

        is_int(problem->status, cases[i].status, cases[i].sqlstate);
        ok(!strstr(problem->text, cases[i].sqlstate) || !*cases[i].sqlstate, "its sentence: %s", problem->text);
        ok((problem->retry_after > 0) == (problem->status == 503), "Retry-After with 503 only");
    }
    is_int(lh_problem_of_status(tap_pool, 429)->status, 429, "429");
    is_int(lh_problem_of_status(tap_pool, 418)->status, 418, "a status nobody has a sentence for");
    is_str(lh_problem_make(tap_pool, 401, "x")->challenge, "Bearer realm=\"learnhub\"", "401 has its challenge");
    is_str(lh_problem_bad_token(tap_pool)->challenge, "Bearer realm=\"learnhub\", error=\"invalid_token\"",
           "a bad token");
}

int main(void)
{
    tap_begin();
    test_refusals();
    test_fields();
    test_statuses();
    return tap_end();
}
