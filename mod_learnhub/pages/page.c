/* SPDX-License-Identifier: Apache-2.0 */
#include "pages/page.h"

#include <apr_base64.h>
#include <apr_strings.h>

#include "crypto/digest.h"
#include "pages/style.h"

const char *lh_page_policy(apr_pool_t *p)
{
    unsigned char digest[LH_DIGEST_SIZE];
    char encoded[LH_DIGEST_SIZE * 2];

    if (!lh_digest(lh_style, digest)) {
        return LH_PAGE_POLICY; /* browsers show the page without a style */
    }
    apr_base64_encode_binary(encoded, digest, LH_DIGEST_SIZE);
    return apr_pstrcat(p, LH_PAGE_POLICY "style-src 'sha256-", encoded, "'", NULL);
}

void lh_page_begin(lh_buffer *out, const char *title, const char *layout)
{
    lh_html_write(out,
                  "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n"
                  "<title>%s</title>\n<link rel=\"icon\" href=\"data:,\">\n<style>",
                  title);
    lh_buffer_append(out, lh_style, strlen(lh_style));
    lh_html_write(out,
                  "</style>\n</head>\n<body class=\"%s\">\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n",
                  layout);
}

void lh_page_end(lh_buffer *out)
{
    lh_html_write(out, "</main>\n</body>\n</html>\n");
}

void lh_page_reply(lh_call *call, const lh_document *document, const char *policy)
{
    apr_table_t *headers = call->r->headers_out;

    apr_table_setn(headers, "Content-Security-Policy", policy);
    apr_table_setn(headers, "Referrer-Policy", "no-referrer");
    apr_table_setn(headers, "X-Content-Type-Options", "nosniff");
    lh_reply_document(call, document);
    lh_reply_complete(call);
}
