/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/keys.h"

#include "openapi/component.h"
#include "openapi/example.h"
#include "openapi/put.h"
#include "openapi/type.h"

/* ---- schemas ---- */

static void write_object(lh_json *json, lh_components *components, const lh_field *keys, const char *prefix,
                         lh_time_format times, int null);

/* The formats with Z are those of RFC 3339. */
static void write_time(lh_json *json, lh_time_format times, int null)
{
    if (times != LH_SECONDS) {
        lh_type_write(json, LH_TIME, null);
        return;
    }
    lh_type_name(json, "string", null);
    lh_put_text(json, "pattern", "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}$");
}

static void write_strings(lh_json *json)
{
    lh_type_write(json, LH_STRINGS, 0);
    lh_put_json(json, "items", "{\"type\":\"string\"}");
}

/* An array, or with LH_COERCE a single string as well. */
static void write_array(lh_json *json, const lh_field *key)
{
    if (!(key->flags & LH_COERCE)) {
        write_strings(json);
        return;
    }
    lh_put_array(json, "anyOf");
    lh_json_open(json, '{');
    write_strings(json);
    lh_json_close(json, '}');
    lh_type_alternative(json, "string", NULL, NULL);
    lh_json_close(json, ']');
}

/* The name of the objects that a table describes, or NULL. */
static const char *object_name(const lh_field *keys)
{
    const char *name = NULL;

    for (; keys && keys->name; keys++) {
        name = keys->object ? keys->object : name;
    }
    return name;
}

/* The schema of the entries of a list, or a reference to it if their table names them. */
static void write_items(lh_json *json, lh_components *components, const lh_field *keys, lh_time_format times)
{
    if (object_name(keys)) {
        lh_keys_schema(json, components, keys, times, NULL);
        return;
    }
    lh_json_open(json, '{');
    write_object(json, components, keys, "", times, 0);
    lh_json_close(json, '}');
}

static void write_value(lh_json *json, lh_components *components, const lh_field *key, lh_time_format times)
{
    int null = (key->flags & LH_NULL) != 0;

    if (key->type == LH_OBJECT && key->items) {
        write_object(json, components, key->items, "", times, null);
    }
    else if (key->items) {
        lh_type_name(json, "array", null);
        lh_json_key(json, "items");
        write_items(json, components, key->items, times);
    }
    else if (key->type == LH_TIME) {
        write_time(json, times, null);
    }
    else if (key->type == LH_STRINGS) {
        write_array(json, key);
    }
    else {
        lh_type_write(json, key->type, null);
    }
    if (key->enum_values) {
        lh_type_words(json, key->enum_values, null, key->type == LH_INTEGER);
    }
    if (key->note) {
        lh_put_text(json, "description", key->note);
    }
}

/* The members of the schema of an object. */
static void write_object(lh_json *json, lh_components *components, const lh_field *keys, const char *prefix,
                         lh_time_format times, int null)
{
    apr_pool_t *p = json->out.pool;
    const lh_field *key;

    lh_type_name(json, "object", null);
    lh_put_object(json, "properties");
    for (key = lh_type_next(keys, prefix); key; key = lh_type_next(key + 1, prefix)) {
        if (lh_type_is_repeated(keys, key, prefix)) {
            continue;
        }
        lh_put_object(json, lh_type_key(p, key, prefix));
        if (lh_type_head(key, prefix)) {
            write_object(json, components, keys, lh_type_prefix(p, key, prefix), times, 0);
        }
        else {
            write_value(json, components, key, times);
        }
        lh_json_close(json, '}');
    }
    lh_json_close(json, '}');
    lh_put_array(json, "required");
    for (key = lh_type_next(keys, prefix); key; key = lh_type_next(key + 1, prefix)) {
        if (!lh_type_is_repeated(keys, key, prefix)) {
            lh_json_text(json, lh_type_key(p, key, prefix));
        }
    }
    lh_json_close(json, ']');
}

void lh_keys_schema(lh_json *json, lh_components *components, const lh_field *keys, lh_time_format times,
                    const char *name)
{
    const char *own = object_name(keys);
    lh_json schema;

    lh_json_init(&schema, json->out.pool, 2048);
    lh_json_open(&schema, '{');
    write_object(&schema, components, keys, "", times, 0);
    lh_json_close(&schema, '}');
    lh_component_share(json, components, &schema, own ? own : name);
}

/* ---- examples ---- */

typedef struct context {
    const lh_route *route; /* NULL in the objects of a key: the examples of the route are of its own keys */
    int status;
    lh_time_format times;
} context;

static void write_example(lh_json *json, const lh_field *keys, const char *prefix, const context *c);

/* The field of the request whose value the key shows, or the key itself. */
static const lh_field *find_sent(const lh_route *route, const lh_field *key)
{
    const lh_field *field;

    for (field = route ? route->body : NULL; field && field->name; field++) {
        int left_out = (field->flags & LH_SECRET) || (field->example && !*field->example);

        if (!left_out && field->type == key->type && !strcmp(field->name, key->name)) {
            return field;
        }
    }
    return key;
}

static void write_example_value(lh_json *json, const lh_field *key, const context *c)
{
    const char *value = c->route ? lh_example_of_route(c->route, key->name, c->status) : NULL;
    const context inner = {NULL, 0, c->times};

    if (value) {
        lh_example_text(json, key, value, c->times);
    }
    else if (!key->items || key->example) {
        lh_example_value(json, find_sent(c->route, key), c->times);
    }
    else if (key->type == LH_LIST) {
        lh_json_open(json, '[');
        write_example(json, key->items, "", &inner);
        lh_json_close(json, ']');
    }
    else {
        write_example(json, key->items, "", &inner);
    }
}

static void write_example(lh_json *json, const lh_field *keys, const char *prefix, const context *c)
{
    apr_pool_t *p = json->out.pool;
    const lh_field *key;

    lh_json_open(json, '{');
    for (key = lh_type_next(keys, prefix); key; key = lh_type_next(key + 1, prefix)) {
        if (lh_type_is_repeated(keys, key, prefix)) {
            continue;
        }
        lh_json_key(json, lh_type_key(p, key, prefix));
        if (lh_type_head(key, prefix)) {
            write_example(json, keys, lh_type_prefix(p, key, prefix), c);
        }
        else {
            write_example_value(json, key, c);
        }
    }
    lh_json_close(json, '}');
}

void lh_keys_example(lh_json *json, const lh_route *route, lh_time_format times, int status)
{
    const context c = {route, status, times};

    write_example(json, route->returns, "", &c);
}
