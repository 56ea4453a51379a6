/* SPDX-License-Identifier: Apache-2.0 */
/* The formats of a time in responses. Times are always UTC. */
#ifndef LEARNHUB_TIME_H
#define LEARNHUB_TIME_H

typedef enum {
    LH_SECONDS_Z, /* 2024-01-15T14:00:00Z */
    LH_SECONDS,   /* 2024-01-15T10:30:00 */
    LH_MILLIS_Z,  /* 2024-01-15T10:30:00.000Z */
    LH_MICROS_Z   /* 2025-09-07T17:10:29.123449Z; the fraction is omitted when it is zero */
} lh_time_format;

#endif
