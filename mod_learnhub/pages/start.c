/* SPDX-License-Identifier: Apache-2.0 */
/* The start page: what runs here, for people with a browser. */
#include <apr_strings.h>

#include "core/server_state.h"
#include "http/accept.h"
#include "http/served.h"
#include "learnhub_pages.h"
#include "pages/page.h"
#include "pages/pages.h"
#include "pages/reference.h"
#include "util/text.h"

static int has_page(const lh_call *call, const char *name)
{
    return lh_config_has(lh_config_pages, call->server->config.pages, name);
}

/* ---- the page ---- */

static void write_state(lh_buffer *out, const lh_call *call, int healthy)
{
    if (healthy) {
        lh_html_write(out, "<p><strong class=\"good\">Healthy</strong>: the database is reachable.</p>\n");
    }
    else if (lh_schema_mismatch(call)) {
        lh_html_write(out, "<p><strong class=\"bad\">Unhealthy</strong>: the schema of the database is too %s.</p>\n",
                      lh_schema_mismatch(call) < 0 ? "old" : "new");
    }
    else {
        lh_html_write(out, "<p><strong class=\"bad\">Unhealthy</strong>: the database is not reachable.</p>\n");
    }
}

/* A line for a group: a link to its description, and its paths. */
static void write_group(lh_buffer *out, const lh_call *call, const lh_route_group *group)
{
    const char *base = lh_config_base(call->r->pool, &call->server->config), *const * prefix;

    if (has_page(call, "docs")) {
        lh_html_write(out, "<li><a href=\"%s/docs/plain#%s\">%s</a>:", base, lh_reference_anchor(call->r->pool, group),
                      group->title);
    }
    else {
        lh_html_write(out, "<li>%s:", group->title);
    }
    for (prefix = group->prefixes; *prefix; prefix++) {
        lh_html_write(out, "%s <code>%s%s</code>", prefix == group->prefixes ? "" : ",", base, *prefix);
    }
    lh_html_write(out, "</li>\n");
}

static int is_shown(const lh_call *call, const lh_route_group *group, const char *name)
{
    int common = !strcmp(name, "accounts");

    return *group->prefixes && group != &lh_group_service &&
           lh_served(&call->server->config, group, *group->prefixes) &&
           (common ? group->always : !group->always && !strcmp(group->name, name));
}

/* An API with the paths of its groups, unless LearnHubAPI does not contain it. */
static void write_api(lh_buffer *out, const lh_call *call, const char *name)
{
    int i, any = 0;

    for (i = 0; lh_route_groups[i]; i++) {
        if (is_shown(call, lh_route_groups[i], name)) {
            if (!any++) {
                lh_html_write(out, "<dt><strong>%s</strong></dt>\n<dd><ul>\n", name);
            }
            write_group(out, call, lh_route_groups[i]);
        }
    }
    if (any) {
        lh_html_write(out, "</ul></dd>\n");
    }
}

static void write_apis(lh_buffer *out, const lh_call *call)
{
    const char *names = apr_pstrcat(call->r->pool, "accounts ", lh_config_apis, NULL), *name;
    apr_size_t length;

    lh_html_write(out, "<h2>APIs</h2>\n<dl class=\"wide\">\n");
    while ((name = lh_text_word(&names, &length)) != NULL) {
        write_api(out, call, apr_pstrmemdup(call->r->pool, name, length));
    }
    lh_html_write(out, "</dl>\n");
}

static void write_links(lh_buffer *out, const lh_call *call)
{
    static const struct {
        const char *page, *path, *text;
    } links[] = {{"docs", "/docs", NULL},
                 {"openapi", "/openapi.json", "their description for programs (OpenAPI 3.1)"},
                 {"health", "/health", "the state of the service for monitoring"}};
    const char *base = lh_config_base(call->r->pool, &call->server->config);
    const char *docs = lh_pages_render(call) ? "read and try the APIs" : "the descriptions of the APIs";
    apr_size_t i;

    lh_html_write(out, "<ul>\n");
    for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        if (has_page(call, links[i].page)) {
            lh_html_write(out, "<li><a href=\"%s%s\">%s%s</a>: %s</li>\n", base, links[i].path, base, links[i].path,
                          links[i].text ? links[i].text : docs);
        }
    }
    lh_html_write(out, "</ul>\n");
}

static const lh_document *write_page(lh_call *call)
{
    lh_document *document = apr_pcalloc(call->r->pool, sizeof(*document));
    lh_buffer out;

    lh_buffer_init(&out, call->r->pool, 8192);
    lh_page_begin(&out, "mod_learnhub", "plain");
    lh_html_write(&out, "<header>\n<h1>mod_learnhub</h1>\n<p class=\"soft\">Version %s</p>\n</header>\n", LH_VERSION);
    lh_html_write(&out, "<main id=\"main\">\n");
    if (has_page(call, "health")) {
        write_state(&out, call, lh_query(call, 0) == NULL);
    }
    write_links(&out, call);
    write_apis(&out, call);
    lh_page_end(&out);
    document->type = LH_PAGE_TYPE;
    document->body = lh_buffer_text(&out);
    document->length = out.length;
    return document;
}

/* ---- the step ---- */

static int prefers_html(const request_rec *r)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");

    return lh_accept_quality(accept, "text/html") > lh_accept_quality(accept, "application/json");
}

static lh_error *start_page(lh_call *call)
{
    apr_table_mergen(call->r->err_headers_out, "Vary", "Accept");
    if (prefers_html(call->r)) {
        lh_page_reply(call, write_page(call), call->server->pages->policy);
    }
    return NULL;
}

const lh_step lh_step_start_page = {.name = "start_page", .run = start_page, .extra_sql = 1};
