/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/mail.h"

#include <apr_base64.h>
#include <apr_strings.h>
#include <string.h>

#include "util/buffer.h"
#include "util/text.h"

#define LINE_CHARACTERS 76 /* of a line of the body, without its end (RFC 2045, 6.7) */
#define WORD_BYTES 39      /* of text in an encoded word: keeps lines within 76 characters (RFC 2047, 2) */
#define PLAIN_BYTES 60     /* of a header's value; longer ones become encoded words, which can be folded */

static void put(lh_buffer *out, const char *text)
{
    lh_buffer_append(out, text, strlen(text));
}

int lh_mail_address(const char *address)
{
    const unsigned char *s;

    for (s = (const unsigned char *)address; *s > ' ' && *s != 0x7F && *s != '<' && *s != '>'; s++) {
    }
    return *address && !*s;
}

/* ---- headers ---- */

/* A copy with spaces instead of control characters, and without white space at both ends. */
static char *to_one_line(apr_pool_t *p, const char *text)
{
    char *line = apr_pstrdup(p, text), *s;

    for (s = line; *s; s++) {
        if ((unsigned char)*s < ' ' || *s == 0x7F) {
            *s = ' ';
        }
    }
    return lh_text_trim(line);
}

/* 1 if the text can be written to a header without encoding. */
static int is_plain(const char *text)
{
    const char *s;

    for (s = text; *s >= ' ' && *s <= '~'; s++) {
    }
    return !*s && s - text <= PLAIN_BYTES && !strstr(text, "=?");
}

/* The length of the longest start of `text` that fits into one encoded word and does not split a character. */
static apr_size_t word_length(const char *text)
{
    apr_size_t left = strlen(text), length = 0, next;

    while (length < left) {
        next = lh_utf8_character((const unsigned char *)text + length, left - length);
        next = next ? next : 1;
        if (length + next > WORD_BYTES) {
            break;
        }
        length += next;
    }
    return length;
}

static void put_words(lh_buffer *out, apr_pool_t *p, const char *text)
{
    while (*text) {
        apr_size_t length = word_length(text);
        char *encoded = apr_palloc(p, (apr_size_t)apr_base64_encode_len((int)length));

        apr_base64_encode(encoded, text, (int)length);
        put(out, "=?UTF-8?B?");
        put(out, encoded);
        text += length;
        put(out, *text ? "?=\r\n " : "?=");
    }
}

/* Writes a plain name as a quoted string (RFC 5322, 3.2.4), because names contain dots and commas. */
static void put_name(lh_buffer *out, apr_pool_t *p, const char *name)
{
    if (!is_plain(name)) {
        put_words(out, p, name);
        return;
    }
    put(out, "\"");
    for (; *name; name++) {
        if (*name == '"' || *name == '\\') {
            put(out, "\\");
        }
        lh_buffer_append(out, name, 1);
    }
    put(out, "\"");
}

static void put_to(lh_buffer *out, apr_pool_t *p, const lh_mail *mail)
{
    const char *name = to_one_line(p, mail->to_name);

    put(out, "To: ");
    if (*name) {
        put_name(out, p, name);
        put(out, "\r\n ");
    }
    put(out, apr_pstrcat(p, "<", mail->to, ">\r\n", NULL));
}

static void put_subject(lh_buffer *out, apr_pool_t *p, const char *text)
{
    const char *subject = to_one_line(p, text);

    put(out, "Subject: ");
    if (is_plain(subject)) {
        put(out, subject);
    }
    else {
        put_words(out, p, subject);
    }
    put(out, "\r\n");
}

/* apr_rfc822_date() ends with GMT; RFC 5322 requires +0000. */
static const char *date(apr_pool_t *p, apr_time_t when)
{
    char text[APR_RFC822_DATE_LEN];

    apr_rfc822_date(text, when);
    return apr_pstrcat(p, apr_pstrmemdup(p, text, strlen(text) - 3), "+0000", NULL);
}

/* The same in each attempt, so that the recipient can recognise a duplicate. */
static const char *message_id(apr_pool_t *p, const lh_mail *mail)
{
    const char *at = strrchr(mail->from, '@');

    return apr_psprintf(p, "<%" APR_INT64_T_FMT ".%" APR_TIME_T_FMT ".learnhub%s>", mail->id, mail->created,
                        at ? at : "@localhost");
}

/* ---- the body ---- */

/* 1 if the byte at `s` needs no encoding. White space at the end of a line and a dot at its start do. */
static int is_literal(const char *s, int column)
{
    if (*s == ' ' || *s == '\t') {
        return s[1] && s[1] != '\r' && s[1] != '\n';
    }
    return *s > ' ' && *s <= '~' && *s != '=' && (*s != '.' || column > 0);
}

static void put_quoted(lh_buffer *out, const char *s)
{
    int column = 0;

    while (*s) {
        if (*s == '\r' || *s == '\n') {
            s += s[0] == '\r' && s[1] == '\n' ? 2 : 1;
            put(out, "\r\n");
            column = 0;
            continue;
        }
        if (column > LINE_CHARACTERS - 4) { /* leaves room for =XX and the = of the soft line break */
            put(out, "=\r\n");
            column = 0;
        }
        if (is_literal(s, column)) {
            lh_buffer_append(out, s, 1);
            column++;
        }
        else {
            char code[4];
            apr_snprintf(code, sizeof(code), "=%02X", (unsigned)(unsigned char)*s);
            lh_buffer_append(out, code, 3);
            column += 3;
        }
        s++;
    }
    if (column) {
        put(out, "\r\n");
    }
}

const char *lh_mail_compose(apr_pool_t *p, const lh_mail *mail, apr_size_t *length)
{
    lh_buffer out;

    lh_buffer_init(&out, p, 2048);
    put(&out, apr_pstrcat(p, "Date: ", date(p, mail->created), "\r\nFrom: <", mail->from, ">\r\n", NULL));
    put_to(&out, p, mail);
    put_subject(&out, p, mail->subject);
    put(&out, apr_pstrcat(p, "Message-ID: ", message_id(p, mail), "\r\n", NULL));
    put(&out, "Auto-Submitted: auto-generated\r\n"
              "MIME-Version: 1.0\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Transfer-Encoding: quoted-printable\r\n"
              "\r\n");
    put_quoted(&out, mail->body);
    *length = out.length;
    return out.data;
}
