/* SPDX-License-Identifier: Apache-2.0 */
/* Mail messages: headers, encoded words, quoted-printable, and protection against injected headers. */
#include "jobs/mail.h"

#include "tap.h"

#include <apr_strings.h>

#define HEAD_END "\r\n\r\n"

static const char *compose(const char *name, const char *subject, const char *body)
{
    /* 2026-11-21T07:14:43Z */
    lh_mail mail = {.id = 42,
                    .created = APR_TIME_C(1795245283) * APR_USEC_PER_SEC + 5,
                    .from = "noreply@learn.example",
                    .to = "ada@example.com",
                    .to_name = name,
                    .subject = subject,
                    .body = body};
    apr_size_t length;
    const char *text = lh_mail_compose(tap_pool, &mail, &length);

    return apr_pstrmemdup(tap_pool, text, length);
}

/* The value of a header, with its line breaks; NULL if the message has no such header. */
static const char *header(const char *message, const char *name)
{
    const char *at = strstr(message, apr_pstrcat(tap_pool, "\r\n", name, ": ", NULL)), *end;

    if (!at) {
        return NULL;
    }
    at += strlen(name) + 4;
    for (end = strstr(at, "\r\n"); end[2] == ' '; end = strstr(end + 2, "\r\n")) {
    }
    return apr_pstrmemdup(tap_pool, at, (apr_size_t)(end - at));
}

static const char *body_of(const char *body)
{
    return strstr(compose("", "s", body), HEAD_END) + 4;
}

static apr_size_t longest_line(const char *text)
{
    apr_size_t longest = 0, length;

    for (; *text; text += length + 2 * (text[length] != '\0')) {
        const char *end = strstr(text, "\r\n");
        length = end ? (apr_size_t)(end - text) : strlen(text);
        longest = length > longest ? length : longest;
    }
    return longest;
}

static char *repeat(const char *text, int times)
{
    char *all = apr_pcalloc(tap_pool, strlen(text) * (apr_size_t)times + 1);

    while (times--) {
        memcpy(all + strlen(text) * (apr_size_t)times, text, strlen(text));
    }
    return all;
}

static void test_message(void)
{
    is_str(compose("Ada King", "Hello", "A line.\n"),
           "Date: Sat, 21 Nov 2026 07:14:43 +0000\r\n"
           "From: <noreply@learn.example>\r\n"
           "To: \"Ada King\"\r\n <ada@example.com>\r\n"
           "Subject: Hello\r\n"
           "Message-ID: <42.1795245283000005.learnhub@learn.example>\r\n"
           "Auto-Submitted: auto-generated\r\n"
           "MIME-Version: 1.0\r\n"
           "Content-Type: text/plain; charset=utf-8\r\n"
           "Content-Transfer-Encoding: quoted-printable\r\n"
           "\r\n"
           "A line.\r\n",
           "the complete message");
    is_str(header(compose("", "s", ""), "To"), "<ada@example.com>", "To without a name has the address only");
    is_str(header(compose(" \t\r\n", "s", ""), "To"), "<ada@example.com>",
           "To with a name of white space has the address only");
}

static void test_headers(void)
{
    const char *message, *words, *s;

    is_str(header(compose("a\\b \"c\", D.", "s", ""), "To"), "\"a\\\\b \\\"c\\\", D.\"\r\n <ada@example.com>",
           "a name is a quoted string with escapes");
    is_str(header(compose("Zo\xC3\xAB", "s", ""), "To"), "=?UTF-8?B?Wm/Dqw==?=\r\n <ada@example.com>",
           "a non-ASCII name is an encoded word");
    is_str(header(compose("",
                          "Gr\xC3\xBC\xC3\x9F"
                          "e",
                          ""),
                  "Subject"),
           "=?UTF-8?B?R3LDvMOfZQ==?=", "a non-ASCII subject is an encoded word");
    is_str(header(compose("", "=?x?=", ""), "Subject"),
           "=?UTF-8?B?PT94Pz0=?=", "a subject that looks like an encoded word is encoded");
    message = compose("x\r\nBcc: evil@example.com", "y\r\n\r\nnew body\x01\x7F", "b");
    is_str(header(message, "To"), "\"x  Bcc: evil@example.com\"\r\n <ada@example.com>",
           "line breaks in a name become spaces");
    is_str(header(message, "Subject"), "y    new body",
           "line breaks and control characters in a subject become spaces");
    ok(!header(message, "Bcc"), "a name cannot add a header");
    message = compose(repeat("\xE6\x97\xA5", 60), repeat("long ", 60), "b");
    ok(longest_line(message) <= 76, "long headers are folded to lines of at most 76 characters");
    words = header(compose("", repeat("a\xE6\x97\xA5", 30), ""), "Subject");
    s = strstr(words, "?=");
    is_int(s - words, 10 + 52, "an encoded word ends before a character that does not fit");
    is_int(s[-1] == '=' && s[-2] == '=', 1, "the first encoded word has 37 of at most 39 bytes");
    ok(!strncmp(s, "?=\r\n =?UTF-8?B?5pel", 19), "the next encoded word begins with the character that did not fit");
}

static const struct quoted {
    const char *text, *coded, *name;
} quoted[] = {
    {"", "", "an empty body is empty"},
    {"a", "a\r\n", "a line break is added to the last line"},
    {"a\nb\rc\r\nd\n\n", "a\r\nb\r\nc\r\nd\r\n\r\n", "LF, CR and CR LF end a line"},
    {"a=b", "a=3Db\r\n", "an equals sign is encoded"},
    {"\xC3\xBC", "=C3=BC\r\n", "a non-ASCII character is encoded"},
    {".", "=2E\r\n", "a dot that would end the message is encoded"},
    {"a.b\n..c", "a.b\r\n=2E.c\r\n", "dots are encoded at the start of a line only"},
    {"a \nb\t", "a=20\r\nb=09\r\n", "white space at the end of a line is encoded"},
    {"a b\tc", "a b\tc\r\n", "white space within a line is unchanged"},
    {"a\x01\x7F", "a=01=7F\r\n", "control characters are encoded"},
};

static void test_body(void)
{
    apr_size_t i;
    int width;
    const char *coded;

    for (i = 0; i < sizeof(quoted) / sizeof(quoted[0]); i++) {
        is_str(body_of(quoted[i].text), quoted[i].coded, quoted[i].name);
    }
    for (width = 70; width < 80; width++) {
        coded = body_of(apr_pstrcat(tap_pool, repeat("x", width), ".=\xC3\xBC \n", NULL));
        ok(longest_line(coded) <= 76, "a line with %d plain and some encoded characters is broken at 76", width);
        ok(!strstr(coded, "\r\n."), "a line with %d plain and some encoded characters: no line begins with a dot",
           width);
    }
    coded = body_of(repeat(". ", 500));
    ok(longest_line(coded) <= 76 && !strstr(coded, "\r\n.") && !strstr(coded, " \r\n"),
       "a long line of dots and spaces: no line begins with a dot or ends with a space");
}

static void test_addresses(void)
{
    ok(lh_mail_address("ada@example.com"), "an address is valid");
    ok(lh_mail_address("z\xC3\xBC@example.com"), "a non-ASCII address is valid");
    ok(!lh_mail_address(""), "an empty address is invalid");
    ok(!lh_mail_address("a b@example.com"), "an address with a space is invalid");
    ok(!lh_mail_address("a@example.com\r\nRCPT TO:<b@example.com>"), "an address with a line break is invalid");
    ok(!lh_mail_address("a@example.com>"), "an address with a closing angle bracket is invalid");
    ok(!lh_mail_address("<a@example.com"), "an address with an opening angle bracket is invalid");
    ok(!lh_mail_address("a@example.com\x7F"), "an address with DEL is invalid");
}

int main(void)
{
    tap_begin();
    test_message();
    test_headers();
    test_body();
    test_addresses();
    return tap_end();
}
