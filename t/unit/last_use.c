/* SPDX-License-Identifier: Apache-2.0 */
/* When logins were used: each is stored once in four minutes. */
#include "auth/last_use.h"

#include "tap.h"

#define MINUTES(n) ((n)*60)

/* The login with this number; those 65536 apart share a place. */
static const unsigned char *login(unsigned number)
{
    static unsigned char id[LH_LAST_USE_ID];

    id[0] = (unsigned char)number;
    id[1] = (unsigned char)(number >> 8);
    id[15] = (unsigned char)(number >> 16);
    return id;
}

static int taken(lh_last_use *uses)
{
    const char *list = lh_last_use_take(uses, tap_pool);
    int count = list != NULL;

    for (; list && *list; list++) {
        count += *list == ',';
    }
    return count;
}

int main(void)
{
    lh_last_use *uses;
    apr_int64_t now = MINUTES(1000);
    unsigned i;

    tap_begin();
    uses = lh_last_use_create(tap_pool);
    is_str(lh_last_use_take(uses, tap_pool), NULL, "at first no login waits");
    lh_last_use_note(uses, login(0x0102), now);
    is_str(lh_last_use_take(uses, tap_pool), "{02010000000000000000000000000000}", "a login that was used");
    is_str(lh_last_use_take(uses, tap_pool), NULL, "it is taken once");
    lh_last_use_note(uses, login(0x0102), now + MINUTES(4) - 1);
    is_str(lh_last_use_take(uses, tap_pool), NULL, "within four minutes it is not noted again");
    lh_last_use_note(uses, login(0x0102), now + MINUTES(4));
    is_int(taken(uses), 1, "after four minutes it is");
    lh_last_use_note(uses, login(0x20102), now + MINUTES(4));
    is_str(lh_last_use_take(uses, tap_pool), "{02010000000000000000000000000002}",
           "another login takes its place at once");

    lh_last_use_note(uses, login(0x0102), now + MINUTES(5));
    lh_last_use_note(uses, login(0x20102), now + MINUTES(5));
    lh_last_use_note(uses, login(3), now);
    lh_last_use_note(uses, login(1), now);
    is_str(lh_last_use_take(uses, tap_pool),
           "{01000000000000000000000000000000,03000000000000000000000000000000,02010000000000000000000000000000}",
           "several logins; one that waits keeps its place");

    for (i = 0; i < 1000; i++) {
        lh_last_use_note(uses, login(i), now + MINUTES(30));
    }
    for (i = 0; i < 10; i++) {
        is_int(taken(uses), 100, "at most 100 logins are taken at once");
    }
    is_str(lh_last_use_take(uses, tap_pool), NULL, "then no login waits");
    return tap_end();
}
