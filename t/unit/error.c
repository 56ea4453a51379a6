/* SPDX-License-Identifier: Apache-2.0 */
/* Refusals in the four shapes, and what a client is told of a database error. */
#include "http/error.h"

#include <apr_strings.h>

#include "tap.h"

static const char *written(const lh_error *error, lh_error_format style)
{
    lh_json json;

    lh_json_init(&json, tap_pool, 64);
    lh_error_write(&json, error, style);
    return lh_json_result(&json);
}

static void test_errors(void)
{
    const lh_error *error = lh_error_make(tap_pool, 403, "No \"entry\".");

    is_str(written(error, LH_ERRORS_DETAIL), "{\"detail\":\"No \\\"entry\\\".\"}", "plain");
    is_str(written(error, LH_ERRORS_LOCATED), "{\"detail\":\"No \\\"entry\\\".\"}", "located");
    is_str(written(error, LH_ERRORS_FLAT), "{\"error\":\"No \\\"entry\\\".\"}", "error");
    is_str(written(error, LH_ERRORS_ENVELOPE), "{\"success\":false,\"data\":{\"detail\":\"No \\\"entry\\\".\"}}",
           "wrapped");
    is_int(lh_error_status(error, LH_ERRORS_LOCATED), 403, "its status");
}

static void test_fields(void)
{
    lh_error *error = lh_error_field(tap_pool, NULL, "body", "a", "One.");

    error = lh_error_field(tap_pool, error, "body", NULL, "Two.");
    error = lh_error_field(tap_pool, error, "body", "a", "Three.");
    is_str(written(error, LH_ERRORS_DETAIL), "{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}", "plain");
    is_str(written(error, LH_ERRORS_LOCATED),
           "{\"detail\":[{\"loc\":[\"body\",\"a\"],\"msg\":\"One.\",\"type\":\"value_error\"},"
           "{\"loc\":[\"body\"],\"msg\":\"Two.\",\"type\":\"value_error\"},"
           "{\"loc\":[\"body\",\"a\"],\"msg\":\"Three.\",\"type\":\"value_error\"}]}",
           "located");
    is_str(written(error, LH_ERRORS_FLAT),
           "{\"error\":\"a: One.\",\"fields\":{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}}", "error");
    is_str(written(error, LH_ERRORS_ENVELOPE),
           "{\"success\":false,\"data\":{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}}", "wrapped");
    is_int(lh_error_status(error, LH_ERRORS_LOCATED), 422, "422 where practice's clients expect it");
    is_int(lh_error_status(error, LH_ERRORS_DETAIL), 400, "else 400");
    error = lh_error_field(tap_pool, NULL, "body", "feedback.strengths", "One.");
    is_str(written(error, LH_ERRORS_LOCATED),
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
        const lh_error *error = lh_error_of_sqlstate(tap_pool, cases[i].sqlstate);

        is_int(error->status, cases[i].status, cases[i].sqlstate);
        ok(!strstr(error->text, cases[i].sqlstate) || !*cases[i].sqlstate, "its sentence: %s", error->text);
        ok((error->retry_after > 0) == (error->status == 503), "Retry-After with 503 only");
    }
    is_int(lh_error_of_status(tap_pool, 429)->status, 429, "429");
    is_int(lh_error_of_status(tap_pool, 418)->status, 418, "a status nobody has a sentence for");
    is_str(lh_error_make(tap_pool, 401, "x")->challenge, "Bearer realm=\"learnhub\"", "401 has its challenge");
    is_str(lh_error_bad_token(tap_pool)->challenge, "Bearer realm=\"learnhub\", error=\"invalid_token\"",
           "a bad token");
}

int main(void)
{
    tap_begin();
    test_errors();
    test_fields();
    test_statuses();
    return tap_end();
}
