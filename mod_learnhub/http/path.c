/* SPDX-License-Identifier: Apache-2.0 */
#include "http/path.h"

#include <apr_strings.h>
#include <string.h>

#include "util/text.h"

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE"};
#define METHODS (int)(sizeof(methods) / sizeof(methods[0]))

typedef enum { PARAM_TEXT, PARAM_INT, PARAM_OID, PARAM_UUID } param_type;

/* The types of parameters in a template, with the brace that ends the parameter. */
static const struct {
    const char *word;
    param_type type;
} param_words[] = {{"text}", PARAM_TEXT}, {"int}", PARAM_INT}, {"oid}", PARAM_OID}, {"uuid}", PARAM_UUID}};

#define PARAM_WORDS (sizeof(param_words) / sizeof(param_words[0]))

/* One segment of a template. */
typedef struct node {
    const char *literal; /* NULL for a parameter */
    apr_size_t length;
    param_type type;
    struct node *children; /* the literal segments that may follow, a list by `next` */
    struct node *param;    /* the parameter that may follow, or NULL */
    struct node *next;
    const void *values[METHODS]; /* of the templates that end here, by method */
    const char *allow;           /* NULL: no template ends here */
} node;

struct lh_path_tree {
    apr_pool_t *pool;
    node root;
};

lh_path_tree *lh_path_tree_create(apr_pool_t *p)
{
    lh_path_tree *tree = apr_pcalloc(p, sizeof(*tree));

    tree->pool = p;
    return tree;
}

/* ---- adding ---- */

static node *literal_child(lh_path_tree *tree, node *parent, const char *segment, apr_size_t length)
{
    node *child;

    for (child = parent->children; child; child = child->next) {
        if (child->length == length && !memcmp(child->literal, segment, length)) {
            return child;
        }
    }
    child = apr_pcalloc(tree->pool, sizeof(*child));
    child->literal = apr_pstrmemdup(tree->pool, segment, length);
    child->length = length;
    child->next = parent->children;
    parent->children = child;
    return child;
}

static node *param_child(lh_path_tree *tree, node *parent, const char *segment, const char **why)
{
    const char *type = segment + strcspn(segment, ":}");
    apr_size_t i, length;

    for (i = 0; i < PARAM_WORDS; i++) {
        length = strlen(param_words[i].word);
        if (*type == ':' && strcspn(type + 1, "/") == length && !memcmp(type + 1, param_words[i].word, length)) {
            break;
        }
    }
    if (i == PARAM_WORDS) {
        *why = "a parameter of its path is not {name:int|oid|uuid|text}";
        return NULL;
    }
    if (!parent->param) {
        parent->param = apr_pcalloc(tree->pool, sizeof(node));
        parent->param->type = param_words[i].type;
    }
    if (parent->param->type != param_words[i].type) {
        *why = "another route has a parameter of another type at this position";
    }
    return parent->param;
}

static void set_allow(lh_path_tree *tree, node *n)
{
    int i;

    n->allow = NULL;
    for (i = 0; i < METHODS; i++) {
        if (n->values[i]) {
            n->allow = apr_pstrcat(tree->pool, n->allow ? n->allow : "", n->allow ? ", " : "", methods[i],
                                   i == 0 ? ", HEAD" : "", NULL);
        }
    }
    n->allow = apr_pstrcat(tree->pool, n->allow, ", OPTIONS", NULL);
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

const char *lh_path_add(lh_path_tree *tree, const char *method, const char *template, const void *value)
{
    const char *s = template, *why = NULL;
    node *n = &tree->root;
    int index = method_index(method), params = 0;

    while (*s++ == '/' && *s && n) {
        apr_size_t length = strcspn(s, "/");
        params += *s == '{';
        n = *s == '{' ? param_child(tree, n, s, &why) : literal_child(tree, n, s, length);
        s += length;
    }
    if (why || !n) { /* without a node, `why` is set */
        return why;
    }
    if (index < 0) {
        return "its method is not GET, POST, PUT, PATCH or DELETE";
    }
    if (params > LH_PATH_PARAMS || template[0] != '/') {
        return "its path does not begin with / or has too many parameters";
    }
    if (n->values[index]) {
        return "another route has this method and path";
    }
    n->values[index] = value;
    set_allow(tree, n);
    return NULL;
}

/* ---- matching ---- */

/* 1 when the segment is a valid value of this type. */
static int is_valid(param_type type, const char *text)
{
    apr_int64_t number;

    switch (type) {
    case PARAM_INT: return text[0] != '-' && lh_text_integer(text, &number);
    case PARAM_OID: return lh_text_is_object_id(text);
    case PARAM_UUID: return lh_text_is_uuid(text);
    default: return lh_utf8_valid(text, strlen(text));
    }
}

/* Returns the node below `n` that matches the rest of the path, or NULL; params[0 .. count - 1] are set already. Tries
 * literals first. */
static const node *descend(const node *n, apr_pool_t *p, const char *path, const char **params, int count)
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
            found = descend(child, p, path + length, params, count);
            if (found) {
                return found;
            }
        }
    }
    if (!n->param || count == LH_PATH_PARAMS || length == 0) {
        return NULL;
    }
    params[count] = apr_pstrmemdup(p, path, length);
    return is_valid(n->param->type, params[count]) ? descend(n->param, p, path + length, params, count + 1) : NULL;
}

void lh_path_find(const lh_path_tree *tree, apr_pool_t *p, const char *method, const char *path, lh_path_match *match)
{
    const node *found = descend(&tree->root, p, path, match->params, 0);
    int index = method_index(method);

    match->allow = found ? found->allow : NULL;
    match->value = found && index >= 0 ? found->values[index] : NULL;
}

int lh_path_below(const char *prefix, const char *path)
{
    apr_size_t length = strlen(prefix);

    return !strncmp(path, prefix, length) && (path[length] == '\0' || (path[length] == '/' && length > 1));
}
