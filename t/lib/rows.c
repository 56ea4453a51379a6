/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the compiled route table as JSON, for the walk over it. Handlers are named by rows, but never called here. */
#include <apr_general.h>
#include <apr_strings.h>
#include <stdio.h>

#include "json.h"
#include "route.h"

static const lh_api *const apis[] = {&lh_api_users, &lh_api_auth, &lh_api_problems, &lh_api_submissions,
                                     &lh_api_practice, &lh_api_tutoring, &lh_api_profile, &lh_api_mentors, &lh_api_mentoring, &lh_api_settings, &lh_api_coding, &lh_api_eco, &lh_api_credits, &lh_api_activities, &lh_api_xp, &lh_api_admin,
                                     &lh_api_service, NULL};

static void write_text(lh_json *out, const char *key, const char *text)
{
    lh_json_key(out, key);
    lh_json_text(out, text);
}

static void write_int(lh_json *out, const char *key, apr_int64_t number)
{
    lh_json_key(out, key);
    lh_json_int(out, number);
}

static void write_fields(lh_json *out, const char *key, const lh_field *fields)
{
    lh_json_key(out, key);
    lh_json_open(out, '[');
    for (; fields && fields->name; fields++) {
        lh_json_open(out, '{');
        write_text(out, "name", fields->name);
        lh_json_key(out, "required");
        lh_json_bool(out, fields->flags & LH_REQUIRED);
        lh_json_key(out, "list");
        lh_json_bool(out, fields->type == LH_LIST);
        write_fields(out, "of", fields->of);
        lh_json_close(out, '}');
    }
    lh_json_close(out, ']');
}

static void write_operation(lh_json *out, const lh_operation *op)
{
    static const char *const styles[] = {"plain", "practice", "tutoring", "coding"};
    static const char *const shapes[] = {"one", "maybe", "all", "page", "window", "nothing", "bytes"};
    const lh_route *row = op->row;

    lh_json_open(out, '{');
    write_text(out, "name", row->name);
    write_text(out, "method", row->method);
    write_text(out, "path", row->path);
    write_text(out, "style", styles[op->api->problems]);
    write_text(out, "shape", shapes[row->shape]);
    write_text(out, "key", row->key);
    write_int(out, "who", row->who);
    write_int(out, "status", row->status ? row->status : row->shape == LH_NOTHING ? 204 : 200);
    write_fields(out, "body", row->body);
    write_fields(out, "returns", row->returns);
    lh_json_close(out, '}');
}

int main(void)
{
    const lh_routes *routes;
    const char *why;
    apr_pool_t *pool;
    lh_json out;
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    routes = lh_routes_compile(pool, apis, &why);
    if (!routes) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    lh_json_init(&out, pool, 65536);
    lh_json_open(&out, '{');
    lh_json_key(&out, "rows");
    lh_json_open(&out, '[');
    for (i = 0; i < lh_routes_count(routes); i++) {
        write_operation(&out, lh_routes_operation(routes, i));
    }
    lh_json_close(&out, ']');
    lh_json_key(&out, "statements");
    lh_json_open(&out, '[');
    for (i = 0; i < lh_routes_statements(routes); i++) {
        lh_json_open(&out, '{');
        write_text(&out, "label", lh_routes_statement(routes, i)->label);
        write_text(&out, "sql", lh_routes_statement(routes, i)->sql);
        lh_json_close(&out, '}');
    }
    lh_json_close(&out, ']');
    lh_json_close(&out, '}');
    puts(apr_pstrmemdup(pool, out.data, out.length));
    apr_terminate();
    return 0;
}
