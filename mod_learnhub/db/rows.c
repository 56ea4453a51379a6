/* SPDX-License-Identifier: Apache-2.0 */
#include "db/rows.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>

/* OIDs of built-in types; PostgreSQL never changes them. */
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

/* PostgreSQL counts times from 2000-01-01; this is its Unix time. */
#define EPOCH_2000 946684800

typedef struct column_plan {
    const char *before; /* the text before the value: closing braces, keys of new objects, the column's key and colon */
    apr_size_t length;  /* of `before` */
    unsigned type;
    int hidden;
} column_plan;

struct lh_plan {
    column_plan *columns;
    int count;
    int open; /* objects to close after the last column; -1: no column is written */
    lh_time_format times;
};

/* ---- the plan: the text between the values, made once per result ---- */

/* The length of `name` up to and including its last dot: 8 for "creator.id". */
static apr_size_t prefix_length(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot ? (apr_size_t)(dot - name) + 1 : 0;
}

/* The length of the objects' names, with their dots, that two such prefixes have in common. */
static apr_size_t common_length(const char *a, apr_size_t a_length, const char *b, apr_size_t b_length)
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

/* Writes the text before the value of the column `name`; `previous` is the name of the column before it, or "". */
static void plan_column(lh_buffer *out, const char *previous, const char *name)
{
    apr_size_t open = prefix_length(previous);
    apr_size_t common = common_length(previous, open, name, prefix_length(name));
    int closing = count_dots(previous + common, open - common);
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
    for (i = 0, out.length = 0; i < count; i++) { /* now the buffer no longer moves */
        plan->columns[i].before = out.data + out.length;
        out.length += plan->columns[i].length;
    }
    plan->open = *previous ? count_dots(previous, strlen(previous)) : -1;
    return plan;
}

/* ---- binary values: big-endian ---- */

static apr_uint64_t read_unsigned(const char *data, int length)
{
    apr_uint64_t value = 0;
    int i;

    for (i = 0; i < length; i++) {
        value = value << 8 | (unsigned char)data[i];
    }
    return value;
}

static int read_int16(const char *data)
{
    return (apr_int16_t)read_unsigned(data, 2);
}

static apr_int64_t integer(const lh_cell_value *cell)
{
    apr_uint64_t value = read_unsigned(cell->data, cell->length);

    return cell->length == 2 ? (apr_int16_t)value : cell->length == 4 ? (apr_int32_t)value : (apr_int64_t)value;
}

static double floating(const lh_cell_value *cell)
{
    apr_uint64_t bits = read_unsigned(cell->data, cell->length);
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

/* PostgreSQL's infinity is the largest integer. It is returned unchanged; lh_json_time() writes it as null. */
static apr_int64_t unix_micros(const lh_cell_value *cell)
{
    const apr_int64_t offset = EPOCH_2000 * (apr_int64_t)APR_USEC_PER_SEC;
    apr_int64_t micros = integer(cell);

    return micros > APR_INT64_MAX - offset ? APR_INT64_MAX : micros + offset;
}

/* Returns the end of the hex, where it writes a zero byte. */
static char *put_hex(char *out, const char *data, int length)
{
    apr_escape_hex(out, data, (apr_size_t)length, 0, NULL);
    return out + 2 * length;
}

#define UUID_TEXT 36

static void put_uuid(char out[UUID_TEXT + 1], const char *data)
{
    static const unsigned char groups[] = {4, 2, 2, 2, 6};
    int i;

    for (i = 0; i < 5; data += groups[i], i++) {
        out = put_hex(out, data, groups[i]);
        if (i < 4) {
            *out++ = '-';
        }
    }
}

#define HEX_PART 64 /* bytes */

static void write_hex(lh_json *json, const lh_cell_value *cell)
{
    char hex[2 * HEX_PART + 1];
    int i, n;

    lh_json_raw(json, "\"", 1);
    for (i = 0; i < cell->length; i += n) {
        n = cell->length - i < HEX_PART ? cell->length - i : HEX_PART;
        lh_json_raw(json, hex, (apr_size_t)(put_hex(hex, cell->data + i, n) - hex));
    }
    lh_json_raw(json, "\"", 1);
}

/* ---- numeric ---- */

/* Longer numbers are written as null; no value of the schema comes near this length. */
#define NUMERIC_TEXT 160

/*
 * The format: int16 number of digits, weight, sign and scale, then the digits, all int16. Digits are to base 10000; the
 * first is multiplied by 10000 to the power of `weight`. `scale` is the number of decimals after the point. Returns 0
 * for NaN, infinity and numbers that are too long.
 */
static int put_numeric(char out[NUMERIC_TEXT], const lh_cell_value *cell)
{
    int ndigits = read_int16(cell->data), weight = read_int16(cell->data + 2);
    unsigned sign = (unsigned)read_unsigned(cell->data + 4, 2);
    int scale = read_int16(cell->data + 6), last = -((scale + 3) / 4);
    int first = weight > 0 ? weight : 0, group;
    char *point = NULL;

    if (sign >= 0xC000 || 4 * (first - last + 1) + 8 > NUMERIC_TEXT) {
        return 0;
    }
    if (sign) {
        *out++ = '-';
    }
    for (group = first; group >= last; group--) {
        int i = weight - group, digit = i >= 0 && i < ndigits ? read_int16(cell->data + 8 + 2 * i) : 0;

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
        lh_json_raw(json, ",", 1); /* after the members of the caller */
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
