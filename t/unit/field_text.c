/* SPDX-License-Identifier: Apache-2.0 */
/* Fields in words. */
#include "pages/field_text.h"

#include "tap.h"

int main(void)
{
    static const struct {
        lh_field field;
        const char *input, *output;
    } cases[] = {
        {{.type = LH_STRING, .flags = LH_REQUIRED, .min = 1, .max = 150},
         "string, required, 1 to 150 characters",
         "string"},
        {{.type = LH_STRING, .max = 9}, "string, at most 9 characters", "string"},
        {{.type = LH_STRING, .min = 1}, "string, at least 1 characters", "string"},
        {{.type = LH_STRING}, "string", "string"},
        {{.type = LH_STRING, .flags = LH_NULL, .enum_values = "a b-c"},
         "string, one of a, b-c, or null",
         "string, one of a, b-c or null"},
        {{.type = LH_INTEGER, .min = 1, .max = APR_INT64_MAX}, "integer, at least 1", "integer"},
        {{.type = LH_INTEGER, .min = -5, .max = 5, .default_value = "0"}, "integer, -5 to 5, default 0", "integer"},
        {{.type = LH_NUMBER}, "number with at most two decimals, 0 to 0", "number with at most two decimals"},
        {{.type = LH_STRINGS, .max = 20}, "array of strings, at most 20 entries", "array of strings"},
        {{.type = LH_TIME, .flags = LH_FUTURE}, "time (ISO 8601), in the future", "time (ISO 8601)"},
        {{.type = LH_INTEGER, .enum_values = "all"}, "integer, or one of all", "integer, one of all"},
        {{.type = LH_UUID, .flags = LH_NULL}, "UUID, or null", "UUID or null"},
    };
    apr_size_t i;

    tap_begin();
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        is_str(lh_field_text_input(tap_pool, &cases[i].field), cases[i].input, cases[i].input);
        is_str(lh_field_text_output(tap_pool, &cases[i].field), cases[i].output, cases[i].output);
    }
    return tap_end();
}
