/* SPDX-License-Identifier: Apache-2.0 */
/* multipart/form-data: valid bodies and their parts, invalid bodies and their errors; then the fuzz target with its
 * corpus and with mutations of it, the same ones on every run. */
#include "../fuzz/multipart.c"

#include <apr_escape.h>
#include <glob.h>

#include "tap.h"

#define TYPE "multipart/form-data; boundary=b"
#define FORM "Content-Disposition: form-data; "
#define PART(headers, data) "--b\r\n" headers "\r\n\r\n" data "\r\n"
#define END "--b--\r\n"
#define A PART(FORM "name=\"a\"", "1")

/* Each part as name[filename]=data, separated by spaces. */
static const char *shown(const apr_array_header_t *parts)
{
    const char *all = "";
    int i;

    for (i = 0; i < parts->nelts; i++) {
        const lh_part *part = &APR_ARRAY_IDX(parts, i, lh_part);
        const char *file = part->filename ? apr_psprintf(tap_pool, "[%s]", part->filename) : "";
        all =
            apr_psprintf(tap_pool, "%s%s%s%s=%.*s", all, i ? " " : "", part->name, file, (int)part->length, part->data);
    }
    return all;
}

static const struct {
    const char *type, *body;
    const char *expected; /* the parts as shown() writes them; or ! and a part of the error */
} cases[] = {
    {TYPE, A END, "a=1"},
    {TYPE, A "--b--", "a=1"},
    {TYPE, A PART(FORM "name=\"b\"", "") END, "a=1 b="},
    {TYPE, END, ""},
    {TYPE, "--b\r\n" FORM "name=\"a\"\r\n\r\n" END, "a="},
    {TYPE, PART(FORM "name=a", "\r\n--\r\n-b\r\n\n--b--\r\r\n") END, "a=\r\n--\r\n-b\r\n\n--b--\r\r\n"},
    {TYPE, PART("content-disposition:FORM-DATA;name=a", "1") END, "a=1"},
    {TYPE, PART("X: y\r\n" FORM "name=\"a\"\r\nContent-Type: text/plain; charset=UTF-8", "\xC3\xA9") END, "a=\xC3\xA9"},
    {TYPE, PART(FORM "name=\"a\"; filename=\"p.png\"\r\nContent-Type: image/png", "\xFF") END, "a[p.png]=\xFF"},
    {TYPE, PART(FORM "name=\"a\"; filename=\"\"", "") END, "a[]="},
    {TYPE, PART(FORM "filename=\"x\\\"y\\\\z;\\n\"; name=\"a\";", "1") END, "a[x\"y\\z;\\n]=1"},
    {TYPE, PART(FORM "name=\"a\"; filename*=utf-8''%C3%A9.png", "1") END, "a[utf-8''%C3%A9.png]=1"},
    {TYPE, PART(FORM "name=\"a\"; filename=\"e.png\"; filename*=utf-8''x", "1") END, "a[e.png]=1"},
    {TYPE, PART(FORM "name=\"\xC3\xA9\"", "1") END, "\xC3\xA9=1"},
    {TYPE, PART(FORM "name=\"a\"\r\nContent-Transfer-Encoding: 8bit", "1") END, "a=1"},
    {TYPE, "--b \t\r\n" FORM "name=\"a\"\r\n\r\n1\r\n--b-- \r\n", "a=1"},
    {"MULTIPART/form-data;BOUNDARY=\"b\"; charset=utf-8", A END, "a=1"},
    {"multipart/form-data; boundary=\"x '()+_,-./:=?y\"", "--x '()+_,-./:=?y--", ""},
    {"multipart/form-data; boundary=\"--b\"", "----b--", ""},

    {"multipart/form-data", A END, "!boundary of 1 to 70"},
    {"multipart/form-data; boundary=", A END, "!boundary of 1 to 70"},
    {"multipart/form-data; boundary=\"b", A END, "!boundary of 1 to 70"},
    {"multipart/form-data; boundary=b\"b\"", A END, "!boundary of 1 to 70"},
    {"multipart/form-data; boundary=b; boundary=b", A END, "!one boundary"},
    {"multipart/form-data; boundary=\"b \"", A END, "!boundary of 1 to 70"},
    {"multipart/form-data; boundary=b{}", A END, "!boundary of 1 to 70"},
    {"multipart/form-data; boundary=0123456789012345678901234567890123456789012345678901234567890123456789x", A END,
     "!boundary of 1 to 70"},
    {TYPE, "", "!does not begin with its boundary"},
    {TYPE, "--", "!does not begin with its boundary"},
    {TYPE, "\r\n" A END, "!does not begin with its boundary"},
    {TYPE, "hello\r\n" A END, "!does not begin with its boundary"},
    {TYPE, "--c\r\n" FORM "name=\"a\"\r\n\r\n1\r\n--c--\r\n", "!does not begin with its boundary"},
    {TYPE, "--b", "!followed by other characters"},
    {TYPE, "--b\n" FORM "name=\"a\"\n\n1\n--b--\n", "!followed by other characters"},
    {TYPE, "--bx\r\n" FORM "name=\"a\"\r\n\r\n1\r\n--b--\r\n", "!followed by other characters"},
    {TYPE, A "--b-\r\n", "!followed by other characters"},
    {TYPE, A "--b--x", "!followed by other characters"},
    {TYPE, A "--b--\r\n\r\n", "!followed by more data"},
    {TYPE, A END A END, "!followed by more data"},
    {TYPE, A, "!part 1 is not followed by a boundary"},
    {TYPE, A "--b\r\n" FORM "name=\"c\"\r\n\r\n1\r\n--b ", "!followed by other characters"},
    {TYPE, "--b\r\n" FORM "name=\"a\"\r\n\r\n1--b--\r\n", "!part 1 is not followed by a boundary"},
    {TYPE, "--b\r\n" FORM "name=\"a\"\r\n\r\n1\n--b--\r\n", "!part 1 is not followed by a boundary"},
    {TYPE, "--b\r\n" FORM "name=\"a\"\r\n", "!part 1 has headers that do not end with an empty line"},
    {TYPE, "--b\r\n" FORM "name=\"a\"", "!part 1 has headers that do not end with an empty line"},
    {TYPE, PART(FORM "name=\"a\"\nContent-Type: x", "1") END, "!part 1 has a header line that does not end with CRLF"},
    {TYPE, PART(FORM "\r\n name=\"a\"", "1") END, "!part 1 has a malformed header"},
    {TYPE, PART(FORM "name=\"a\"\r\nnothing", "1") END, "!part 1 has a malformed header"},
    {TYPE, PART(FORM "name=\"a\"\r\n: x", "1") END, "!part 1 has a malformed header"},
    {TYPE, PART("Content-Disposition : form-data; name=\"a\"", "1") END, "!part 1 has a malformed header"},
    {TYPE, PART(FORM "name=\"\xFF\"", "1") END, "!part 1 has a header that is not UTF-8"},
    {TYPE, A PART(FORM "name=\"c\"\r\n" FORM "name=\"d\"", "1") END, "!part 2 has a duplicate header"},
    {TYPE, PART(FORM "name=\"a\"\r\nContent-Type: a/b\r\ncontent-type: a/b", "1") END,
     "!part 1 has a duplicate header"},
    {TYPE, PART("Content-Type: text/plain", "1") END, "!part 1 must have the Content-Disposition"},
    {TYPE, PART("Content-Disposition: attachment; name=\"a\"", "1") END, "!part 1 must have the Content-Disposition"},
    {TYPE, PART("Content-Disposition: form-dat; name=\"a\"", "1") END, "!part 1 must have the Content-Disposition"},
    {TYPE, "--b\r\n\r\n1\r\n" END, "!part 1 must have the Content-Disposition"},
    {TYPE, PART("Content-Disposition: form-data", "1") END, "!part 1 has no name"},
    {TYPE, PART(FORM "filename=\"a\"", "1") END, "!part 1 has no name"},
    {TYPE, PART(FORM "name=\"\"", "1") END, "!part 1 has no name"},
    {TYPE, PART(FORM "name=\"a", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name=\"a\\\"", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name=\"a\" b", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name=a\"b\"", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "=\"a\"", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM ";name=\"a\"", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name=\"a\"; name=\"b\"", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name=\"a\"; filename=b; filename=c", "1") END, "!part 1 has a malformed Content-Disposition"},
    {TYPE, PART(FORM "name=\"a\"\r\nContent-Transfer-Encoding: base64", "1") END, "!part 1 must be sent without"},
    {TYPE, A A END, "!part 2 has the name of an earlier part"},
    {TYPE, PART(FORM "name=\"a\"; filename=\"1\"", "1") A END, "!part 2 has the name of an earlier part"},
    {TYPE, PART(FORM "name=\"a\"", "\xC3(") END, "!part 1 is a text field that is not UTF-8"},
};

static void test_cases(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        apr_array_header_t *parts;
        const char *expected = cases[i].expected;
        const char *why = lh_multipart_parse(tap_pool, cases[i].type, cases[i].body, strlen(cases[i].body), &parts);

        if (*expected != '!') {
            is_str(why ? why : shown(parts), expected,
                   apr_psprintf(tap_pool, "body %d is valid: %s", (int)i, apr_pescape_echo(tap_pool, expected, 0)));
        }
        else if (!ok(why && strstr(why, expected + 1), "body %d is invalid: %s", (int)i, why ? why : "no error")) {
            printf("# expected: %s\n", expected + 1);
        }
    }
}

static const char *parse(const char *body, apr_size_t length, apr_array_header_t **parts)
{
    return lh_multipart_parse(tap_pool, TYPE, body, length, parts);
}

static void test_zero_bytes(void)
{
    static const char text[] = PART(FORM "name=\"a\"", "1\0") END, name[] = PART(FORM "name=\"a\0\"", "1") END;
    static const char file[] = PART(FORM "name=\"a\"; filename=\"f\"", "\0\1\0") END;
    apr_array_header_t *parts;

    ok(parse(text, sizeof(text) - 1, &parts) != NULL, "a zero byte in a text field is rejected");
    ok(parse(name, sizeof(name) - 1, &parts) != NULL, "a zero byte in a name is rejected");
    ok(!parse(file, sizeof(file) - 1, &parts), "zero bytes in a file are accepted");
    is_int((long long)APR_ARRAY_IDX(parts, 0, lh_part).length, 3, "zero bytes count in the length of a file");
    ok(APR_ARRAY_IDX(parts, 0, lh_part).data == strstr(file, "\r\n\r\n") + 4,
       "the data of a part points into the body");
}

/* A body of `count` parts with different names. */
static const char *many(int count)
{
    const char *body = "";
    int i;

    for (i = 0; i < count; i++) {
        body = apr_psprintf(tap_pool, "%s--b\r\n" FORM "name=\"n%d\"\r\n\r\n%d\r\n", body, i, i);
    }
    return apr_pstrcat(tap_pool, body, END, NULL);
}

/* A body whose only part has `length` bytes of headers, including the empty line. */
static const char *headed(int length)
{
    static const char head[] = FORM "name=\"a\"\r\nX:";

    return apr_psprintf(tap_pool, "--b\r\n%s%*s\r\n\r\n1\r\n" END, head, length - (int)sizeof(head) + 1 - 4, "");
}

static void test_limits(void)
{
    apr_array_header_t *parts;
    const char *body = many(LH_MULTIPART_PARTS), *why;

    ok(!parse(body, strlen(body), &parts), "a body with the maximum number of parts is accepted");
    is_int(parts->nelts, LH_MULTIPART_PARTS, "a body with the maximum number of parts is read completely");
    body = many(LH_MULTIPART_PARTS + 1);
    why = parse(body, strlen(body), &parts);
    ok(why && strstr(why, "more than 64 parts"), "a body with one part more is rejected");
    body = headed(LH_MULTIPART_HEADERS);
    ok(!parse(body, strlen(body), &parts), "headers of the maximum length are accepted");
    body = headed(LH_MULTIPART_HEADERS + 1);
    why = parse(body, strlen(body), &parts);
    ok(why && strstr(why, "headers that are too long"), "headers one byte longer are rejected");
}

/* ---- fuzzing ---- */

#define MUTATIONS 400 /* of each file */
#define LARGEST 2000  /* bytes of a corpus file */

/* A xorshift generator: the same numbers on every machine. */
static unsigned next_random(unsigned *state, unsigned below)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state % below;
}

/* Changes one byte, copies a piece to another place, or cuts off the end. */
static void mutate(unsigned *state, char *data, apr_size_t *length)
{
    static const char special[] = "\r\n-b\":;= \t\\a\0\xFF";
    apr_size_t from = next_random(state, (unsigned)*length), to = next_random(state, (unsigned)*length);
    apr_size_t longest = *length - (from > to ? from : to);

    switch (next_random(state, 4)) {
    case 0: data[to] = (char)next_random(state, 256); break;
    case 1: data[to] = special[next_random(state, sizeof(special) - 1)]; break;
    case 2: memmove(data + to, data + from, next_random(state, (unsigned)longest) + 1); break;
    default: *length = next_random(state, 8) ? *length : to + 1;
    }
}

static void try(char *data, apr_size_t size)
{
    apr_pool_t *p;

    apr_pool_create(&p, tap_pool);
    fuzz(p, data, size);
    apr_pool_destroy(p);
}

static void replay(const char *file, unsigned *state)
{
    char original[LARGEST], mutated[LARGEST];
    FILE *in = fopen(file, "rb");
    apr_size_t size = in ? fread(original, 1, sizeof(original), in) : 0;
    int i;

    if (in) {
        fclose(in);
    }
    if (!ok(size > 0 && size < sizeof(original), "corpus file %s is readable and not too large", file)) {
        return;
    }
    try(original, size);
    for (i = 0; i < MUTATIONS; i++) {
        unsigned changes = next_random(state, 6) + 1;
        apr_size_t length = size;

        memcpy(mutated, original, size);
        while (changes-- > 0) {
            mutate(state, mutated, &length);
        }
        try(mutated, length);
    }
    ok(1, "%s and its mutations violate no invariant", file);
}

static void test_corpus(void)
{
    unsigned state = 2463534242u;
    glob_t files;
    size_t i;

    if (ok(glob("t/fuzz/multipart/*", 0, NULL, &files) == 0 && files.gl_pathc >= 10,
           "the corpus has at least 10 files")) {
        for (i = 0; i < files.gl_pathc; i++) {
            replay(files.gl_pathv[i], &state);
        }
        globfree(&files);
    }
}

int main(void)
{
    tap_begin();
    test_cases();
    test_zero_bytes();
    test_limits();
    test_corpus();
    return tap_end();
}
