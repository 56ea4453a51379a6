/* SPDX-License-Identifier: Apache-2.0 */
#include "http/call.h"

#include <apr_strings.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "db/result.h"
#include "db/rows.h"
#include "http/route.h"
#include "util/json.h"

/* ---- parameters ---- */

/* The slot of a body field, or -1. Slots of LH_SECRET fields have no name, so this searches the fields. */
static int body_slot(const lh_compiled_route *route, const char *name)
{
    int i;

    for (i = 0; i < route->body_count; i++) {
        if (!strcmp(route->def->body[i].name, name)) {
            return route->body_slot + i;
        }
    }
    return -1;
}

static int slot_of(const lh_compiled_route *route, const char *name)
{
    int slot = body_slot(route, name), i;

    for (i = 0; slot < 0 && i < route->slots.count; i++) {
        slot = strcmp(route->slots.names[i], name) ? -1 : i;
    }
    return slot;
}

const char *lh_param(const lh_call *call, const char *name)
{
    int slot = slot_of(call->route, name);

    return slot < 0 ? NULL : call->values[slot];
}

void lh_bind(lh_call *call, const char *name, const char *value)
{
    int slot = slot_of(call->route, name);

    if (slot < 0) {
        ap_log_rerror(APLOG_MARK, APLOG_ERR, 0, call->r, LH_LOG(0001) "route %s: no step declares the parameter :%s",
                      call->route->def->name, name);
        return;
    }
    call->values[slot] = value;
}

void lh_call_set_builtin(lh_call *call, int builtin, const char *value)
{
    call->values[call->route->builtin_slot + builtin] = value;
}

int lh_call_unpaged(const lh_call *call)
{
    return (call->route->def->flags & LH_UNPAGED) && !call->page_sent;
}

/* ---- rows ---- */

int lh_row_count(const lh_call *call)
{
    return call->last ? lh_result_rows(call->last) : 0;
}

const char *lh_call_cell(const lh_call *call, const lh_result *result, int row, int column)
{
    lh_cell_value cell;

    cell.data = lh_result_cell(result, row, column, &cell.length);
    return lh_rows_text(call->r->pool, lh_result_type(result, column), &cell);
}

const char *lh_cell(const lh_call *call, const char *column)
{
    int index = lh_row_count(call) ? lh_result_find(call->last, column) : -1;

    return index < 0 ? NULL : lh_call_cell(call, call->last, 0, index);
}

/* ---- the response ---- */

void lh_reply_json(lh_call *call, const char *key, const char *value)
{
    lh_member *member = apr_pcalloc(call->r->pool, sizeof(*member));

    member->key = key;
    member->json = value;
    member->length = strlen(value);
    call->members_size += member->length;
    if (call->last_member) {
        call->last_member->next = member;
    }
    else {
        call->members = member;
    }
    call->last_member = member;
}

void lh_reply_string(lh_call *call, const char *key, const char *value)
{
    lh_json json;

    lh_json_init(&json, call->r->pool, 64);
    lh_json_text(&json, value);
    lh_reply_json(call, key, lh_json_result(&json));
}

void lh_reply_int(lh_call *call, const char *key, apr_int64_t value)
{
    lh_reply_json(call, key, apr_psprintf(call->r->pool, "%" APR_INT64_T_FMT, value));
}

void lh_reply_document(lh_call *call, const lh_document *document)
{
    call->document = document;
}

void lh_reply_status(lh_call *call, int status)
{
    call->status = status;
}

void lh_reply_complete(lh_call *call)
{
    call->complete = 1;
}
