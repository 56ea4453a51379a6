/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mail whose address, name, subject and body are parts of the input: none of them can add a header, a second part or
 * an SMTP command, and all lines are ASCII and short.
 */
#include "jobs/mail.h"

#include <apr_strings.h>
#include <string.h>

#include "fuzz.h"

static const char *const headers[] = {"Date: ",         "From: ",         "To: ",
                                      "Subject: ",      "Message-ID: ",   "Auto-Submitted: ",
                                      "MIME-Version: ", "Content-Type: ", "Content-Transfer-Encoding: "};

#define HEADERS (int)(sizeof(headers) / sizeof(headers[0]))

/* The next line, which ends with CRLF; NULL at the end. */
static const char *next_line(const char **s, const char *end, apr_size_t *length)
{
    const char *line = *s, *stop;

    if (line == end) {
        return NULL;
    }
    stop = memmem(line, (apr_size_t)(end - line), "\r\n", 2);
    REQUIRE(stop);
    *length = (apr_size_t)(stop - line);
    *s = stop + 2;
    return line;
}

static int is_ascii(const char *text)
{
    while (*text > ' ' && *text <= '~') {
        text++;
    }
    return !*text;
}

static void check_lines(const char *s, const char *end)
{
    const char *line;
    apr_size_t length, i;
    int header = 0, body = 0;

    while ((line = next_line(&s, end, &length))) {
        REQUIRE(length <= 320);
        for (i = 0; i < length; i++) {
            REQUIRE((line[i] >= ' ' && line[i] <= '~') || (body && line[i] == '\t'));
        }
        if (body) {
            REQUIRE(length <= 76 && *line != '.');
        }
        else if (length == 0) {
            REQUIRE(header == HEADERS);
            body = 1;
        }
        else if (*line != ' ') { /* not the rest of a folded one */
            REQUIRE(header < HEADERS && !strncmp(line, headers[header], strlen(headers[header])));
            header++;
        }
    }
    REQUIRE(body);
}

/* Cuts off the text before a unit separator; parts may have line breaks. */
static const char *cut(char **rest)
{
    char *line = *rest, *end = line + strcspn(line, "\x1F");

    *rest = *end ? end + 1 : end;
    *end = '\0';
    return strdup(line);
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *rest = data;
    const char *address = cut(&rest), *name = cut(&rest), *subject = cut(&rest), *body = strdup(rest), *text;
    lh_mail mail = {7, 1700000000000000, "hub@example.org", "ada@example.org", name, subject, body};
    apr_size_t length;

    (void)size;
    if (lh_mail_address(address) && strlen(address) <= 254 && is_ascii(address)) {
        mail.to = address;
    }
    text = lh_mail_compose(p, &mail, &length);
    check_lines(text, text + length);
    free((char *)address);
    free((char *)name);
    free((char *)subject);
    free((char *)body);
}
