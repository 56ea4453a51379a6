/* SPDX-License-Identifier: Apache-2.0 */
/* Limits how often a process logs the same line. Needs no lock. Depends on APR only. */
#ifndef LH_REPEAT_H
#define LH_REPEAT_H

#include <apr.h>

/* One kind of line; zero at first. */
typedef struct lh_repeat {
    volatile apr_uint32_t second; /* of the last line, on lh_clock() */
    volatile apr_uint32_t lines;  /* in that second, with those that were left out */
    volatile apr_uint32_t left_out;
} lh_repeat;

/* Returns 1 when a line may be logged: the first ones of each second, at most `most`. Sets *left_out to the number of
 * those that were left out before it. */
int lh_repeat_may_log(lh_repeat *repeat, apr_uint32_t most, apr_uint32_t *left_out);

/* Returns the number of lines that were left out, if none has been logged for more than a second; otherwise 0. */
apr_uint32_t lh_repeat_rest(lh_repeat *repeat);

#endif
