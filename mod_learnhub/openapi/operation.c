/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/operation.h"

#include <apr_strings.h>
#include <string.h>

#include "openapi/errors.h"
#include "openapi/put.h"
#include "openapi/responses.h"
#include "openapi/schema.h"
#include "util/text.h"

const char *lh_operation_path(apr_pool_t *p, const lh_route *route)
{
    char *path = apr_pstrdup(p, route->path), *out = path;
    const char *in;

    for (in = route->path; *in; in++) {
        in += *in == ':' ? strcspn(in, "}") : 0;
        *out++ = *in;
    }
    *out = '\0';
    return path;
}

/* ---- parameters ---- */

static void open_parameter(lh_json *json, const char *name, const char *in, int required, const char *description)
{
    lh_json_open(json, '{');
    lh_put_text(json, "name", name);
    lh_put_text(json, "in", in);
    if (required) {
        lh_json_key(json, "required");
        lh_json_bool(json, 1);
    }
    if (description) {
        lh_put_text(json, "description", description);
    }
    lh_json_key(json, "schema");
}

static const struct {
    const char *kind;
    lh_field field;
} path_types[] = {{"int", {.type = LH_INTEGER, .max = APR_INT64_MAX}},
                  {"oid", {.type = LH_OBJECT_ID}},
                  {"uuid", {.type = LH_UUID}},
                  {"text", {.type = LH_STRING, .min = 1}}};

static void write_path_parameters(lh_json *json, const char *path)
{
    apr_pool_t *p = json->out.pool;

    for (path = strchr(path, '{'); path; path = strchr(path + 1, '{')) {
        apr_size_t length = strcspn(path + 1, ":"), i = 0;
        const char *kind = path + 2 + length;
        lh_field field;

        while (strncmp(kind, path_types[i].kind, strcspn(kind, "}")) != 0) {
            i++;
        }
        field = path_types[i].field;
        open_parameter(json, apr_pstrmemdup(p, path + 1, length), "path", 1, NULL);
        lh_schema_field(json, &field, LH_QUERY);
        lh_json_close(json, '}');
    }
}

static void write_query_field(lh_json *json, const lh_field *field)
{
    open_parameter(json, field->name, "query", (field->flags & LH_REQUIRED) != 0, NULL);
    lh_schema_field(json, field, LH_QUERY);
    lh_json_close(json, '}');
}

/* The fields that a shape adds are shared by all routes of the shape. */
static void write_query(lh_json *json, lh_components *components, const lh_compiled_route *route)
{
    const lh_field *own = route->def->query;
    int owned = 0, i;

    while (own && own[owned].name) {
        owned++;
    }
    for (i = 0; i < route->query_count; i++) {
        const lh_field *field = route->query[i];
        lh_json *written;

        if (i < owned) {
            write_query_field(json, field);
            continue;
        }
        written = lh_component_begin(components, LH_COMPONENT_PARAMETER, field->name);
        if (written) {
            write_query_field(written, field);
        }
        lh_component_refer(json, LH_COMPONENT_PARAMETER, field->name);
    }
}

static const struct {
    const char *component, *name, *schema, *text;
} headers[] = {
    {"IfNoneMatch", "If-None-Match", "{\"type\":\"string\"}",
     "Entity tags that the client has. If the current one is among them, the response is 304 without a body."},
    {"IfMatch", "If-Match", "{\"type\":\"string\"}",
     "The entity tag of the response to GET. If it is not the current one, the response is 412."},
    {"IdempotencyKey", "Idempotency-Key", "{\"type\":\"string\",\"minLength\":1,\"maxLength\":255}",
     "A new key for each change, such as a UUID. A request that is repeated with the key gets the stored response."},
};

enum { IF_NONE_MATCH, IF_MATCH, IDEMPOTENCY_KEY };

static void write_header(lh_json *json, lh_components *components, int index)
{
    lh_json *written = lh_component_begin(components, LH_COMPONENT_PARAMETER, headers[index].component);

    if (written) {
        open_parameter(written, headers[index].name, "header", 0, headers[index].text);
        lh_json_verbatim(written, headers[index].schema, strlen(headers[index].schema));
        lh_json_close(written, '}');
    }
    lh_component_refer(json, LH_COMPONENT_PARAMETER, headers[index].component);
}

static void write_parameters(lh_json *json, lh_components *components, const lh_compiled_route *route)
{
    int tagged = lh_responses_have_etag(route->def), keyed = (route->def->flags & LH_IDEMPOTENT) != 0;

    if (!strchr(route->def->path, '{') && !route->query_count && !tagged && !keyed && !route->get) {
        return;
    }
    lh_json_key(json, "parameters");
    lh_json_open(json, '[');
    write_path_parameters(json, route->def->path);
    write_query(json, components, route);
    if (tagged) {
        write_header(json, components, IF_NONE_MATCH);
    }
    if (tagged || route->get) {
        write_header(json, components, IF_MATCH);
    }
    if (keyed) {
        write_header(json, components, IDEMPOTENCY_KEY);
    }
    lh_json_close(json, ']');
}

/* ---- bodies ---- */

static const struct {
    unsigned bit;
    const char *type;
} media_types[] = {{LH_JSON, "application/json"},
                   {LH_FORM, "application/x-www-form-urlencoded"},
                   {LH_MULTIPART, "multipart/form-data"}};

static const lh_field *find_photo(const lh_field *fields)
{
    while (fields->name && fields->type != LH_PHOTO) {
        fields++;
    }
    return fields->name ? fields : NULL;
}

/* A reference to the schema of the body. */
static void write_json_schema(lh_json *json, lh_components *components, const lh_route *def)
{
    lh_json schema;

    lh_json_init(&schema, json->out.pool, 2048);
    lh_schema_body(&schema, def, LH_JSON);
    lh_component_share(json, components, &schema, lh_responses_name(json->out.pool, def, "Body"));
}

static void write_body_schema(lh_json *json, lh_components *components, const lh_route *def, unsigned media)
{
    if (media != LH_JSON) {
        lh_schema_body(json, def, media);
        return;
    }
    if (!(def->flags & LH_UNWRAP_ARRAY)) {
        write_json_schema(json, components, def);
        return;
    }
    lh_json_open(json, '{');
    lh_put_array(json, "anyOf");
    write_json_schema(json, components, def);
    lh_json_open(json, '{');
    lh_put_text(json, "type", "array");
    lh_put_int(json, "minItems", 1);
    lh_put_int(json, "maxItems", 1);
    lh_json_key(json, "items");
    write_json_schema(json, components, def);
    lh_json_close(json, '}');
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

static void write_media(lh_json *json, lh_components *components, const lh_route *def, int index)
{
    unsigned media = media_types[index].bit;
    const lh_field *photo = media == LH_MULTIPART ? find_photo(def->body) : NULL;

    lh_put_object(json, media_types[index].type);
    lh_json_key(json, "schema");
    write_body_schema(json, components, def, media);
    lh_json_key(json, "example");
    lh_schema_example(json, def->body);
    if (photo) {
        lh_put_object(json, "encoding");
        lh_put_object(json, photo->name);
        lh_put_text(json, "contentType", "image/jpeg, image/png, image/webp, image/gif");
        lh_json_close(json, '}');
        lh_json_close(json, '}');
    }
    lh_json_close(json, '}');
}

static const char *describe_limit(apr_pool_t *p, const lh_route *def, const lh_openapi_options *options)
{
    apr_int64_t bytes = def->flags & LH_DIAGRAM ? options->max_diagram
                        : def->roles == LH_ANYONE && options->max_body > options->max_public_body
                            ? options->max_public_body
                            : options->max_body;
    const char *text = apr_psprintf(p, "At most %" APR_INT64_T_FMT " bytes", bytes);

    return find_photo(def->body) ? apr_psprintf(p, "%s; a photo in multipart/form-data at most %" APR_INT64_T_FMT ".",
                                                text, options->max_photo)
                                 : apr_pstrcat(p, text, ".", NULL);
}

static void write_body(lh_json *json, lh_components *components, const lh_route *def, const lh_openapi_options *options)
{
    unsigned accepts = def->accepts ? def->accepts : LH_JSON;
    const lh_field *field;
    int required = def->either != NULL, i;

    for (field = def->body; field->name; field++) {
        required |= (field->flags & LH_REQUIRED) != 0;
    }
    lh_put_object(json, "requestBody");
    lh_put_text(json, "description", describe_limit(json->out.pool, def, options));
    if (required) {
        lh_json_key(json, "required");
        lh_json_bool(json, 1);
    }
    lh_put_object(json, "content");
    for (i = 0; i < 3; i++) {
        if (accepts & media_types[i].bit) {
            write_media(json, components, def, i);
        }
    }
    lh_json_close(json, '}');
    lh_json_close(json, '}');
}

/* ---- who may call it, and how often ---- */

static void write_security(lh_json *json, const lh_route *def)
{
    lh_json_key(json, "security");
    lh_json_open(json, '[');
    if (def->roles != LH_ANYONE) {
        lh_json_verbatim(json, "{\"bearer\":[]},{\"token\":[]}", strlen("{\"bearer\":[]},{\"token\":[]}"));
    }
    lh_json_close(json, ']');
}

static const char *describe_roles(apr_pool_t *p, unsigned roles)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {LH_STUDENT, "students"}, {LH_INSTRUCTOR, "instructors"}, {LH_ADMIN, "admins"}, {LH_SERVICE, "services"}};
    const char *text = NULL;
    int i;

    if (roles == LH_ANYONE || roles == LH_MEMBER) {
        return NULL;
    }
    for (i = 0; i < 4; i++) {
        if (roles & names[i].bit) {
            text = text ? apr_pstrcat(p, text, ", ", names[i].name, NULL) : apr_pstrcat(p, "For ", names[i].name, NULL);
        }
    }
    return apr_pstrcat(p, text, ".", NULL);
}

static const char *describe_operation(apr_pool_t *p, const lh_route *def)
{
    const char *text = describe_roles(p, def->roles);

    if (def->flags & LH_UNPAGED) {
        text = apr_pstrcat(p, text ? text : "", text ? " " : "", "Without `page` and `page_size`, all entries.", NULL);
    }
    return text;
}

static void write_limit(lh_json *json, const char *key, const lh_limit *limit)
{
    if (!limit->requests) {
        return;
    }
    lh_put_object(json, key);
    lh_json_key(json, "requests");
    lh_json_int(json, limit->requests);
    lh_json_key(json, "seconds");
    lh_json_number(json, (double)limit->time / APR_USEC_PER_SEC);
    lh_json_close(json, '}');
}

static void write_rate(lh_json *json, const lh_compiled_route *route, const lh_openapi_options *options)
{
    const char *names = options->rates, *name = NULL;
    apr_size_t length = 0;
    int i, index = route->rate - LH_RATE_SIGNUP;

    for (i = 0; i <= index; i++) {
        name = lh_text_word(&names, &length);
    }
    lh_put_object(json, "x-rate-limit");
    lh_put_text(json, "class", apr_pstrmemdup(json->out.pool, name, length));
    if (route->def->roles != LH_ANYONE) {
        write_limit(json, "account", &options->limits[index].account);
    }
    write_limit(json, "address", &options->limits[index].network);
    lh_json_close(json, '}');
}

void lh_operation_write(lh_json *json, lh_components *components, const lh_compiled_route *route,
                        const lh_openapi_options *options)
{
    const lh_route *def = route->def;
    const char *description = describe_operation(json->out.pool, def);

    lh_json_open(json, '{');
    lh_put_text(json, "operationId", def->name);
    lh_put_text(json, "summary", def->summary);
    if (description) {
        lh_put_text(json, "description", description);
    }
    lh_json_key(json, "tags");
    lh_json_open(json, '[');
    lh_json_text(json, route->group->title);
    lh_json_close(json, ']');
    write_security(json, def);
    write_rate(json, route, options);
    write_parameters(json, components, route);
    if (route->body_count) {
        write_body(json, components, def, options);
    }
    lh_json_key(json, "responses");
    lh_responses_write(json, components, route);
    lh_json_close(json, '}');
}
