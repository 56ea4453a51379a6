/* SPDX-License-Identifier: Apache-2.0 */
#include "http/deadline.h"

#include "core/server_state.h"
#include "util/clock.h"

/* The deadline in httpd is this much later than PostgreSQL's statement_timeout, so that normally PostgreSQL cancels the
 * statement and the connection can be used again. */
#define MARGIN apr_time_from_msec(250)

int lh_deadline_allows(const lh_call *call)
{
    return call->spent.executing <= call->server->config.statement_timeout;
}

apr_time_t lh_deadline_of_wait(const lh_call *call)
{
    apr_interval_time_t left = call->server->config.connection_wait - call->spent.waiting;

    return lh_clock() + (left > 0 ? left : 0);
}

void lh_deadline_set(const lh_call *call, lh_sql_run *run)
{
    const lh_config *config = &call->server->config;

    run->wait_until = lh_deadline_of_wait(call);
    run->attempt_timeout = config->statement_timeout + MARGIN - call->spent.executing;
    run->deadline = run->wait_until + run->attempt_timeout;
    if (call->spent.executing > config->statement_timeout / 4) {
        run->rest_ms = 1 + (int)apr_time_as_msec(run->attempt_timeout - MARGIN);
    }
    run->row_timeout = config->connection_wait + config->statement_timeout + MARGIN;
}

void lh_deadline_spend(lh_call *call, const lh_sql_time *time)
{
    call->spent.waiting += time->waiting;
    call->spent.executing += time->executing;
    call->db_time += time->waiting + time->executing;
}

void lh_deadline_waited(lh_call *call, apr_time_t began)
{
    const lh_sql_time time = {.waiting = lh_clock() - began};

    lh_deadline_spend(call, &time);
}

void lh_deadline_renew(lh_call *call)
{
    call->spent.waiting = call->spent.executing = 0;
}
