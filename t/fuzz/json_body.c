/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON body and its fields. It is accepted if and only if jansson accepts it, within the limits; integers and strings
 * have the values that jansson finds.
 */
#include "http/json_body.h"

#include "fields.h"
#include "util/json_canonical.h"
#include "util/json_scan.h"

/* The document as jansson reads it. *overflow: a number, perhaps of an object that is kept as it was sent, is too large
 * for jansson. */
static json_t *reference(const char *text, apr_size_t size, int *overflow)
{
    json_error_t error;
    json_t *root;

    *overflow = 0;
    if (memchr(text, '\0', size)) {
        return NULL; /* jansson ignores a zero byte and what follows */
    }
    root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    *overflow = !root && json_error_code(&error) == json_error_numeric_overflow;
    return root;
}

/* jansson's value of a scalar field equals ours. */
static void compare(const json_t *root, const lh_field *field, const lh_input *input)
{
    const json_t *value = strchr(field->name, '.') ? NULL : json_object_get(root, field->name);

    if (field->alias || !value) {
        return;
    }
    if (json_is_integer(value)) {
        REQUIRE(input->kind == LH_INPUT_INTEGER && input->number == json_integer_value(value));
    }
    if (json_is_string(value)) {
        REQUIRE(input->kind == LH_INPUT_STRING && !strcmp(input->text, json_string_value(value)));
    }
    if (json_is_object(value)) {
        REQUIRE(input->kind == LH_INPUT_OBJECT);
    }
}

static void check_fields(apr_pool_t *p, const lh_json_body *body, const json_t *root)
{
    int i;

    for (i = 0; i < FIELDS; i++) {
        lh_input input = lh_json_body_input(body, i);

        require_field(p, &fields[i], &input, 0);
        compare(root, &fields[i], &input);
    }
}

static int is_object(const json_t *root, int unwrap)
{
    return json_is_object(root) || (unwrap && json_array_size(root) == 1 && json_is_object(json_array_get(root, 0)));
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    int unwrap = size % 2, overflow, depth;
    json_t *root = reference(data, size, &overflow);
    int large = lh_scan_count(data, size, &depth) > LH_JSON_BODY_VALUES || depth > LH_CANONICAL_DEPTH;
    const char *why, *invalid;
    lh_json_body *body = lh_json_body_parse(p, fields, FIELDS, unwrap, data, size, &why);

    if (!body) {
        REQUIRE(why && lh_utf8_valid(why, strlen(why)) && strlen(why) < 300);
        REQUIRE(!is_object(root, unwrap) || large);
        return json_decref(root);
    }
    check_fields(p, body, root);
    lh_json_body_free(body);
    invalid = lh_json_body_check_objects(body, 1);
    REQUIRE(invalid ? !root || large : root || overflow || !size);
    json_decref(root);
}
