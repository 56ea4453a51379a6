/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a language model, and the evaluation that is read from it: valid JSON of limited size with all members.
 * The file is included because its other functions need a request.
 */
#include "model/evaluation.c"

#include <jansson.h>

#include "fuzz.h"

const lh_json_value *lh_model_object(apr_pool_t *p, const char *content)
{
    return lh_json_value_parse(p, content, strlen(content)).root;
}

const char *lh_cell(const lh_call *call, const char *column)
{
    (void)call;
    return column;
}

static int is_score(const json_t *value)
{
    return json_is_integer(value) && json_integer_value(value) >= 0 && json_integer_value(value) <= 100;
}

static void check_lists(const json_t *root)
{
    static const char *const names[] = {"implemented", "missing", "next_steps", "tips"};
    size_t i, j;

    for (i = 0; i < 4; i++) {
        const json_t *list = json_object_get(root, names[i]);

        REQUIRE(json_is_array(list) && json_array_size(list) <= ENTRIES_MAX);
        for (j = 0; j < json_array_size(list); j++) {
            const char *text = json_string_value(json_array_get(list, j));
            REQUIRE(text && lh_utf8_length(text) <= CHARACTERS_MAX);
        }
    }
}

static void check_breakdown(const json_t *list)
{
    size_t i;

    REQUIRE(json_is_array(list) && json_array_size(list) <= ENTRIES_MAX);
    for (i = 0; i < json_array_size(list); i++) {
        const json_t *entry = json_array_get(list, i);

        REQUIRE(json_object_size(entry) == 4 && is_score(json_object_get(entry, "points")));
        REQUIRE(json_is_boolean(json_object_get(entry, "achieved")) && json_is_string(json_object_get(entry, "note")));
        REQUIRE(json_is_string(json_object_get(entry, "requirement")));
    }
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *text = strdup(data); /* ends at the first zero byte */
    const char *evaluation = lh_evaluation_of_model(p, text), *again;
    json_t *root;

    (void)size;
    if (evaluation) {
        root = json_loads(evaluation, JSON_REJECT_DUPLICATES, NULL);
        REQUIRE(json_object_size(root) == 6 && is_score(json_object_get(root, "score")));
        check_lists(root);
        check_breakdown(json_object_get(root, "breakdown"));
        json_decref(root);
        again = lh_evaluation_of_model(p, evaluation);
        REQUIRE(again && !strcmp(again, evaluation));
    }
    free(text);
}
