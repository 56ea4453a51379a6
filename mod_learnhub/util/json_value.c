/* SPDX-License-Identifier: Apache-2.0 */
#include "util/json_value.h"

#include <apr_strings.h>
#include <jansson.h>
#include <string.h>

static apr_status_t free_document(void *root)
{
    json_decref(root);
    return APR_SUCCESS;
}

static json_t *own(apr_pool_t *p, json_t *root)
{
    if (root) {
        apr_pool_cleanup_register(p, root, free_document, apr_pool_cleanup_null);
    }
    return root;
}

/* jansson's message with line and column, without the part that quotes the text or names an option of jansson. */
static const char *clause(apr_pool_t *p, const json_error_t *error)
{
    const char *near = strstr(error->text, " near "), *option = strstr(error->text, " without JSON_");
    const char *end = option && (!near || option < near) ? option : near;
    int length = (int)(end ? (apr_size_t)(end - error->text) : strlen(error->text));

    return apr_psprintf(p, "line %d, column %d: %.*s", error->line, error->column, length, error->text);
}

lh_json_parsed lh_json_value_parse(apr_pool_t *p, const char *text, apr_size_t length)
{
    lh_json_parsed parsed = {NULL, 0, NULL};
    json_error_t error;

    if (memchr(text, '\0', length)) { /* jansson would ignore it and what follows */
        parsed.why = "it contains a zero byte";
        return parsed;
    }
    parsed.root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &error);
    if (!parsed.root && json_error_code(&error) == json_error_numeric_overflow) {
        parsed.only_reals = 1;
        parsed.root = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &error);
    }
    parsed.why = parsed.root ? NULL : clause(p, &error);
    own(p, parsed.root);
    return parsed;
}

void lh_json_value_free(apr_pool_t *p, lh_json_value *root)
{
    apr_pool_cleanup_run(p, root, free_document);
}

lh_json_value *lh_json_value_empty(apr_pool_t *p)
{
    return own(p, json_object());
}

lh_json_kind lh_json_value_kind(const lh_json_value *value)
{
    if (!value) {
        return LH_JSON_ABSENT;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT: return LH_JSON_OBJECT;
    case JSON_ARRAY: return LH_JSON_ARRAY;
    case JSON_STRING: return LH_JSON_STRING;
    case JSON_INTEGER: return LH_JSON_INTEGER;
    case JSON_REAL: return LH_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE: return LH_JSON_BOOLEAN;
    default: return LH_JSON_NULL;
    }
}

lh_json_value *lh_json_value_get(const lh_json_value *object, const char *name)
{
    return json_object_get(object, name);
}

apr_size_t lh_json_value_count(const lh_json_value *array)
{
    return json_array_size(array);
}

lh_json_value *lh_json_value_at(const lh_json_value *array, apr_size_t index)
{
    return json_array_get(array, index);
}

const char *lh_json_value_string(const lh_json_value *value, apr_size_t *length)
{
    if (length) {
        *length = json_string_length(value);
    }
    return json_string_value(value);
}

apr_int64_t lh_json_value_integer(const lh_json_value *value)
{
    return json_is_true(value) ? 1 : json_integer_value(value);
}

double lh_json_value_real(const lh_json_value *value)
{
    return json_number_value(value);
}
