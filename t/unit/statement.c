/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: names become numbers, quoted text is unchanged, errors are reported. */
#include "db/statement.h"

#include "tap.h"

#include <apr_strings.h>

static const char *const names[] = {"id", "title", "me", "limit", "a", ""};
static const lh_slots slots = {names, 6};

static const lh_statement *compiled(const char *sql, const char *filters, const char **why)
{
    return lh_statement_compile(lh_statements_create(tap_pool), "route", sql, filters, &slots, why);
}

/* ---- translation ---- */

static const struct translation {
    const char *name, *sql, *expected;
} translations[] = {
    {"no parameter: unchanged", "SELECT 1", "SELECT 1"},
    {"one parameter", "SELECT :id", "SELECT $1"},
    {"parameters are numbered in their order in the text", "SELECT :me, :id", "SELECT $1, $2"},
    {"a repeated name has the same number", "SELECT :id, :me, :id", "SELECT $1, $2, $1"},
    {"a repeated second name has the same number", "SELECT :id, :me, :me", "SELECT $1, $2, $2"},
    {"casts are unchanged", "SELECT :id::bigint, now()::date", "SELECT $1::bigint, now()::date"},
    {"a cast to a type with the name of a parameter is unchanged", "SELECT x::id", "SELECT x::id"},
    {"parameters next to operators", "a=:id+:me", "a=$1+$2"},
    {"a parenthesis ends a name", "(:id)", "($1)"},
    {"an array slice is unchanged", "x[1:2]", "x[1:2]"},
    {"quoted text is unchanged", "':id' || :id", "':id' || $1"},
    {"quoted text with a doubled quote is unchanged", "'it''s :id' || :id", "'it''s :id' || $1"},
    {"empty quoted text is unchanged", "'' || :id", "'' || $1"},
    {"a quoted identifier is unchanged", "\"creator:id\" = :id", "\"creator:id\" = $1"},
    {"a quote of the other kind does not end quoted text", "\"'\" || :id || '\"' || :me", "\"'\" || $1 || '\"' || $2"},
    {"a comment to the end of the line is unchanged", "-- :nobody's\n:id", "-- :nobody's\n$1"},
    {"a comment at the end of the statement is unchanged", ":id -- :nobody", "$1 -- :nobody"},
    {"a comment between /* and */ is unchanged", "/* :nobody ' */ :id", "/* :nobody ' */ $1"},
    {"minus and slash do not begin comments", "1 - :id / :me * 2", "1 - $1 / $2 * 2"},
    {"dollar-quoted text is unchanged", "$$ :nobody ' $$ || :id", "$$ :nobody ' $$ || $1"},
    {"dollar-quoted text with a tag is unchanged", "$x$ $$ :nobody $x$ || :id", "$x$ $$ :nobody $x$ || $1"},
    {"quoted text without an end is unchanged", "':nobody", "':nobody"},
    {"dollar-quoted text without an end is unchanged", "$x$ :nobody", "$x$ :nobody"},
    {"a colon without a name is unchanged", "a : b :", "a : b :"},
    {":filters without filters is removed", "WHERE x:filters", "WHERE x"},
};

static void test_translations(void)
{
    const char *why;
    apr_size_t i;

    for (i = 0; i < sizeof(translations) / sizeof(translations[0]); i++) {
        const lh_statement *st = compiled(translations[i].sql, NULL, &why);

        is_str(st ? st->sql : why, translations[i].expected, translations[i].name);
    }
}

static void test_slots(void)
{
    const char *why;
    const lh_statement *st = compiled("SELECT :me, :id, :me, :a", NULL, &why);

    is_int(st->parameters, 3, "a repeated parameter is counted once");
    ok(st->slots[0] == 2 && st->slots[1] == 0 && st->slots[2] == 4, "each parameter has the slot of its name");
    is_str(st->label, "route", "the statement has the label that was passed");
}

/* ---- filters ---- */

static void test_filters(void)
{
    static char wide[8000];
    const char *why, *filter = " AND title = :title";
    const lh_statement *st = compiled("SELECT :id WHERE x:filters LIMIT :limit", filter, &why);

    is_str(st->sql, "SELECT $1 WHERE x AND title = $2 LIMIT $3",
           "a filter replaces :filters and its parameters are numbered with the others");
    st = compiled("x:filters y:filters z:filters w:filters", filter, &why);
    is_str(st->sql, "x AND title = $1 y AND title = $1 z AND title = $1 w AND title = $1",
           ":filters is replaced at every place");
    memset(wide, 'w', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    st = compiled(":filters:filters:filters:filters", wide, &why);
    is_int((long long)strlen(st->sql), 4 * ((long long)sizeof(wide) - 1), "a long filter is inserted four times");
    st = compiled("x:filters", " AND y = ':filters'", &why);
    is_str(st->sql, "x AND y = ':filters'", ":filters in quoted text of a filter is unchanged");
    ok(!compiled("x:filters", " AND y:filters", &why), ":filters in a filter is rejected");
    ok(!compiled("x:filtert", " AND y", &why), "another name of the same length is not replaced");
    ok(!compiled("x:filters", " AND :nobody", &why) && strstr(why, ":nobody"),
       "an unknown name in a filter is reported");
}

/* ---- limits and errors ---- */

static void test_errors(void)
{
    const char *why = "";

    ok(!compiled("SELECT :nobody", NULL, &why) && strstr(why, ":nobody"), "an unknown name is reported");
    ok(!compiled("SELECT :idx", NULL, &why) && strstr(why, ":idx"), "a name that begins with a known name is unknown");
    ok(!compiled("SELECT :i", NULL, &why), "the beginning of a known name is unknown");
    ok(!compiled("SELECT :ID", NULL, &why), "names are case-sensitive");
}

static void test_registry(void)
{
    lh_statements *statements = lh_statements_create(tap_pool);
    const char *why;
    const lh_statement *st = NULL;
    int i;

    for (i = 0; i < LH_STATEMENTS_MAX; i++) {
        st = lh_statement_compile(statements, "route", apr_psprintf(tap_pool, "SELECT %d", i), NULL, &slots, &why);
    }
    is_int(lh_statements_count(statements), LH_STATEMENTS_MAX, "the registry holds LH_STATEMENTS_MAX statements");
    is_int(st->number, LH_STATEMENTS_MAX - 1, "statements are numbered in the order of compilation");
    ok(!lh_statement_compile(statements, "route", "SELECT 1", NULL, &slots, &why) && why,
       "a statement beyond LH_STATEMENTS_MAX is rejected");
}

/* Two processes behind a pooler must not give one name to two statements. */
static void test_names(void)
{
    lh_statements *statements = lh_statements_create(tap_pool);
    const char *why;
    const lh_statement *one = lh_statement_compile(statements, "a", "SELECT 1", NULL, &slots, &why);
    const lh_statement *two = lh_statement_compile(statements, "b", "SELECT 2", NULL, &slots, &why);
    const lh_statement *same = lh_statement_compile(statements, "c", "SELECT 1", NULL, &slots, &why);
    const lh_statement *filtered = lh_statement_compile(statements, "d", "SELECT :filters", "2", &slots, &why);

    is_str(one->name, "s199e7bca63ea84f2", "the name of a statement is a hash of its SQL");
    ok(strcmp(one->name, two->name) && one->number != two->number, "other SQL has another name and number");
    ok(!strcmp(one->name, same->name) && one->number == same->number, "the same SQL has the same name and number");
    ok(!strcmp(two->name, filtered->name), "the name is that of the compiled SQL");
    is_str(compiled("SELECT 2", NULL, &why)->name, two->name, "the name does not depend on the order of compilation");
}

/* The maximum number of parameters, with names of one character: compiling lengthens this text the most. */
static void test_many(void)
{
    const char *list[LH_STATEMENT_PARAMS + 1], *sql = "", *expected = "", *why;
    lh_slots many = {list, LH_STATEMENT_PARAMS + 1};
    const lh_statement *st;
    int i;

    for (i = 0; i < LH_STATEMENT_PARAMS; i++) {
        list[i] = apr_psprintf(tap_pool, "%c", i < 26 ? 'a' + i : 'A' + i - 26);
        sql = apr_pstrcat(tap_pool, sql, ":", list[i], NULL);
        expected = apr_psprintf(tap_pool, "%s$%d", expected, i + 1);
    }
    list[i] = "last";
    st = lh_statement_compile(lh_statements_create(tap_pool), "route", sql, NULL, &many, &why);
    is_str(st ? st->sql : why, expected, "LH_STATEMENT_PARAMS parameters are accepted");
    sql = apr_pstrcat(tap_pool, sql, ":last", NULL);
    st = lh_statement_compile(lh_statements_create(tap_pool), "route", sql, NULL, &many, &why);
    ok(!st && strstr(why, "too many"), "a parameter beyond LH_STATEMENT_PARAMS is rejected");
}

int main(void)
{
    tap_begin();
    test_translations();
    test_slots();
    test_filters();
    test_errors();
    test_registry();
    test_names();
    test_many();
    return tap_end();
}
