/* SPDX-License-Identifier: Apache-2.0 */
/* Named parameters: what becomes $n, and what is left alone. */
#include "statement.h"

#include <apr_strings.h>

#include "tap.h"

static const char *const names[] = {"id", "title", "me", ""};
static const lh_slots slots = {names, 4};

static const struct {
    const char *sql, *filters, *expected; /* expected NULL: refused */
    int parameters;
} cases[] = {
    {"SELECT 1", NULL, "SELECT 1", 0},
    {"SELECT :id", NULL, "SELECT $1", 1},
    {"SELECT :title, :id, :title", NULL, "SELECT $1, $2, $1", 2},
    {"SELECT :id::bigint, x::text", NULL, "SELECT $1::bigint, x::text", 1},
    {"SELECT ':id', \":me\" = :me", NULL, "SELECT ':id', \":me\" = $1", 1},
    {"SELECT 'it''s :id' || :title", NULL, "SELECT 'it''s :id' || $1", 1},
    {"SELECT $$ :id $$, $a$ $b$ :me $a$, :me", NULL, "SELECT $$ :id $$, $a$ $b$ :me $a$, $1", 1},
    {"SELECT 1 -- :id\n+ :id", NULL, "SELECT 1 -- :id\n+ $1", 1},
    {"SELECT 1 /* :id */ + :id", NULL, "SELECT 1 /* :id */ + $1", 1},
    {"SELECT a[1:2], :id", NULL, "SELECT a[1:2], $1", 1},
    {"WHERE true :filters ORDER", " AND x = :title", "WHERE true  AND x = $1 ORDER", 1},
    {"WHERE true :filters", NULL, "WHERE true ", 0},
    {"SELECT 'open", NULL, "SELECT 'open", 0},
    {"SELECT :nobody", NULL, NULL, 0},
    {"SELECT :ids", NULL, NULL, 0},
    {"SELECT :i", NULL, NULL, 0},
    {"WHERE :filters", ":filters", NULL, 0},
};

static void test_cases(void)
{
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *why;
        const lh_statement *st = lh_statement_compile(tap_pool, "row", cases[i].sql, cases[i].filters, &slots, 7, &why);

        is_str(st ? st->sql : NULL, cases[i].expected, apr_psprintf(tap_pool, "case %d", (int)i));
        ok(st ? st->parameters == cases[i].parameters && !strcmp(st->name, "s7") : why != NULL,
           "its number, or why not");
    }
}

static void test_limits(void)
{
    const char *many[60], *why, *sql = "SELECT 1";
    lh_slots all = {many, 60};
    int i;

    for (i = 0; i < 60; i++) {
        many[i] = apr_psprintf(tap_pool, "p%d", i);
        sql = apr_psprintf(tap_pool, "%s, :p%d", sql, i);
    }
    ok(!lh_statement_compile(tap_pool, "row", sql, NULL, &all, 0, &why) && why, "too many parameters");
    ok(!lh_statement_compile(tap_pool, "row", "SELECT 1", NULL, &all, LH_STATEMENTS_MAX, &why) && why,
       "too many statements");
}

int main(void)
{
    tap_begin();
    test_cases();
    test_limits();
    return tap_end();
}
