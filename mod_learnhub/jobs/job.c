/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/job.h"

#include <apr_atomic.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/sql.h"
#include "http/error.h"
#include "util/clock.h"

/* A statement has this much longer than PostgreSQL's statement_timeout, so that its end is an error of PostgreSQL. */
#define MARGIN apr_time_from_msec(250)

static volatile apr_uint32_t stopping;

int lh_job_stopping(void)
{
    return apr_atomic_read32(&stopping) != 0;
}

void lh_job_stop(void)
{
    apr_atomic_set32(&stopping, 1);
}

/* Stores whether the statement fails; returns 1 if this has changed. */
static int set_failing(lh_job_state *state, const lh_statement *statement, int failing)
{
    unsigned char *byte = &state->failing[statement->number / 8], bit = (unsigned char)(1 << statement->number % 8);
    int before = (*byte & bit) != 0;

    *byte = (unsigned char)(failing ? *byte | bit : *byte & ~bit);
    return before != failing;
}

/* Whether the error is one of the statement, and not of an unavailable database or a conflict with another one:
 * SQLSTATE 57014 is a statement timeout, 53 a full disk or memory. */
static int is_own_failure(apr_pool_t *p, const char *sqlstate)
{
    return lh_error_of_sqlstate(p, sqlstate)->status != 503 || !strcmp(sqlstate, "57014") ||
           !strncmp(sqlstate, "53", 2);
}

lh_sql_outcome lh_job_execute(const lh_server *server, apr_pool_t *p, const lh_statement *statement,
                              const char *const *values, int retryable, lh_result **result)
{
    lh_sql_run run = {.db = server->db, .statements = &statement, .count = 1, .values = values, .retryable = retryable};
    lh_sql_failure failure;
    lh_sql_time time;
    lh_sql_outcome outcome;

    run.wait_until = lh_clock() + server->config.connection_wait;
    run.attempt_timeout = server->config.statement_timeout + MARGIN;
    run.deadline = run.wait_until + run.attempt_timeout;
    outcome = lh_sql_execute(&run, p, result, &failure, &time);
    server->jobs->failures += outcome != LH_SQL_OK;
    if (outcome == LH_SQL_OK && set_failing(server->jobs, statement, 0)) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, server->s, LH_LOG(0107) "job %s works again", statement->label);
    }
    if (outcome == LH_SQL_ERROR && !is_own_failure(p, failure.sqlstate)) {
        return LH_SQL_DOWN; /* reported by a pooler, or a conflict: it can be tried again */
    }
    if (outcome == LH_SQL_ERROR && set_failing(server->jobs, statement, 1)) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, server->s, LH_LOG(0020) "job %s fails: SQLSTATE %s: %s",
                     statement->label, failure.sqlstate, failure.message);
    }
    return outcome;
}
