/* SPDX-License-Identifier: Apache-2.0 */
#include "db/turns.h"

#include <stddef.h>

/* Whether the client has taken a turn with the last number. If there are too many such clients, all come later. */
static int has_taken(const lh_turns *turns, apr_uint64_t client)
{
    int i;

    for (i = 0; i < turns->taken_count && turns->taken[i] != client; i++) {
    }
    return i < turns->taken_count || i == LH_TURNS_TAKEN;
}

/* A client's first waiting thread may have the number that was taken last; each further one, and all of the clients
 * that have taken a turn with this number, come later. */
void lh_turns_join(lh_turns *turns, lh_turn *self, apr_uint64_t client)
{
    lh_turn **end = &turns->first;

    self->client = client;
    self->number = turns->last_number + has_taken(turns, client);
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
    if (taken && (self->number != turns->last_number)) {
        turns->last_number = self->number;
        turns->taken_count = 0;
    }
    if (taken && turns->taken_count < LH_TURNS_TAKEN) {
        turns->taken[turns->taken_count++] = self->client;
    }
}
