/* SPDX-License-Identifier: Apache-2.0 */
/* The HTML writer: markup comes from constant formats, everything else is escaped. Depends on APR only. */
#ifndef LH_HTML_H
#define LH_HTML_H

#include "util/buffer.h"

/*
 * Appends UTF-8 text as it may stand between tags and in quoted attributes: & < > " ' become references, bytes that are
 * not well-formed and control characters other than white space become U+FFFD. NULL appends nothing.
 */
void lh_html_text(lh_buffer *out, const char *text);

/*
 * Appends markup. The format is a constant; %s is text, appended as lh_html_text() does, and %d an integer. Other
 * conversions are not supported. Attributes with a value need quotation marks.
 */
void lh_html_write(lh_buffer *out, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
