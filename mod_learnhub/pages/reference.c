/* SPDX-License-Identifier: Apache-2.0 */
#include "pages/reference.h"

#include <apr_lib.h>
#include <apr_strings.h>

#include "http/served.h"
#include "pages/operation_text.h"
#include "pages/page.h"

typedef struct reference {
    lh_buffer *out;
    apr_pool_t *scratch;
    const lh_config *config;
    const lh_routes *routes;
} reference;

const char *lh_reference_anchor(apr_pool_t *p, const lh_route_group *group)
{
    char *anchor = apr_pstrdup(p, group->title), *s;

    for (s = anchor; *s; s++) {
        *s = apr_isalnum(*s) ? (char)apr_tolower(*s) : '-';
    }
    return anchor;
}

static int is_served(const reference *page, const lh_compiled_route *route)
{
    return lh_served(page->config, route->group, route->def->path);
}

/* ---- the introduction ---- */

static void write_header(lh_buffer *out, apr_pool_t *scratch, const lh_config *config)
{
    const char *base = lh_config_base(scratch, config);

    lh_html_write(out, "<header>\n<h1>mod_learnhub API</h1>\n<p>Version %s.", LH_VERSION);
    if (*base) {
        lh_html_write(out, " All paths begin with <code>%s/</code>.", base);
    }
    if (lh_config_has(lh_config_pages, config->pages, "openapi")) {
        lh_html_write(out, " <a href=\"%s/openapi.json\">The same as an OpenAPI document</a>.", base);
    }
    lh_html_write(out, "</p>\n</header>\n");
}

static void write_conventions(lh_buffer *out)
{
    lh_html_write(out, "<section id=\"conventions\">\n<h2>For all operations</h2>\n<ul>\n");
    lh_html_write(out, "<li>Log in with <code>POST /users/login</code> and send its <code>access_token</code> as "
                       "<code>Authorization: Bearer ...</code>. All APIs accept it.</li>\n");
    lh_html_write(out,
                  "<li>Bodies are JSON unless an operation says otherwise. Unknown fields are ignored. The slash at "
                  "the end of a path is optional. HEAD is served like GET. Times are UTC.</li>\n");
    lh_html_write(out,
                  "<li>Besides the errors below, each operation can return 401 for an invalid token, 404, 405, 413 "
                  "and 415 for a body that is too long or of another type, 429 with <code>Retry-After</code> for "
                  "too many requests, and 500 and 503.</li>\n</ul>\n</section>\n");
}

/* ---- contents and operations, by group ---- */

/* Closes what the group before has opened. */
static void end_group(const reference *page, const lh_route_group *group, const char *markup)
{
    if (group) {
        lh_buffer_append(page->out, markup, strlen(markup));
    }
}

static void write_contents(const reference *page)
{
    const lh_route_group *group = NULL;
    int i;

    lh_html_write(page->out, "<nav aria-label=\"Contents\">\n<h2>Contents</h2>\n<ul>\n"
                             "<li><a href=\"#conventions\">For all operations</a></li>\n");
    for (i = 0; i < lh_routes_count(page->routes); i++) {
        const lh_compiled_route *route = lh_routes_at(page->routes, i);

        if (!is_served(page, route)) {
            continue;
        }
        if (route->group != group) {
            end_group(page, group, "</ul></li>\n");
            group = route->group;
            lh_html_write(page->out, "<li><a href=\"#%s\">%s</a><ul>\n", lh_reference_anchor(page->scratch, group),
                          group->title);
        }
        lh_html_write(page->out, "<li><a href=\"#%s\">%s %s</a></li>\n", route->def->name, route->def->method,
                      lh_operation_text_path(page->scratch, route->def->path));
    }
    end_group(page, group, "</ul></li>\n");
    lh_html_write(page->out, "</ul>\n</nav>\n");
}

static void write_operations(const reference *page)
{
    const lh_route_group *group = NULL;
    int i;

    for (i = 0; i < lh_routes_count(page->routes); i++) {
        const lh_compiled_route *route = lh_routes_at(page->routes, i);

        if (!is_served(page, route)) {
            continue;
        }
        if (route->group != group) {
            end_group(page, group, "</section>\n");
            group = route->group;
            lh_html_write(page->out, "<section id=\"%s\">\n<h2>%s</h2>\n", lh_reference_anchor(page->scratch, group),
                          group->title);
        }
        lh_operation_text_write(page->out, page->scratch, route);
    }
    end_group(page, group, "</section>\n");
}

void lh_reference_write(lh_buffer *out, apr_pool_t *scratch, const lh_config *config, const lh_routes *routes)
{
    reference page = {out, scratch, config, routes};

    lh_page_begin(out, "mod_learnhub API", "sided");
    write_header(out, scratch, config);
    write_contents(&page);
    lh_html_write(out, "<main id=\"main\">\n");
    write_conventions(out);
    write_operations(&page);
    lh_page_end(out);
}
