/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/responses.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "openapi/errors.h"
#include "openapi/example.h"
#include "openapi/keys.h"
#include "openapi/put.h"
#include "util/text.h"

const char *lh_responses_name(apr_pool_t *p, const lh_route *route, const char *suffix)
{
    char *name = apr_palloc(p, strlen(route->name) + strlen(suffix) + 1), *out = name;
    const char *in;
    int upper = 1;

    for (in = route->name; *in; in++) {
        if (!apr_isalnum(*in)) {
            upper = 1;
            continue;
        }
        *out++ = (char)(upper ? apr_toupper(*in) : *in);
        upper = 0;
    }
    strcpy(out, suffix);
    return name;
}

static int is_get(const lh_route *def)
{
    return !strcmp(def->method, "GET");
}

static int is_json(const lh_route *def)
{
    return def->shape != LH_NOTHING && def->shape != LH_EVENTS && def->shape != LH_BYTES && def->shape != LH_DOCUMENT;
}

int lh_responses_have_etag(const lh_route *def)
{
    return is_get(def) && (is_json(def) || def->shape == LH_BYTES || def->shape == LH_DOCUMENT);
}

/* ---- schemas ---- */

typedef struct context {
    lh_components *components;
    const lh_compiled_route *route;
    const lh_route *def;
    int is_example; /* an example is written instead of a schema */
    int status;     /* of the response */
} context;

/* The row of the response: its schema, or an example. */
static void write_row(lh_json *json, const context *c)
{
    const lh_route *def = c->def;

    if (c->is_example) {
        lh_keys_example(json, def, c->route->group->time_format, c->status);
    }
    else {
        lh_keys_schema(json, c->components, def->returns, c->route->group->time_format,
                       lh_responses_name(json->out.pool, def, ""));
    }
}

static void write_rows(lh_json *json, const context *c)
{
    if (c->is_example) {
        lh_json_open(json, '[');
        write_row(json, c);
        lh_json_close(json, ']');
        return;
    }
    lh_json_open(json, '{');
    lh_put_text(json, "type", "array");
    lh_json_key(json, "items");
    write_row(json, c);
    lh_json_close(json, '}');
}

/* An object with these members; `schema` is JSON, NULL: the rows; `example` is JSON. */
typedef struct member {
    const char *key, *schema, *example;
    int is_row;
} member;

static void write_member(lh_json *json, const context *c, const member *m)
{
    lh_json_key(json, m->key);
    if (m->schema) {
        const char *text = c->is_example ? m->example : m->schema;
        lh_json_verbatim(json, text, strlen(text));
    }
    else if (m->is_row) {
        write_row(json, c);
    }
    else {
        write_rows(json, c);
    }
}

static void write_object(lh_json *json, const context *c, const member *members, int count)
{
    int i;

    lh_json_open(json, '{');
    if (!c->is_example) {
        lh_put_text(json, "type", "object");
        lh_put_object(json, "properties");
    }
    for (i = 0; i < count; i++) {
        write_member(json, c, &members[i]);
    }
    if (!c->is_example) {
        lh_json_close(json, '}');
        lh_json_key(json, "required");
        lh_json_open(json, '[');
        for (i = 0; i < count; i++) {
            lh_json_text(json, members[i].key);
        }
        lh_json_close(json, ']');
    }
    lh_json_close(json, '}');
}

#define COUNT "{\"type\":\"integer\",\"minimum\":0}"
#define LINK "{\"type\":[\"string\",\"null\"],\"format\":\"uri\"}"

static void write_page(lh_json *json, const context *c)
{
    static const member page[] = {
        {"count", COUNT, "1", 0}, {"next", LINK, "null", 0}, {"previous", LINK, "null", 0}, {"results", NULL, NULL, 0}};
    static const member all[] = {{"results", NULL, NULL, 0}};

    if (c->is_example || !(c->def->flags & LH_UNPAGED)) {
        write_object(json, c, c->def->flags & LH_UNPAGED ? all : page, c->def->flags & LH_UNPAGED ? 1 : 4);
        return;
    }
    lh_json_open(json, '{');
    lh_json_key(json, "anyOf");
    lh_json_open(json, '[');
    write_object(json, c, page, 4);
    write_object(json, c, all, 1);
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

/* The strings that steps add to an LH_SKIP_LIMIT. */
static int add_strings(apr_pool_t *p, const lh_route *def, member *members, int count, int max)
{
    int i;

    for (i = 0; i < LH_STEPS_MAX && def->before[i]; i++) {
        const char *words = def->before[i]->adds, *word;
        apr_size_t length;

        while (count < max && (word = lh_text_word(&words, &length))) {
            members[count++] = (member){apr_pstrmemdup(p, word, length), "{\"type\":\"string\"}", "\"cache\"", 0};
        }
    }
    return count;
}

static void write_skip_limit(lh_json *json, const context *c)
{
    member members[8] = {{"total", COUNT, "1", 0}};
    int count = add_strings(json->out.pool, c->def, members, 1, 5);

    members[count++] = (member){"skip", COUNT, "0", 0};
    members[count++] = (member){"limit", COUNT, "100", 0};
    members[count++] = (member){c->def->key, NULL, NULL, 0};
    write_object(json, c, members, count);
}

static void write_row_or_null(lh_json *json, const context *c)
{
    if (c->is_example) {
        write_row(json, c);
        return;
    }
    lh_json_open(json, '{');
    lh_json_key(json, "anyOf");
    lh_json_open(json, '[');
    write_row(json, c);
    lh_json_verbatim(json, "{\"type\":\"null\"}", strlen("{\"type\":\"null\"}"));
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

static void write_response(lh_json *json, const context *c)
{
    const lh_route *def = c->def;

    switch (def->shape) {
    case LH_ALL:
        if (def->key) {
            write_object(json, c, &(member){def->key, NULL, NULL, 0}, 1);
        }
        else {
            write_rows(json, c);
        }
        break;
    case LH_PAGE: write_page(json, c); break;
    case LH_SKIP_LIMIT: write_skip_limit(json, c); break;
    case LH_ONE_OR_NULL: write_row_or_null(json, c); break;
    default: write_row(json, c);
    }
}

/* {"message": ..., key: response} */
static void write_message(lh_json *json, const context *c)
{
    apr_pool_t *p = json->out.pool;
    lh_json text;
    const char *schema;

    lh_json_init(&text, p, 64);
    lh_json_text(&text, c->def->message);
    schema = apr_pstrcat(p, "{\"const\":", lh_json_result(&text), "}", NULL);
    write_object(json, c, (const member[]){{"message", schema, lh_json_result(&text), 0}, {c->def->key, NULL, NULL, 1}},
                 2);
}

static void write_enveloped(lh_json *json, const context *c)
{
    int enveloped = c->route->group->error_format == LH_ERRORS_ENVELOPE;

    if (enveloped && c->is_example) {
        lh_json_open(json, '{');
        lh_json_key(json, "success");
        lh_json_bool(json, 1);
        lh_json_key(json, "data");
    }
    else if (enveloped) {
        lh_json_open(json, '{');
        lh_put_text(json, "type", "object");
        lh_put_object(json, "properties");
        lh_put_object(json, "success");
        lh_json_key(json, "const");
        lh_json_bool(json, 1);
        lh_json_close(json, '}');
        lh_json_key(json, "data");
    }
    if (c->def->message) {
        write_message(json, c);
    }
    else {
        write_response(json, c);
    }
    if (enveloped && !c->is_example) {
        lh_json_close(json, '}');
        lh_json_key(json, "required");
        lh_json_verbatim(json, "[\"success\",\"data\"]", strlen("[\"success\",\"data\"]"));
    }
    if (enveloped) {
        lh_json_close(json, '}');
    }
}

/* ---- success ---- */

static void write_media_type(lh_json *json, const context *c, const char *type, const char *schema)
{
    const char *example = lh_example_of_route(c->def, type, c->status);

    lh_put_object(json, type);
    lh_put_json(json, "schema", schema);
    if (example && !strcmp(type, "application/json")) {
        lh_put_json(json, "example", example);
    }
    else if (example) {
        lh_put_text(json, "example", example);
    }
    lh_json_close(json, '}');
}

#define ANY_TEXT "{\"type\":\"string\"}"
#define ANY_BYTES "{\"type\":\"string\",\"format\":\"binary\"}"

/* The media types of a response that is not JSON. */
static void write_media(lh_json *json, const context *c)
{
    const char *words = c->def->media, *word;
    apr_size_t length;

    if (c->def->shape == LH_EVENTS) {
        write_media_type(json, c, "text/event-stream", ANY_TEXT);
    }
    while ((word = lh_text_word(&words, &length))) {
        const char *type = apr_pstrmemdup(json->out.pool, word, length);

        write_media_type(json, c, type,
                         !strcmp(type, "application/json") ? "{\"type\":\"object\"}"
                         : !strncmp(type, "text/", 5)      ? ANY_TEXT
                                                           : ANY_BYTES);
    }
}

static void write_example(lh_json *json, context *c)
{
    c->is_example = 1;
    lh_json_key(json, "example");
    write_enveloped(json, c);
    c->is_example = 0;
}

static void write_content(lh_json *json, context *c)
{
    if (c->def->shape == LH_NOTHING) {
        return;
    }
    lh_put_object(json, "content");
    if (is_json(c->def)) {
        lh_put_object(json, "application/json");
        lh_json_key(json, "schema");
        write_enveloped(json, c);
        write_example(json, c);
        lh_json_close(json, '}');
    }
    write_media(json, c);
    lh_json_close(json, '}');
}

static void write_headers(lh_json *json, const context *c)
{
    int tagged = lh_responses_have_etag(c->def), limited = c->route->rate != LH_RATE_READ;

    lh_put_object(json, "headers");
    if (tagged) {
        lh_errors_header(json, c->components, "ETag");
    }
    if (limited) {
        lh_errors_header(json, c->components, "RateLimit-Limit");
        lh_errors_header(json, c->components, "RateLimit-Remaining");
        lh_errors_header(json, c->components, "RateLimit-Reset");
    }
    if (c->def->flags & LH_IDEMPOTENT) {
        lh_errors_header(json, c->components, "Idempotent-Replayed");
        lh_errors_header(json, c->components, "Idempotency-Replayed");
    }
    lh_errors_header(json, c->components, "X-Request-Id");
    lh_json_close(json, '}');
}

static const char *describe(int status)
{
    return status == 201 ? "Created." : status == 204 ? "Done; the response has no body." : "Success.";
}

static void write_success(lh_json *json, context *c, int status)
{
    c->status = status;
    lh_put_object(json, apr_itoa(json->out.pool, status));
    lh_put_text(json, "description", describe(status));
    write_headers(json, c);
    write_content(json, c);
    lh_json_close(json, '}');
}

static void write_not_modified(lh_json *json, const context *c)
{
    lh_json *written = lh_component_begin(c->components, LH_COMPONENT_RESPONSE, "NotModified");

    if (written) {
        lh_json_open(written, '{');
        lh_put_text(written, "description", "If-None-Match names the current entity tag.");
        lh_put_object(written, "headers");
        lh_errors_header(written, c->components, "ETag");
        lh_errors_header(written, c->components, "X-Request-Id");
        lh_json_close(written, '}');
        lh_json_close(written, '}');
    }
    lh_json_key(json, "304");
    lh_component_refer(json, LH_COMPONENT_RESPONSE, "NotModified");
}

/* An error, or for a status that the route itself can have, the response of success as well. */
static void write_error(lh_json *json, context *c, int status)
{
    lh_json_key(json, apr_itoa(json->out.pool, status));
    if (status != c->def->other_status) {
        lh_errors_write(json, c->components, c->route, status);
        return;
    }
    c->status = status;
    lh_json_open(json, '{');
    lh_put_text(json, "description", "The same response with another status, or an error.");
    lh_put_object(json, "headers");
    lh_errors_header(json, c->components, "Retry-After");
    lh_errors_header(json, c->components, "X-Request-Id");
    lh_json_close(json, '}');
    lh_put_object(json, "content");
    lh_put_object(json, "application/json");
    lh_put_object(json, "schema");
    lh_json_key(json, "anyOf");
    lh_json_open(json, '[');
    write_enveloped(json, c);
    lh_errors_schema(json, c->components, c->route->group->error_format, status);
    lh_json_close(json, ']');
    lh_json_close(json, '}');
    write_example(json, c);
    lh_json_close(json, '}');
    lh_json_close(json, '}');
    lh_json_close(json, '}');
}

void lh_responses_write(lh_json *json, lh_components *components, const lh_compiled_route *route)
{
    const lh_route *def = route->def;
    int own = def->status ? def->status : def->shape == LH_NOTHING ? 204 : 200;
    const int *status = lh_errors_statuses(json->out.pool, route);
    context c = {components, route, def, 0, 0};

    lh_json_open(json, '{');
    if (def->other_status && def->other_status < own) {
        write_success(json, &c, def->other_status);
    }
    write_success(json, &c, own);
    if (lh_responses_have_etag(def)) {
        write_not_modified(json, &c);
    }
    for (; *status; status++) {
        write_error(json, &c, *status);
    }
    lh_json_close(json, '}');
}
