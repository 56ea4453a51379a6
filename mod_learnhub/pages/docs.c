/* SPDX-License-Identifier: Apache-2.0 */
/* The page /docs, its files, and the plain page. */
#include <apr_strings.h>

#include "core/doc_files.h"
#include "http/error.h"
#include "learnhub_pages.h"
#include "pages/page.h"
#include "pages/pages.h"
#include "pages/reference.h"

/* ---- the plain page ---- */

static const char *write_reference(apr_pool_t *scratch, const lh_routes *routes, const lh_server *server,
                                   apr_size_t *length)
{
    lh_buffer out;

    lh_buffer_init(&out, scratch, 256 * 1024);
    lh_reference_write(&out, scratch, &server->config, routes);
    *length = out.length;
    return out.data;
}

lh_pages *lh_pages_create(apr_pool_t *p, const lh_routes *routes)
{
    lh_pages *pages = apr_pcalloc(p, sizeof(*pages));

    pages->policy = lh_page_policy(p);
    pages->reference = lh_kept_create(p, routes, LH_PAGE_TYPE, write_reference);
    return pages;
}

static lh_error *send_reference(lh_call *call)
{
    const lh_pages *pages = call->server->pages;

    lh_page_reply(call, lh_kept_document(pages->reference, call->server), pages->policy);
    return NULL;
}

const lh_step lh_step_docs_plain = {.name = "docs_plain", .run = send_reference};

/* ---- the page with the renderer ---- */

/* What the renderer needs: images of its stylesheet and of responses, its own files, and the API. */
#define RENDERER_POLICY                                                                                                \
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; script-src 'self'; "             \
    "style-src 'self'; connect-src 'self'; img-src 'self' data: blob:"

static const lh_doc_files *files_of(const lh_call *call)
{
    const lh_doc_files *files = call->server->config.docs;

    return files && files->version ? files : NULL;
}

int lh_pages_render(const lh_call *call)
{
    return files_of(call) && lh_config_has(lh_config_pages, call->server->config.pages, "openapi");
}

static void write_file(lh_buffer *out, const char *url, int file)
{
    int is_script = file == LH_DOC_RENDERER || file == LH_DOC_SCRIPT;

    if (is_script) {
        lh_html_write(out, "<script src=\"%s\" defer></script>\n", url);
    }
    else {
        lh_html_write(out, "<link rel=\"stylesheet\" href=\"%s\">\n", url);
    }
}

static const lh_document *write_renderer(lh_call *call, const lh_doc_files *files)
{
    lh_document *document = apr_pcalloc(call->r->pool, sizeof(*document));
    const char *base = lh_config_base(call->r->pool, &call->server->config);
    lh_buffer out;
    int i;

    lh_buffer_init(&out, call->r->pool, 2048);
    lh_html_write(&out, "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                        "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                        "<title>mod_learnhub API</title>\n<link rel=\"icon\" href=\"data:,\">\n");
    for (i = 0; i < LH_DOC_FILES; i++) {
        write_file(&out, apr_pstrcat(call->r->pool, base, "/docs/", files->version, "-", lh_doc_names[i], NULL), i);
    }
    lh_html_write(&out,
                  "</head>\n<body data-base=\"%s\">\n<noscript><p>This page needs scripts. "
                  "<a href=\"%s/docs/plain\">The plain page</a> does not.</p></noscript>\n</body>\n</html>\n",
                  base, base);
    document->type = LH_PAGE_TYPE;
    document->body = lh_buffer_text(&out);
    document->length = out.length;
    return document;
}

/* The renderer reads /openapi.json. */
static lh_error *send_docs(lh_call *call)
{
    if (!lh_pages_render(call)) {
        return send_reference(call);
    }
    lh_page_reply(call, write_renderer(call, files_of(call)), RENDERER_POLICY);
    return NULL;
}

const lh_step lh_step_docs = {.name = "docs", .run = send_docs};

/* ---- the files of the renderer ---- */

/* The index of the file with this name in URLs: VERSION-NAME. LH_DOC_FILES: there is none. */
static int find_file(const lh_doc_files *files, const char *name)
{
    apr_size_t length = strlen(files->version);
    int i = 0;

    if (strncmp(name, files->version, length) || name[length] != '-') {
        return LH_DOC_FILES;
    }
    while (i < LH_DOC_FILES && strcmp(lh_doc_names[i], name + length + 1)) {
        i++;
    }
    return i;
}

static lh_error *send_file(lh_call *call)
{
    const lh_doc_files *files = files_of(call);
    int file = files ? find_file(files, lh_param(call, "file")) : LH_DOC_FILES;
    lh_document *document;

    if (file == LH_DOC_FILES) {
        return lh_error_of_status(call->r->pool, HTTP_NOT_FOUND);
    }
    document = apr_pcalloc(call->r->pool, sizeof(*document));
    document->type = lh_doc_types[file];
    document->body = files->files[file].data;
    document->length = files->files[file].length;
    document->etag = apr_pstrcat(call->r->pool, "\"", lh_param(call, "file"), "\"", NULL);
    document->immutable = 1;
    lh_page_reply(call, document, "default-src 'none'");
    return NULL;
}

const lh_step lh_step_docs_file = {.name = "docs_file", .run = send_file};
