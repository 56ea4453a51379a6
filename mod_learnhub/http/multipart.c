/* SPDX-License-Identifier: Apache-2.0 */
#include "http/multipart.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <string.h>

#include "util/text.h"

#define MAX_BOUNDARY 70   /* characters (RFC 2046, section 5.1.1) */
#define MAX_PARAMETERS 16 /* of a header: each may allocate as many bytes as the header has */

typedef struct parser {
    apr_pool_t *pool;
    const char *at, *end;
    const char *delimiter; /* CRLF, two hyphens, the boundary */
    apr_size_t delimiter_length;
    apr_array_header_t *parts;
    int closed; /* the last boundary has been read */
} parser;

/* ---- parameters: ; name=value, ; name="value" ---- */

typedef struct parameter {
    const char *name, *value;
} parameter;

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t");
}

/*
 * Reads the value at *s and advances *s; NULL when its closing quotation mark is missing. A backslash escapes only a
 * quotation mark and a backslash: browsers do not escape it in "C:\photo.png".
 */
static const char *read_value(apr_pool_t *p, const char **s)
{
    const char *from = *s;
    char *value, *out;
    int closed = 0;

    if (*from != '"') {
        *s = from + strcspn(from, "; \t\"");
        return apr_pstrmemdup(p, from, (apr_size_t)(*s - from));
    }
    value = out = apr_palloc(p, strlen(from));
    for (from++; *from && !closed; from++) {
        if (*from == '"') {
            closed = 1;
        }
        else {
            from += *from == '\\' && (from[1] == '"' || from[1] == '\\');
            *out++ = *from;
        }
    }
    *out = '\0';
    *s = from;
    return closed ? value : NULL;
}

/* Parses the parameters of a header; `text` is what follows its value. NULL when they are malformed. */
static apr_array_header_t *read_parameters(apr_pool_t *p, const char *text)
{
    apr_array_header_t *found = apr_array_make(p, 4, sizeof(parameter));

    for (text = skip_blanks(text); *text; text = skip_blanks(text)) {
        const char *name = skip_blanks(text + 1);
        parameter next;

        if (*text != ';' || found->nelts == MAX_PARAMETERS) {
            return NULL;
        }
        if (!*name) {
            break; /* a trailing semicolon */
        }
        text = name + strcspn(name, "=; \t\"");
        next.name = apr_pstrmemdup(p, name, (apr_size_t)(text - name));
        if (text == name || *text++ != '=') {
            return NULL;
        }
        next.value = read_value(p, &text);
        if (!next.value) {
            return NULL;
        }
        APR_ARRAY_PUSH(found, parameter) = next;
    }
    return found;
}

/* Returns the number of parameters with this name and sets *value to the value of the last one. */
static int find_parameter(const apr_array_header_t *parameters, const char *name, const char **value)
{
    int i, times = 0;

    for (i = 0; i < parameters->nelts; i++) {
        const parameter *one = &APR_ARRAY_IDX(parameters, i, parameter);
        if (!strcasecmp(one->name, name)) {
            *value = one->value;
            times++;
        }
    }
    return times;
}

/* ---- the boundary ---- */

static int is_boundary(const char *text)
{
    apr_size_t length = strlen(text), i;

    for (i = 0; i < length; i++) {
        if (!apr_isalnum(text[i]) && !strchr("'()+_,-./:=? ", text[i])) {
            return 0;
        }
    }
    return length > 0 && length <= MAX_BOUNDARY && text[length - 1] != ' ';
}

static const char *read_boundary(parser *in, const char *content_type)
{
    const apr_array_header_t *parameters = read_parameters(in->pool, content_type + strcspn(content_type, ";"));
    const char *boundary = NULL;

    if (!parameters || find_parameter(parameters, "boundary", &boundary) != 1 || !is_boundary(boundary)) {
        return "its Content-Type must have one boundary of 1 to 70 characters";
    }
    in->delimiter = apr_pstrcat(in->pool, "\r\n--", boundary, NULL);
    in->delimiter_length = strlen(in->delimiter);
    return NULL;
}

/* Reads the end of a boundary's line: CRLF, or -- and the end of the body. */
static const char *end_boundary_line(parser *in)
{
    in->closed = in->end - in->at >= 2 && !memcmp(in->at, "--", 2);
    in->at += in->closed ? 2 : 0;
    while (in->at < in->end && (*in->at == ' ' || *in->at == '\t')) {
        in->at++;
    }
    if (in->closed && in->at == in->end) {
        return NULL;
    }
    if (in->end - in->at < 2 || memcmp(in->at, "\r\n", 2)) {
        return "a boundary is followed by other characters on its line";
    }
    in->at += 2;
    return in->closed && in->at < in->end ? "the last boundary is followed by more data" : NULL;
}

static const char *read_first_boundary(parser *in)
{
    const char *line = in->delimiter + 2;
    apr_size_t length = in->delimiter_length - 2;

    if ((apr_size_t)(in->end - in->at) < length || memcmp(in->at, line, length)) {
        return "it does not begin with its boundary";
    }
    in->at += length;
    return end_boundary_line(in);
}

/* ---- headers ---- */

typedef struct headers {
    const char *disposition, *type, *encoding; /* NULL: not sent */
} headers;

static const char *set_header(const char **header, const char *value)
{
    if (*header) {
        return "has a duplicate header";
    }
    *header = value;
    return NULL;
}

/* Reads one header line, without its CRLF. */
static const char *read_header(parser *in, headers *found, const char *line, apr_size_t length)
{
    char *name = apr_pstrmemdup(in->pool, line, length), *value = strchr(name, ':');

    if (!lh_utf8_valid(line, length)) {
        return "has a header that is not UTF-8";
    }
    if (strpbrk(name, "\r\n")) {
        return "has a header line that does not end with CRLF";
    }
    if (!value || value == name || strcspn(name, " \t\"") < (apr_size_t)(value - name)) {
        return "has a malformed header";
    }
    *value = '\0';
    value = lh_text_trim(value + 1);
    return !strcasecmp(name, "Content-Disposition")         ? set_header(&found->disposition, value)
           : !strcasecmp(name, "Content-Type")              ? set_header(&found->type, value)
           : !strcasecmp(name, "Content-Transfer-Encoding") ? set_header(&found->encoding, value)
                                                            : NULL;
}

/* Reads the headers and the empty line after them. */
static const char *read_headers(parser *in, headers *found)
{
    const char *start = in->at, *why = NULL;

    memset(found, 0, sizeof(*found));
    while (!why) {
        apr_size_t left = (apr_size_t)(in->end - in->at), room = LH_MULTIPART_HEADERS - (apr_size_t)(in->at - start);
        const char *line = in->at, *line_end = memmem(line, left < room ? left : room, "\r\n", 2);

        if (!line_end) {
            return left < room ? "has headers that do not end with an empty line" : "has headers that are too long";
        }
        in->at = line_end + 2;
        if (line_end == line) {
            return NULL;
        }
        why = read_header(in, found, line, (apr_size_t)(line_end - line));
    }
    return why;
}

/* 1 when the content needs no decoding. */
static int is_identity(const char *encoding)
{
    return !encoding || !strcasecmp(encoding, "7bit") || !strcasecmp(encoding, "8bit") ||
           !strcasecmp(encoding, "binary");
}

/* Reads name and filename. A part with only filename*, which some libraries send despite RFC 7578, is also a file. */
static const char *read_disposition(parser *in, const char *disposition, lh_part *part)
{
    apr_size_t length = disposition ? strcspn(disposition, "; \t") : 0;
    const apr_array_header_t *parameters;
    const char *starred = NULL;

    if (length != 9 || strncasecmp(disposition, "form-data", length)) {
        return "must have the Content-Disposition form-data";
    }
    parameters = read_parameters(in->pool, disposition + length);
    if (!parameters || find_parameter(parameters, "name", &part->name) > 1 ||
        find_parameter(parameters, "filename", &part->filename) > 1) {
        return "has a malformed Content-Disposition";
    }
    if (!part->filename && find_parameter(parameters, "filename*", &starred)) {
        part->filename = starred;
    }
    return part->name && *part->name ? NULL : "has no name";
}

/* ---- parts ---- */

static int has_name(const apr_array_header_t *parts, const char *name)
{
    int i;

    for (i = 0; i < parts->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(parts, i, lh_part).name, name)) {
            return 1;
        }
    }
    return 0;
}

/* Reads the content up to the next delimiter. It is empty if the delimiter begins with the CRLF of the empty line. */
static const char *read_content(parser *in, lh_part *part)
{
    const char *data = in->at, *from = data - 2;
    const char *next = memmem(from, (apr_size_t)(in->end - from), in->delimiter, in->delimiter_length);

    if (!next) {
        return "is not followed by a boundary";
    }
    part->data = data;
    part->length = next > data ? (apr_size_t)(next - data) : 0;
    in->at = next + in->delimiter_length;
    return part->filename || lh_utf8_valid(part->data, part->length)
               ? NULL
               : "is a text field that is not UTF-8 or contains a zero byte";
}

static const char *read_part(parser *in)
{
    lh_part part = {.name = NULL};
    headers found;
    const char *why = read_headers(in, &found);

    if (!why) {
        why = read_disposition(in, found.disposition, &part);
    }
    if (!why && !is_identity(found.encoding)) {
        why = "must be sent without a Content-Transfer-Encoding";
    }
    if (!why && has_name(in->parts, part.name)) {
        why = "has the name of an earlier part";
    }
    if (!why) {
        why = read_content(in, &part);
    }
    if (!why) {
        APR_ARRAY_PUSH(in->parts, lh_part) = part;
    }
    return why;
}

static const char *read_body(parser *in)
{
    const char *why = read_first_boundary(in);

    while (!why && !in->closed) {
        if (in->parts->nelts == LH_MULTIPART_PARTS) {
            return apr_psprintf(in->pool, "it has more than %d parts", LH_MULTIPART_PARTS);
        }
        why = read_part(in);
        if (why) {
            return apr_psprintf(in->pool, "part %d %s", in->parts->nelts + 1, why);
        }
        why = end_boundary_line(in);
    }
    return why;
}

const char *lh_multipart_parse(apr_pool_t *p, const char *content_type, const char *body, apr_size_t length,
                               apr_array_header_t **parts)
{
    parser in = {.pool = p, .at = body, .end = body + length, .parts = apr_array_make(p, 16, sizeof(lh_part))};
    const char *why = read_boundary(&in, content_type);

    if (!why) {
        why = read_body(&in);
    }
    *parts = in.parts;
    return why ? apr_psprintf(p, "The body is not valid multipart/form-data: %s.", why) : NULL;
}
