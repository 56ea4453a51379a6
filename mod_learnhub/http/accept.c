/* SPDX-License-Identifier: Apache-2.0 */
#include "http/accept.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

/* The quality of "1", "0.5" or "0.333" in thousandths, followed by white space or the end of the parameter; -1: it has
 * another form. */
static int thousandths(const char *text, const char *end)
{
    int value = 0, unit = 1000;

    if (text == end || (*text != '0' && *text != '1')) {
        return -1;
    }
    value = (*text++ - '0') * unit;
    if (text < end && *text == '.') {
        for (text++; text < end && isdigit((unsigned char)*text) && unit > 1; text++) {
            unit /= 10;
            value += (*text - '0') * unit;
        }
    }
    text += strspn(text, " \t");
    return text >= end && value <= 1000 ? value : -1;
}

/* The quality of the range that ends at `end`; its parameters begin at `s`. */
static int quality_of(const char *s, const char *end)
{
    while (s < end) {
        const char *next;

        s += strspn(s, "; \t");
        next = s + strcspn(s, ";,");
        if (next - s >= 2 && !strncasecmp(s, "q=", 2)) {
            return thousandths(s + 2, next);
        }
        s = next;
    }
    return 1000;
}

/* How specific the range of `length` bytes is for the type: 3 equals it, 2 is any subtype, 1 is any type, 0 does not
 * contain it. */
static int specificity(const char *range, size_t length, const char *type)
{
    size_t main_length = strcspn(type, "/") + 1;

    if (length == 3 && !strncmp(range, "*/*", 3)) {
        return 1;
    }
    if (length == main_length + 1 && range[main_length] == '*' && !strncasecmp(range, type, main_length)) {
        return 2;
    }
    return length == strlen(type) && !strncasecmp(range, type, length) ? 3 : 0;
}

int lh_accept_quality(const char *accept, const char *type)
{
    int best = 0, quality = accept ? 0 : 1000;

    while (accept && *accept) {
        const char *end, *range = accept + strspn(accept, ", \t");
        size_t length = strcspn(range, ";, \t");
        int fit = specificity(range, length, type), value;

        end = range + strcspn(range, ",");
        value = quality_of(range + length, end);
        if (fit > best && value >= 0) {
            best = fit;
            quality = value;
        }
        accept = end;
    }
    return quality;
}
