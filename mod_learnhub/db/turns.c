/* SPDX-License-Identifier: Apache-2.0 */
#include "db/turns.h"

#include <stddef.h>

/* A client's first waiting thread may take the same turn as the one that was taken last; each further one, and all of
 * the client that took it, come later. */
void lh_turns_join(lh_turns *turns, lh_turn *self, apr_uint64_t client)
{
    lh_turn **end = &turns->first;

    self->client = client;
    self->number = turns->last_number + (client == turns->last_client);
    self->next = NULL;
    for (; *end; end = &(*end)->next) {
        if ((*end)->client == client && (*end)->number >= self->number) {
            self->number = (*end)->number + 1;
        }
    }
    *end = self;
}

int lh_turns_is_next(const lh_turns *turns, const lh_turn *self)
{
    const lh_turn *turn, *next = turns->first;

    for (turn = turns->first; turn; turn = turn->next) {
        next = turn->number < next->number ? turn : next;
    }
    return next == self;
}

void lh_turns_leave(lh_turns *turns, lh_turn *self, int taken)
{
    lh_turn **link = &turns->first;

    while (*link != self) {
        link = &(*link)->next;
    }
    *link = self->next;
    if (taken) {
        turns->last_client = self->client;
        turns->last_number = self->number;
    }
}
