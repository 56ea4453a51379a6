/* SPDX-License-Identifier: Apache-2.0 */
#include "util/histogram.h"

#define DECADE(n) 100 * n, 125 * n, 150 * n, 200 * n, 250 * n, 300 * n, 400 * n, 500 * n, 600 * n, 800 * n

static const int limits[LH_HISTOGRAM_LIMITS] = {DECADE(1),    DECADE(10),    DECADE(100),
                                                DECADE(1000), DECADE(10000), 10000000};

int lh_histogram_bucket(apr_interval_time_t time)
{
    int low = 0, high = LH_HISTOGRAM_LIMITS;

    while (low < high) {
        int middle = (low + high) / 2;

        if (limits[middle] < time) {
            low = middle + 1;
        }
        else {
            high = middle;
        }
    }
    return low;
}

apr_interval_time_t lh_histogram_limit(int bucket)
{
    return limits[bucket];
}

int lh_histogram_is_coarse(int bucket)
{
    int limit = limits[bucket];

    while (limit >= 1000) {
        limit /= 10;
    }
    return limits[bucket] >= 500 && (limit == 100 || limit == 250 || limit == 500);
}

double lh_histogram_quantile(const apr_uint64_t counts[LH_HISTOGRAM_BUCKETS], double part)
{
    apr_uint64_t all = 0;
    double rank, before = 0;
    int i;

    for (i = 0; i < LH_HISTOGRAM_BUCKETS; i++) {
        all += counts[i];
    }
    rank = part * (double)all;
    for (i = 0; i < LH_HISTOGRAM_LIMITS; i++) {
        double count = (double)counts[i], lower = i ? limits[i - 1] : 0;

        if (count > 0 && before + count >= rank) {
            return lower + (limits[i] - lower) * (rank - before) / count;
        }
        before += count;
    }
    return all ? limits[LH_HISTOGRAM_LIMITS - 1] : 0;
}
