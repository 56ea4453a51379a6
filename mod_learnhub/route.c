/* SPDX-License-Identifier: Apache-2.0 */
#include "route.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#include "text.h"

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
#define METHODS (int)(sizeof(methods) / sizeof(methods[0]))

typedef enum { PARAM_TEXT, PARAM_INT, PARAM_OID, PARAM_UUID } param_type;

static const struct {
    const char *word;
    param_type type;
} param_words[] = {{"text}", PARAM_TEXT}, {"int}", PARAM_INT}, {"oid}", PARAM_OID}, {"uuid}", PARAM_UUID}};

/* A segment of the tree; its leaf tells which rows end here, by method. */
typedef struct node {
    const char *literal; /* NULL for a parameter */
    apr_size_t length;
    param_type type;
    struct node *children; /* literals */
    struct node *param;
    struct node *next;
    const lh_operation *leaf[METHODS];
    const char *allow; /* NULL: no row ends here */
} node;

struct lh_routes {
    apr_pool_t *pool;
    node root;
    apr_array_header_t *operations; /* lh_operation * */
    apr_array_header_t *statements; /* const lh_statement * */
    const char *why;
};

const lh_field lh_route_paging[] = {
    {.name = "page", .type = LH_INTEGER, .min = 1, .max = 1000000000, .initial = "1", .note = "Page number, from 1."},
    {.name = "page_size",
     .type = LH_INTEGER,
     .flags = LH_CLAMP,
     .min = 1,
     .max = 100,
     .initial = "10",
     .note = "Entries on a page; above 100 means 100."},
    {0}};

/* ---- compiling rows ---- */

static const char *complain(lh_routes *routes, const lh_route *row, const char *what)
{
    if (!routes->why) {
        routes->why = apr_psprintf(routes->pool, "row %s (%s %s): %s", row->name, row->method, row->path, what);
    }
    return routes->why;
}

/* A secret has a slot like any field, but no name a statement could use. */
/* What statements call a field: a parameter's name has no dot. */
static const char *parameter_name(apr_pool_t *p, const lh_field *field)
{
    char *name = apr_pstrdup(p, field->flags & LH_SECRET ? "" : field->name), *dot;

    while ((dot = strchr(name, '.'))) {
        *dot = '_';
    }
    return name;
}

static void add_fields(apr_pool_t *p, apr_array_header_t *names, const lh_field *fields)
{
    for (; fields && fields->name; fields++) {
        APR_ARRAY_PUSH(names, const char *) = parameter_name(p, fields);
    }
}

static int count_fields(const lh_field *fields)
{
    int n = 0;

    while (fields && fields[n].name) {
        n++;
    }
    return n;
}

/* The template's parameters, in order. */
static void add_path_names(apr_pool_t *p, apr_array_header_t *names, const char *path)
{
    for (path = strchr(path, '{'); path; path = strchr(path + 1, '{')) {
        APR_ARRAY_PUSH(names, const char *) = apr_pstrmemdup(p, path + 1, strcspn(path + 1, ":}"));
    }
}

static void add_words(apr_pool_t *p, apr_array_header_t *names, const char *words)
{
    char *state, *word = words ? apr_strtok(apr_pstrdup(p, words), " ", &state) : NULL;

    for (; word; word = apr_strtok(NULL, " ", &state)) {
        APR_ARRAY_PUSH(names, const char *) = word;
    }
}

static void collect_query(apr_pool_t *p, lh_operation *op)
{
    const lh_field *paging = op->row->shape == LH_PAGE ? lh_route_paging : NULL;
    int own = count_fields(op->row->query), i;

    op->query_count = own + count_fields(paging);
    op->query = apr_pcalloc(p, sizeof(*op->query) * (apr_size_t)(op->query_count + 1));
    for (i = 0; i < op->query_count; i++) {
        op->query[i] = i < own ? &op->row->query[i] : &paging[i - own];
    }
}

static void name_slots(apr_pool_t *p, lh_operation *op)
{
    apr_array_header_t *names = apr_array_make(p, 16, sizeof(const char *));
    int i;

    add_path_names(p, names, op->row->path);
    op->query_slot = names->nelts;
    for (i = 0; i < op->query_count; i++) {
        APR_ARRAY_PUSH(names, const char *) = op->query[i]->name;
    }
    op->body_slot = names->nelts;
    add_fields(p, names, op->row->body);
    op->bind_slot = names->nelts;
    add_words(p, names, op->row->binds);
    op->own_slot = names->nelts;
    add_words(p, names, "me base meeting_url eco_verify limit offset");
    if (op->row->shape == LH_WINDOW) {
        names->nelts = op->own_slot + LH_OWN_LIMIT; /* its :limit is a query field */
    }
    op->slots.names = (const char *const *)names->elts;
    op->slots.count = names->nelts;
}

static const lh_statement *compile(lh_routes *routes, const lh_operation *op, const char *sql, const char *filters)
{
    const char *why;
    const lh_statement *st =
        lh_statement_compile(routes->pool, op->row->name, sql, filters, &op->slots, routes->statements->nelts, &why);

    if (!st) {
        complain(routes, op->row, why);
        return NULL;
    }
    APR_ARRAY_PUSH(routes->statements, const lh_statement *) = st;
    return st;
}

/* One statement for each set of filters: the conditions of the set, each behind AND. */
static const lh_statement **compile_sets(lh_routes *routes, const lh_operation *op, const char *sql)
{
    int sets = 1 << op->filter_count, set, i;
    const lh_statement **compiled = apr_pcalloc(routes->pool, sizeof(*compiled) * (apr_size_t)sets);

    for (set = 0; set < sets; set++) {
        const char *conditions = "";
        for (i = 0; i < op->filter_count; i++) {
            if (set & (1 << i)) {
                conditions = apr_pstrcat(routes->pool, conditions, " AND ", op->query[op->filters[i]]->where, NULL);
            }
        }
        compiled[set] = compile(routes, op, sql, conditions);
    }
    return compiled;
}

static void compile_filters(lh_routes *routes, lh_operation *op, const char *answer)
{
    int i;

    for (i = 0; i < op->query_count; i++) {
        if (op->query[i]->where) {
            if (op->filter_count == LH_FILTERS_MAX) {
                complain(routes, op->row, "it has too many filters");
                return;
            }
            op->filters[op->filter_count++] = i;
        }
    }
    if (answer && strstr(answer, ":filters")) {
        op->answers = compile_sets(routes, op, answer);
    }
    else if (op->filter_count) {
        complain(routes, op->row, "its query has filters, but its SQL has no :filters");
    }
    if (op->row->count) {
        op->counts = compile_sets(routes, op, op->row->count);
    }
}

static void compile_statements(lh_routes *routes, lh_operation *op)
{
    const lh_route *row = op->row;
    int i;

    while (op->step_count < LH_STEPS && row->sql[op->step_count]) {
        op->step_count++;
    }
    compile_filters(routes, op, op->step_count ? row->sql[op->step_count - 1] : NULL);
    for (i = 0; i < op->step_count; i++) {
        op->steps[i] = i == op->step_count - 1 && op->answers ? op->answers[0] : compile(routes, op, row->sql[i], NULL);
    }
    for (i = 0; i < LH_MORE && row->more[i]; i++) {
        op->more[i] = compile(routes, op, row->more[i], NULL);
    }
}

static void check_row(lh_routes *routes, const lh_operation *op)
{
    const lh_route *row = op->row;
    int counted = row->shape == LH_PAGE || row->shape == LH_WINDOW, i;

    if (!op->step_count && !row->handler) {
        complain(routes, row, "it has neither SQL nor a handler");
    }
    if (counted != (row->count != NULL)) {
        complain(routes, row, "pages need a count, and only pages");
    }
    if ((row->flags & LH_WHOLE) && row->shape != LH_PAGE) {
        complain(routes, row, "only pages can be whole");
    }
    if ((row->message || row->shape == LH_WINDOW) && !row->key) {
        complain(routes, row, "it has no key for its answer");
    }
    if ((row->flags & LH_STREAMED) && row->shape != LH_ALL) {
        complain(routes, row, "only arrays of all rows are streamed");
    }
    if (!row->summary) {
        complain(routes, row, "it has no summary");
    }
    for (i = 0; i < routes->operations->nelts; i++) {
        if (!strcmp(APR_ARRAY_IDX(routes->operations, i, const lh_operation *)->row->name, row->name)) {
            complain(routes, row, "another row has this name");
        }
    }
}

/* ---- the tree ---- */

static node *child_for(lh_routes *routes, node *parent, const char *segment, apr_size_t length)
{
    node *child;

    for (child = parent->children; child; child = child->next) {
        if (child->length == length && !memcmp(child->literal, segment, length)) {
            return child;
        }
    }
    child = apr_pcalloc(routes->pool, sizeof(*child));
    child->literal = apr_pstrmemdup(routes->pool, segment, length);
    child->length = length;
    child->next = parent->children;
    parent->children = child;
    return child;
}

static node *param_for(lh_routes *routes, node *parent, const lh_route *row, const char *segment)
{
    const char *type = segment + strcspn(segment, ":}");
    apr_size_t i;

    for (i = 0; i < sizeof(param_words) / sizeof(param_words[0]); i++) {
        apr_size_t length = strlen(param_words[i].word);
        if (*type == ':' && strcspn(type + 1, "/") == length && !memcmp(type + 1, param_words[i].word, length)) {
            break;
        }
    }
    if (i == sizeof(param_words) / sizeof(param_words[0])) {
        complain(routes, row, "a parameter of its path is not {name:int|oid|uuid|text}");
        return NULL;
    }
    if (!parent->param) {
        parent->param = apr_pcalloc(routes->pool, sizeof(node));
        parent->param->type = param_words[i].type;
    }
    if (parent->param->type != param_words[i].type) {
        complain(routes, row, "another row has a parameter of another type at this place");
    }
    return parent->param;
}

static void set_allow(lh_routes *routes, node *n)
{
    int i;

    n->allow = NULL;
    for (i = 0; i < METHODS; i++) {
        if (n->leaf[i]) {
            n->allow = apr_pstrcat(routes->pool, n->allow ? n->allow : "", n->allow ? ", " : "", methods[i],
                                   i == 0 ? ", HEAD" : "", NULL);
        }
    }
    n->allow = apr_pstrcat(routes->pool, n->allow, ", OPTIONS", NULL);
}

static int method_index(const char *method)
{
    int i;

    for (i = 0; i < METHODS; i++) {
        if (!strcmp(method, methods[i])) {
            return i;
        }
    }
    return strcmp(method, "HEAD") ? -1 : 0;
}

static void plant(lh_routes *routes, const lh_operation *op)
{
    const char *s = op->row->path;
    node *n = &routes->root;
    int method = method_index(op->row->method), params = 0;

    while (*s++ == '/' && *s && n) {
        apr_size_t length = strcspn(s, "/");
        params += *s == '{';
        n = *s == '{' ? param_for(routes, n, op->row, s) : child_for(routes, n, s, length);
        s += length;
    }
    if (!n || method < 0 || params > LH_PATH_PARAMS || op->row->path[0] != '/') {
        complain(routes, op->row, "its path or method cannot be served");
    }
    else if (n->leaf[method]) {
        complain(routes, op->row, "another row has this method and path");
    }
    else {
        n->leaf[method] = op;
        set_allow(routes, n);
    }
}

static void add_row(lh_routes *routes, const lh_api *api, const lh_route *row)
{
    lh_operation *op = apr_pcalloc(routes->pool, sizeof(*op));

    op->row = row;
    op->api = api;
    op->index = routes->operations->nelts;
    op->body_count = count_fields(row->body);
    collect_query(routes->pool, op);
    name_slots(routes->pool, op);
    compile_statements(routes, op);
    check_row(routes, op);
    plant(routes, op);
    APR_ARRAY_PUSH(routes->operations, const lh_operation *) = op;
}

const lh_routes *lh_routes_compile(apr_pool_t *p, const lh_api *const *apis, const char **why)
{
    lh_routes *routes = apr_pcalloc(p, sizeof(*routes));
    const lh_route *row;

    routes->pool = p;
    routes->operations = apr_array_make(p, 128, sizeof(lh_operation *));
    routes->statements = apr_array_make(p, 256, sizeof(lh_statement *));
    for (; *apis; apis++) {
        for (row = (*apis)->routes; row->name; row++) {
            add_row(routes, *apis, row);
        }
    }
    *why = routes->why;
    return routes->why ? NULL : routes;
}

int lh_routes_count(const lh_routes *routes)
{
    return routes->operations->nelts;
}

const lh_operation *lh_routes_operation(const lh_routes *routes, int index)
{
    return APR_ARRAY_IDX(routes->operations, index, const lh_operation *);
}

int lh_routes_statements(const lh_routes *routes)
{
    return routes->statements->nelts;
}

const lh_statement *lh_routes_statement(const lh_routes *routes, int number)
{
    return APR_ARRAY_IDX(routes->statements, number, const lh_statement *);
}

/* ---- matching ---- */

static int owns(const char *prefix, const char *path)
{
    apr_size_t length = strlen(prefix);

    return !strncmp(path, prefix, length) && (path[length] == '\0' || (path[length] == '/' && length > 1));
}

const lh_api *lh_route_owner(const lh_api *const *apis, const char *path)
{
    const char *const *prefix;

    for (; *apis; apis++) {
        for (prefix = (*apis)->prefixes; *prefix; prefix++) {
            if (owns(*prefix, path)) {
                return *apis;
            }
        }
    }
    return NULL;
}

static int parses(param_type type, const char *text)
{
    apr_int64_t number;

    switch (type) {
    case PARAM_INT: return text[0] != '-' && lh_text_integer(text, &number);
    case PARAM_OID: return lh_text_is_object_id(text);
    case PARAM_UUID: return lh_text_is_uuid(text);
    default: return lh_utf8_valid(text, strlen(text));
    }
}

/* The leaf for what is left of the path, literals first; parameters fill `values` from `params` on. */
static const node *descend(const node *n, apr_pool_t *p, const char *path, const char **values, int params)
{
    apr_size_t length;
    const node *child, *found;

    path += *path == '/';
    if (!*path) {
        return n->allow ? n : NULL;
    }
    length = strcspn(path, "/");
    for (child = n->children; child; child = child->next) {
        if (child->length == length && !memcmp(child->literal, path, length)) {
            found = descend(child, p, path + length, values, params);
            if (found) {
                return found;
            }
        }
    }
    if (!n->param || params == LH_PATH_PARAMS || length == 0) {
        return NULL;
    }
    values[params] = apr_pstrmemdup(p, path, length);
    return parses(n->param->type, values[params]) ? descend(n->param, p, path + length, values, params + 1) : NULL;
}

void lh_route_match(const lh_routes *routes, apr_pool_t *p, const char *method, const char *path, lh_match *match)
{
    const node *leaf = descend(&routes->root, p, path, match->values, 0);
    int index = method_index(method);

    match->allow = leaf ? leaf->allow : NULL;
    match->operation = leaf && index >= 0 ? leaf->leaf[index] : NULL;
}
