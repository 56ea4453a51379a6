/* SPDX-License-Identifier: Apache-2.0 */
#include "pages/operation_text.h"

#include <apr_strings.h>

#include "pages/field_text.h"

/* ---- the path ---- */

const char *lh_operation_text_path(apr_pool_t *p, const char *path)
{
    char *copy = apr_palloc(p, strlen(path) + 1), *to = copy;

    while (*path) {
        if (*path == ':') {
            path += strcspn(path, "}");
        }
        *to++ = *path++;
    }
    *to = '\0';
    return copy;
}

static const char *type_of_parameter(const char *type)
{
    return !strncmp(type, "int}", 4)    ? "integer"
           : !strncmp(type, "oid}", 4)  ? "id of 24 hex digits"
           : !strncmp(type, "uuid}", 5) ? "UUID"
                                        : "text";
}

static void write_path_parameters(lh_buffer *out, apr_pool_t *scratch, const char *path)
{
    const char *brace = strchr(path, '{');

    if (!brace) {
        return;
    }
    lh_html_write(out, "<h4>Path</h4>\n<dl>\n");
    for (; brace; brace = strchr(brace + 1, '{')) {
        apr_size_t length = strcspn(brace + 1, ":");

        lh_html_write(out, "<dt><code>%s</code></dt><dd>%s</dd>\n", apr_pstrmemdup(scratch, brace + 1, length),
                      type_of_parameter(brace + 1 + length + 1));
    }
    lh_html_write(out, "</dl>\n");
}

/* ---- the request ---- */

static void write_entry(lh_buffer *out, const char *prefix, const lh_field *field, const char *text)
{
    lh_html_write(out, "<dt><code>%s%s</code></dt><dd>%s", prefix, field->name, text);
    if (field->note) {
        lh_html_write(out, ". %s", field->note);
    }
    lh_html_write(out, "</dd>\n");
}

static void write_query(lh_buffer *out, apr_pool_t *scratch, const lh_compiled_route *route)
{
    int i;

    if (route->query_count) {
        lh_html_write(out, "<h4>Query</h4>\n<dl>\n");
        for (i = 0; i < route->query_count; i++) {
            write_entry(out, "", route->query[i], lh_field_text_input(scratch, route->query[i]));
        }
        lh_html_write(out, "</dl>\n");
    }
}

static const char *media_of(const lh_route *def)
{
    static const char *const media[] = {
        [0] = "JSON",
        [LH_JSON] = "JSON",
        [LH_FORM] = "application/x-www-form-urlencoded",
        [LH_MULTIPART] = "multipart/form-data",
        [LH_JSON | LH_FORM] = "JSON or application/x-www-form-urlencoded",
        [LH_JSON | LH_MULTIPART] = "JSON or multipart/form-data",
        [LH_FORM | LH_MULTIPART] = "application/x-www-form-urlencoded or multipart/form-data",
        [LH_JSON | LH_FORM | LH_MULTIPART] = "JSON, application/x-www-form-urlencoded or multipart/form-data",
    };

    return media[def->accepts];
}

static void write_body(lh_buffer *out, apr_pool_t *scratch, const lh_route *def)
{
    const lh_field *field = def->body;

    if (field && field->name) {
        lh_html_write(out, "<h4>Body: %s</h4>\n<dl>\n", media_of(def));
        for (; field->name; field++) {
            write_entry(out, "", field, lh_field_text_input(scratch, field));
        }
        lh_html_write(out, "</dl>\n");
    }
}

/* Who may call the operation. */
static const char *roles_of(apr_pool_t *p, unsigned roles)
{
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {
        {LH_STUDENT, "students"}, {LH_INSTRUCTOR, "instructors"}, {LH_ADMIN, "admins"}, {LH_SERVICE, "services"}};
    const char *text = "";
    apr_size_t i;

    if (roles == LH_ANYONE) {
        return "No token is needed.";
    }
    if (roles == LH_MEMBER) {
        return "With a token.";
    }
    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (roles & names[i].bit) {
            text = apr_pstrcat(p, text, *text ? ", " : "", names[i].name, NULL);
        }
    }
    return apr_pstrcat(p, "With a token, for ", text, ".", NULL);
}

/* ---- the response ---- */

static int status_of(const lh_route *def)
{
    return def->status ? def->status : def->shape == LH_NOTHING ? 204 : 200;
}

/* The body around the keys, in words. */
static const char *shape_of(apr_pool_t *p, const lh_route *def)
{
    const char *key = def->key ? def->key : "";

    switch (def->shape) {
    case LH_ONE_OR_NULL: return "an object or null";
    case LH_ALL: return def->key ? apr_psprintf(p, "{\"%s\": [...]}", key) : "an array of objects";
    case LH_PAGE: return "{\"count\", \"next\", \"previous\", \"results\": [...]}";
    case LH_SKIP_LIMIT: return apr_psprintf(p, "{\"total\", \"skip\", \"limit\", \"%s\": [...]}", key);
    case LH_NOTHING: return "no body";
    case LH_EVENTS: return "an event stream (text/event-stream)";
    case LH_BYTES: return "a picture";
    case LH_DOCUMENT: return "a document";
    default:
        return def->message ? apr_psprintf(p, "{\"message\", \"%s\": {...}}", key)
               : def->key   ? apr_psprintf(p, "{\"%s\": {...}}", key)
                            : "an object";
    }
}

static void write_keys(lh_buffer *out, apr_pool_t *scratch, const lh_field *keys, const char *prefix)
{
    for (; keys->name; keys++) {
        write_entry(out, prefix, keys, lh_field_text_output(scratch, keys));
        if (keys->items) {
            const char *mark = keys->type == LH_LIST ? "[]." : ".";
            write_keys(out, scratch, keys->items, apr_pstrcat(scratch, prefix, keys->name, mark, NULL));
        }
    }
}

static void write_response(lh_buffer *out, apr_pool_t *scratch, const lh_compiled_route *route)
{
    const lh_route *def = route->def;
    int wrapped = route->group->error_format == LH_ERRORS_ENVELOPE && def->shape != LH_NOTHING;

    lh_html_write(out, "<h4>Response: %d, %s%s</h4>\n", status_of(def), shape_of(scratch, def),
                  wrapped ? ", in {\"success\": true, \"data\": ...}" : "");
    if (def->returns && def->returns->name) {
        lh_html_write(out, "<dl>\n");
        write_keys(out, scratch, def->returns, "");
        lh_html_write(out, "</dl>\n");
    }
}

/* ---- errors ---- */

static int status_of_error(const lh_route_group *group, const lh_route_error *error)
{
    return !error->field ? error->status : group->error_format == LH_ERRORS_LOCATED ? 422 : 400;
}

static void write_errors(lh_buffer *out, const lh_compiled_route *route)
{
    const lh_route_error *error = route->def->errors;

    if (!error || !error->code) {
        return;
    }
    lh_html_write(out, "<h4>Errors</h4>\n<ul>\n");
    for (; error->code; error++) {
        lh_html_write(out, "<li>%d: ", status_of_error(route->group, error));
        if (error->field) {
            lh_html_write(out, "<code>%s</code>: ", error->field);
        }
        lh_html_write(out, "%s</li>\n", error->text);
    }
    lh_html_write(out, "</ul>\n");
}

void lh_operation_text_write(lh_buffer *out, apr_pool_t *scratch, const lh_compiled_route *route)
{
    const lh_route *def = route->def;

    lh_html_write(out, "<article id=\"%s\">\n<h3><code>%s %s</code></h3>\n<p>%s <span class=\"soft\">%s%s</span></p>\n",
                  def->name, def->method, lh_operation_text_path(scratch, def->path), def->summary,
                  roles_of(scratch, def->roles), def->flags & LH_IDEMPOTENT ? " Idempotency-Key is supported." : "");
    write_path_parameters(out, scratch, def->path);
    write_query(out, scratch, route);
    write_body(out, scratch, def);
    write_response(out, scratch, route);
    write_errors(out, route);
    lh_html_write(out, "</article>\n");
}
