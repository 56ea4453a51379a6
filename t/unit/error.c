/* SPDX-License-Identifier: Apache-2.0 */
/* Errors in the four formats, and the errors for SQLSTATEs and HTTP statuses. */
#include "http/error.h"

#include <apr_strings.h>

#include "tap.h"
#include "util/json.h"

static const char *written(const lh_error *error, lh_error_format format)
{
    lh_json json;

    lh_json_init(&json, tap_pool, 64);
    lh_error_write(&json, error, format);
    return lh_json_result(&json);
}

static void test_errors(void)
{
    const lh_error *error = lh_error_make(tap_pool, 403, "No \"entry\".");

    is_str(written(error, LH_ERRORS_DETAIL), "{\"detail\":\"No \\\"entry\\\".\"}", "one sentence in the format detail");
    is_str(written(error, LH_ERRORS_LOCATED), "{\"detail\":\"No \\\"entry\\\".\"}",
           "one sentence in the format located");
    is_str(written(error, LH_ERRORS_FLAT), "{\"error\":\"No \\\"entry\\\".\"}", "one sentence in the format flat");
    is_str(written(error, LH_ERRORS_ENVELOPE), "{\"success\":false,\"data\":{\"detail\":\"No \\\"entry\\\".\"}}",
           "one sentence in the format envelope");
    is_str(written(error, LH_ERRORS_LIST), "{\"detail\":\"No \\\"entry\\\".\"}", "one sentence in the format list");
    is_str(written(lh_error_make(tap_pool, 400, "No."), LH_ERRORS_LIST), "[\"No.\"]",
           "a 400 with one sentence in the format list");
    is_int(lh_error_status(error, LH_ERRORS_LOCATED), 403, "an error with a sentence keeps its status");
}

static void test_fields(void)
{
    lh_error *error = lh_error_field(tap_pool, NULL, "body", "a", "One.");

    error = lh_error_field(tap_pool, error, "body", NULL, "Two.");
    error = lh_error_field(tap_pool, error, "body", "a", "Three.");
    is_str(written(error, LH_ERRORS_DETAIL), "{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}",
           "invalid fields in the format detail");
    is_str(written(error, LH_ERRORS_LOCATED),
           "{\"detail\":[{\"loc\":[\"body\",\"a\"],\"msg\":\"One.\",\"type\":\"value_error\"},"
           "{\"loc\":[\"body\"],\"msg\":\"Two.\",\"type\":\"value_error\"},"
           "{\"loc\":[\"body\",\"a\"],\"msg\":\"Three.\",\"type\":\"value_error\"}]}",
           "invalid fields in the format located");
    is_str(written(error, LH_ERRORS_FLAT),
           "{\"error\":\"a: One.\",\"fields\":{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}}",
           "invalid fields in the format flat");
    is_str(written(error, LH_ERRORS_ENVELOPE),
           "{\"success\":false,\"data\":{\"a\":[\"One.\",\"Three.\"],\"non_field_errors\":[\"Two.\"]}}",
           "invalid fields in the format envelope");
    is_str(written(error, LH_ERRORS_LIST), "[\"a: One.\",\"Two.\",\"a: Three.\"]", "invalid fields in the format list");
    is_int(lh_error_status(error, LH_ERRORS_LOCATED), 422, "a validation error is 422 in the format located");
    is_int(lh_error_status(error, LH_ERRORS_DETAIL), 400, "a validation error is 400 in the format detail");
    error = lh_error_field(tap_pool, NULL, "body", "a", "One.");
    error = lh_error_field(tap_pool, error, "body", "b", "Two.");
    error = lh_error_field(tap_pool, error, "body", apr_pstrdup(tap_pool, "a"), "Three.");
    is_str(written(error, LH_ERRORS_DETAIL), "{\"a\":[\"One.\",\"Three.\"],\"b\":[\"Two.\"]}",
           "fields are told apart by their names");
    error = lh_error_field(tap_pool, NULL, "body", "feedback.strengths", "One.");
    is_str(written(error, LH_ERRORS_LOCATED),
           "{\"detail\":[{\"loc\":[\"body\",\"feedback\",\"strengths\"],\"msg\":\"One.\",\"type\":\"value_error\"}]}",
           "each part of a dotted field name is an element of loc");
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
    int status, wrong = 0;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const lh_error *error = lh_error_of_sqlstate(tap_pool, cases[i].sqlstate);

        is_int(error->status, cases[i].status, apr_psprintf(tap_pool, "status of SQLSTATE \"%s\"", cases[i].sqlstate));
        ok(!strstr(error->text, cases[i].sqlstate) || !*cases[i].sqlstate,
           "the sentence for SQLSTATE \"%s\" does not contain it: %s", cases[i].sqlstate, error->text);
        ok((error->retry_after > 0) == (error->status == 503), "SQLSTATE \"%s\": Retry-After is set only for 503",
           cases[i].sqlstate);
    }
    for (status = 400; status < 600; status++) {
        wrong += lh_error_of_status(tap_pool, status)->retry_after != (status == 429 ? 60 : status == 503);
    }
    is_int(wrong, 0, "429 has Retry-After 60, 503 has 1, and no other status has it");
    is_int(lh_error_of_status(tap_pool, 429)->status, 429, "the error for status 429");
    is_int(lh_error_of_status(tap_pool, 418)->status, 418, "the error for a status without a sentence of its own");
    is_str(lh_error_make(tap_pool, 401, "x")->challenge, "Bearer realm=\"learnhub\"", "a 401 has a Bearer challenge");
    is_str(lh_error_bad_token(tap_pool)->challenge, "Bearer realm=\"learnhub\", error=\"invalid_token\"",
           "the challenge for an invalid token");
}

int main(void)
{
    tap_begin();
    test_errors();
    test_fields();
    test_statuses();
    return tap_end();
}
