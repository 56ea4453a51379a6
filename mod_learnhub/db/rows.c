/* SPDX-License-Identifier: Apache-2.0 */
#include "db/rows.h"

#include <apr_strings.h>
#include <string.h>

/* OIDs of pg_type.dat; they never change. */
enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT2 = 21,
    OID_INT4 = 23,
    OID_JSON = 114,
    OID_FLOAT4 = 700,
    OID_FLOAT8 = 701,
    OID_TIMESTAMPTZ = 1184,
    OID_NUMERIC = 1700,
    OID_UUID = 2950,
    OID_JSONB = 3802
};

/* Seconds from 1970 to 2000, where PostgreSQL's clock begins. */
#define EPOCH_2000 946684800

typedef struct column_plan {
    const char *before; /* closing braces, opening keys, this column's key and its colon */
    apr_size_t length;
    unsigned type;
    int hidden;
} column_plan;

struct lh_plan {
    column_plan *columns;
    int count;
    int open; /* braces that are open after the last column; -1: nothing is written at all */
    lh_time_format times;
};

/* ---- the plan: the punctuation between values, made once per result ---- */

/* How many characters of `name` its enclosing objects take, dots included: 8 for "creator.id". */
static apr_size_t nest_length(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? (apr_size_t)(dot - name) + 1 : 0;
}

/* The length of the common objects of two nests: both end with a dot or are empty. */
static apr_size_t common_nest(const char *a, apr_size_t a_length, const char *b, apr_size_t b_length)
{
    apr_size_t i, common = 0;

    for (i = 0; i < a_length && i < b_length && a[i] == b[i]; i++) {
        if (a[i] == '.') {
            common = i + 1;
        }
    }
    return common;
}

static int count_dots(const char *s, apr_size_t length)
{
    int n = 0;

    while (length-- > 0) {
        n += s[length] == '.';
    }
    return n;
}

static void plan_column(lh_buffer *out, const char *previous, const char *name)
{
    apr_size_t nest = nest_length(name), old = nest_length(previous), common = common_nest(previous, old, name, nest);
    int closing = count_dots(previous + common, old - common);
    const char *part = name + common, *dot;

    while (closing-- > 0) {
        lh_buffer_append(out, "}", 1);
    }
    if (*previous) {
        lh_buffer_append(out, ",", 1);
    }
    for (; (dot = strchr(part, '.')); part = dot + 1) {
        lh_buffer_append(out, "\"", 1);
        lh_buffer_append(out, part, (apr_size_t)(dot - part));
        lh_buffer_append(out, "\":{", 3);
    }
    lh_buffer_append(out, "\"", 1);
    lh_buffer_append(out, part, strlen(part));
    lh_buffer_append(out, "\":", 2);
}

lh_plan *lh_rows_plan(apr_pool_t *p, const lh_column *columns, int count, lh_time_format times)
{
    lh_plan *plan = apr_palloc(p, sizeof(*plan));
    const char *previous = "";
    lh_buffer out;
    int i;

    plan->columns = apr_palloc(p, sizeof(*plan->columns) * (apr_size_t)(count ? count : 1));
    plan->count = count;
    plan->times = times;
    lh_buffer_init(&out, p, 512);
    for (i = 0; i < count; i++) {
        column_plan *column = &plan->columns[i];
        apr_size_t start = out.length;

        column->type = columns[i].type;
        column->hidden = columns[i].name[0] == '_' || columns[i].name[0] == '!';
        if (!column->hidden) {
            plan_column(&out, previous, columns[i].name);
            previous = columns[i].name;
        }
        column->length = out.length - start;
    }
    for (i = 0, out.length = 0; i < count; i++) { /* the buffer has stopped moving */
        plan->columns[i].before = out.data + out.length;
        out.length += plan->columns[i].length;
    }
    plan->open = *previous ? count_dots(previous, strlen(previous)) : -1;
    return plan;
}

/* ---- binary values ---- */

static apr_uint64_t big_endian(const char *data, int length)
{
    apr_uint64_t value = 0;
    int i;

    for (i = 0; i < length; i++) {
        value = value << 8 | (unsigned char)data[i];
    }
    return value;
}

static apr_int64_t integer(const lh_cell_value *cell)
{
    apr_uint64_t value = big_endian(cell->data, cell->length);

    return cell->length == 2 ? (apr_int16_t)value : cell->length == 4 ? (apr_int32_t)value : (apr_int64_t)value;
}

static double floating(const lh_cell_value *cell)
{
    apr_uint64_t bits = big_endian(cell->data, cell->length);
    apr_uint32_t bits32 = (apr_uint32_t)bits;
    double value;
    float value32;

    if (cell->length == 4) {
        memcpy(&value32, &bits32, sizeof(value32));
        return value32;
    }
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* PostgreSQL's infinity is the largest integer, and stays it: no time can be written of it. */
static apr_int64_t unix_micros(const lh_cell_value *cell)
{
    const apr_int64_t offset = EPOCH_2000 * (apr_int64_t)APR_USEC_PER_SEC;
    apr_int64_t micros = integer(cell);

    return micros > APR_INT64_MAX - offset ? APR_INT64_MAX : micros + offset;
}

/* Two digits a byte, no zero byte at the end. */
static char *put_hex(char *out, const char *data, int length)
{
    static const char digits[] = "0123456789abcdef";
    int i;

    for (i = 0; i < length; i++) {
        *out++ = digits[(unsigned char)data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    return out;
}

#define UUID_TEXT 36

static void put_uuid(char out[UUID_TEXT + 1], const char *data)
{
    static const unsigned char groups[] = {4, 2, 2, 2, 6};
    int i;

    for (i = 0; i < 5; data += groups[i], i++) {
        out = put_hex(out, data, groups[i]);
        *out++ = i < 4 ? '-' : '\0';
    }
}

static void write_hex(lh_json *json, const lh_cell_value *cell)
{
    char part[128];
    int i, n;

    lh_json_raw(json, "\"", 1);
    for (i = 0; i < cell->length; i += n) {
        n = cell->length - i < 64 ? cell->length - i : 64;
        lh_json_raw(json, part, (apr_size_t)(put_hex(part, cell->data + i, n) - part));
    }
    lh_json_raw(json, "\"", 1);
}

/* ---- numeric: a sign, and groups of four decimals from `weight` on, `scale` decimals behind the point ---- */

/* Ours to show in full: no sum or score of this schema comes near it; longer ones are null. */
#define NUMERIC_TEXT 160

static int put_numeric(char out[NUMERIC_TEXT], const lh_cell_value *cell)
{
    int ndigits = (apr_int16_t)big_endian(cell->data, 2), weight = (apr_int16_t)big_endian(cell->data + 2, 2);
    unsigned sign = (unsigned)big_endian(cell->data + 4, 2);
    int scale = (apr_int16_t)big_endian(cell->data + 6, 2), last = -((scale + 3) / 4);
    int first = weight > 0 ? weight : 0, group;
    char *point = NULL;

    if (sign >= 0xC000 || 4 * (first - last + 1) + 8 > NUMERIC_TEXT) { /* NaN, infinite, too long */
        return 0;
    }
    if (sign) {
        *out++ = '-';
    }
    for (group = first; group >= last; group--) {
        int i = weight - group, digit = i >= 0 && i < ndigits ? (int)big_endian(cell->data + 8 + 2 * i, 2) : 0;

        if (group == -1) {
            point = out;
            *out++ = '.';
        }
        out += apr_snprintf(out, 6, group == first ? "%d" : "%04d", digit);
    }
    *(point ? point + 1 + scale : out) = '\0';
    return 1;
}

static void write_numeric(lh_json *json, const lh_cell_value *cell)
{
    char text[NUMERIC_TEXT];

    if (put_numeric(text, cell)) {
        lh_json_verbatim(json, text, strlen(text));
    }
    else {
        lh_json_null(json);
    }
}

static void write_cell(lh_json *json, unsigned type, lh_time_format times, const lh_cell_value *cell)
{
    char text[UUID_TEXT + 1];

    switch (type) {
    case OID_BOOL: lh_json_bool(json, cell->data[0]); break;
    case OID_INT2:
    case OID_INT4:
    case OID_INT8: lh_json_int(json, integer(cell)); break;
    case OID_FLOAT4:
    case OID_FLOAT8: lh_json_number(json, floating(cell)); break;
    case OID_NUMERIC: write_numeric(json, cell); break;
    case OID_JSON: lh_json_verbatim(json, cell->data, (apr_size_t)cell->length); break;
    case OID_JSONB: lh_json_verbatim(json, cell->data + 1, (apr_size_t)cell->length - 1); break;
    case OID_TIMESTAMPTZ: lh_json_time(json, unix_micros(cell), times); break;
    case OID_UUID:
        put_uuid(text, cell->data);
        lh_json_string(json, text, UUID_TEXT);
        break;
    case OID_BYTEA: write_hex(json, cell); break;
    default: lh_json_string(json, cell->data, (apr_size_t)cell->length);
    }
}

void lh_rows_members(lh_json *json, const lh_plan *plan, const lh_cell_value *cells)
{
    int i;

    if (json->last != '{' && plan->open >= 0) {
        lh_json_raw(json, ",", 1); /* behind the caller's members */
    }
    for (i = 0; i < plan->count; i++) {
        const column_plan *column = &plan->columns[i];

        if (column->hidden) {
            continue;
        }
        lh_json_raw(json, column->before, column->length);
        if (cells[i].data) {
            write_cell(json, column->type, plan->times, &cells[i]);
        }
        else {
            lh_json_null(json);
        }
    }
    for (i = 0; i < plan->open; i++) {
        lh_json_raw(json, "}", 1);
    }
}

const char *lh_rows_text(apr_pool_t *p, unsigned type, const lh_cell_value *cell)
{
    lh_json out;

    if (!cell->data) {
        return NULL;
    }
    switch (type) {
    case OID_BOOL: return cell->data[0] ? "true" : "false";
    case OID_JSONB: return apr_pstrmemdup(p, cell->data + 1, (apr_size_t)cell->length - 1);
    case OID_BYTEA:
    case OID_UUID:
    case OID_NUMERIC:
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_FLOAT4:
    case OID_FLOAT8:
    case OID_TIMESTAMPTZ:
        lh_json_init(&out, p, 64);
        write_cell(&out, type, LH_MICROS_Z, cell);
        return out.out.data[0] == '"' ? apr_pstrmemdup(p, out.out.data + 1, out.out.length - 2) : lh_json_result(&out);
    default: return apr_pstrmemdup(p, cell->data, (apr_size_t)cell->length);
    }
}
