/* SPDX-License-Identifier: Apache-2.0 */
#include "http/error.h"

#include <apr_strings.h>
#include <string.h>

#include "util/json.h"

static const struct {
    int status;
    int retry_after;
    const char *text;
} statuses[] = {{400, 0, "The request is malformed."},
                {401, 0, "Authentication credentials were not provided."},
                {403, 0, "You do not have permission to do this."},
                {404, 0, "Not found."},
                {405, 0, "This method is not allowed here."},
                {408, 0, "The request took too long to arrive."},
                {410, 0, "This no longer exists."},
                {411, 0, "The request needs a Content-Length."},
                {412, 0, "The resource has changed since you read it."},
                {413, 0, "The request body is too large."},
                {414, 0, "The request URI is too long."},
                {415, 0, "The media type of the body is not supported here."},
                {416, 0, "The requested range is outside of the content."},
                {417, 0, "The expectation cannot be met."},
                {429, 60, "Too many attempts. Try again later."},
                {500, 0, "Something went wrong on the server."},
                {503, 1, "The service is busy or its database cannot be reached. Try again shortly."}};

/* The first entry whose prefix matches is used, so longer prefixes precede shorter ones. */
static const struct {
    const char *prefix;
    int status;
    const char *text; /* NULL: the sentence of `statuses` */
} sqlstates[] = {{"23505", 409, "This conflicts with an existing entry."},
                 {"23P01", 409, "This conflicts with an existing entry."},
                 {"23503", 400, "This refers to an entry that does not exist."},
                 {"23", 400, "The request violates a data constraint."},
                 {"22", 400, "A value is invalid or out of range."},
                 {"40", 503, "This conflicts with a concurrent change. Try again."},
                 {"55P03", 503, "This conflicts with a concurrent change. Try again."},
                 {"57014", 503, "The database took too long. Try again shortly."},
                 {"53", 503, NULL},
                 {"57P", 503, NULL},
                 {"08", 503, NULL},
                 {"25", 503, NULL}, /* read-only, or a timeout of the transaction */
                 {"", 500, NULL}};

/* RFC 6750. */
#define CHALLENGE "Bearer realm=\"learnhub\""

lh_error *lh_error_make(apr_pool_t *p, int status, const char *text)
{
    lh_error *error = apr_pcalloc(p, sizeof(*error));

    error->status = status;
    error->text = text;
    error->retry_after = status == 503 ? 1 : 0;
    error->challenge = status == 401 ? CHALLENGE : NULL;
    return error;
}

lh_error *lh_error_field(apr_pool_t *p, lh_error *errors, const char *location, const char *field, const char *text)
{
    lh_error *error = errors ? errors : lh_error_make(p, LH_INVALID, NULL);
    lh_field_error *entry = apr_pcalloc(p, sizeof(*entry));

    entry->field = field;
    entry->text = text;
    if (error->last) {
        error->last->next = entry;
    }
    else {
        error->first = entry;
        error->location = location;
    }
    error->last = entry;
    return error;
}

lh_error *lh_error_of_status(apr_pool_t *p, int status)
{
    const int count = sizeof(statuses) / sizeof(statuses[0]);
    lh_error *error;
    int i;

    for (i = 0; i < count && statuses[i].status != status; i++) {
    }
    if (i == count) {
        return lh_error_make(p, status, status < 500 ? "The request cannot be served." : statuses[count - 2].text);
    }
    error = lh_error_make(p, status, statuses[i].text);
    error->retry_after = statuses[i].retry_after;
    return error;
}

lh_error *lh_error_of_sqlstate(apr_pool_t *p, const char *sqlstate)
{
    int i = 0;

    while (strncmp(sqlstate, sqlstates[i].prefix, strlen(sqlstates[i].prefix))) {
        i++;
    }
    return sqlstates[i].text ? lh_error_make(p, sqlstates[i].status, sqlstates[i].text)
                             : lh_error_of_status(p, sqlstates[i].status);
}

lh_error *lh_error_bad_token(apr_pool_t *p)
{
    lh_error *error = lh_error_make(p, 401, "The token is invalid or has expired.");

    error->challenge = CHALLENGE ", error=\"invalid_token\"";
    return error;
}

int lh_error_status(const lh_error *error, lh_error_format format)
{
    return error->status != LH_INVALID ? error->status : format == LH_ERRORS_LOCATED ? 422 : 400;
}

static int same_field(const lh_field_error *a, const lh_field_error *b)
{
    return a->field == b->field || (a->field && b->field && !strcmp(a->field, b->field));
}

/* {"field": ["sentence", ...], ...}: one key per field, in the order of their first errors. */
static void write_fields(lh_json *json, const lh_error *error)
{
    const lh_field_error *entry, *other;

    lh_json_open(json, '{');
    for (entry = error->first; entry; entry = entry->next) {
        for (other = error->first; other != entry && !same_field(other, entry); other = other->next) {
        }
        if (other != entry) {
            continue;
        }
        lh_json_key(json, entry->field ? entry->field : "non_field_errors");
        lh_json_open(json, '[');
        for (; other; other = other->next) {
            if (same_field(other, entry)) {
                lh_json_text(json, other->text);
            }
        }
        lh_json_close(json, ']');
    }
    lh_json_close(json, '}');
}

/* Each part of a dotted name as a string. */
static void write_path(lh_json *json, const char *name)
{
    apr_size_t length;

    for (; name; name = name[length] ? name + length + 1 : NULL) {
        length = strcspn(name, ".");
        lh_json_string(json, name, length);
    }
}

static void write_located(lh_json *json, const lh_error *error)
{
    const lh_field_error *entry;

    lh_json_open(json, '{');
    lh_json_key(json, "detail");
    lh_json_open(json, '[');
    for (entry = error->first; entry; entry = entry->next) {
        lh_json_open(json, '{');
        lh_json_key(json, "loc");
        lh_json_open(json, '[');
        lh_json_text(json, error->location);
        write_path(json, entry->field);
        lh_json_close(json, ']');
        lh_json_key(json, "msg");
        lh_json_text(json, entry->text);
        lh_json_key(json, "type");
        lh_json_text(json, "value_error");
        lh_json_close(json, '}');
    }
    lh_json_close(json, ']');
    lh_json_close(json, '}');
}

static void write_pair(lh_json *json, const char *key, const char *text)
{
    lh_json_open(json, '{');
    lh_json_key(json, key);
    lh_json_text(json, text);
    lh_json_close(json, '}');
}

/* "field: sentence", or the sentence alone if it is about the whole body. */
static void write_entry(lh_json *json, const lh_field_error *entry)
{
    lh_json_text(json, entry->field ? apr_pstrcat(json->out.pool, entry->field, ": ", entry->text, NULL) : entry->text);
}

/* {"error": "field: sentence", "fields": {...}}. `error` is the first entry, because clients display only `error`. */
static void write_flat(lh_json *json, const lh_error *error)
{
    if (!error->first) {
        write_pair(json, "error", error->text);
        return;
    }
    lh_json_open(json, '{');
    lh_json_key(json, "error");
    write_entry(json, error->first);
    lh_json_key(json, "fields");
    write_fields(json, error);
    lh_json_close(json, '}');
}

/* Every 400 is an array of sentences. */
static void write_list(lh_json *json, const lh_error *error)
{
    const lh_field_error *entry;

    if (lh_error_status(error, LH_ERRORS_LIST) != 400) {
        write_pair(json, "detail", error->text);
        return;
    }
    lh_json_open(json, '[');
    if (!error->first) {
        lh_json_text(json, error->text);
    }
    for (entry = error->first; entry; entry = entry->next) {
        write_entry(json, entry);
    }
    lh_json_close(json, ']');
}

void lh_error_write(lh_json *json, const lh_error *error, lh_error_format format)
{
    if (format == LH_ERRORS_FLAT) {
        write_flat(json, error);
        return;
    }
    if (format == LH_ERRORS_LIST) {
        write_list(json, error);
        return;
    }
    if (format == LH_ERRORS_ENVELOPE) {
        lh_json_open(json, '{');
        lh_json_key(json, "success");
        lh_json_bool(json, 0);
        lh_json_key(json, "data");
    }
    if (!error->first) {
        write_pair(json, "detail", error->text);
    }
    else if (format == LH_ERRORS_LOCATED) {
        write_located(json, error);
    }
    else {
        write_fields(json, error);
    }
    if (format == LH_ERRORS_ENVELOPE) {
        lh_json_close(json, '}');
    }
}
