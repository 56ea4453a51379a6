/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the compiled routes, and all statements, also those of tokens and jobs, as JSON, for LearnHub::Routes. Steps
 * are linked as stubs and not called. */
#include <apr_general.h>
#include <apr_strings.h>
#include <stdio.h>

#include "auth/token.h"
#include "http/claim.h"
#include "http/idempotency.h"
#include "http/route.h"
#include "jobs/jobs.h"
#include "util/json.h"

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
    static const char *const types[] = {"string",   "email", "integer", "boolean", "time",  "date",
                                        "duration", "oid",   "strings", "object",  "group", "phone",
                                        "photo",    "uuid",  "number",  "color",   "list"};

    lh_json_key(out, key);
    lh_json_open(out, '[');
    for (; fields && fields->name; fields++) {
        lh_json_open(out, '{');
        write_text(out, "name", fields->name);
        write_text(out, "alias", fields->alias);
        write_text(out, "type", types[fields->type]);
        lh_json_key(out, "required");
        lh_json_bool(out, fields->flags & LH_REQUIRED);
        lh_json_key(out, "list");
        lh_json_bool(out, fields->type == LH_LIST);
        write_fields(out, "items", fields->items);
        lh_json_close(out, '}');
    }
    lh_json_close(out, ']');
}

/* A statement with the names of its parameters: $(i + 1) is parameters[i]. */
static void write_statement(lh_json *out, const lh_compiled_route *route, const lh_statement *statement)
{
    int i;

    lh_json_open(out, '{');
    write_text(out, "sql", statement->sql);
    lh_json_key(out, "parameters");
    lh_json_open(out, '[');
    for (i = 0; i < statement->parameters; i++) {
        lh_json_text(out, route->slots.names[statement->slots[i]]);
    }
    lh_json_close(out, ']');
    lh_json_close(out, '}');
}

/* Writes extra_sql, and sql: what a request without filters runs, with the count first. */
static void write_statements(lh_json *out, const lh_compiled_route *route)
{
    int i;

    lh_json_key(out, "extra_sql");
    lh_json_open(out, '[');
    for (i = 0; i < LH_EXTRA_SQL_MAX && route->extra_sql[i]; i++) {
        write_statement(out, route, route->extra_sql[i]);
    }
    lh_json_close(out, ']');
    lh_json_key(out, "sql");
    lh_json_open(out, '[');
    if (route->counts) {
        write_statement(out, route, route->counts[0]);
    }
    for (i = 0; i < route->sql_count; i++) {
        int filtered = route->filtered && i == route->sql_count - 1;
        write_statement(out, route, filtered ? route->filtered[0] : route->sql[i]);
    }
    lh_json_close(out, ']');
}

/* Writes the statements for each set of filters: its filters, the count, and the last statement or deep_sql. */
static void write_sets(lh_json *out, const lh_compiled_route *route)
{
    int set, i;

    lh_json_key(out, "sets");
    lh_json_open(out, '[');
    for (set = 0; route->counts && set < 1 << route->filter_count; set++) {
        lh_json_open(out, '{');
        lh_json_key(out, "filters");
        lh_json_open(out, '[');
        for (i = 0; i < route->filter_count; i++) {
            if (set & (1 << i)) {
                lh_json_text(out, route->query[route->filters[i]]->name);
            }
        }
        lh_json_close(out, ']');
        lh_json_key(out, "count");
        write_statement(out, route, route->counts[set]);
        lh_json_key(out, "page");
        write_statement(out, route, route->filtered ? route->filtered[set] : route->sql[route->sql_count - 1]);
        if (route->deep) {
            lh_json_key(out, "deep");
            write_statement(out, route, route->deep[set]);
        }
        lh_json_close(out, '}');
    }
    lh_json_close(out, ']');
}

static void write_route(lh_json *out, const lh_compiled_route *route)
{
    static const char *const formats[] = {"detail", "located", "flat", "envelope", "list"};
    static const char *const shapes[] = {"one",     "one_or_null", "all",   "page",    "skip_limit",
                                         "nothing", "events",      "bytes", "document"};
    const lh_route *def = route->def;

    lh_json_open(out, '{');
    write_text(out, "name", def->name);
    write_text(out, "method", def->method);
    write_text(out, "path", def->path);
    write_text(out, "format", formats[route->group->error_format]);
    write_text(out, "shape", shapes[def->shape]);
    write_text(out, "key", def->key);
    write_text(out, "media", def->media);
    write_int(out, "roles", def->roles);
    lh_json_key(out, "idempotent");
    lh_json_bool(out, def->flags & LH_IDEMPOTENT);
    write_int(out, "status", def->status ? def->status : def->shape == LH_NOTHING ? 204 : 200);
    write_fields(out, "query", def->query);
    write_fields(out, "body", def->body);
    write_fields(out, "returns", def->returns);
    write_statements(out, route);
    write_sets(out, route);
    lh_json_close(out, '}');
}

int main(void)
{
    lh_statements *statements;
    const lh_routes *routes;
    const char *why;
    apr_pool_t *pool;
    lh_json out;
    int i;

    apr_initialize();
    apr_pool_create(&pool, NULL);
    statements = lh_statements_create(pool);
    routes = lh_routes_compile(pool, lh_route_groups, statements, &why);
    if (!routes || !lh_token_compile(statements, &why) || !lh_idempotency_compile(statements, &why) ||
        !lh_claim_compile(statements, &why) || !lh_jobs_compile(statements, &why)) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    lh_json_init(&out, pool, 65536);
    lh_json_open(&out, '{');
    lh_json_key(&out, "routes");
    lh_json_open(&out, '[');
    for (i = 0; i < lh_routes_count(routes); i++) {
        write_route(&out, lh_routes_at(routes, i));
    }
    lh_json_close(&out, ']');
    lh_json_key(&out, "statements");
    lh_json_open(&out, '[');
    for (i = 0; i < lh_statements_count(statements); i++) {
        lh_json_open(&out, '{');
        write_text(&out, "label", lh_statements_at(statements, i)->label);
        write_text(&out, "sql", lh_statements_at(statements, i)->sql);
        lh_json_close(&out, '}');
    }
    lh_json_close(&out, ']');
    lh_json_close(&out, '}');
    puts(lh_json_result(&out));
    apr_terminate();
    return 0;
}
