/* SPDX-License-Identifier: Apache-2.0 */
#include "util/repeat.h"

#include <apr_atomic.h>

#include "util/clock.h"

static apr_uint32_t current_second(void)
{
    return (apr_uint32_t)apr_time_sec(lh_clock());
}

int lh_repeat_may_log(lh_repeat *repeat, apr_uint32_t most, apr_uint32_t *left_out)
{
    apr_uint32_t now = current_second(), last = apr_atomic_read32(&repeat->second);

    if (last != now && apr_atomic_cas32(&repeat->second, now, last) == last) {
        apr_atomic_set32(&repeat->lines, 0);
    }
    if (apr_atomic_inc32(&repeat->lines) >= most) {
        apr_atomic_inc32(&repeat->left_out);
        return 0;
    }
    *left_out = apr_atomic_xchg32(&repeat->left_out, 0);
    return 1;
}

apr_uint32_t lh_repeat_rest(lh_repeat *repeat)
{
    return current_second() - apr_atomic_read32(&repeat->second) > 1 ? apr_atomic_xchg32(&repeat->left_out, 0) : 0;
}
