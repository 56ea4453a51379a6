/* SPDX-License-Identifier: Apache-2.0 */
/* The order of turns: arrival within a client, alternation between clients. */
#include "db/turns.h"

#include "tap.h"

#define MOST 20

/* `script`: a letter joins as a thread of this client, . takes a turn, ! lets the thread that joined last give up.
 * Returns the clients in the order of their turns. */
static const char *order(const char *script)
{
    static char taken[MOST + 1];
    lh_turns turns = {NULL};
    lh_turn threads[MOST];
    int joined = 0, count = 0, i;

    for (; *script; script++) {
        if (*script == '!') {
            lh_turns_leave(&turns, &threads[joined - 1], 0);
        }
        else if (*script != '.') {
            lh_turns_join(&turns, &threads[joined++], (apr_uint64_t)*script);
        }
        else {
            for (i = 0; i < joined && !lh_turns_is_next(&turns, &threads[i]); i++) {
            }
            taken[count++] = i < joined ? (char)threads[i].client : '-';
            if (i < joined) {
                lh_turns_leave(&turns, &threads[i], 1);
            }
        }
    }
    taken[count] = '\0';
    return taken;
}

int main(void)
{
    tap_begin();
    is_str(order("."), "-", "without a thread nobody is next");
    is_str(order("abc..."), "abc", "clients take turns in the order of their arrival");
    is_str(order("aaa...."), "aaa-", "one client takes all turns");
    is_str(order("aaaab.b....."), "ababaa", "a client with one thread is next after one turn of another");
    is_str(order("a.aaab....."), "abaaa-", "so is one that comes later");
    is_str(order("aaabbc......"), "abcaba", "three clients alternate");
    is_str(order("a.aab.ab...."), "ababaa", "a client that comes again waits for the others");
    is_str(order("abvv..a.b.a.b.a.b."), "abvvabab", "clients that come again at once do not delay a second thread");
    is_str(order("ab!c.."), "ac", "a thread that gives up has no turn");
    is_str(order("aab!b...."), "aba-", "and costs its client none");
    return tap_end();
}
