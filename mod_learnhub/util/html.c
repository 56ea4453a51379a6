/* SPDX-License-Identifier: Apache-2.0 */
#include "util/html.h"

#include <stdarg.h>
#include <stdio.h>

#include "util/text.h"

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */

static void put(lh_buffer *out, const char *text)
{
    lh_buffer_append(out, text, strlen(text));
}

static int is_control(unsigned char c)
{
    return (c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F;
}

/* The reference for an ASCII character; NULL: it stands for itself. */
static const char *reference(char c)
{
    switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return is_control((unsigned char)c) ? REPLACEMENT : NULL;
    }
}

void lh_html_text(lh_buffer *out, const char *text)
{
    apr_size_t left = text ? strlen(text) : 0;

    while (left > 0) {
        apr_size_t length = lh_utf8_character((const unsigned char *)text, left);
        const char *instead = length == 0 ? REPLACEMENT : length == 1 ? reference(*text) : NULL;

        if (instead) {
            put(out, instead);
        }
        else {
            lh_buffer_append(out, text, length);
        }
        length += !length;
        text += length;
        left -= length;
    }
}

void lh_html_write(lh_buffer *out, const char *format, ...)
{
    va_list values;
    char number[16];
    const char *end;

    va_start(values, format);
    for (; (end = strchr(format, '%')) != NULL; format = end + 2) {
        lh_buffer_append(out, format, (apr_size_t)(end - format));
        if (end[1] == 's') {
            lh_html_text(out, va_arg(values, const char *));
        }
        else {
            snprintf(number, sizeof(number), "%d", va_arg(values, int));
            put(out, number);
        }
    }
    put(out, format);
    va_end(values);
}
