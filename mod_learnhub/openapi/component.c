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

typedef struct named {
    const void *key;
    unsigned variant;
    const char *name;
} named;

struct lh_components {
    apr_pool_t *pool;
    apr_array_header_t *written[LH_COMPONENT_KINDS]; /* component */
    apr_array_header_t *names;                       /* named */
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
    components->names = apr_array_make(p, 128, sizeof(named));
    return components;
}

const char *lh_component_name(lh_components *components, const void *key, unsigned variant, const char *name)
{
    named *entry;
    int i;

    for (i = 0; i < components->names->nelts; i++) {
        entry = &APR_ARRAY_IDX(components->names, i, named);
        if (entry->key == key && entry->variant == variant) {
            return entry->name;
        }
    }
    entry = apr_array_push(components->names);
    entry->key = key;
    entry->variant = variant;
    entry->name = name;
    return name;
}

lh_json *lh_component_begin(lh_components *components, lh_component_kind kind, const char *name)
{
    apr_array_header_t *written = components->written[kind];
    component *one;
    int i;

    for (i = 0; i < written->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(written, i, component).name, name)) {
            return NULL;
        }
    }
    one = apr_array_push(written);
    one->name = name;
    one->json = apr_palloc(components->pool, sizeof(*one->json));
    lh_json_init(one->json, components->pool, 1024);
    return one->json;
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
