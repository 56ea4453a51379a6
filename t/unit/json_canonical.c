/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that is stored as it was sent: canonical form and errors; random mutations, compared with jansson. */
#include "util/json_canonical.h"

#include <apr_strings.h>
#include <jansson.h>

#include "tap.h"

static const char *canonical(apr_pool_t *p, const char *text, apr_size_t length, const char **why)
{
    lh_slice form;

    *why = lh_canonical_form(p, text, length, &form);
    return *why ? NULL : apr_pstrmemdup(p, form.data, form.length);
}

static const struct {
    const char *text, *form;
} forms[] = {
    {"{}", "{}"},
    {" { } ", "{}"},
    {"[]", "[]"},
    {"{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
    {"{\"a\":1,\"\":2,\"ab\":3,\"B\":4}", "{\"\":2,\"B\":4,\"a\":1,\"ab\":3}"},
    {"[1 , 2.50,\t-0,1e5 ,1E+9,123456789012345678901234567890,1e-999]",
     "[1,2.50,-0,1e5,1E+9,123456789012345678901234567890,1e-999]"},
    {"\"\\u0041\\/\\u00e9\\ud83d\\ude00\"", "\"A/\xc3\xa9\xf0\x9f\x98\x80\""},
    {"\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\\u007f\"", "\"\\\"\\\\\\b\\f\\n\\r\\t\\u001f\x7f\""},
    {"{\"a\":{\"z\":[{\"d\":null,\"c\":true}],\"y\":false}}", "{\"a\":{\"y\":false,\"z\":[{\"c\":true,\"d\":null}]}}"},
    {"{\"\\u0062\":1,\"a\\u0062\":2,\"a\":3}", "{\"a\":3,\"ab\":2,\"b\":1}"},
    {"\"\xc3\xbc\xf0\x9f\x98\x80\"", "\"\xc3\xbc\xf0\x9f\x98\x80\""},
    {"{\"\xc3\xbc\":1,\"z\":\"\xc3\xbc\\n\"}", "{\"z\":\"\xc3\xbc\\n\",\"\xc3\xbc\":1}"},
    {" [ {\"b\":1,\"c\" :2,\"a\":3},{\"b\":4,\"c\":5,\"a\":6} "
     ",{\"b\":7,\"a\":8,\"c\":9},{\"c\":0,\"b\":[{\"y\":1,\"x\":2}]}] ",
     "[{\"a\":3,\"b\":1,\"c\":2},{\"a\":6,\"b\":4,\"c\":5},{\"a\":8,\"b\":7,\"c\":9},"
     "{\"b\":[{\"x\":2,\"y\":1}],\"c\":0}]"},
};

static const struct {
    const char *text, *why;
} invalid[] = {
    {"", "unexpectedly"},
    {" ", "unexpectedly"},
    {"{", "no name"},
    {"{\"a\"", "colon is missing"},
    {"{\"a\":", "unexpectedly"},
    {"{\"a\":1", "closing bracket"},
    {"{\"a\":1,}", "no name"},
    {"{\"a\":1,\"a\":1}", "twice"},
    {"[{\"a\":1,\"b\":1,\"\\u0061\":1}]", "twice"},
    {"[{\"b\":1,\"c\":1,\"a\":1},{\"b\":1,\"a\":1,\"\\u0062\":1}]", "twice"},
    {"[{\"b\":1,\"a\":1,\"c\":1},{\"b\":1,\"a\":1,\"b\":1}]", "twice"},
    {"[1,]", "invalid value"},
    {"[1 2]", "comma"},
    {"[}", "invalid value"},
    {"01", "invalid value"},
    {"1.", "invalid value"},
    {"-", "invalid value"},
    {"+1", "invalid value"},
    {"1e", "invalid value"},
    {".5", "invalid value"},
    {"nul", "invalid value"},
    {"nulll", "after its end"},
    {"{} {}", "after its end"},
    {"\"a", "not closed"},
    {"\"\\", "escape"},
    {"\"\\x\"", "escape"},
    {"\"\\u12\"", "escape"},
    {"\"\\u0000\"", "u0000"},
    {"\"\\ud800\"", "surrogate"},
    {"\"\\ud800\\u0041\"", "surrogate"},
    {"\"\\udc00\"", "surrogate"},
    {"\"\n\"", "control character"},
    {"\"\\n\n\"", "control character"},
    {"\"\xff\"", "UTF-8"},
    {"\"\xc3\"", "UTF-8"},
    {"\"\xed\xa0\x80\"", "UTF-8"},
    {"\"\\n\xc0\x80\"", "UTF-8"},
};

static void test_forms(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        is_str(canonical(tap_pool, forms[i].text, strlen(forms[i].text), &why), forms[i].form,
               apr_psprintf(tap_pool, "canonical form %s", forms[i].form));
        ok(!lh_canonical_form(tap_pool, forms[i].text, strlen(forms[i].text), NULL), "valid text %d", (int)i);
    }
    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        why = lh_canonical_form(tap_pool, invalid[i].text, strlen(invalid[i].text), NULL);
        ok(why && strstr(why, invalid[i].why), "invalid text %d: %s", (int)i, why ? why : "no error");
    }
}

/* A text that is canonical is not copied. */
static void test_uncopied(void)
{
    static const char text[] = " {\"a\":[1,\"\xc3\xbc\"],\"b\":{}}\n";
    lh_slice form;

    ok(!lh_canonical_form(tap_pool, text, sizeof(text) - 1, &form) && form.data == text + 1 &&
           form.length == sizeof(text) - 3,
       "the canonical form of a canonical text is a part of it");
}

static const char *nested(int levels)
{
    char *text = apr_palloc(tap_pool, 2 * (apr_size_t)levels + 1);

    memset(text, '[', (apr_size_t)levels);
    memset(text + levels, ']', (apr_size_t)levels);
    text[2 * levels] = '\0';
    return text;
}

static void test_depth(void)
{
    const char *why;

    ok(!lh_canonical_form(tap_pool, nested(LH_CANONICAL_DEPTH), 2 * LH_CANONICAL_DEPTH, NULL),
       "nesting of the maximum depth is valid");
    why = lh_canonical_form(tap_pool, nested(LH_CANONICAL_DEPTH + 1), 2 * LH_CANONICAL_DEPTH + 2, NULL);
    ok(why && strstr(why, "too deep"), "nesting one level deeper is an error");
    why = lh_canonical_form(tap_pool, nested(1000000), 2000000, NULL);
    ok(why && strstr(why, "too deep"), "nesting of a million levels is an error");
}

static void test_members(void)
{
    static const struct {
        const char *text, *found;
    } cases[] = {
        {"{\"d\":{\"a\":1}}", "{\"a\":1}"},
        {" { \"x\" : \"}\\\",{\" , \"d\" : [1,{\"d\":2}] , \"y\":0}", "[1,{\"d\":2}]"},
        {"{\"x\":{\"d\":1},\"d\":2}", "2"},
        {"{\"d\": true }", "true"},
        {"{\"dd\":1,\"\":2,\"e\":\"d\"}", NULL},
        {"{\"d", NULL},
        {"{\"d\"", ""},
        {"{\"d\":", ""},
        {"{\"d\":{", "{"},
        {"{\"d\":\"x", "\"x"},
        {"", NULL},
        {"[]", NULL},
        {"{\"x\":1,,\"d\":2}", NULL},
    };
    apr_size_t i, length;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *found = lh_canonical_member(cases[i].text, strlen(cases[i].text), "d", &length);
        is_str(found ? apr_pstrmemdup(tap_pool, found, length) : NULL, cases[i].found,
               apr_psprintf(tap_pool, "raw member d of '%s'", cases[i].text));
    }
}

/* A member is found wherever its brackets, quotation marks and escapes are within blocks of 64 bytes. */
static void test_blocks(void)
{
    static const char value[] = "{\"s\":\"}\\\"{\\\\\",\"n\":[1,\"]\\\\\\\"\"],\"o\":{\"\":\"\\\\\"}}";
    int wrong = 0, outer, inner;

    for (outer = 0; outer < 130; outer++) {
        for (inner = 0; inner < 130; inner += 3) {
            char text[512], whole[400];
            const char *found;
            apr_size_t length = 0;

            apr_snprintf(whole, sizeof(whole), "{\"p\":\"%*s\",\"v\":%s}", inner, "", value);
            apr_snprintf(text, sizeof(text), "{\"x\":\"%*s\",\"d\":%s,\"y\":{}}", outer, "", whole);
            found = lh_canonical_member(text, strlen(text), "d", &length);
            wrong += !found || length != strlen(whole) || memcmp(found, whole, length);
            found = lh_canonical_member(text, strlen(text), "y", &length);
            wrong += !found || length != 2;
        }
    }
    is_int(wrong, 0, "members at all places within blocks are found");
}

/* ---- random mutations: a text is valid if and only if jansson accepts it ---- */

static const char *const seeds[] = {
    "{\"d\":{\"elements\":[{\"x\":1.5,\"y\":-2e3,\"t\":\"a\\n\\u00e9\"}],\"s\":{\"z\":null,\"a\":true}},\"t\":5}",
    "{\"t\": 5, \"d\" : {\"b\":\"\\\"}{\",\"a\":[[],{}]} , \"u\":\"\xc3\xa9\"}",
    "{\"a\":[1,2,{\"b\":\"\\ud83d\\ude00\"}],\"d\":{},\"c\":false}",
    "{\"d\":{\"nodes\":[{\"id\":\"node-1\",\"position\":{\"x\":40,\"y\":25.5},\"data\":{\"label\":\"A "
    "\\\"service\\\"\"}},"
    "{\"id\":\"node-2\",\"position\":{\"x\":-1,\"y\":0},\"data\":{\"label\":\"\\\\ and \xc3\xa9 \\u0041\"}}],"
    "\"edges\":[{\"source\":\"node-1\",\"id\":\"e\",\"target\":\"node-2\"}]},\"t\":[true,null]}",
};

static apr_uint64_t state = 42;

/* A pseudo-random number below `limit`, the same sequence in every run. */
static unsigned random_below(unsigned limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(state >> 33) % limit;
}

static apr_size_t mutate(char *text, apr_size_t length)
{
    static const char marks[] = "{}[]\",:\\0123.eE+-tfn u\x01\xc3\xa9\x80";
    int count = 1 + (int)random_below(3);

    while (count-- > 0 && length > 1) {
        apr_size_t at = random_below((unsigned)length);
        switch (random_below(3)) {
        case 0: text[at] = marks[random_below(sizeof(marks) - 1)]; break;
        case 1: memmove(text + at, text + at + 1, length-- - at); break;
        default: memmove(text + at + 1, text + at, length++ - at); text[at] = marks[random_below(sizeof(marks) - 1)];
        }
    }
    text[length] = '\0';
    return length;
}

/* 1: jansson accepts the text; 0: it does not; -1: it contains a number that jansson cannot represent. */
static int jansson_accepts(const char *text, apr_size_t length, json_t **json)
{
    json_error_t error;

    *json = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    return *json ? 1 : json_error_code(&error) == json_error_numeric_overflow ? -1 : 0;
}

/* 1 when the canonical form is the same document as `json`, and is its own canonical form. */
static int is_canonical_form_right(apr_pool_t *p, const char *text, apr_size_t length, const json_t *json)
{
    const char *why, *form = canonical(p, text, length, &why), *again = canonical(p, form, strlen(form), &why);
    json_t *reread;
    int same = jansson_accepts(form, strlen(form), &reread) == 1 && json_equal(json, reread) && !strcmp(form, again);

    json_decref(reread);
    return same;
}

/* Compares the validity of the text (`json` NULL: invalid) with that of its raw member "d" and of the text with {} in
 * place of that member. 1 when the text is valid if and only if both are. */
static int is_member_right(apr_pool_t *p, const char *text, apr_size_t length, const json_t *json)
{
    apr_size_t size = 0;
    const char *value = lh_canonical_member(text, length, "d", &size), *rest;
    json_t *other = NULL, *part = NULL;
    int good;

    if (!value || *value != '{') {
        return !json || !json_is_object(json) || !json_is_object(json_object_get(json, "d")) || strstr(text, "\\u0064");
    }
    rest = apr_pstrcat(p, apr_pstrmemdup(p, text, (apr_size_t)(value - text)), "{}", value + size, NULL);
    good = jansson_accepts(rest, strlen(rest), &other) == 1 && jansson_accepts(value, size, &part) == 1;
    good = json ? good && json_equal(part, json_object_get(json, "d")) : !good;
    json_decref(other);
    json_decref(part);
    return good;
}

static void test_mutations(void)
{
    int rounds = 10000, valid = 0, wrong = 0, wrong_members = 0, i;
    apr_pool_t *p;

    apr_pool_create(&p, tap_pool);
    for (i = 0; i < rounds; i++) {
        char text[512];
        json_t *json;
        int theirs, ours;
        apr_size_t length;

        strcpy(text, seeds[i % 4]);
        length = mutate(text, strlen(text));
        theirs = jansson_accepts(text, length, &json);
        ours = !lh_canonical_form(p, text, length, NULL);
        valid += ours;
        if (theirs >= 0 && (theirs != ours || (ours && !is_canonical_form_right(p, text, length, json))) &&
            wrong++ < 5) {
            printf("# jansson %d, lh_canonical_form %d: %s\n", theirs, ours, text);
        }
        if (theirs >= 0 && !is_member_right(p, text, length, json) && wrong_members++ < 5) {
            printf("# member: %s\n", text);
        }
        json_decref(json);
        apr_pool_clear(p);
    }
    is_int(wrong, 0, "mutations: 10000 texts are accepted if and only if jansson accepts them");
    is_int(wrong_members, 0, "mutations: raw members of 10000 texts are found");
    ok(valid > 500 && valid < rounds - 500, "mutations: %d of 10000 texts are valid", valid);
}

int main(void)
{
    tap_begin();
    test_forms();
    test_uncopied();
    test_depth();
    test_members();
    test_blocks();
    test_mutations();
    return tap_end();
}
