/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which waiting threads take their turns: those of different clients alternate, so that a client with many
 * requests delays another one by one turn for each client, not by one for each request. Depends on APR only. All
 * functions need the lock of the owner.
 */
#ifndef LH_TURNS_H
#define LH_TURNS_H

#include <apr.h>

#define LH_TURNS_TAKEN 64

/* A waiting thread, on its stack. */
typedef struct lh_turn {
    apr_uint64_t client;
    apr_uint64_t number; /* turns are taken in ascending order */
    struct lh_turn *next;
} lh_turn;

/* Zero when no thread waits and none has taken a turn. */
typedef struct lh_turns {
    lh_turn *first;           /* in the order of their arrival */
    apr_uint64_t last_number; /* of the turn that was taken last */
    int taken_count;          /* turns with this number, and their clients */
    apr_uint64_t taken[LH_TURNS_TAKEN];
} lh_turns;

/* Adds a thread of `client`. lh_turns_leave() must follow. */
void lh_turns_join(lh_turns *turns, lh_turn *self, apr_uint64_t client);

/* 1 when the next turn is that of `self`. */
int lh_turns_is_next(const lh_turns *turns, const lh_turn *self);

/* Removes the thread; `taken`: it has taken its turn. */
void lh_turns_leave(lh_turns *turns, lh_turn *self, int taken);

#endif
