/* SPDX-License-Identifier: Apache-2.0 */
#include "http/envelope.h"

#include <apr_strings.h>
#include <string.h>

#include "db/result.h"
#include "db/rows.h"
#include "http/route.h"
#include "util/buffer.h"
#include "util/json.h"

/* ---- rows ---- */

/* The members that steps have added. */
static void write_added_members(lh_json *json, const lh_call *call)
{
    const lh_member *member;

    for (member = call->members; member; member = member->next) {
        lh_json_key(json, member->key);
        lh_json_verbatim(json, member->json, member->length);
    }
}

static void write_row_members(lh_json *json, const lh_call *call, lh_envelope_rows *rows, const lh_result *result,
                              int row)
{
    int count = lh_result_columns(result), i;

    if (!rows->plan) {
        lh_column *columns = apr_palloc(call->r->pool, sizeof(*columns) * (apr_size_t)(count + 1));
        for (i = 0; i < count; i++) {
            columns[i].name = lh_result_name(result, i);
            columns[i].type = lh_result_type(result, i);
        }
        rows->plan = lh_rows_plan(call->r->pool, columns, count, call->group->time_format);
        rows->cells = apr_palloc(call->r->pool, sizeof(*rows->cells) * (apr_size_t)(count + 1));
    }
    for (i = 0; i < count; i++) {
        rows->cells[i].data = lh_result_cell(result, row, i, &rows->cells[i].length);
    }
    lh_rows_members(json, rows->plan, rows->cells);
}

void lh_envelope_row(lh_json *json, const lh_call *call, lh_envelope_rows *rows, const lh_result *result, int row)
{
    lh_json_open(json, '{');
    write_row_members(json, call, rows, result, row);
    lh_json_close(json, '}');
}

static void write_one(lh_json *json, const lh_call *call)
{
    lh_envelope_rows rows = {NULL, NULL};

    lh_json_open(json, '{');
    write_added_members(json, call);
    if (lh_row_count(call)) {
        write_row_members(json, call, &rows, call->last, 0);
    }
    lh_json_close(json, '}');
}

static void write_all(lh_json *json, const lh_call *call)
{
    lh_envelope_rows rows = {NULL, NULL};
    int row;

    lh_json_open(json, '[');
    for (row = 0; row < lh_row_count(call); row++) {
        lh_envelope_row(json, call, &rows, call->last, row);
    }
    lh_json_close(json, ']');
}

/* ---- envelopes ---- */

/* The route's count(*). */
static apr_int64_t total(const lh_call *call)
{
    return apr_atoi64(lh_call_cell(call, call->count, 0, 0));
}

/* The URL of another page of this list, with the other query parameters as they were sent. */
static const char *page_url(const lh_call *call, apr_int64_t page)
{
    request_rec *r = call->r;
    const char *base = call->values[call->route->builtin_slot + LH_BUILTIN_BASE], *separator = "?";
    const char *path = ap_escape_uri(r->pool, call->path), *args = r->args ? r->args : "";
    lh_buffer url;

    lh_buffer_init(&url, r->pool, strlen(base) + strlen(path) + strlen(args) + 32);
    lh_buffer_append(&url, base, strlen(base));
    lh_buffer_append(&url, path, strlen(path));
    for (; *args; args += *args == '&') {
        apr_size_t length = strcspn(args, "&");
        if (length && strncmp(args, "page=", 5)) {
            lh_buffer_append(&url, separator, 1);
            lh_buffer_append(&url, args, length);
            separator = "&";
        }
        args += length;
    }
    if (page > 1 || (call->route->def->flags & LH_UNPAGED)) { /* without `page` an LH_UNPAGED list is not paged */
        const char *number = apr_psprintf(r->pool, "%spage=%" APR_INT64_T_FMT, separator, page);
        lh_buffer_append(&url, number, strlen(number));
    }
    return lh_buffer_text(&url);
}

static void write_page(lh_json *json, const lh_call *call)
{
    apr_int64_t count = total(call), page = apr_atoi64(lh_param(call, "page"));
    apr_int64_t size = apr_atoi64(lh_param(call, "page_size"));

    lh_json_open(json, '{');
    lh_json_key(json, "count");
    lh_json_int(json, count);
    lh_json_key(json, "next");
    lh_json_text(json, page * size < count ? page_url(call, page + 1) : NULL);
    lh_json_key(json, "previous");
    lh_json_text(json, page > 1 ? page_url(call, page - 1) : NULL);
    lh_json_key(json, "results");
    write_all(json, call);
    lh_json_close(json, '}');
}

static void write_skip_limit(lh_json *json, const lh_call *call)
{
    lh_json_open(json, '{');
    lh_json_key(json, "total");
    lh_json_int(json, total(call));
    write_added_members(json, call);
    lh_json_key(json, "skip");
    lh_json_int(json, apr_atoi64(lh_param(call, "skip")));
    lh_json_key(json, "limit");
    lh_json_int(json, apr_atoi64(lh_param(call, "limit")));
    lh_json_key(json, call->route->def->key);
    write_all(json, call);
    lh_json_close(json, '}');
}

static void write_response(lh_json *json, const lh_call *call)
{
    switch (call->route->def->shape) {
    case LH_ALL: write_all(json, call); break;
    case LH_PAGE: write_page(json, call); break;
    case LH_SKIP_LIMIT: write_skip_limit(json, call); break;
    case LH_ONE_OR_NULL:
        if (!lh_row_count(call)) {
            lh_json_null(json);
            break;
        }
        write_one(json, call);
        break;
    default: write_one(json, call);
    }
}

/* The key that contains the response, as in {"message": ..., key: response} or {key: [...]}; NULL: no such object. */
static const char *outer_key(const lh_call *call)
{
    const lh_route *def = call->route->def;

    if (def->shape == LH_PAGE) {
        return lh_call_unpaged(call) ? "results" : NULL;
    }
    return def->message || def->shape == LH_ALL ? def->key : NULL;
}

void lh_envelope_open(lh_json *json, const lh_call *call)
{
    const char *key = outer_key(call);

    if (call->group->error_format == LH_ERRORS_ENVELOPE) {
        lh_json_open(json, '{');
        lh_json_key(json, "success");
        lh_json_bool(json, 1);
        lh_json_key(json, "data");
    }
    if (key) {
        lh_json_open(json, '{');
        if (call->route->def->message) {
            lh_json_key(json, "message");
            lh_json_text(json, call->route->def->message);
        }
        lh_json_key(json, key);
    }
}

void lh_envelope_close(lh_json *json, const lh_call *call)
{
    if (outer_key(call)) {
        lh_json_close(json, '}');
    }
    if (call->group->error_format == LH_ERRORS_ENVELOPE) {
        lh_json_close(json, '}');
    }
}

void lh_envelope_write(lh_json *json, const lh_call *call)
{
    lh_envelope_open(json, call);
    write_response(json, call);
    lh_envelope_close(json, call);
}
