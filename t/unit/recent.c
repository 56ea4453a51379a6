/* SPDX-License-Identifier: Apache-2.0 */
/* What processes remember: the last value of a key, in shared memory. */
#include "util/recent.h"

#include <sys/wait.h>
#include <unistd.h>

#include "tap.h"

#define ID "0123456789abcdef01234567"

int main(void)
{
    int status;
    pid_t child;

    tap_begin();
    lh_recent_set(ID, "a");
    ok(!lh_recent_differs(ID, "b"), "without shared memory nothing is remembered");
    is_int(lh_recent_share(tap_pool), APR_SUCCESS, "shared memory");
    ok(!lh_recent_differs(ID, "a"), "nothing is known of a new key");
    lh_recent_set(ID, "a");
    ok(!lh_recent_differs(ID, "a"), "the value is remembered");
    ok(lh_recent_differs(ID, "b"), "another value differs");
    ok(!lh_recent_differs("1123456789abcdef01234567", "b"), "another key is unknown");
    child = fork();
    if (child == 0) {
        lh_recent_set(ID, "b");
        _exit(0);
    }
    ok(child > 0 && waitpid(child, &status, 0) == child && !lh_recent_differs(ID, "b") && lh_recent_differs(ID, "a"),
       "another process has remembered another value");
    return tap_end();
}
