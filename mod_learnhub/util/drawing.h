/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads drawings: Excalidraw scenes ({"elements": [...]}) and diagrams of nodes and edges ({"nodes": [...], "edges":
 * [...]}). The text need not be valid JSON: what cannot be read is skipped. The time is linear in the length of the
 * text; the memory is bounded by the limits below. Depends on APR only.
 */
#ifndef LH_DRAWING_H
#define LH_DRAWING_H

#include <apr_pools.h>

#define LH_DRAWING_LABELS 2000      /* labels that are kept */
#define LH_DRAWING_CONNECTIONS 2000 /* connections that are kept */
#define LH_DRAWING_CHARACTERS 200   /* of a label; the rest is cut */

/* Labels of the connected shapes and of the connection itself; NULL: it has none. At least one is not NULL. */
typedef struct lh_drawing_connection {
    const char *from, *to, *label;
} lh_drawing_connection;

typedef struct lh_drawing {
    int scene;           /* the text has an array `elements` or `nodes`, which may be empty */
    int shapes;          /* elements and nodes that are not deleted */
    const char **labels; /* in the order of the text, in UTF-8, each in one line */
    int label_count;
    lh_drawing_connection *connections;
    int connection_count;
    const struct lh_words *words; /* of the labels */
} lh_drawing;

/* Reads a drawing. `text` must remain valid while the result is used. */
const lh_drawing *lh_drawing_read(apr_pool_t *p, const char *text, apr_size_t length);

/* 1 when a label of the drawing has a word of the text (see util/words.h). */
int lh_drawing_names(const lh_drawing *drawing, const char *text);

#endif
