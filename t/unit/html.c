/* SPDX-License-Identifier: Apache-2.0 */
/* The HTML writer: what is escaped, and what is not. */
#include "util/html.h"

#include "tap.h"

static const char *written(const char *text)
{
    lh_buffer out;

    lh_buffer_init(&out, tap_pool, 1);
    lh_html_text(&out, text);
    return lh_buffer_text(&out);
}

int main(void)
{
    lh_buffer out;

    tap_begin();
    is_str(written(NULL), "", "no text");
    is_str(written("<a href=\"x\" b='y'>&amp;"), "&lt;a href=&quot;x&quot; b=&#39;y&#39;&gt;&amp;amp;",
           "markup is text");
    is_str(written("\t\r\n d\xC3\xA9j\xC3\xA0 \xF0\x9F\x98\x80"), "\t\r\n d\xC3\xA9j\xC3\xA0 \xF0\x9F\x98\x80",
           "white space and UTF-8");
    is_str(written("\x01\x1B\x7F"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", "control characters");
    is_str(written("\xFF<\xC3"), "\xEF\xBF\xBD&lt;\xEF\xBF\xBD", "bytes that are not UTF-8");
    is_str(written("\xC0\xBC"), "\xEF\xBF\xBD\xEF\xBF\xBD", "an overlong form of <");
    lh_buffer_init(&out, tap_pool, 1);
    lh_html_write(&out, "<p class=\"%s\">%s %d</p>\n", "\"><b>", "x", -7);
    lh_html_write(&out, "<br>");
    is_str(lh_buffer_text(&out), "<p class=\"&quot;&gt;&lt;b&gt;\">x -7</p>\n<br>",
           "the format is markup, values are text");
    return tap_end();
}
