/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histograms of times: how many were at most 100 us, 125 us, 150 us, 200 us ... 10 s. A limit is at most 1.34 times the
 * one before, so that quantiles are exact enough to compare. Depends on APR only.
 */
#ifndef LH_HISTOGRAM_H
#define LH_HISTOGRAM_H

#include <apr_time.h>

#define LH_HISTOGRAM_LIMITS 51
#define LH_HISTOGRAM_BUCKETS (LH_HISTOGRAM_LIMITS + 1) /* the last one has the times above the last limit */

/* The bucket of a time in microseconds: the first whose limit is not below it. Negative times are in the first one. */
int lh_histogram_bucket(apr_interval_time_t time);

/* The limit of a bucket but the last one, in microseconds. */
apr_interval_time_t lh_histogram_limit(int bucket);

/* 1 if the limit is one of the few that are exported: 0.5, 1, 2.5, 5, 10, 25 ... 250, 500 ms, 1, 2.5, 5, 10 s. */
int lh_histogram_is_coarse(int bucket);

/*
 * The time that a part of all times, such as 0.99, does not exceed, in microseconds. Within a bucket the times count as
 * evenly distributed. 0 if there is none; the last limit if the time is above it.
 */
double lh_histogram_quantile(const apr_uint64_t counts[LH_HISTOGRAM_BUCKETS], double part);

#endif
