/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of times: the limits of the buckets, and quantiles compared with those of the times themselves. */
#include "util/histogram.h"

#include "tap.h"

static void test_limits(void)
{
    static const int expected[] = {500,    1000,   2500,   5000,    10000,   25000,   50000,
                                   100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000};
    int i, coarse = 0, wrong = 0, wide = 0;

    for (i = 0; i < LH_HISTOGRAM_LIMITS; i++) {
        apr_interval_time_t limit = lh_histogram_limit(i);

        wrong += lh_histogram_bucket(limit) != i || lh_histogram_bucket(limit + 1) != i + 1;
        wide += i && ((double)limit / (double)lh_histogram_limit(i - 1) > 1.34 || limit <= lh_histogram_limit(i - 1));
        if (lh_histogram_is_coarse(i)) {
            wrong += coarse == 14 || limit != expected[coarse];
            coarse++;
        }
    }
    is_int(wrong, 0, "a time is in the bucket of the first limit that is not below it");
    is_int(wide, 0, "limits ascend by at most a third");
    is_int(coarse, 14, "14 limits are exported");
    is_int(lh_histogram_bucket(-5), 0, "a negative time is in the first bucket");
    is_int(lh_histogram_bucket(0), 0, "so is none");
    is_int(lh_histogram_bucket(APR_INT64_C(1) << 60), LH_HISTOGRAM_BUCKETS - 1, "a long one is in the last bucket");
}

static int ascending(const void *a, const void *b)
{
    const int *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

/* The quantile is between the limits of the bucket that has the exact one. */
static void test_quantile(const char *name, const int *times, int count, double part)
{
    apr_uint64_t counts[LH_HISTOGRAM_BUCKETS] = {0};
    int *sorted = malloc(sizeof(*sorted) * (size_t)count), i, rank = (int)(part * count + 0.9999999), bucket;
    double got, lower;

    for (i = 0; i < count; i++) {
        sorted[i] = times[i];
        counts[lh_histogram_bucket(times[i])]++;
    }
    qsort(sorted, (size_t)count, sizeof(*sorted), ascending);
    got = lh_histogram_quantile(counts, part);
    bucket = lh_histogram_bucket(sorted[rank > 0 ? rank - 1 : 0]);
    lower = bucket ? (double)lh_histogram_limit(bucket - 1) : 0;
    if (!ok(got >= lower && got <= (double)lh_histogram_limit(bucket), "%s: p%g", name, part * 100)) {
        printf("# got %f, not in %f .. %ld\n", got, lower, (long)lh_histogram_limit(bucket));
    }
    free(sorted);
}

#define TIMES 1000

static void test_quantiles(void)
{
    static const double parts[] = {0.01, 0.5, 0.9, 0.99, 1};
    static int even[TIMES], equal[TIMES], two[TIMES], many[TIMES];
    unsigned i, j, random = 7;

    for (i = 0; i < TIMES; i++) {
        even[i] = (int)(i + 1) * 1000;
        equal[i] = 777;
        two[i] = i < 985 ? 180 : 3000000;
        for (random = random * 1103515245 + 12345, many[i] = 90, j = 0; j < (random >> 16) % 32; j++) {
            many[i] = many[i] * 5 / 4 + (int)(random >> 20 & 15);
        }
        many[i] = many[i] > 9000000 ? 9000000 : many[i];
    }
    for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        test_quantile("1 ms to 1 s", even, TIMES, parts[i]);
        test_quantile("equal times", equal, TIMES, parts[i]);
        test_quantile("two kinds of times", two, TIMES, parts[i]);
        test_quantile("random times", many, TIMES, parts[i]);
        test_quantile("one time", even, 1, parts[i]);
    }
}

static void test_ends(void)
{
    apr_uint64_t counts[LH_HISTOGRAM_BUCKETS] = {0};

    ok(lh_histogram_quantile(counts, 0.5) <= 0, "no times have the quantile 0");
    counts[LH_HISTOGRAM_BUCKETS - 1] = 3;
    is_int((long long)lh_histogram_quantile(counts, 0.5), 10000000, "above the last limit, it is that limit");
    counts[lh_histogram_bucket(200)] = 100;
    is_int((long long)lh_histogram_quantile(counts, 0.5), 175, "half of the times of a bucket are below its middle");
    counts[lh_histogram_bucket(200)] = APR_UINT64_MAX / 4;
    ok(lh_histogram_quantile(counts, 0.99) <= 200, "very many times");
}

int main(void)
{
    tap_begin();
    test_limits();
    test_quantiles();
    test_ends();
    return tap_end();
}
