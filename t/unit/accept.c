/* SPDX-License-Identifier: Apache-2.0 */
/* The qualities of media types in the Accept header. */
#include "http/accept.h"

#include "tap.h"

int main(void)
{
    static const struct {
        const char *accept;
        int html, json;
    } cases[] = {
        {NULL, 1000, 1000},
        {"", 0, 0},
        {"*/*", 1000, 1000},
        {"text/html", 1000, 0},
        {"Text/HTML;charset=utf-8", 1000, 0},
        {"text/html;q=0.5,application/json;q=0.25", 500, 250},
        {"text/html ; q=0.125 , */* ; q=1", 125, 1000},
        {"text/*;q=0.3, text/html;q=0.7, */*;q=0.5", 700, 500},
        {"*/*;q=0.9, text/*;q=0", 0, 900},
        {"text/html;level=1;q=0.4", 400, 0},
        {"text/html;q=0;Q=1", 0, 0},
        {"text/html;Q=0.1", 100, 0},
        {"text/html;q=1.000", 1000, 0},
        {"text/html;q=1.001, text/*;q=0.2", 200, 0},
        {"text/html;q=2", 0, 0},
        {"text/html;q=-1", 0, 0},
        {"text/html;q=", 0, 0},
        {"text/html;q=0.1234", 0, 0},
        {"text/html;q=0.5x", 0, 0},
        {"text/htm, text/htmlx, xtext/html", 0, 0},
        {"text", 0, 0},
        {"*", 0, 0},
        {"*/html", 0, 0},
        {",,, text/html,", 1000, 0},
        {"text/html;", 1000, 0},
        {";;;,;q=1", 0, 0},
    };
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *shown = cases[i].accept ? cases[i].accept : "none";

        is_int(lh_accept_quality(cases[i].accept, "text/html"), cases[i].html, shown);
        is_int(lh_accept_quality(cases[i].accept, "application/json"), cases[i].json, shown);
    }
    return tap_end();
}
