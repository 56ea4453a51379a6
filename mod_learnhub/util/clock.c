/* SPDX-License-Identifier: Apache-2.0 */
#include "util/clock.h"

#include <time.h>

apr_time_t lh_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return apr_time_from_sec((apr_time_t)now.tv_sec) + now.tv_nsec / 1000;
}
