/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/errors.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#include "http/error.h"
#include "openapi/put.h"

#define VALIDATION(format) ((format) == LH_ERRORS_LOCATED ? 422 : 400)

/* ---- which errors ---- */

static int accepts_json(const lh_route *def)
{
    return !def->accepts || (def->accepts & LH_JSON);
}

static const lh_route_error *find(const lh_route *def, const char *code)
{
    const lh_route_error *error;

    for (error = def->errors; error && error->code; error++) {
        if (!strcmp(error->code, code)) {
            return error;
        }
    }
    return NULL;
}

/* 1 when the error `missing` has its default: a row is needed, and the route has no such error of its own. */
static int may_be_missing(const lh_compiled_route *route)
{
    const lh_route *def = route->def;
    int needs_row =
        def->shape == LH_ONE || def->shape == LH_NOTHING || def->shape == LH_EVENTS || def->shape == LH_BYTES;
    int i;

    for (i = 0; i < route->sql_count; i++) {
        if ((needs_row && i == route->sql_count - 1) || strstr(def->sql[i], "\"!\"")) {
            return !find(def, "missing");
        }
    }
    return 0;
}

/* 1 when If-Match can get 412: it is compared with a response to GET, and without a GET of the path it is rejected. */
static int heeds_if_match(const lh_route *def)
{
    return strcmp(def->method, "POST") != 0;
}

/* Of errors that the table of the route does not name. */
static int is_general(const lh_compiled_route *route, int status)
{
    const lh_route *def = route->def;
    int has_fields = route->query_count || route->body_count || (def->flags & LH_IDEMPOTENT);

    switch (status) {
    case 400:
    case 429:
    case 500:
    case 503: return 1;
    case 401: return def->roles != LH_ANYONE;
    case 403: return def->roles != LH_ANYONE && def->roles != LH_MEMBER && !find(def, "role");
    case 404: return strchr(def->path, '{') || may_be_missing(route) || route->paged;
    case 408:
    case 413: return route->body_count > 0;
    case 409: return (def->flags & LH_IDEMPOTENT) != 0;
    case 412: return heeds_if_match(def);
    case 415: return route->body_count > 0 && accepts_json(def);
    case 422:
        return (has_fields && route->group->error_format == LH_ERRORS_LOCATED) ||
               (def->timeout_ms && !find(def, "slow"));
    default: return 0;
    }
}

static int status_of(const lh_compiled_route *route, const lh_route_error *error)
{
    return error->field ? VALIDATION(route->group->error_format) : error->status;
}

static int is_own(const lh_compiled_route *route, int status)
{
    const lh_route_error *error;

    for (error = route->def->errors; error && error->code; error++) {
        if (status_of(route, error) == status) {
            return 1;
        }
    }
    return 0;
}

const int *lh_errors_statuses(apr_pool_t *p, const lh_compiled_route *route)
{
    int *statuses = apr_pcalloc(p, sizeof(int) * 201), count = 0, status;

    for (status = 400; status < 600; status++) {
        if (is_general(route, status) || is_own(route, status)) {
            statuses[count++] = status;
        }
    }
    return statuses;
}

/* ---- bodies ---- */

#define STRING "{\"type\":\"string\"}"
#define STRINGS "{\"type\":\"array\",\"items\":" STRING "}"
#define FIELDS "{\"type\":\"object\",\"additionalProperties\":" STRINGS "}"
#define OBJECT(key, value) "{\"type\":\"object\",\"properties\":{\"" key "\":" value "},\"required\":[\"" key "\"]}"
#define LOCATED                                                                                                        \
    "{\"type\":\"object\",\"properties\":{\"loc\":" STRINGS ",\"msg\":" STRING ",\"type\":" STRING "},"                \
    "\"required\":[\"loc\",\"msg\",\"type\"]}"
#define ENVELOPE(data)                                                                                                 \
    "{\"type\":\"object\",\"properties\":{\"success\":{\"const\":false},\"data\":" data "},"                           \
    "\"required\":[\"success\",\"data\"]}"
#define EITHER(a, b) "{\"anyOf\":[" a "," b "]}"

/* The schemas by format: of errors of fields, which can have other bodies as well, and of all other errors. */
static const struct {
    const char *invalid_name, *invalid, *name, *schema;
} schemas[] = {
    [LH_ERRORS_DETAIL] = {"InvalidFields", EITHER(FIELDS, OBJECT("detail", STRING)), "Error", OBJECT("detail", STRING)},
    [LH_ERRORS_LOCATED] = {"InvalidFieldsLocated",
                           OBJECT("detail", EITHER(STRING, "{\"type\":\"array\",\"items\":" LOCATED "}")), "Error",
                           OBJECT("detail", STRING)},
    [LH_ERRORS_FLAT] = {"InvalidFieldsFlat",
                        "{\"type\":\"object\",\"properties\":{\"error\":" STRING ",\"fields\":" FIELDS
                        "},\"required\":[\"error\"]}",
                        "ErrorFlat", OBJECT("error", STRING)},
    [LH_ERRORS_ENVELOPE] = {"InvalidFieldsInEnvelope", ENVELOPE(EITHER(FIELDS, OBJECT("detail", STRING))),
                            "ErrorInEnvelope", ENVELOPE(OBJECT("detail", STRING))},
    [LH_ERRORS_LIST] = {"InvalidFieldsList", STRINGS, "Error", OBJECT("detail", STRING)},
};

void lh_errors_schema(lh_json *json, lh_components *components, lh_error_format format, int status)
{
    int invalid = status == VALIDATION(format);
    const char *name = invalid ? schemas[format].invalid_name : schemas[format].name;
    const char *schema = invalid ? schemas[format].invalid : schemas[format].schema;
    lh_json *written = lh_component_begin(components, LH_COMPONENT_SCHEMA, name);

    if (written) {
        lh_json_verbatim(written, schema, strlen(schema));
    }
    lh_component_refer(json, LH_COMPONENT_SCHEMA, name);
}

/* ---- headers ---- */

static const struct {
    const char *name, *type, *text;
} headers[] = {
    {"ETag", "string", "The entity tag of the response, for If-Match and If-None-Match. Long responses have none."},
    {"Idempotent-Replayed", "string", "true: the stored response to an earlier request with the same Idempotency-Key."},
    {"Idempotency-Replayed", "string", "The same as Idempotent-Replayed."},
    {"RateLimit-Limit", "integer", "The number of requests that the limit allows in its time."},
    {"RateLimit-Remaining", "integer", "The number of requests that are left."},
    {"RateLimit-Reset", "integer", "The seconds until all of them are available again, or, with 429, the next one."},
    {"Retry-After", "integer", "The seconds after which the request can be repeated."},
    {"X-Request-Id", "string", "The trace id of traceparent, or an id of the server, if it gives ids to requests."},
    {"WWW-Authenticate", "string", "The challenge: Bearer."},
};

void lh_errors_header(lh_json *json, lh_components *components, const char *name)
{
    lh_json *written = lh_component_begin(components, LH_COMPONENT_HEADER, name);
    apr_size_t i = 0;

    while (written && strcmp(headers[i].name, name) != 0) {
        i++;
    }
    if (written) {
        lh_json_open(written, '{');
        lh_put_text(written, "description", headers[i].text);
        lh_put_object(written, "schema");
        lh_put_text(written, "type", headers[i].type);
        lh_json_close(written, '}');
        lh_json_close(written, '}');
    }
    lh_json_key(json, name);
    lh_component_refer(json, LH_COMPONENT_HEADER, name);
}

/* Requests that are rejected count for LearnHubRate as well. */
static void write_headers(lh_json *json, lh_components *components, int status)
{
    lh_put_object(json, "headers");
    if (status == 401) {
        lh_errors_header(json, components, "WWW-Authenticate");
    }
    if (status == 409 || status == 429 || status == 503) {
        lh_errors_header(json, components, "Retry-After");
    }
    lh_errors_header(json, components, "RateLimit-Limit");
    lh_errors_header(json, components, "RateLimit-Remaining");
    lh_errors_header(json, components, "RateLimit-Reset");
    lh_errors_header(json, components, "X-Request-Id");
    lh_json_close(json, '}');
}

/* ---- responses ---- */

static void write_example(lh_json *json, const char *name, const lh_error *error, lh_error_format format)
{
    lh_put_object(json, name);
    lh_json_key(json, "value");
    lh_error_write(json, error, format);
    lh_json_close(json, '}');
}

/* The examples of the errors that all routes share. */
static void write_general_examples(lh_json *json, lh_error_format format, int status)
{
    apr_pool_t *p = json->out.pool;

    if (status == VALIDATION(format)) {
        write_example(json, "invalid", lh_error_field(p, NULL, "body", "name", "This field is required."), format);
    }
    if (status == 401) {
        write_example(json, "invalid_token", lh_error_bad_token(p), format);
    }
    if (status == 403) {
        write_example(json, "role", lh_error_make(p, 403, "You do not have permission to perform this action."),
                      format);
    }
    else if (status == 409) {
        write_example(
            json, "in_progress",
            lh_error_make(p, 409, "A request with this Idempotency-Key is in progress. Repeat this one shortly."),
            format);
    }
    else if (status == 422) {
        write_example(json, "slow", lh_error_make(p, 422, "The query takes too long. Use a simpler one."), format);
    }
    else {
        write_example(json, "general", lh_error_of_status(p, status), format);
    }
}

static const char *location_of(const lh_compiled_route *route, const char *field)
{
    int i;

    for (i = 0; i < route->query_count; i++) {
        if (!strcmp(route->query[i]->name, field)) {
            return "query";
        }
    }
    return "body";
}

/* The examples of the errors in the table of the route. */
static void write_own_examples(lh_json *json, const lh_compiled_route *route, int status)
{
    apr_pool_t *p = json->out.pool;
    const lh_route_error *own;

    for (own = route->def->errors; own && own->code; own++) {
        const char *field = own->field && strcmp(own->field, "non_field_errors") != 0 ? own->field : NULL;

        if (status_of(route, own) == status) {
            write_example(json, own->code,
                          own->field ? lh_error_field(p, NULL, location_of(route, own->field), field, own->text)
                                     : lh_error_make(p, status, own->text),
                          route->group->error_format);
        }
    }
}

static const struct {
    int status;
    const char *text;
} titles[] = {{400, "The request is malformed or invalid."},
              {401, "The token is missing, invalid or has expired."},
              {403, "The caller may not do this."},
              {404, "Not found."},
              {408, "The body took too long to arrive."},
              {409, "It conflicts with another request or entry."},
              {412, "If-Match names another entity tag."},
              {413, "The body is too large."},
              {415, "The media type of the body is not supported."},
              {422, "The request is invalid."},
              {429, "Too many requests."},
              {500, "A defect of the server."},
              {503, "The server is busy or its database cannot be reached."}};

static const char *title_of(int status)
{
    apr_size_t i;

    for (i = 0; i < sizeof(titles) / sizeof(titles[0]); i++) {
        if (titles[i].status == status) {
            return titles[i].text;
        }
    }
    return "An error.";
}

/* The sentences of the errors of this status, each once; or what the status means. */
static const char *describe(apr_pool_t *p, const lh_compiled_route *route, int status)
{
    const lh_route_error *own;
    const char *text = is_general(route, status) ? title_of(status) : "";

    for (own = route->def->errors; own && own->code; own++) {
        if (status_of(route, own) == status && !strstr(text, own->text)) {
            text = apr_pstrcat(p, text, *text ? " " : "", own->text, NULL);
        }
    }
    return text;
}

/* `route` NULL: of the errors that all routes share. */
static void write_response(lh_json *json, lh_components *components, const lh_compiled_route *route,
                           lh_error_format format, int status)
{
    lh_json_open(json, '{');
    lh_put_text(json, "description", route ? describe(json->out.pool, route, status) : title_of(status));
    write_headers(json, components, status);
    lh_put_object(json, "content");
    lh_put_object(json, "application/json");
    lh_json_key(json, "schema");
    lh_errors_schema(json, components, format, status);
    lh_put_object(json, "examples");
    if (route) {
        write_own_examples(json, route, status);
    }
    else {
        write_general_examples(json, format, status);
    }
    lh_json_close(json, '}');
    lh_json_close(json, '}');
    lh_json_close(json, '}');
    lh_json_close(json, '}');
}

void lh_errors_write(lh_json *json, lh_components *components, const lh_compiled_route *route, int status)
{
    static const char *const formats[] = {[LH_ERRORS_DETAIL] = "Detail",
                                          [LH_ERRORS_LOCATED] = "Located",
                                          [LH_ERRORS_FLAT] = "Flat",
                                          [LH_ERRORS_ENVELOPE] = "Envelope",
                                          [LH_ERRORS_LIST] = "List"};
    lh_error_format format = route->group->error_format;
    const char *name;
    lh_json *written;

    if (is_own(route, status)) {
        write_response(json, components, route, format, status);
        return;
    }
    name = apr_psprintf(json->out.pool, "%s%d", formats[format], status);
    written = lh_component_begin(components, LH_COMPONENT_RESPONSE, name);
    if (written) {
        write_response(written, components, NULL, format, status);
    }
    lh_component_refer(json, LH_COMPONENT_RESPONSE, name);
}
