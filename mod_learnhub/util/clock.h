/* SPDX-License-Identifier: Apache-2.0 */
/* A monotonic clock, unaffected by changes of the system's time. Depends on APR only. */
#ifndef LH_CLOCK_H
#define LH_CLOCK_H

#include <apr_time.h>

/* Microseconds since an unspecified point in the past; deadlines are points on this clock. */
apr_time_t lh_clock(void);

#endif
