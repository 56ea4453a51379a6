/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as JSON: nested objects, hidden columns, and each type in PostgreSQL's binary format. */
#include "db/rows.h"

#include <apr_strings.h>

#include "tap.h"

#define CELL(bytes)                                                                                                    \
    {                                                                                                                  \
        bytes, sizeof(bytes) - 1                                                                                       \
    }

static const char *object(const lh_column *columns, const lh_cell_value *cells, int count, lh_time_format times)
{
    lh_json json;

    lh_json_init(&json, tap_pool, 8);
    lh_json_open(&json, '{');
    lh_rows_members(&json, lh_rows_plan(tap_pool, columns, count, times), cells);
    lh_json_close(&json, '}');
    return lh_json_result(&json);
}

static const struct {
    unsigned type;
    lh_cell_value cell;
    const char *json, *text;
} types[] = {
    {16, CELL("\1"), "true", "true"},
    {16, CELL("\0"), "false", "false"},
    {21, CELL("\xff\xfe"), "-2", "-2"},
    {23, CELL("\x80\0\0\0"), "-2147483648", "-2147483648"},
    {20, CELL("\x7f\xff\xff\xff\xff\xff\xff\xff"), "9223372036854775807", "9223372036854775807"},
    {701, CELL("\x3f\xf8\0\0\0\0\0\0"), "1.5", "1.5"},
    {700, CELL("\xbe\x80\0\0"), "-0.25", "-0.25"},
    {701, CELL("\x7f\xf8\0\0\0\0\0\0"), "null", "null"},
    {114, CELL("{\"a\": [1]}"), "{\"a\": [1]}", "{\"a\": [1]}"},
    {3802, CELL("\1[1.50]"), "[1.50]", "[1.50]"},
    {17, CELL("\x00\xaf\x10"), "\"00af10\"", "00af10"},
    {2950, CELL("\x2f\x1e\x4d\x5c\0\0\x4a\xaa\x8b\xbb\xff\xff\xff\xff\xff\xff"),
     "\"2f1e4d5c-0000-4aaa-8bbb-ffffffffffff\"", "2f1e4d5c-0000-4aaa-8bbb-ffffffffffff"},
    {25, CELL("a\"b"), "\"a\\\"b\"", "a\"b"},
    {99999, CELL("an enum"), "\"an enum\"", "an enum"},
    {1184, CELL("\0\0\0\0\0\0\0\0"), "\"2000-01-01T00:00:00Z\"", "2000-01-01T00:00:00Z"},
    {1184, CELL("\0\0\0\0\0\0\0\1"), "\"2000-01-01T00:00:00.000001Z\"", "2000-01-01T00:00:00.000001Z"},
    {1184, CELL("\x7f\xff\xff\xff\xff\xff\xff\xff"), "null", "null"},
    {1184, CELL("\x80\0\0\0\0\0\0\0"), "null", "null"},
    /* numeric: number of digits, weight, sign, scale, digits to base 10000 */
    {1700, CELL("\0\0\0\0\0\0\0\0"), "0", "0"},
    {1700, CELL("\0\0\0\0\0\0\0\2"), "0.00", "0.00"},
    {1700, CELL("\0\1\0\0\0\0\0\0\0\x2a"), "42", "42"},
    {1700, CELL("\0\2\0\0\0\0\0\2\0\x0c\x0d\x48"), "12.34", "12.34"},
    {1700, CELL("\0\1\xff\xff\x40\0\0\3\x13\x88"), "-0.500", "-0.500"},
    {1700, CELL("\0\1\xff\xff\0\0\0\4\0\5"), "0.0005", "0.0005"},
    {1700, CELL("\0\1\xff\xfe\0\0\0\6\x03\xe8"), "0.000010", "0.000010"},
    {1700, CELL("\0\2\0\1\0\0\0\0\0\1\0\2"), "10002", "10002"},
    {1700, CELL("\0\1\0\2\0\0\0\0\0\1"), "100000000", "100000000"},
    {1700, CELL("\0\0\0\0\xc0\0\0\0"), "null", "null"},
};

static void test_types(void)
{
    static const lh_cell_value none = {NULL, 0};
    apr_size_t i;

    for (i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        lh_column column = {"k", types[i].type};
        const char *name = apr_psprintf(tap_pool, "type %u, %s", types[i].type, types[i].text);

        is_str(object(&column, &types[i].cell, 1, LH_MICROS_Z),
               apr_pstrcat(tap_pool, "{\"k\":", types[i].json, "}", NULL), apr_pstrcat(tap_pool, name, ": JSON", NULL));
        is_str(lh_rows_text(tap_pool, types[i].type, &types[i].cell), types[i].text,
               apr_pstrcat(tap_pool, name, ": text", NULL));
        is_str(object(&column, &none, 1, LH_MICROS_Z), "{\"k\":null}",
               apr_psprintf(tap_pool, "type %u: NULL is null", types[i].type));
    }
    is_str(lh_rows_text(tap_pool, 25, &none), NULL, "the text of NULL is NULL");
}

static void test_time_formats(void)
{
    static const char *const expected[] = {"2000-01-01T00:00:00Z", "2000-01-01T00:00:00", "2000-01-01T00:00:00.123Z",
                                           "2000-01-01T00:00:00.123456Z"};
    static const lh_cell_value cell = CELL("\0\0\0\0\0\1\xe2\x40");
    const lh_column column = {"k", 1184};
    int i;

    for (i = 0; i < 4; i++) {
        is_str(object(&column, &cell, 1, (lh_time_format)i), apr_psprintf(tap_pool, "{\"k\":\"%s\"}", expected[i]),
               apr_psprintf(tap_pool, "time format %d: %s", i, expected[i]));
    }
}

static void test_nesting(void)
{
    static const lh_cell_value one = CELL("\0\1");
    static const struct {
        const char *names, *json;
    } cases[] = {
        {"a", "{\"a\":1}"},
        {"a b", "{\"a\":1,\"b\":1}"},
        {"a.b", "{\"a\":{\"b\":1}}"},
        {"a.b a.c d", "{\"a\":{\"b\":1,\"c\":1},\"d\":1}"},
        {"a.b c.b", "{\"a\":{\"b\":1},\"c\":{\"b\":1}}"},
        {"x a.b.c a.b.d a.e y", "{\"x\":1,\"a\":{\"b\":{\"c\":1,\"d\":1},\"e\":1},\"y\":1}"},
        {"ab.c abc.d", "{\"ab\":{\"c\":1},\"abc\":{\"d\":1}}"},
        {"! _id a _b", "{\"a\":1}"},
        {"_id", "{}"},
        {"!", "{}"},
        {"", "{}"},
    };
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lh_column columns[8];
        lh_cell_value cells[8];
        char *names = apr_pstrdup(tap_pool, cases[i].names), *state, *name;
        int count = 0;

        for (name = apr_strtok(names, " ", &state); name; name = apr_strtok(NULL, " ", &state)) {
            columns[count].name = name;
            columns[count].type = 21;
            cells[count++] = one;
        }
        is_str(object(columns, cells, count, LH_SECONDS), cases[i].json,
               apr_psprintf(tap_pool, "columns \"%s\"", cases[i].names));
    }
}

/* Members that the caller writes before those of the row. */
static void test_members_before(void)
{
    const lh_column column = {"a", 21};
    const lh_cell_value one = CELL("\0\1");
    lh_json json;

    lh_json_init(&json, tap_pool, 8);
    lh_json_open(&json, '{');
    lh_json_key(&json, "before");
    lh_json_int(&json, 0);
    lh_rows_members(&json, lh_rows_plan(tap_pool, &column, 1, LH_SECONDS), &one);
    lh_json_close(&json, '}');
    is_str(lh_json_result(&json), "{\"before\":0,\"a\":1}", "a comma separates the row from the members before it");
}

/* Long values are written in parts. */
static void test_long_bytes(void)
{
    const lh_column column = {"a", 17};
    static const int lengths[] = {0, 63, 64, 65, 128, 130};
    lh_cell_value cell;
    unsigned i;
    int j;

    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        char *bytes = malloc((apr_size_t)lengths[i] + 1), *hex = apr_pcalloc(tap_pool, 2 * 130 + 1);

        for (j = 0; j < lengths[i]; j++) {
            bytes[j] = (char)j;
            sprintf(hex + 2 * j, "%02x", j);
        }
        cell.data = bytes;
        cell.length = lengths[i];
        is_str(object(&column, &cell, 1, LH_SECONDS), apr_psprintf(tap_pool, "{\"a\":\"%s\"}", hex),
               apr_psprintf(tap_pool, "%d bytes", lengths[i]));
        free(bytes);
    }
}

int main(void)
{
    tap_begin();
    test_types();
    test_time_formats();
    test_nesting();
    test_members_before();
    test_long_bytes();
    return tap_end();
}
