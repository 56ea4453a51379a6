/* SPDX-License-Identifier: Apache-2.0 */
/* What all pages for people share: the frame, the stylesheet, and the headers that limit what a browser does. */
#ifndef LH_PAGE_H
#define LH_PAGE_H

#include "http/call.h"
#include "util/html.h"

/* The first part of every policy (Content-Security-Policy): what it does not allow is forbidden. */
#define LH_PAGE_POLICY                                                                                                 \
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; img-src data:; "

/* The type of pages. */
#define LH_PAGE_TYPE "text/html; charset=utf-8"

/* The policy of pages with the stylesheet of lh_page_begin() and without scripts. */
const char *lh_page_policy(apr_pool_t *p);

/* Writes the start of a page; `layout` is the class of its body. */
void lh_page_begin(lh_buffer *out, const char *title, const char *layout);

/* Writes the end of a page, from the end of <main> on. */
void lh_page_end(lh_buffer *out);

/* Sends a document with the headers of pages; `policy` is its Content-Security-Policy. */
void lh_page_reply(lh_call *call, const lh_document *document, const char *policy);

#endif
