/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/openapi.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "openapi/component.h"
#include "openapi/operation.h"
#include "openapi/put.h"

typedef struct document {
    apr_pool_t *pool;
    const lh_routes *routes;
    const lh_openapi_options *options;
    lh_components *components;
} document;

static int is_served(const document *d, const lh_compiled_route *route)
{
    return d->options->serves(d->options->context, route->group, route->def->path);
}

/* ---- general information ---- */

#define DESCRIPTION                                                                                                    \
    "**Log in** with `POST /users/login` and send its `access_token` as `Authorization: Bearer ...`, or log in with "  \
    "`POST /auth/token/login/` and send its `auth_token` as `Authorization: Token ...`. All APIs accept both kinds "   \
    "of "                                                                                                              \
    "tokens of one account.\n\n"                                                                                       \
    "The slash at the end of a path is optional. HEAD is served like GET. Times are UTC. Clients should ignore keys "  \
    "that they do not know.\n\n"                                                                                       \
    "Errors of HTTP itself, such as 405 and 414, have the same body as the errors that are described here."

static void write_info(lh_json *json)
{
    lh_put_object(json, "info");
    lh_put_text(json, "title", "mod_learnhub");
    lh_put_text(json, "version", LH_VERSION);
    lh_put_text(json, "summary", "The HTTP APIs of a learning platform.");
    lh_put_text(json, "description", DESCRIPTION);
    lh_put_object(json, "license");
    lh_put_text(json, "name", "Apache-2.0");
    lh_put_text(json, "identifier", "Apache-2.0");
    lh_json_close(json, '}');
    lh_json_close(json, '}');
}

static void write_servers(lh_json *json, const char *url)
{
    lh_json_key(json, "servers");
    lh_json_open(json, '[');
    lh_json_open(json, '{');
    lh_put_text(json, "url", url);
    lh_json_close(json, '}');
    lh_json_close(json, ']');
}

static const char *describe_group(apr_pool_t *p, const lh_route_group *group)
{
    static const char *const errors[] = {[LH_ERRORS_DETAIL] = "`{\"detail\": ...}`",
                                         [LH_ERRORS_LOCATED] = "`{\"detail\": ...}`",
                                         [LH_ERRORS_FLAT] = "`{\"error\": ...}`",
                                         [LH_ERRORS_ENVELOPE] = "`{\"success\": false, \"data\": ...}`",
                                         [LH_ERRORS_LIST] = "`{\"detail\": ...}`, or with 400 an array of sentences"};
    static const char *const times[] = {[LH_SECONDS_Z] = "2024-01-15T14:00:00Z",
                                        [LH_SECONDS] = "2024-01-15T10:30:00",
                                        [LH_MILLIS_Z] = "2024-01-15T10:30:00.000Z",
                                        [LH_MICROS_Z] = "2025-09-07T17:10:29.123449Z"};

    return apr_psprintf(p, "A part of the API `%s`. Errors are %s; times in responses have the form %s.", group->name,
                        errors[group->error_format], times[group->time_format]);
}

/* One tag for each group that has a route. */
static void write_tags(lh_json *json, const document *d)
{
    const lh_route_group *group = NULL;
    int i;

    lh_json_key(json, "tags");
    lh_json_open(json, '[');
    for (i = 0; i < lh_routes_count(d->routes); i++) {
        const lh_compiled_route *route = lh_routes_at(d->routes, i);

        if (route->group == group || !is_served(d, route)) {
            continue;
        }
        group = route->group;
        lh_json_open(json, '{');
        lh_put_text(json, "name", group->title);
        lh_put_text(json, "description", describe_group(d->pool, group));
        lh_json_close(json, '}');
    }
    lh_json_close(json, ']');
}

/* ---- paths ---- */

static const char *lower(apr_pool_t *p, const char *text)
{
    char *copy = apr_pstrdup(p, text), *s;

    for (s = copy; *s; s++) {
        *s = (char)apr_tolower(*s);
    }
    return copy;
}

/* The operations of the path of route `first`, unless an earlier route has the same path. */
static void write_path(lh_json *json, const document *d, int first)
{
    const char *path = lh_routes_at(d->routes, first)->def->path;
    int i;

    for (i = 0; i < first; i++) {
        const lh_compiled_route *route = lh_routes_at(d->routes, i);

        if (!strcmp(route->def->path, path) && is_served(d, route)) {
            return;
        }
    }
    lh_put_object(json, lh_operation_path(d->pool, lh_routes_at(d->routes, first)->def));
    for (i = first; i < lh_routes_count(d->routes); i++) {
        const lh_compiled_route *route = lh_routes_at(d->routes, i);

        if (!strcmp(route->def->path, path) && is_served(d, route)) {
            lh_json_key(json, lower(d->pool, route->def->method));
            lh_operation_write(json, d->components, route, d->options);
        }
    }
    lh_json_close(json, '}');
}

static void write_paths(lh_json *json, const document *d)
{
    int i;

    lh_put_object(json, "paths");
    for (i = 0; i < lh_routes_count(d->routes); i++) {
        if (is_served(d, lh_routes_at(d->routes, i))) {
            write_path(json, d, i);
        }
    }
    lh_json_close(json, '}');
}

/* ---- security ---- */

static void write_security_schemes(lh_json *json)
{
    lh_put_object(json, "securitySchemes");
    lh_put_object(json, "bearer");
    lh_put_text(json, "type", "http");
    lh_put_text(json, "scheme", "bearer");
    lh_put_text(json, "bearerFormat", "JWT");
    lh_put_text(json, "description",
                "The access token of a log-in, such as `POST /users/login`. An opaque token of "
                "`POST /auth/token/login/` is accepted as well.");
    lh_json_close(json, '}');
    lh_put_object(json, "token");
    lh_put_text(json, "type", "apiKey");
    lh_put_text(json, "in", "header");
    lh_put_text(json, "name", "Authorization");
    lh_put_text(json, "description", "`Token` and a space, and then the `auth_token` of `POST /auth/token/login/`.");
    lh_json_close(json, '}');
    lh_json_close(json, '}');
}

const char *lh_openapi_write(apr_pool_t *p, const lh_routes *routes, const lh_openapi_options *options,
                             apr_size_t *length)
{
    document d = {p, routes, options, lh_components_create(p)};
    lh_json json;

    lh_json_init(&json, p, 512 * 1024);
    lh_json_open(&json, '{');
    lh_put_text(&json, "openapi", "3.1.0");
    write_info(&json);
    write_servers(&json, options->server);
    write_tags(&json, &d);
    write_paths(&json, &d);
    lh_put_object(&json, "components");
    lh_components_write(&json, d.components);
    write_security_schemes(&json);
    lh_json_close(&json, '}');
    lh_json_close(&json, '}');
    *length = json.out.length;
    return lh_json_result(&json);
}
