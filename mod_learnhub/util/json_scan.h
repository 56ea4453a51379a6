/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds values in raw JSON without parsing them: only strings and brackets are recognised. The text need not be valid:
 * no function reads beyond its end, recurses or allocates, and each takes time linear in what it skips. Depends on APR
 * only.
 */
#ifndef LH_JSON_SCAN_H
#define LH_JSON_SCAN_H

#include <apr.h>

/* A part of the text. */
typedef struct lh_slice {
    const char *data; /* NULL: none */
    apr_size_t length;
} lh_slice;

/* The rest of an object or array. */
typedef struct lh_scan {
    const char *s, *end;
    int array;
} lh_scan;

typedef struct lh_scan_item {
    lh_slice key;   /* of a member: without its quotes, not decoded; of an entry of an array: NULL */
    lh_slice value; /* without white space at both ends */
} lh_scan_item;

/* Begins to read the object or array in `text`, which may have white space before it. Other values have no items. */
lh_scan lh_scan_open(lh_slice text);

/* Reads the next member or entry. Returns 0 at the end and where the text is malformed. */
int lh_scan_next(lh_scan *scan, lh_scan_item *item);

/* The number of values in `text`, which is at least 1, and not less than a parser finds before an error. Sets *depth to
 * the depth of nesting. */
apr_size_t lh_scan_count(const char *text, apr_size_t length, int *depth);

/* 1 when `slice` is these bytes. */
int lh_slice_is(lh_slice slice, const char *text);

/* Reads an escape after its backslash; for a surrogate pair, both halves. Returns the character, or 0 if the escape is
 * malformed, incomplete or \u0000: on error, *s is somewhere within the escape. */
unsigned lh_scan_escape(const char **s, const char *end);

/* The white space at `s`, and the string whose opening quote is at `s`: return the position after them. */
const char *lh_scan_space(const char *s, const char *end);
const char *lh_scan_string(const char *s, const char *end);

#endif
