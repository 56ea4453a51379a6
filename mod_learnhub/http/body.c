/* SPDX-License-Identifier: Apache-2.0 */
#include "http/body.h"

#include <apr_strings.h>
#include <string.h>

#include "core/server_state.h"
#include "http/error.h"
#include "http/fields.h"
#include "http/form.h"
#include "http/json_body.h"
#include "http/multipart.h"
#include "http/receive.h"
#include "http/route.h"
#include "util/photo.h"

static lh_error *error_of_body(lh_call *call, const char *text)
{
    return lh_error_field(call->r->pool, NULL, "body", NULL, text);
}

/*
 * Validates the input of one field and stores its value in `slot`. Returns `errors`, with the field added when it is
 * invalid. `location` is "query" or "body"; `untyped`: see lh_field_check().
 */
static lh_error *check_field(lh_call *call, lh_error *errors, const char *location, const lh_field *field,
                             const lh_input *input, int untyped, int slot)
{
    apr_pool_t *p = call->r->pool;
    const char *why = lh_field_check(p, field, input, untyped, apr_time_now(), &call->values[slot]);

    return why ? lh_error_field(p, errors, location, field->name, why) : errors;
}

static lh_error *check_body_field(lh_call *call, lh_error *errors, int index, const lh_input *input, int untyped)
{
    const lh_compiled_route *route = call->route;

    return check_field(call, errors, "body", &route->def->body[index], input, untyped, route->body_slot + index);
}

/* ---- the query ---- */

static void set_filter(lh_call *call, int query_index)
{
    int i;

    for (i = 0; i < call->route->filter_count; i++) {
        if (call->route->filters[i] == query_index) {
            call->filters |= 1u << i;
        }
    }
}

lh_error *lh_body_query(lh_call *call)
{
    const lh_compiled_route *route = call->route;
    apr_pool_t *p = call->r->pool;
    apr_array_header_t *pairs;
    lh_error *errors = NULL;
    const char *why;
    int i;

    if (!route->query_count) {
        return NULL;
    }
    why = lh_form_parse(p, call->r->args ? call->r->args : "", &pairs);
    if (why) {
        return lh_error_field(p, NULL, "query", NULL, apr_pstrcat(p, "The query ", why, NULL));
    }
    for (i = 0; i < route->query_count; i++) {
        lh_input input = lh_form_input(pairs, route->query[i]->name);

        errors = check_field(call, errors, "query", route->query[i], &input, 1, route->query_slot + i);
        if (input.kind != LH_INPUT_ABSENT) {
            set_filter(call, i);
            call->page_sent |= route->paged && i >= route->query_count - 2; /* page and page_size are the last two */
        }
    }
    return errors;
}

/* ---- bodies ---- */

static lh_error *check_form(lh_call *call, const char *text)
{
    apr_array_header_t *pairs;
    const char *why = lh_form_parse(call->r->pool, text, &pairs);
    lh_error *errors = NULL;
    int i;

    if (why) {
        return error_of_body(call, apr_pstrcat(call->r->pool, "The form ", why, NULL));
    }
    for (i = 0; i < call->route->body_count; i++) {
        lh_input input = lh_form_input(pairs, call->route->def->body[i].name);

        errors = check_body_field(call, errors, i, &input, 1);
    }
    return errors;
}

static lh_error *check_json(lh_call *call, char *text, apr_size_t length)
{
    const lh_compiled_route *route = call->route;
    int unwrap_array = (route->def->flags & LH_UNWRAP_ARRAY) != 0, i;
    lh_error *errors = NULL;
    const char *why;
    lh_json_body *body =
        lh_json_body_parse(call->r->pool, route->def->body, route->body_count, unwrap_array, text, length, &why);

    if (!body) {
        return error_of_body(call, why);
    }
    for (i = 0; i < route->body_count; i++) {
        lh_input input = lh_json_body_input(body, i);

        errors = check_body_field(call, errors, i, &input, 0);
    }
    lh_json_body_free(body);
    /* If a field is invalid, no step runs, so LH_DEFERRED objects are validated here. Invalid JSON takes precedence. */
    why = lh_json_body_check_objects(body, errors != NULL);
    return why ? error_of_body(call, why) : errors;
}

/* The input of a field. Browsers send an empty file field as a file without name and content: it counts as absent. */
static lh_input input_in_parts(apr_pool_t *p, const apr_array_header_t *parts, const char *name)
{
    lh_input input = {LH_INPUT_ABSENT, NULL, 0};
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const lh_part *part = &APR_ARRAY_IDX(parts, i, lh_part);
        if (strcmp(part->name, name)) {
            continue;
        }
        if (!part->filename) {
            input.kind = LH_INPUT_STRING;
            input.text = apr_pstrmemdup(p, part->data, part->length);
        }
        else if (*part->filename || part->length) {
            input.kind = LH_INPUT_FILE;
            input.text = part->data;
            input.number = (apr_int64_t)part->length;
        }
    }
    return input;
}

/* Rejects a photo of more than LearnHubMaxPhoto bytes, subtracts its size from *rest and binds <name>_type. */
static lh_error *check_photo(lh_call *call, const lh_field *field, const lh_input *input, apr_size_t *rest)
{
    apr_pool_t *p = call->r->pool;
    apr_int64_t limit = call->server->config.max_photo;

    if (field->type != LH_PHOTO || input->kind != LH_INPUT_FILE) {
        return NULL;
    }
    if (input->number > limit) {
        return lh_error_make(p, HTTP_REQUEST_ENTITY_TOO_LARGE,
                             apr_psprintf(p, "A photo may have at most %" APR_INT64_T_FMT " bytes.", limit));
    }
    *rest -= (apr_size_t)input->number;
    lh_bind(call, apr_pstrcat(p, field->name, "_type", NULL), lh_photo_type(input->text, (apr_size_t)input->number));
    return NULL;
}

static lh_error *check_parts(lh_call *call, const char *body, apr_size_t length)
{
    const lh_compiled_route *route = call->route;
    const char *type = apr_table_get(call->r->headers_in, "Content-Type");
    apr_array_header_t *parts;
    const char *why = lh_multipart_parse(call->r->pool, type, body, length, &parts);
    apr_size_t rest = length; /* the bytes that belong to no photo */
    lh_error *errors = NULL;
    int i;

    if (why) {
        return error_of_body(call, why);
    }
    for (i = 0; i < route->body_count; i++) {
        lh_input input = input_in_parts(call->r->pool, parts, route->def->body[i].name);
        lh_error *too_large = check_photo(call, &route->def->body[i], &input, &rest);

        if (too_large) {
            return too_large; /* instead of the errors of other fields */
        }
        errors = check_body_field(call, errors, i, &input, 1);
    }
    if (rest > LH_RECEIVE_EXTRA) {
        return lh_error_make(
            call->r->pool, HTTP_REQUEST_ENTITY_TOO_LARGE,
            "The parts of this body besides the photo may have at most " APR_STRINGIFY(LH_RECEIVE_EXTRA) " bytes.");
    }
    return errors;
}

/* 1 when values of the route's fields may be parts of the body, as JSON objects are. */
static int keeps_text(const lh_compiled_route *route)
{
    int i;

    for (i = 0; i < route->body_count; i++) {
        if (route->def->body[i].type == LH_OBJECT) {
            return 1;
        }
    }
    return 0;
}

/* Frees a long body of which no part is needed any more. */
static void free_text(lh_call *call)
{
    if (call->body_pool && !keeps_text(call->route)) {
        apr_pool_destroy(call->body_pool);
        call->body_pool = NULL;
    }
}

static lh_error *check_text(lh_call *call, unsigned type, char *text, apr_size_t length)
{
    if (type == LH_JSON) {
        return check_json(call, text, length);
    }
    if (type == LH_MULTIPART) {
        return check_parts(call, text, length);
    }
    return strlen(text) == length ? check_form(call, text) : error_of_body(call, "The form contains a zero byte.");
}

static lh_error *read_fields(lh_call *call)
{
    unsigned accepts = call->route->def->accepts ? call->route->def->accepts : LH_JSON, type;
    char *text;
    apr_size_t length;
    lh_error *error;

    if (!call->route->body_count) {
        return NULL;
    }
    type = lh_receive_type(call->r);
    if (!(type & accepts)) {
        /* If a route accepts only forms, a body of another media type counts as an empty form, as with FastAPI: the
         * error lists the required fields. */
        return !(accepts & LH_JSON) ? check_form(call, "")
                                    : lh_error_of_status(call->r->pool, HTTP_UNSUPPORTED_MEDIA_TYPE);
    }
    error = lh_receive_body(call, &text, &length);
    if (!error) {
        error = check_text(call, type, text, length);
    }
    free_text(call);
    return error;
}

/* 1 when the body was parsed: `error` is NULL or a list of invalid fields. */
static int was_parsed(const lh_error *error)
{
    return !error || (error->first && error->first->field);
}

lh_error *lh_body_read(lh_call *call)
{
    lh_error *error = read_fields(call);

    if (call->route->def->check && was_parsed(error)) {
        error = call->route->def->check(call, error);
    }
    return error;
}
