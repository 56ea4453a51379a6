/* SPDX-License-Identifier: Apache-2.0 */
#include "http/route_check.h"

#include <apr_strings.h>
#include <ctype.h>
#include <string.h>

#include "util/text.h"

/* ---- steps ---- */

static int count(const char *const *statements, int max)
{
    int n = 0;

    while (n < max && statements[n]) {
        n++;
    }
    return n;
}

static int has_field(const lh_route *route, const char *name, apr_size_t length)
{
    const lh_field *field;

    for (field = route->body; field && field->name; field++) {
        if (strlen(field->name) == length && !memcmp(field->name, name, length)) {
            return 1;
        }
    }
    return 0;
}

/* 1 when the route has one of the fields in `names`, which `|` separates. */
static int has_one_field(const lh_route *route, const char *names, apr_size_t length)
{
    const char *end = names + length, *bar;

    for (; names < end; names = bar + 1) {
        bar = memchr(names, '|', (apr_size_t)(end - names));
        bar = bar ? bar : end;
        if (has_field(route, names, (apr_size_t)(bar - names))) {
            return 1;
        }
    }
    return 0;
}

/* 1 when the statement contains `AS name`. */
static int has_column(const char *sql, const char *name, apr_size_t length)
{
    for (sql = sql ? strstr(sql, "AS ") : NULL; sql; sql = strstr(sql + 3, "AS ")) {
        char next = sql[3 + strnlen(sql + 3, length)];
        if (!strncmp(sql + 3, name, length) && !isalnum((unsigned char)next) && next != '_') {
            return 1;
        }
    }
    return 0;
}

/* `sql`: the statement whose columns the step reads, or NULL. */
static const char *check_step(apr_pool_t *p, const lh_route *route, const lh_step *step, const char *sql)
{
    const char *fields = step->fields, *columns = step->columns, *word;
    apr_size_t length;

    while ((word = lh_text_word(&fields, &length))) {
        if (!has_one_field(route, word, length)) {
            return apr_psprintf(p, "step %s reads the field %.*s, which its body lacks", step->name, (int)length, word);
        }
    }
    if (count(route->extra_sql, LH_EXTRA_SQL_MAX) < step->extra_sql) {
        return apr_psprintf(p, "step %s needs %d extra statements", step->name, step->extra_sql);
    }
    while ((word = lh_text_word(&columns, &length))) {
        if (!has_column(sql, word, length)) {
            return apr_psprintf(p, "step %s reads the column %.*s, but its statement has no \"AS %.*s\"", step->name,
                                (int)length, word, (int)length, word);
        }
    }
    return NULL;
}

static const char *check_steps(apr_pool_t *p, const lh_route *route)
{
    int last = count(route->sql, LH_SQL_MAX) - 1, i;
    const char *why = NULL;

    for (i = 0; !why && i < LH_STEPS_MAX && route->before[i]; i++) {
        why = check_step(p, route, route->before[i], route->extra_sql[0]);
    }
    for (i = 0; !why && i < LH_STEPS_MAX && route->after[i]; i++) {
        why = check_step(p, route, route->after[i], last < 0 ? NULL : route->sql[last]);
    }
    return why;
}

/* ---- errors ---- */

static int in_fields(const lh_field *field, const char *name)
{
    for (; field && field->name; field++) {
        if (!strcmp(field->name, name)) {
            return 1;
        }
    }
    return 0;
}

static const char *check_errors(apr_pool_t *p, const lh_route *route)
{
    const lh_route_error *error;

    for (error = route->errors; error && error->code; error++) {
        if (error->field && strcmp(error->field, "non_field_errors") && !in_fields(route->body, error->field) &&
            !in_fields(route->query, error->field)) {
            return apr_psprintf(p, "its error %s names the field %s, which it lacks", error->code, error->field);
        }
    }
    return NULL;
}

/* ---- examples ---- */

/* The name is a key of the response or a media type. */
static const char *check_examples(apr_pool_t *p, const lh_route *route)
{
    const lh_route_example *example;

    for (example = route->examples; example && example->name; example++) {
        if (!strchr(example->name, '/') && !in_fields(route->returns, example->name)) {
            return apr_psprintf(p, "it has an example of the key %s, which its response lacks", example->name);
        }
    }
    return NULL;
}

/* ---- shapes ---- */

/* The page of a list is selected by its last statement, or by its deep_sql. */
static const char *check_limits(const lh_route *route, const char *sql)
{
    int sliced = route->shape == LH_SKIP_LIMIT || (route->flags & LH_SLICED);
    int paged = route->shape == LH_PAGE || (route->flags & LH_UNPAGED);

    if (paged && !(sql && strstr(sql, ":limit") && strstr(sql, ":offset"))) {
        return "its last statement and its deep_sql need :limit and :offset";
    }
    if (sliced && !(sql && strstr(sql, ":limit") && strstr(sql, ":skip"))) {
        return "its last statement and its deep_sql need :limit and :skip";
    }
    return NULL;
}

static const char *check_shape(const lh_route *route)
{
    int counted = route->shape == LH_PAGE || route->shape == LH_SKIP_LIMIT, last = count(route->sql, LH_SQL_MAX) - 1;
    const char *sql = last < 0 ? NULL : route->sql[last], *why;

    if (counted != (route->count != NULL)) {
        return "only LH_PAGE and LH_SKIP_LIMIT can have a count, and they need one";
    }
    if ((route->flags & LH_UNPAGED) && route->shape != LH_PAGE && route->shape != LH_ALL) {
        return "only LH_PAGE and LH_ALL can be LH_UNPAGED";
    }
    if ((route->flags & (LH_STREAMED | LH_SLICED)) && route->shape != LH_ALL) {
        return "only LH_ALL can be LH_STREAMED or LH_SLICED";
    }
    if ((route->message || route->shape == LH_SKIP_LIMIT) && !route->key) {
        return "it has no key for its response";
    }
    if (route->key && !route->message && route->shape != LH_SKIP_LIMIT && route->shape != LH_ALL) {
        return "its key has no effect without a message";
    }
    if (route->shape == LH_BYTES &&
        !(has_column(sql, "_content", 8) && has_column(sql, "_type", 5) && has_column(sql, "_tag", 4))) {
        return "LH_BYTES needs the columns _content, _type and _tag";
    }
    if (route->shape == LH_EVENTS && !has_column(sql, "_content", 8)) {
        return "LH_EVENTS needs the column _content";
    }
    if (route->deep_sql && !counted) {
        return "only LH_PAGE and LH_SKIP_LIMIT can have a deep_sql";
    }
    if (route->deep_sql && sql && !strstr(sql, ":filters") != !strstr(route->deep_sql, ":filters")) {
        return "its last statement and its deep_sql need the same :filters";
    }
    why = check_limits(route, sql);
    return why || !route->deep_sql ? why : check_limits(route, route->deep_sql);
}

/* The lock and the statements run for If-Match of other methods, which neither validate a query nor run steps. */
static const char *check_lock(const lh_route *route)
{
    if (route->lock && (strcmp(route->method, "GET") || route->shape != LH_ONE || route->query || route->before[0] ||
                        route->after[0] || !route->sql[0])) {
        return "only a GET of LH_ONE without query fields and steps can have a lock";
    }
    return NULL;
}

/* ---- topics ---- */

/* 1 when a topic can end in this parameter: of the path, or `me`. Not an int: 7 and 007 would be different topics. */
static int is_parameter(const lh_route *route, const char *name, apr_size_t length)
{
    const char *brace;

    for (brace = strchr(route->path, '{'); brace; brace = strchr(brace + 1, '{')) {
        if (strcspn(brace + 1, ":}") == length && !memcmp(brace + 1, name, length)) {
            return strncmp(brace + 1 + length, ":int}", 5) != 0;
        }
    }
    return length == 2 && !memcmp(name, "me", 2) && route->roles != LH_ANYONE;
}

static const char *check_topic(apr_pool_t *p, const lh_route *route, const char *topic, apr_size_t length)
{
    const char *brace = memchr(topic, '{', length);

    if (brace && (topic[length - 1] != '}' || memchr(brace, '}', length) != topic + length - 1 ||
                  !is_parameter(route, brace + 1, (apr_size_t)(topic + length - brace) - 2))) {
        return apr_psprintf(p, "its topic %.*s does not end in {me} or a parameter of its path", (int)length, topic);
    }
    return NULL;
}

static int can_have_topics(const lh_route *route)
{
    int unstreamed =
        route->shape == LH_ONE || route->shape == LH_PAGE || route->shape == LH_SKIP_LIMIT || route->shape == LH_ALL;

    return unstreamed && !(route->flags & (LH_STREAMED | LH_UNPAGED)) && !strcmp(route->method, "GET") &&
           ((!route->before[0] && !route->after[0]) || (route->flags & LH_STANDBY));
}

static const char *check_topics(apr_pool_t *p, const lh_route *route)
{
    const char *topics = route->depends, *topic, *why = NULL;
    apr_size_t length;
    int n = 0;

    while (!why && (topic = lh_text_word(&topics, &length))) {
        why = check_topic(p, route, topic, length);
        n++;
    }
    if (n > LH_TOPICS_MAX) {
        return "it depends on too many topics";
    }
    if (n && !can_have_topics(route)) {
        return "only GET routes of an object or a list, without steps and streams, can have topics";
    }
    if ((route->flags & LH_STANDBY) && (strcmp(route->method, "GET") || (route->roles == LH_ANYONE && !n))) {
        return "only GET routes, with topics or authentication, can be LH_STANDBY";
    }
    return why;
}

/* Sign-ups and logins are limited per address only, as those who make them have no account yet. */
static const char *check_rate(const lh_route *route)
{
    if (route->rate == LH_RATE_WRITE || route->rate == LH_RATE_READ) {
        return "its method implies whether it counts as write or read";
    }
    if ((route->rate == LH_RATE_SIGNUP || route->rate == LH_RATE_LOGIN) && route->roles != LH_ANYONE) {
        return "only routes without authentication can count as signup or login";
    }
    return NULL;
}

/* The response of such a route is stored with its change, by one more statement of its transaction. */
static const char *check_idempotent(const lh_route *route)
{
    if ((route->flags & LH_IDEMPOTENT) &&
        (strcmp(route->method, "POST") || !route->sql[0] || (route->flags & (LH_STREAMED | LH_UNPAGED)))) {
        return "only POST routes with statements and without a stream can be LH_IDEMPOTENT";
    }
    return NULL;
}

const char *lh_route_check(apr_pool_t *p, const lh_route *route)
{
    const char *why = check_shape(route);

    if (!route->sql[0] && !route->before[0]) {
        return "it has neither statements nor steps";
    }
    if (!route->summary) {
        return "it has no summary";
    }
    if (!why) {
        why = check_lock(route);
    }
    if (!why) {
        why = check_rate(route);
    }
    if (!why) {
        why = check_idempotent(route);
    }
    if (!why) {
        why = check_errors(p, route);
    }
    if (!why) {
        why = check_examples(p, route);
    }
    if (!why) {
        why = check_topics(p, route);
    }
    return why ? why : check_steps(p, route);
}
