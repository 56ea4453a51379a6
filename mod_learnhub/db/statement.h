/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Statements with named parameters, compiled when httpd starts: `:name` becomes `$n`, bound to a slot of a call's
 * values. Quoted text, comments and `::type` are left unchanged. Depends on APR only.
 *
 * The name of a prepared statement contains a hash of its SQL: behind a pooler, processes of different versions of the
 * module share connections to PostgreSQL, where a name must have one meaning only. The number of a statement is its bit
 * in a connection's set of prepared statements. Statements with the same SQL have the same name and number.
 */
#ifndef LH_STATEMENT_H
#define LH_STATEMENT_H

#include <apr_pools.h>

#define LH_STATEMENT_PARAMS 40 /* parameters of a statement */
#define LH_STATEMENTS_MAX 1024 /* statements in the registry */

typedef struct lh_statement {
    const char *label; /* the route or job that it belongs to, for logs */
    const char *sql;   /* with $1 .. $n */
    char name[20];     /* "s" and 16 hex digits */
    int number;        /* 0 .. LH_STATEMENTS_MAX - 1 */
    int parameters;
    unsigned char slots[LH_STATEMENT_PARAMS]; /* $(i + 1) is bound to the value at slots[i] */
} lh_statement;

/* The names of slots: slot i is names[i]. */
typedef struct lh_slots {
    const char *const *names;
    int count;
} lh_slots;

/* The registry of all statements. */
typedef struct lh_statements lh_statements;

/* Creates an empty registry; statements are allocated from `p`. */
lh_statements *lh_statements_create(apr_pool_t *p);

/* The number of statements. */
int lh_statements_count(const lh_statements *statements);

/* The statements in the order in which they were compiled; `index` is 0 .. lh_statements_count() - 1. */
const lh_statement *lh_statements_at(const lh_statements *statements, int index);

/*
 * Compiles and registers `sql`, in which `:filters` is replaced by `filters` (NULL: nothing). If a name is unknown, or
 * there are too many parameters or statements, returns NULL and sets *why to the cause, without the label; otherwise
 * sets *why to NULL. `label` and `slots` are not copied.
 */
const lh_statement *lh_statement_compile(lh_statements *statements, const char *label, const char *sql,
                                         const char *filters, const lh_slots *slots, const char **why);

#endif
