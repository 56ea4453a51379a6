/* SPDX-License-Identifier: Apache-2.0 */
/* JSON bodies: the value of each field, objects kept as they were sent, numbers beyond 64 bits, sentences of errors. */
#include "http/json_body.h"

#include <apr_strings.h>

#include "tap.h"

static const lh_field fields[] = {
    {.name = "a"},     {.name = "o", .type = LH_OBJECT}, {.name = "d", .type = LH_OBJECT, .flags = LH_DEFERRED},
    {.name = "g.x.y"}, {.name = "b_id", .alias = "b"},   {0}};

enum { A, O, D, GXY, B, FIELDS };

static lh_json_body *parse(const char *text, int unwrap_array, const char **why)
{
    *why = NULL;
    return lh_json_body_parse(tap_pool, fields, FIELDS, unwrap_array, apr_pstrdup(tap_pool, text), strlen(text), why);
}

/* ---- values ---- */

#define HUGE "\"huge\": 99999999999999999999"

static const struct {
    const char *rule, *text;
    int field;
    lh_input_kind kind;
    const char *value;
    apr_int64_t number;
} values[] = {
    {"an empty body is an empty object", "", A, LH_INPUT_ABSENT, NULL, 0},
    {"a missing member is absent", "{}", A, LH_INPUT_ABSENT, NULL, 0},
    {"null", "{\"a\": null}", A, LH_INPUT_NULL, NULL, 0},
    {"a string", "{\"a\": \"x\\u00e9\"}", A, LH_INPUT_STRING, "x\xC3\xA9", 0},
    {"true", "{\"a\": true}", A, LH_INPUT_BOOLEAN, NULL, 1},
    {"false", "{\"a\": false}", A, LH_INPUT_BOOLEAN, NULL, 0},
    {"the largest integer", "{\"a\": 9223372036854775807}", A, LH_INPUT_INTEGER, NULL, APR_INT64_MAX},
    {"a real number", "{\"a\": 1.5}", A, LH_INPUT_NUMBER, "1.5", 0},
    {"a number with a fraction of 0 is real", "{\"a\": 2.0}", A, LH_INPUT_NUMBER, "2", 0},
    {"beside a number beyond 64 bits an integer is an integer", "{\"a\": 7, " HUGE "}", A, LH_INPUT_INTEGER, "7", 7},
    {"beside it a negative integer is an integer", "{\"a\": -7, " HUGE "}", A, LH_INPUT_INTEGER, "-7", -7},
    {"beside it a real number is real", "{\"a\": 1.5, " HUGE "}", A, LH_INPUT_NUMBER, "1.5", 0},
    {"a number beyond 64 bits is no integer", "{\"a\": 99999999999999999999}", A, LH_INPUT_NUMBER, "1e+20", 0},
    {"an array of strings", "{\"a\": [\"x\", \"\\\"\"]}", A, LH_INPUT_STRINGS, "[\"x\",\"\\\"\"]", 2},
    {"an empty array is an array of strings", "{\"a\": []}", A, LH_INPUT_STRINGS, "[]", 0},
    {"an array of strings and others", "{\"a\": [\"x\", 1]}", A, LH_INPUT_OTHER, NULL, 0},
    {"an array of others and strings", "{\"a\": [null, \"x\"]}", A, LH_INPUT_OTHER, NULL, 0},
    {"an object of a field of another type", "{\"a\": {\"b\": 1}}", A, LH_INPUT_OBJECT, NULL, 0},
    {"an object has its text as it was sent", "{\"o\": { \"n\": 1.50 }}", O, LH_INPUT_OBJECT, "{ \"n\": 1.50 }", 0},
    {"a deferred object has its text as well", "{\"d\": {\"n\" :1}, \"o\": {}}", D, LH_INPUT_OBJECT, "{\"n\" :1}", 0},
    {"members after an object are read", "{\"o\": {\"a\": 1}, \"a\": 2}", A, LH_INPUT_INTEGER, NULL, 2},
    {"an array where an object is expected", "{\"o\": [{}]}", O, LH_INPUT_OTHER, NULL, 0},
    {"null where an object is expected", "{\"o\": null}", O, LH_INPUT_NULL, NULL, 0},
    {"a dotted name is a nested member", "{\"g\": {\"x\": {\"y\": 5}}}", GXY, LH_INPUT_INTEGER, NULL, 5},
    {"a dotted name below a value that is no object", "{\"g\": [1], \"y\": 5}", GXY, LH_INPUT_ABSENT, NULL, 0},
    {"an alias", "{\"b\": \"x\"}", B, LH_INPUT_STRING, "x", 0},
    {"an alias of a null", "{\"b_id\": null, \"b\": \"x\"}", B, LH_INPUT_STRING, "x", 0},
    {"a field whose alias is null", "{\"b_id\": \"x\", \"b\": null}", B, LH_INPUT_STRING, "x", 0},
    {"null for a field and its alias", "{\"b_id\": null, \"b\": null}", B, LH_INPUT_NULL, NULL, 0},
    {"null for an alias", "{\"b\": null}", B, LH_INPUT_ABSENT, NULL, 0},
    {"a field and its alias", "{\"b_id\": \"ab\", \"b\": \"AB\"}", B, LH_INPUT_STRING, "ab", 0},
    {"an alias with another value", "{\"b_id\": \"x\", \"b\": \"y\"}", B, LH_INPUT_CONFLICT, "x", 0},
    {"an alias of another type", "{\"b_id\": \"5\", \"b\": 5}", B, LH_INPUT_CONFLICT, "5", 0},
    {"an alias that is no string", "{\"b\": 5}", B, LH_INPUT_INTEGER, NULL, 5},
    {"an integer and its alias", "{\"b_id\": 5, \"b\": 5}", B, LH_INPUT_INTEGER, NULL, 5},
    {"an alias with another integer", "{\"b_id\": 5, \"b\": 6}", B, LH_INPUT_CONFLICT, NULL, 5},
    {"integers that no double can tell apart", "{\"b_id\": 9007199254740993, \"b\": 9007199254740992}", B,
     LH_INPUT_CONFLICT, NULL, 9007199254740993},
    {"an integer and a real number", "{\"b_id\": 5, \"b\": 5.5}", B, LH_INPUT_CONFLICT, NULL, 5},
    {"a real number and its alias", "{\"b_id\": 5.5, \"b\": 5.5}", B, LH_INPUT_NUMBER, "5.5", 0},
    {"an alias with another real number", "{\"b_id\": 5.5, \"b\": 6.5}", B, LH_INPUT_CONFLICT, "5.5", 0},
    {"integers beside a number beyond 64 bits", "{\"b_id\": 5, \"b\": 5, " HUGE "}", B, LH_INPUT_INTEGER, "5", 5},
    {"the integer 0 and false", "{\"b_id\": 0, \"b\": false}", B, LH_INPUT_CONFLICT, NULL, 0},
    {"two booleans", "{\"b_id\": true, \"b\": true}", B, LH_INPUT_CONFLICT, NULL, 1},
    {"the name of another field is no alias", "{\"b\": \"x\"}", A, LH_INPUT_ABSENT, NULL, 0},
    {"a dotted name is not a key", "{\"g.x.y\": 5}", GXY, LH_INPUT_ABSENT, NULL, 0},
};

static void test_values(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        const lh_json_body *body = parse(values[i].text, 0, &why);

        if (ok(body != NULL, "%s: %s", values[i].rule, body ? "the body is valid" : why)) {
            lh_input input = lh_json_body_input(body, values[i].field);
            ok(input.kind == values[i].kind && input.number == values[i].number, "%s: kind %d, number %ld",
               values[i].rule, (int)input.kind, (long)input.number);
            is_str(input.text, values[i].value, values[i].rule);
        }
    }
}

/* ---- errors ---- */

#define NOT_VALID "The body is not valid JSON: "
#define NO_OBJECT "The body must be a JSON object."

static const struct {
    const char *rule, *text, *why; /* a part of the sentence */
    int unwrap_array;
} errors[] = {
    {"an array", "[]", NO_OBJECT, 0},
    {"an array of an object", "[{}]", NO_OBJECT, 0},
    {"an empty array, where one of an object is accepted", "[]", NO_OBJECT, 1},
    {"an array of two objects, where one of one is accepted", "[{}, {}]", NO_OBJECT, 1},
    {"an array of an array, where one of an object is accepted", "[[{}]]", NO_OBJECT, 1},
    {"a truncated body", "{\"a\": 1,\n", NOT_VALID "line 2, column 0: ", 0},
    {"a duplicate key", "{\"a\": 1, \"a\": 2}", NOT_VALID "line 1, column ", 0},
    {"a duplicate key beside a number beyond 64 bits", "{" HUGE ", \"a\": 1, \"a\": 2}", NOT_VALID, 0},
    {"a number beyond double precision", "{\"a\": 1e9999}", NOT_VALID, 0},
    {"a zero character", "{\"a\": \"x\\u0000secret\"}", NOT_VALID, 0},
    {"a word", "{\"a\": secret}", NOT_VALID "line 1, column ", 0},
    {"an invalid body around an object", "{\"o\": {}, secret}", NOT_VALID, 0},
};

static void test_errors(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        const lh_json_body *body = parse(errors[i].text, errors[i].unwrap_array, &why);

        ok(!body && why && strstr(why, errors[i].why), "%s is rejected: %s", errors[i].rule, why ? why : "no error");
        ok(why && !strstr(why, "secret") && !strstr(why, "JSON_") && !strstr(why, " near "),
           "%s: the sentence quotes neither the body nor jansson", errors[i].rule);
    }
    ok(parse("[{\"a\": 1}]", 1, &why) != NULL, "an array of one object is accepted where it is that object");
}

/* ---- objects ---- */

#define DUPLICATE "{\"n\": 1, \"n\": 2}"

static void test_objects(void)
{
    static char zero[] = "{\"o\": {\"n\": \"\0\"}}";
    const char *why;

    is_str(lh_json_body_check_objects(parse("{\"o\": {\"n\": 1}, \"d\": {}}", 0, &why), 1), NULL, "objects are valid");
    why = lh_json_body_check_objects(parse("{\"o\": " DUPLICATE "}", 0, &why), 0);
    ok(why && strstr(why, NOT_VALID "o: "), "an invalid object is reported by its name: %s", why ? why : "no error");
    why = lh_json_body_check_objects(parse("{\"d\": " DUPLICATE "}", 0, &why), 0);
    is_str(why, NULL, "an invalid deferred object is left to its step");
    why = lh_json_body_check_objects(parse("{\"d\": " DUPLICATE "}", 0, &why), 1);
    ok(why && strstr(why, NOT_VALID "d: "), "or reported when there will be no step: %s", why ? why : "no error");
    ok(!lh_json_body_parse(tap_pool, fields, FIELDS, 0, zero, sizeof(zero) - 1, &why),
       "an object with a zero byte is rejected");
}

/* ---- limits ---- */

/* {"x": [item,item,...], "o": ...} */
static const char *with_array(const char *item, int count, const char *o)
{
    char *text = apr_palloc(tap_pool, (apr_size_t)count * (strlen(item) + 1) + strlen(o) + 20), *end = text;
    int i;

    end += sprintf(end, "{\"x\":[");
    for (i = 0; i < count; i++) {
        end += sprintf(end, "%s%s", i ? "," : "", item);
    }
    sprintf(end, "],\"o\":%s}", o);
    return text;
}

static const char *nested(const char *open, const char *close, int depth)
{
    char *text = apr_palloc(tap_pool, 10 + (strlen(open) + strlen(close)) * (apr_size_t)depth);
    int i;

    strcpy(text, "{\"a\":");
    for (i = 1; i < depth; i++) {
        strcat(text, open);
    }
    strcat(text, "1");
    for (i = 1; i < depth; i++) {
        strcat(text, close);
    }
    return strcat(text, "}");
}

/* The body has three values besides those of the array. */
static void test_limits(void)
{
    static const char *const items[] = {"{}", "[]", "1", "\"\"", "\"[,{\\\"[,{\"", "[ ]"};
    int most = LH_JSON_BODY_VALUES - 3;
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(items) / sizeof(items[0]); i++) {
        ok(parse(with_array(items[i], most, "1"), 0, &why) != NULL, "%d times %s is accepted", most, items[i]);
        ok(!parse(with_array(items[i], most + 1, "1"), 0, &why) && strstr(why, "too many values"),
           "one more is rejected: %s", why ? why : "no error");
    }
    ok(!parse(with_array("{\"a\":1}", most / 2 + 1, "1"), 0, &why), "members count");
    ok(parse(with_array("1", most - 1, with_array("1", most, "2")), 0, &why) != NULL,
       "the values of an object that is kept as text do not count");
    ok(parse(nested("{\"b\":", "}", 200), 0, &why) != NULL, "200 levels of objects are accepted");
    ok(parse(nested("[", "]", 200), 0, &why) != NULL, "200 levels of arrays are accepted");
    ok(!parse(nested("{\"b\":", "}", 201), 0, &why) && strstr(why, "nested"), "201 levels of objects are rejected");
    ok(!parse(nested("[", "]", 201), 0, &why) && strstr(why, "nested"), "201 levels of arrays are rejected");
}

static void test_zero_bytes(void)
{
    static const char *const texts[] = {"{\"a\":1#}", "{\"a\":1}#", "{\"a\":1#\n}", "#{}", "{\"o\":{\"n\":1#}}"};
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char *text = apr_pstrdup(tap_pool, texts[i]);

        *strchr(text, '#') = '\0';
        ok(!lh_json_body_parse(tap_pool, fields, FIELDS, 0, text, strlen(texts[i]), &why) && strstr(why, "zero byte"),
           "a zero byte in the place of # is rejected: %s", texts[i]);
    }
}

/* Under the sanitizers, a value that was freed with the document ends the program. */
static void test_free(void)
{
    static char text[] = "{\"a\": \"kept\", \"o\": {\"n\": 1}, \"b_id\": [\"x\"]}";
    const char *why;
    lh_json_body *body = lh_json_body_parse(tap_pool, fields, FIELDS, 0, text, strlen(text), &why);
    lh_input a = lh_json_body_input(body, A), o = lh_json_body_input(body, O), b = lh_json_body_input(body, B);

    lh_json_body_free(body);
    is_str(a.text, "kept", "a string remains when the document is freed");
    is_str(o.text, "{\"n\": 1}", "so does an object");
    is_str(b.text, "[\"x\"]", "and an array");
    is_str(lh_json_body_check_objects(body, 1), NULL, "objects can be validated afterwards");
}

int main(void)
{
    tap_begin();
    test_values();
    test_errors();
    test_objects();
    test_limits();
    test_zero_bytes();
    test_free();
    return tap_end();
}
