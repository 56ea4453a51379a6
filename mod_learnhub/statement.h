/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A statement as a row writes it, compiled once before httpd starts: `:name` becomes `$n`, bound to a slot of the
 * call's values. Quoted text, comments and `::type` are left alone.
 *
 * Statements have small numbers, given in the order they are compiled: every process of this httpd gives the same
 * statement the same number, which is its name on a connection and its bit in the connection's prepared set.
 */
#ifndef LH_STATEMENT_H
#define LH_STATEMENT_H

#include <apr_pools.h>

#define LH_STATEMENT_PARAMS 40
#define LH_STATEMENTS_MAX 1024

/* One value of a call, in the text format of PostgreSQL; `data` ends with a zero byte, NULL is SQL NULL. */
typedef struct lh_value {
    const char *data;
    int length;
} lh_value;

typedef struct lh_statement {
    const char *label; /* the row it belongs to, for logs */
    const char *sql;   /* with $1 .. $n */
    char name[8];      /* "s17" */
    int number;        /* 0 .. LH_STATEMENTS_MAX - 1 */
    int parameters;
    unsigned char slots[LH_STATEMENT_PARAMS]; /* $i+1 takes the call's value of slots[i] */
} lh_statement;

/* Names the slots of a call; slot i is names[i]. */
typedef struct lh_slots {
    const char *const *names;
    int count;
} lh_slots;

/*
 * Compiles `sql`, in which `:filters` stands for `filters` (NULL: nothing). `number` is the statement's number.
 * On failure returns NULL and sets *why to a sentence without the row's name.
 */
const lh_statement *lh_statement_compile(apr_pool_t *p, const char *label, const char *sql, const char *filters,
                                         const lh_slots *slots, int number, const char **why);

#endif
