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

int main(void)
{
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++) {
        lh_input input = lh_form_input(lh_form_parse(tap_pool, inputs[i].text), inputs[i].name);

        is_str(input.text, inputs[i].value, inputs[i].rule);
        is_int(input.kind, inputs[i].value ? LH_INPUT_STRING : LH_INPUT_ABSENT, "its kind is string, or absent");
    }
    for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        ok(!lh_form_parse(tap_pool, invalid[i]), "invalid percent-escapes and UTF-8 are rejected: form %d", (int)i);
    }
    return tap_end();
}
