/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/backlog.h"

#include <apr_strings.h>
#include <string.h>

#include "core/server_state.h"
#include "db/result.h"
#include "db/rows.h"
#include "jobs/job.h"
#include "util/clock.h"
#include "util/counters.h"

#define INTERVAL apr_time_from_sec(30)
#define AGE_MAX apr_time_from_sec(120)

/* Each part reads an index of its states, in its order. Those that have failed are those of the last day. */
#define MEASURE                                                                                                        \
    "SELECT waiting.count, waiting.oldest, finished.failed "                                                           \
    "FROM (SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::bigint AS oldest "               \
    "      FROM (SELECT created_at FROM learnhub.outbox "                                                              \
    "            WHERE state IN ('waiting', 'sending') "                                                               \
    "            ORDER BY due_at "                                                                                     \
    "            LIMIT " LH_BACKLOG_MOST ") m) waiting, "                                                              \
    "     (SELECT count(*) FILTER (WHERE state = 'failed') AS failed "                                                 \
    "      FROM (SELECT state FROM learnhub.outbox "                                                                   \
    "            WHERE state IN ('sent', 'failed', 'expired') AND created_at > now() - interval '1 day' "              \
    "            ORDER BY created_at DESC "                                                                            \
    "            LIMIT " LH_BACKLOG_MOST ") m) finished"

enum { COLUMN_WAITING, COLUMN_OLDEST, COLUMN_FAILED };

static const lh_statement *measure;

int lh_backlog_compile(lh_statements *registry, const char **why)
{
    static const lh_slots slots = {NULL, 0};

    measure = lh_statement_compile(registry, "outbox.measure", MEASURE, NULL, &slots, why);
    return !*why;
}

/* 1 if this process is the one that measures now. */
static int claim(lh_backlog *backlog, apr_time_t now)
{
    apr_uint64_t before = __atomic_load_n(&backlog->claimed_at, __ATOMIC_RELAXED);

    return (!before || now - (apr_time_t)before >= INTERVAL) &&
           __atomic_compare_exchange_n(&backlog->claimed_at, &before, (apr_uint64_t)now, 0, __ATOMIC_RELAXED,
                                       __ATOMIC_RELAXED);
}

static void store_cell(const lh_result *result, int column, apr_pool_t *p, apr_int64_t *value)
{
    lh_cell_value cell;

    cell.data = lh_result_cell(result, 0, column, &cell.length);
    __atomic_store_n(value, apr_atoi64(lh_rows_text(p, lh_result_type(result, column), &cell)), __ATOMIC_RELAXED);
}

void lh_backlog_measure(const lh_server *server, apr_pool_t *p)
{
    lh_backlog *backlog = lh_counters_backlog(server->jobs->database);
    apr_time_t now = lh_clock();
    lh_result *result;

    if (!backlog || !claim(backlog, now) || lh_job_execute(server, p, measure, NULL, 1, &result) != LH_SQL_OK) {
        return;
    }
    store_cell(result, COLUMN_WAITING, p, &backlog->waiting);
    store_cell(result, COLUMN_OLDEST, p, &backlog->oldest);
    store_cell(result, COLUMN_FAILED, p, &backlog->failed);
    __atomic_store_n(&backlog->measured_at, (apr_uint64_t)now, __ATOMIC_RELAXED);
}

static apr_int64_t load(const apr_int64_t *value)
{
    return __atomic_load_n(value, __ATOMIC_RELAXED);
}

int lh_backlog_sum(lh_backlog *sum)
{
    int i, measured = 0;

    memset(sum, 0, sizeof(*sum));
    for (i = 0; i < LH_BACKLOGS; i++) {
        const lh_backlog *one = lh_counters_backlog(i);
        apr_time_t at = one ? (apr_time_t)__atomic_load_n(&one->measured_at, __ATOMIC_RELAXED) : 0;

        if (at && lh_clock() - at < AGE_MAX) {
            measured = 1;
            sum->waiting += load(&one->waiting);
            sum->failed += load(&one->failed);
            sum->oldest = load(&one->oldest) > sum->oldest ? load(&one->oldest) : sum->oldest;
        }
    }
    return measured;
}
