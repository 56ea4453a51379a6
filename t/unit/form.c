/* SPDX-License-Identifier: Apache-2.0 */
/* Forms and queries: pairs are decoded, the last one of a name counts, empty values count as absent. */
#include "http/form.h"

#include "tap.h"

static const struct {
    const char *text, *name, *value; /* value NULL: absent */
    const char *rule;
} inputs[] = {
    {"", "a", NULL, "an empty form has no values"},
    {"a=1", "a", "1", "the value of a name"},
    {"a=1&b=2&c=3", "b", "2", "a value ends at the next pair"},
    {"a=1&b=2&c=3", "c", "3", "the last pair"},
    {"a=1&b=2&a=3", "a", "3", "the last value of a repeated name counts"},
    {"a=1&a=", "a", NULL, "also if the last value is empty"},
    {"a=&b", "a", NULL, "an empty value counts as absent"},
    {"a=&b", "b", NULL, "a name without = counts as absent"},
    {"&&a=1&", "a", "1", "empty pairs are ignored"},
    {"=1&a=2", "a", "2", "a pair without a name is ignored"},
    {"a=b=c", "a", "b=c", "a value may contain ="},
    {"a=x+y%20z%26%3D", "a", "x y z&=", "plus signs and percent-escapes in a value are decoded"},
    {"%61+b=1", "a b", "1", "plus signs and percent-escapes in a name are decoded"},
    {"aa=1", "a", NULL, "a longer name is another name"},
    {"a=1", "aa", NULL, "a shorter name is another name"},
    {"A=1", "a", NULL, "names are case-sensitive"},
};

static const char *const invalid[] = {"a=%",   "a=%4",  "a=1&b=%zz", "%zz=1",      "a=%ff",
                                      "%ff=1", "a=%00", "a%00=1",    "a=\xFF&b=1", "a=%ED%A0%80"};

/* A text of `count` times a pair, and its pairs. */
static const char *parse_many(const char *pair, int count, int *pairs)
{
    apr_array_header_t *parsed = NULL;
    apr_size_t length = strlen(pair);
    char *text = apr_palloc(tap_pool, length * (apr_size_t)count + 1), *end = text;
    const char *why;

    for (; count > 0; count--, end += length) {
        memcpy(end, pair, length);
    }
    *end = '\0';
    why = lh_form_parse(tap_pool, text, &parsed);
    *pairs = parsed ? parsed->nelts : -1;
    return why;
}

static void test_count(void)
{
    int pairs;

    is_str(parse_many("&a=1", 1000, &pairs), NULL, "1,000 pairs are accepted");
    is_int(pairs, 1000, "all of them");
    is_str(parse_many("&a=1", 1001, &pairs), "has more than 1000 values.", "1,001 pairs are rejected");
    is_str(parse_many("a&", 1001, &pairs), "has more than 1000 values.", "also without a value");
    is_str(parse_many("&", 1048576, &pairs), NULL, "empty pairs do not count");
    is_int(pairs, 0, "and take no memory");
}

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        apr_array_header_t *pairs = NULL;
        lh_input input;

        lh_form_parse(tap_pool, inputs[i].text, &pairs);
        input = lh_form_input(pairs, inputs[i].name);
        is_str(input.text, inputs[i].value, inputs[i].rule);
        is_int(input.kind, inputs[i].value ? LH_INPUT_STRING : LH_INPUT_ABSENT, "its kind is string, or absent");
    }
    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        apr_array_header_t *pairs;

        is_str(lh_form_parse(tap_pool, invalid[i], &pairs), "has an invalid percent-escape or is not UTF-8.",
               "invalid percent-escapes and UTF-8 are rejected");
    }
    test_count();
    return tap_end();
}
