/* SPDX-License-Identifier: Apache-2.0 */
/* A method and a path, which match the same templates as with a comparison segment by segment. */
#include <apr_strings.h>
#include <apr_tables.h>
#include <string.h>

#include "fuzz.h"
#include "http/path.h"
#include "util/text.h"

static const char *const templates[][2] = {
    {"GET", "/"},
    {"GET", "/users/me"},
    {"GET", "/users/{id:oid}"},
    {"PATCH", "/users/{id:oid}"},
    {"GET", "/api/sessions/"},
    {"POST", "/api/sessions/"},
    {"GET", "/api/sessions/{id:int}/"},
    {"DELETE", "/api/sessions/{id:int}/"},
    {"POST", "/api/sessions/{id:int}/join/"},
    {"GET", "/api/sessions/my/created/"},
    {"GET", "/api/v1/goals/{id:uuid}"},
    {"PUT", "/api/v1/goals/{id:uuid}/{n:int}/{t:text}"},
    {"GET", "/photos/{name:text}"},
    {"GET", "/photos/{name:text}/{size:int}/"},
};

#define TEMPLATES (int)(sizeof(templates) / sizeof(templates[0]))

static const char *const prefixes[] = {"/", "/users", "/api/v1", "/api"};

static int is_value(const char *type, const char *text)
{
    apr_int64_t number;

    return !strcmp(type, "int")    ? *text != '-' && lh_text_integer(text, &number)
           : !strcmp(type, "oid")  ? lh_text_is_object_id(text)
           : !strcmp(type, "uuid") ? lh_text_is_uuid(text)
                                   : lh_utf8_valid(text, strlen(text));
}

/* The segments of a path; one slash at its end does not count. */
static apr_array_header_t *segments(apr_pool_t *p, const char *path)
{
    apr_array_header_t *list = apr_array_make(p, 8, sizeof(char *));

    path += *path == '/';
    while (*path) {
        apr_size_t length = strcspn(path, "/");

        APR_ARRAY_PUSH(list, char *) = apr_pstrmemdup(p, path, length);
        path += length + (path[length] == '/');
    }
    return list;
}

/* The number of leading literal segments that make the template the better match; -1: the path does not match. Sets
 * the values of the parameters. */
static int matches(apr_pool_t *p, const char *template, const apr_array_header_t *path, const char **values)
{
    const apr_array_header_t *wanted = segments(p, template);
    int i, rank = 0;

    for (i = 0; i < wanted->nelts && i < path->nelts; i++) {
        char *segment = APR_ARRAY_IDX(wanted, i, char *), *text = APR_ARRAY_IDX(path, i, char *);

        rank = rank * 2 + (*segment != '{');
        if (*segment != '{') {
            if (strcmp(segment, text)) {
                return -1;
            }
            continue;
        }
        segment = strchr(segment, ':') + 1;
        if (!*text || !is_value(apr_pstrmemdup(p, segment, strlen(segment) - 1), text)) {
            return -1;
        }
        *values++ = text;
    }
    return wanted->nelts == path->nelts ? rank : -1;
}

/* The template that matches best, by any method; -1: none. */
static int best(apr_pool_t *p, const char *path, const char **values)
{
    const apr_array_header_t *list = segments(p, path);
    int i, found = -1, highest = -1;

    for (i = 0; i < TEMPLATES; i++) {
        const char *own[LH_PATH_PARAMS];
        int rank = matches(p, templates[i][1], list, own);

        if (rank > highest) {
            memcpy(values, own, sizeof(own));
            highest = rank;
            found = i;
        }
    }
    return found;
}

static void check_match(apr_pool_t *p, const lh_path_match *match, const char *method, const char *path)
{
    const char *values[LH_PATH_PARAMS] = {NULL};
    int found = best(p, path, values), i, expected = -1, params = 0;

    REQUIRE((found >= 0) == (match->allow != NULL));
    if (found < 0) {
        REQUIRE(!match->value);
        return;
    }
    for (i = 0; i < TEMPLATES; i++) {
        if (!strcmp(templates[i][1], templates[found][1])) {
            REQUIRE(strstr(match->allow, templates[i][0]));
            expected = !strcmp(templates[i][0], strcmp(method, "HEAD") ? method : "GET") ? i : expected;
        }
    }
    REQUIRE(match->value == (expected < 0 ? NULL : templates[expected]));
    for (i = 0; templates[found][1][i]; i++) {
        params += templates[found][1][i] == '{';
    }
    for (i = 0; i < params; i++) {
        REQUIRE(!strcmp(match->params[i], values[i]));
    }
}

static void check_prefixes(const char *path)
{
    int i;

    for (i = 0; i < (int)(sizeof(prefixes) / sizeof(prefixes[0])); i++) {
        apr_size_t length = strlen(prefixes[i]);
        int same = !strcmp(path, prefixes[i]);
        int below = length > 1 && !strncmp(path, prefixes[i], length) && path[length] == '/';

        REQUIRE(lh_path_below(prefixes[i], path) == (same || below));
    }
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    static lh_path_tree *tree;
    char *path = memchr(data, ' ', size), *text;
    lh_path_match match;
    int i;

    if (!tree) {
        tree = lh_path_tree_create(fuzz_root);
        for (i = 0; i < TEMPLATES; i++) {
            REQUIRE(!lh_path_add(tree, templates[i][0], templates[i][1], templates[i]));
        }
    }
    if (!path || strlen(data) < (apr_size_t)(path - data)) {
        return;
    }
    *path = '\0';
    text = strdup(path + 1);
    lh_path_find(tree, p, data, text, &match);
    check_match(p, &match, data, text);
    check_prefixes(text);
    free(text);
}
