/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drawing, whose text need not be JSON: labels are short lines of UTF-8, within the limits. A drawing that is JSON
 * has as many shapes as jansson finds.
 */
#include "util/drawing.h"

#include <jansson.h>
#include <string.h>

#include "fuzz.h"
#include "util/json_scan.h"
#include "util/text.h"

static void check_label(const char *label)
{
    const unsigned char *s = (const unsigned char *)label;

    if (!label) {
        return;
    }
    REQUIRE(*label && lh_utf8_valid(label, strlen(label)) && lh_utf8_length(label) <= LH_DRAWING_CHARACTERS);
    for (; *s; s++) {
        REQUIRE(*s >= ' ');
    }
}

/* Elements that are not deleted, in arrays that no other member repeats. */
static int count_shapes(const json_t *root)
{
    static const char *const names[] = {"elements", "nodes"};
    int i, count = 0;
    size_t j;

    for (i = 0; i < 2; i++) {
        const json_t *list = json_object_get(root, names[i]);
        for (j = 0; j < json_array_size(list); j++) {
            const json_t *element = json_array_get(list, j);
            count += json_is_object(element) && !json_is_true(json_object_get(element, "isDeleted")) &&
                     !json_is_true(json_object_get(element, "hidden"));
        }
    }
    return count;
}

/* The number of values that are counted before a document is parsed is at least that of the document. */
static apr_size_t count_values(const json_t *value)
{
    apr_size_t count = 1, i;
    const char *key;
    json_t *member;

    for (i = 0; i < json_array_size(value); i++) {
        count += count_values(json_array_get(value, i));
    }
    json_object_foreach((json_t *)value, key, member)
    {
        count += count_values(member);
    }
    return count;
}

static void check_json(const char *data, apr_size_t size, const lh_drawing *drawing)
{
    json_t *root = json_loadb(data, size, JSON_REJECT_DUPLICATES, NULL);
    int depth;

    if (root && !memchr(data, '\0', size) && !memchr(data, '\\', size)) { /* names with escapes are not recognised */
        REQUIRE(!json_is_object(root) || drawing->shapes == count_shapes(root));
        REQUIRE(lh_scan_count(data, size, &depth) == count_values(root));
    }
    json_decref(root);
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *text = malloc(size ? size : 1); /* without a zero byte at its end */
    const lh_drawing *drawing;
    int i;

    memcpy(text, data, size);
    drawing = lh_drawing_read(p, text, size);
    REQUIRE(drawing->label_count <= LH_DRAWING_LABELS && drawing->connection_count <= LH_DRAWING_CONNECTIONS);
    for (i = 0; i < drawing->label_count; i++) {
        REQUIRE(drawing->labels[i]);
        check_label(drawing->labels[i]);
    }
    for (i = 0; i < drawing->connection_count; i++) {
        const lh_drawing_connection *one = &drawing->connections[i];

        REQUIRE(one->from || one->to || one->label);
        check_label(one->from);
        check_label(one->to);
        check_label(one->label);
    }
    lh_drawing_names(drawing, data);
    check_json(text, size, drawing);
    free(text);
}
