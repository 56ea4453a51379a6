/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs/outbox.h"

#include <apr_strings.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/server_state.h"
#include "db/result.h"
#include "db/rows.h"
#include "jobs/job.h"
#include "jobs/mail.h"
#include "jobs/smtp.h"
#include "util/clock.h"
#include "util/counters.h"

#define RUN_LIMIT apr_time_from_sec(5)    /* of one run of the job: other jobs wait meanwhile */
#define SEND_LIMIT apr_time_from_sec(15)  /* of sending one mail */
#define STORE_LIMIT apr_time_from_sec(30) /* of storing the outcome */
#define LEASE "60 seconds"                /* longer than SEND_LIMIT plus STORE_LIMIT */

/* Claims a mail that is due. A mail whose lease expired becomes `failed` if it must not be sent again. A mail to an
 * unconfirmed address becomes `expired` if only confirmed ones get mails. */
#define CLAIM                                                                                                          \
    "WITH due AS ("                                                                                                    \
    "    SELECT id, state = 'sending' AND (at_most_once OR attempts >= :tries::int) AS lost, "                         \
    "           :verified_only::boolean AND NOT verified "                                                             \
    "           AND subject_ref IS DISTINCT FROM 'address confirmation' AS withheld "                                  \
    "    FROM learnhub.outbox "                                                                                        \
    "    WHERE state IN ('waiting', 'sending') AND due_at <= now() AND (not_after IS NULL OR not_after > now()) "      \
    "    ORDER BY due_at "                                                                                             \
    "    LIMIT 1 "                                                                                                     \
    "    FOR UPDATE SKIP LOCKED) "                                                                                     \
    "UPDATE learnhub.outbox o "                                                                                        \
    "SET state = CASE WHEN lost THEN 'failed' WHEN withheld THEN 'expired' ELSE 'sending' END, "                       \
    "    attempts = attempts + (NOT lost AND NOT withheld)::int, "                                                     \
    "    due_at = now() + interval '" LEASE "', "                                                                      \
    "    last_error = CASE WHEN lost THEN 'The process that was sending it ended: the outcome is unknown.' "           \
    "                      WHEN withheld THEN 'The address is not confirmed.' "                                        \
    "                      ELSE last_error END "                                                                       \
    "FROM due "                                                                                                        \
    "WHERE o.id = due.id "                                                                                             \
    "RETURNING o.id, o.attempts, o.state, o.last_error, o.to_address, o.to_name, o.subject, o.body, o.at_most_once, "  \
    "          (extract(epoch FROM o.created_at) * 1000000)::bigint AS created, "                                      \
    "          (extract(epoch FROM o.not_after - now()) * 1000000)::bigint AS remaining"

/* Stores the outcome: sent, failed, later or untried. Does nothing if the lease was lost. */
#define STORE                                                                                                          \
    "UPDATE learnhub.outbox "                                                                                          \
    "SET last_error = :error, "                                                                                        \
    "    state = CASE WHEN :outcome::text IN ('sent', 'failed') THEN :outcome::text "                                  \
    "                 WHEN :outcome::text = 'later' AND attempts >= :tries::int THEN 'failed' "                        \
    "                 ELSE 'waiting' END, "                                                                            \
    "    sent_at = CASE WHEN :outcome::text = 'sent' THEN now() END, "                                                 \
    "    attempts = attempts - (:outcome::text = 'untried')::int, "                                                    \
    "    due_at = now() + CASE WHEN :outcome::text = 'later' THEN "                                                    \
    "                 least(CASE WHEN not_after IS NULL THEN interval '6 hours' ELSE interval '1 minute' END, "        \
    "                       interval '1 second' * power(4, least(attempts, 10) - 1)) "                                 \
    "                 ELSE interval '0' END "                                                                          \
    "WHERE id = :id::bigint AND attempts = :attempts::int AND state = 'sending' "                                      \
    "RETURNING state"

/* In portions: the next run continues. */
#define PRUNE                                                                                                          \
    "DELETE FROM learnhub.outbox "                                                                                     \
    "WHERE id IN (SELECT id FROM learnhub.outbox "                                                                     \
    "             WHERE state IN ('sent', 'failed', 'expired') "                                                       \
    "               AND created_at < now() - make_interval(secs => :keep::int) "                                       \
    "             ORDER BY created_at "                                                                                \
    "             LIMIT 1000 "                                                                                         \
    "             FOR UPDATE SKIP LOCKED)"

/* The parameters of all statements, and the columns of CLAIM. */
enum { SLOT_TRIES, SLOT_ID, SLOT_ATTEMPTS, SLOT_OUTCOME, SLOT_ERROR, SLOT_VERIFIED, SLOT_KEEP, SLOT_COUNT };
enum {
    CELL_ID,
    CELL_ATTEMPTS,
    CELL_STATE,
    CELL_ERROR,
    CELL_TO,
    CELL_NAME,
    CELL_SUBJECT,
    CELL_BODY,
    CELL_ONCE,
    CELL_CREATED,
    CELL_REMAINING,
    CELL_COUNT
};

static const lh_statement *claim_statement, *store_statement, *prune_statement;

int lh_outbox_compile(lh_statements *registry, const char **why)
{
    static const char *const names[SLOT_COUNT] = {"tries",         "id",  "attempts", "outcome", "error",
                                                  "verified_only", "keep"};
    static const lh_slots slots = {names, SLOT_COUNT};

    claim_statement = lh_statement_compile(registry, "outbox.claim", CLAIM, NULL, &slots, why);
    if (!*why) {
        store_statement = lh_statement_compile(registry, "outbox.store", STORE, NULL, &slots, why);
    }
    if (!*why) {
        prune_statement = lh_statement_compile(registry, "outbox.prune", PRUNE, NULL, &slots, why);
    }
    return !*why;
}

/* A claimed mail, with its columns as text. */
typedef struct claimed {
    const lh_server *server;
    apr_pool_t *pool;
    const char *cells[CELL_COUNT];
} claimed;

static const char *max_tries(const claimed *mail)
{
    return apr_psprintf(mail->pool, "%" APR_INT64_T_FMT, mail->server->config.mail_tries);
}

/* `why` must not contain an address. */
static void log_failure(const claimed *mail, const char *why)
{
    lh_counter_add(LH_COUNT_MAILS_FAILED, 1);
    ap_log_error(APLOG_MARK, APLOG_WARNING, 0, mail->server->s, LH_LOG(0021) "mail %s failed after %s attempts: %s",
                 mail->cells[CELL_ID], mail->cells[CELL_ATTEMPTS], why);
}

/* Returns 0 if no mail is due or the statement fails. */
static int claim(claimed *mail)
{
    const char *values[SLOT_COUNT] = {NULL};
    lh_result *result;
    int i;

    values[SLOT_TRIES] = max_tries(mail);
    values[SLOT_VERIFIED] = mail->server->jobs->verified_only ? "true" : "false";
    if (lh_job_execute(mail->server, mail->pool, claim_statement, values, 0, &result) != LH_SQL_OK ||
        lh_result_rows(result) == 0) {
        return 0;
    }
    for (i = 0; i < CELL_COUNT; i++) {
        lh_cell_value cell;
        cell.data = lh_result_cell(result, 0, i, &cell.length);
        mail->cells[i] = lh_rows_text(mail->pool, lh_result_type(result, i), &cell);
    }
    return 1;
}

/* Retries while the database is unavailable: otherwise a mail that was sent would be sent again when its lease
 * expires. */
static void store_outcome(const claimed *mail, const char *outcome, const lh_smtp_cause *why)
{
    const char *values[SLOT_COUNT] = {NULL};
    apr_time_t until = lh_clock() + STORE_LIMIT;
    lh_result *result;
    lh_sql_outcome stored;

    values[SLOT_TRIES] = max_tries(mail);
    values[SLOT_ID] = mail->cells[CELL_ID];
    values[SLOT_ATTEMPTS] = mail->cells[CELL_ATTEMPTS];
    values[SLOT_OUTCOME] = outcome;
    values[SLOT_ERROR] = why->reply;
    stored = lh_job_execute(mail->server, mail->pool, store_statement, values, 1, &result);
    while (stored != LH_SQL_OK && stored != LH_SQL_ERROR && !lh_job_stopping() && lh_clock() < until) {
        apr_sleep(apr_time_from_msec(200));
        stored = lh_job_execute(mail->server, mail->pool, store_statement, values, 1, &result);
    }
    if (stored == LH_SQL_OK && lh_result_rows(result)) {
        int length;
        const char *state = lh_result_cell(result, 0, 0, &length);
        if (length == 6 && !memcmp(state, "failed", 6)) {
            log_failure(mail, why->summary);
        }
        else if (!strcmp(outcome, "later")) {
            lh_counter_add(LH_COUNT_MAILS_RETRIED, 1);
        }
    }
}

/* Logs when the mail server becomes unavailable or available. */
static void log_server_state(const claimed *mail, lh_smtp_outcome outcome, const char *why)
{
    lh_job_state *state = mail->server->jobs;
    int down = outcome == LH_SMTP_DOWN || outcome == LH_SMTP_UNKNOWN;

    if (down && !state->mail_server_down) {
        ap_log_error(APLOG_MARK, APLOG_WARNING, 0, mail->server->s,
                     LH_LOG(0022) "the mail server is unavailable, mails wait: %s", why);
    }
    else if (!down && state->mail_server_down) {
        ap_log_error(APLOG_MARK, APLOG_NOTICE, 0, mail->server->s, LH_LOG(0023) "the mail server is available again");
    }
    state->mail_server_down = down;
}

static lh_smtp_outcome send_message(lh_smtp *smtp, const claimed *mail, lh_smtp_cause *why)
{
    const char *const *cells = mail->cells;
    lh_mail message = {.id = apr_atoi64(cells[CELL_ID]), .created = apr_atoi64(cells[CELL_CREATED])};
    lh_envelope envelope = {.from = mail->server->config.mail_from, .to = cells[CELL_TO], .limit = SEND_LIMIT};

    if (!lh_mail_address(envelope.to)) {
        why->reply = why->summary = "The address is invalid.";
        return LH_SMTP_REJECTED;
    }
    message.from = envelope.from;
    message.to = envelope.to;
    message.to_name = cells[CELL_NAME];
    message.subject = cells[CELL_SUBJECT];
    message.body = cells[CELL_BODY];
    envelope.message = lh_mail_compose(mail->pool, &message, &envelope.length);
    if (cells[CELL_REMAINING] && apr_atoi64(cells[CELL_REMAINING]) < envelope.limit) {
        envelope.limit = apr_atoi64(cells[CELL_REMAINING]);
    }
    return lh_smtp_send(smtp, &envelope, why);
}

/* Sends one mail and stores the outcome; returns 1 if another one can be sent at once. */
static int send_one(lh_smtp *smtp, const claimed *mail)
{
    lh_smtp_cause why = {NULL, NULL};
    lh_smtp_outcome outcome = send_message(smtp, mail, &why);
    int once = !strcmp(mail->cells[CELL_ONCE], "true"), final = outcome == LH_SMTP_UNKNOWN && once;

    if (outcome == LH_SMTP_STOPPED) {
        why.reply = mail->cells[CELL_ERROR];
        store_outcome(mail, "untried", &why);
        return 0;
    }
    log_server_state(mail, outcome, why.summary);
    if (outcome == LH_SMTP_SENT) {
        why.reply = NULL;
        lh_counter_add(LH_COUNT_MAILS_SENT, 1);
        store_outcome(mail, "sent", &why);
    }
    else {
        store_outcome(mail, outcome == LH_SMTP_REJECTED || final ? "failed" : "later", &why);
    }
    return outcome != LH_SMTP_DOWN && outcome != LH_SMTP_UNKNOWN;
}

static lh_smtp *open_smtp(const lh_server *server, apr_pool_t *p)
{
    const lh_config *config = &server->config;

    return lh_smtp_open(p, config->smtp, config->smtp_login, !strcmp(config->smtp_security, "required"),
                        lh_job_stopping);
}

void lh_outbox_send(const lh_server *server, apr_pool_t *p)
{
    apr_time_t until = lh_clock() + RUN_LIMIT;
    lh_smtp *smtp = NULL;
    int more = server->config.smtp != NULL;

    while (more && lh_clock() < until && !lh_job_stopping()) {
        claimed mail = {.server = server};

        apr_pool_create(&mail.pool, p);
        more = claim(&mail);
        if (more && !strcmp(mail.cells[CELL_STATE], "failed")) {
            log_failure(&mail, mail.cells[CELL_ERROR]);
        }
        else if (more && !strcmp(mail.cells[CELL_STATE], "sending")) {
            smtp = smtp ? smtp : open_smtp(server, p);
            more = smtp && send_one(smtp, &mail);
        }
        apr_pool_destroy(mail.pool);
    }
}

void lh_outbox_prune(const lh_server *server, apr_pool_t *p)
{
    const char *values[SLOT_COUNT] = {NULL};
    lh_result *result;

    values[SLOT_KEEP] = apr_psprintf(p, "%" APR_INT64_T_FMT, apr_time_sec(server->config.keep_mails));
    lh_job_execute(server, p, prune_statement, values, 1, &result);
}
