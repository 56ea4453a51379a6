/* SPDX-License-Identifier: Apache-2.0 */
#include "openapi/component.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#include "util/json.h"

typedef struct component {
    const char *name;
    lh_json *json;
} component;

struct lh_components {
    apr_pool_t *pool;
    apr_array_header_t *written[LH_COMPONENT_KINDS]; /* component */
};

static const char *const sections[LH_COMPONENT_KINDS] = {[LH_COMPONENT_SCHEMA] = "schemas",
                                                         [LH_COMPONENT_RESPONSE] = "responses",
                                                         [LH_COMPONENT_PARAMETER] = "parameters",
                                                         [LH_COMPONENT_HEADER] = "headers"};

lh_components *lh_components_create(apr_pool_t *p)
{
    lh_components *components = apr_pcalloc(p, sizeof(*components));
    int i;

    components->pool = p;
    for (i = 0; i < LH_COMPONENT_KINDS; i++) {
        components->written[i] = apr_array_make(p, 64, sizeof(component));
    }
    return components;
}

static const component *find(const lh_components *components, lh_component_kind kind, const char *name)
{
    const apr_array_header_t *written = components->written[kind];
    int i;

    for (i = 0; i < written->nelts; i++) {
        const component *one = &APR_ARRAY_IDX(written, i, component);

        if (!strcmp(one->name, name)) {
            return one;
        }
    }
    return NULL;
}

lh_json *lh_component_begin(lh_components *components, lh_component_kind kind, const char *name)
{
    component *one;

    if (find(components, kind, name)) {
        return NULL;
    }
    one = apr_array_push(components->written[kind]);
    one->name = name;
    one->json = apr_palloc(components->pool, sizeof(*one->json));
    lh_json_init(one->json, components->pool, 1024);
    return one->json;
}

/* The name of an equal schema, or NULL. */
static const char *find_equal(const lh_components *components, const lh_json *schema)
{
    const apr_array_header_t *written = components->written[LH_COMPONENT_SCHEMA];
    int i;

    for (i = 0; i < written->nelts; i++) {
        const component *one = &APR_ARRAY_IDX(written, i, component);

        if (one->json->out.length == schema->out.length &&
            !memcmp(one->json->out.data, schema->out.data, schema->out.length)) {
            return one->name;
        }
    }
    return NULL;
}

void lh_component_share(lh_json *json, lh_components *components, const lh_json *schema, const char *name)
{
    const char *equal = find_equal(components, schema), *base = name;
    int number = 1;

    if (equal) {
        lh_component_refer(json, LH_COMPONENT_SCHEMA, equal);
        return;
    }
    while (find(components, LH_COMPONENT_SCHEMA, name)) {
        name = apr_psprintf(components->pool, "%s%d", base, ++number);
    }
    lh_json_verbatim(lh_component_begin(components, LH_COMPONENT_SCHEMA, name), schema->out.data, schema->out.length);
    lh_component_refer(json, LH_COMPONENT_SCHEMA, name);
}

void lh_component_refer(lh_json *json, lh_component_kind kind, const char *name)
{
    lh_json_open(json, '{');
    lh_json_key(json, "$ref");
    lh_json_text(json, apr_pstrcat(json->out.pool, "#/components/", sections[kind], "/", name, NULL));
    lh_json_close(json, '}');
}

void lh_components_write(lh_json *json, const lh_components *components)
{
    int kind, i;

    for (kind = 0; kind < LH_COMPONENT_KINDS; kind++) {
        const apr_array_header_t *written = components->written[kind];

        lh_json_key(json, sections[kind]);
        lh_json_open(json, '{');
        for (i = 0; i < written->nelts; i++) {
            const component *one = &APR_ARRAY_IDX(written, i, component);

            lh_json_key(json, one->name);
            lh_json_verbatim(json, one->json->out.data, one->json->out.length);
        }
        lh_json_close(json, '}');
    }
}
