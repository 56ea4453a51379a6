/* SPDX-License-Identifier: Apache-2.0 */
#include "db/statement.h"

#include <apr_strings.h>
#include <apr_tables.h>
#include <ctype.h>
#include <string.h>

struct lh_statements {
    apr_array_header_t *all; /* const lh_statement * */
};

typedef struct compiler {
    apr_pool_t *pool;
    const lh_slots *slots;
    const char *filters;
    lh_statement *statement;
    char *out;       /* see room_for() */
    const char *why; /* set by the first error */
} compiler;

static int is_name_start(char c)
{
    return isalpha((unsigned char)c) || c == '_';
}

static apr_size_t name_length(const char *s)
{
    apr_size_t n = 0;

    while (isalnum((unsigned char)s[n]) || s[n] == '_') {
        n++;
    }
    return n;
}

/* The maximum length of the compiled text. ":a" can become "$40", so the text at most doubles. */
static apr_size_t room_for(const char *sql, const char *filters)
{
    apr_size_t room = 2 * strlen(sql) + 16;

    while ((sql = strstr(sql, ":filters"))) {
        room += 2 * strlen(filters);
        sql++;
    }
    return room;
}

/* Returns the end of the quoted text or comment that begins at `s`, or `s` if none begins there. */
static const char *skip_quoted(const char *s)
{
    const char *end, *tag_end;

    if (*s == '\'' || *s == '"') {
        end = strchr(s + 1, *s);
        return end ? end + 1 : s + strlen(s);
    }
    if (s[0] == '-' && s[1] == '-') {
        return s + strcspn(s, "\n");
    }
    if (s[0] == '/' && s[1] == '*') {
        end = strstr(s + 2, "*/");
        return end ? end + 2 : s + strlen(s);
    }
    tag_end = *s == '$' ? s + 1 + (is_name_start(s[1]) ? name_length(s + 1) : 0) : s;
    if (tag_end > s && *tag_end == '$') {
        apr_size_t tag = (apr_size_t)(tag_end - s) + 1;
        for (end = tag_end + 1; *end; end++) {
            if (!strncmp(end, s, tag)) {
                return end + tag;
            }
        }
        return end;
    }
    return s;
}

/* Returns the slot of a parameter, or -1. */
static int find_slot(const lh_slots *slots, const char *name, apr_size_t length)
{
    int i;

    for (i = 0; i < slots->count; i++) {
        if (strlen(slots->names[i]) == length && !memcmp(slots->names[i], name, length)) {
            return i;
        }
    }
    return -1;
}

/* Returns the n of $n for a slot; it is the same throughout a statement. */
static int number_of(compiler *c, int slot)
{
    lh_statement *st = c->statement;
    int i;

    for (i = 0; i < st->parameters; i++) {
        if (st->slots[i] == slot) {
            return i + 1;
        }
    }
    if (st->parameters == LH_STATEMENT_PARAMS) {
        c->why = "it has too many parameters";
        return 0;
    }
    st->slots[st->parameters] = (unsigned char)slot;
    return ++st->parameters;
}

static void copy(compiler *c, const char *from, const char *to)
{
    memcpy(c->out, from, (apr_size_t)(to - from));
    c->out += to - from;
}

static void translate(compiler *c, const char *s, int top);

/* Translates ":name", where `s` is the name; returns its end. :filters is replaced at the top level only. */
static const char *translate_name(compiler *c, const char *s, int top)
{
    apr_size_t length = name_length(s);
    int slot;

    if (top && length == 7 && !memcmp(s, "filters", 7)) {
        translate(c, c->filters, 0);
        return s + length;
    }
    slot = find_slot(c->slots, s, length);
    if (slot < 0) {
        c->why = apr_psprintf(c->pool, "there is no parameter :%.*s", (int)length, s);
    }
    else {
        c->out += apr_snprintf(c->out, 8, "$%d", number_of(c, slot));
    }
    return s + length;
}

static void translate(compiler *c, const char *s, int top)
{
    while (*s && !c->why) {
        const char *end = skip_quoted(s);

        if (end > s) {
            copy(c, s, end);
            s = end;
        }
        else if (s[0] == ':' && s[1] == ':') {
            copy(c, s, s + 2);
            s += 2;
        }
        else if (s[0] == ':' && is_name_start(s[1])) {
            s = translate_name(c, s + 1, top);
        }
        else {
            *c->out++ = *s++;
        }
    }
}

lh_statements *lh_statements_create(apr_pool_t *p)
{
    lh_statements *statements = apr_palloc(p, sizeof(*statements));

    statements->all = apr_array_make(p, 256, sizeof(const lh_statement *));
    return statements;
}

int lh_statements_count(const lh_statements *statements)
{
    return statements->all->nelts;
}

const lh_statement *lh_statements_at(const lh_statements *statements, int index)
{
    return APR_ARRAY_IDX(statements->all, index, const lh_statement *);
}

/* Sets the name, with the 64-bit FNV-1a hash of the SQL. */
static void set_name(lh_statement *statement)
{
    apr_uint64_t hash = 14695981039346656037u;
    const char *s;

    for (s = statement->sql; *s; s++) {
        hash = (hash ^ (unsigned char)*s) * 1099511628211u;
    }
    apr_snprintf(statement->name, sizeof(statement->name), "s%016" APR_UINT64_T_HEX_FMT, hash);
}

/* Returns the number of the first statement with the same name, or that of the next statement. */
static int number_in(const lh_statements *statements, const lh_statement *statement)
{
    int i;

    for (i = 0; i < statements->all->nelts; i++) {
        if (!strcmp(lh_statements_at(statements, i)->name, statement->name)) {
            return lh_statements_at(statements, i)->number;
        }
    }
    return i;
}

const lh_statement *lh_statement_compile(lh_statements *statements, const char *label, const char *sql,
                                         const char *filters, const lh_slots *slots, const char **why)
{
    apr_pool_t *p = statements->all->pool;
    compiler c = {.pool = p, .slots = slots, .filters = filters ? filters : ""};
    char *text = apr_palloc(p, room_for(sql, c.filters));

    *why = NULL;
    if (statements->all->nelts >= LH_STATEMENTS_MAX) {
        *why = "there are too many statements";
        return NULL;
    }
    c.statement = apr_pcalloc(p, sizeof(*c.statement));
    c.out = text;
    translate(&c, sql, 1);
    if (c.why) {
        *why = c.why;
        return NULL;
    }
    *c.out = '\0';
    c.statement->label = label;
    c.statement->sql = text;
    set_name(c.statement);
    c.statement->number = number_in(statements, c.statement);
    APR_ARRAY_PUSH(statements->all, const lh_statement *) = c.statement;
    return c.statement;
}
