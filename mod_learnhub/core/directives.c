/* SPDX-License-Identifier: Apache-2.0 */
/* The directives: a table with one entry for each. */
#include <apr_strings.h>
#include <stddef.h>

#include "core/config.h"
#include "core/conninfo.h"
#include "core/doc_files.h"
#include "core/learnhub_module.h"
#include "core/readers.h"

static const char *read_directive(cmd_parms *cmd, void *unused, int argc, char *const argv[])
{
    lh_config *config = ap_get_module_config(cmd->server->module_config, &learnhub_module);
    const lh_setting *setting = cmd->info;
    const char *why = setting->read(cmd->pool, setting, (char *)config + setting->offset, argc, argv);

    (void)unused;
    return why ? apr_pstrcat(cmd->pool, cmd->cmd->name, ": ", why, NULL) : NULL;
}

/* clang-format off */

/* DIRECTIVE(name, reader, member of lh_config, description, further members of lh_setting). */
#define DIRECTIVE(name, reader, member, help, ...)                                                          \
    AP_INIT_TAKE_ARGV(name, read_directive, ((void *)&(const lh_setting){                                   \
        .read = reader,                                                                                     \
        .kind = _Generic(((lh_config *)0)->member,                                                          \
            apr_int64_t: LH_SETTING_NUMBER, lh_throttle: LH_SETTING_NUMBER,                                 \
            lh_spool_limit: LH_SETTING_NUMBER, lh_rates: LH_SETTING_NUMBER, default: LH_SETTING_POINTER),   \
        .offset = offsetof(lh_config, member),                                                              \
        .size = sizeof(((lh_config *)0)->member),                                                           \
        __VA_ARGS__}), RSRC_CONF, help)

/* In the order of conf/DIRECTIVES.md. Each .default_value must be valid. */
const command_rec lh_config_commands[] = {
    DIRECTIVE("LearnHub", lh_read_flag, enabled, "On or Off: enables the APIs in this server",
              .default_value = "Off"),
    DIRECTIVE("LearnHubAPI", lh_read_words, apis, "the APIs: all, none, or practice tutoring coding mentoring xp admin",
              .words = lh_config_apis, .default_value = "all"),
    DIRECTIVE("LearnHubPages", lh_read_words, pages,
              "the service pages: all, none, or index (/) health (/health) openapi (/openapi.json) docs (/docs)",
              .words = lh_config_pages, .default_value = "all"),
    DIRECTIVE("LearnHubDocs", lh_read_docs, docs,
              "the directory of the files of /docs, on which people try the APIs, or Off: a plain page"),
    DIRECTIVE("LearnHubPrefix", lh_read_prefix, prefix, "the path below which all APIs and pages are served; /: none",
              .default_value = "/"),
    DIRECTIVE("LearnHubCORS", lh_read_origins, origins, "the origins that may call the APIs from a browser, or *"),
    DIRECTIVE("LearnHubEcoVerify", lh_read_choice, eco_verify,
              "who may verify eco-activities: admin, or self (admins, and users their own)",
              .words = "admin self", .default_value = "admin"),
    DIRECTIVE("LearnHubSignupRoles", lh_read_list, signup_roles,
              "the roles that users get if they choose them when they sign up: student, instructor",
              .words = "student instructor", .default_value = "student"),

    DIRECTIVE("LearnHubJWTSecret", lh_read_key, keys,
              "[kid=NAME] and a signing key: " LH_SECRET_SOURCES "key itself; the first one signs, all verify"),
    DIRECTIVE("LearnHubJWTIssuer", lh_read_string, issuer, "the issuer (iss) of tokens"),
    DIRECTIVE("LearnHubJWTAudience", lh_read_string, audience, "the audience (aud) of tokens, checked if set"),
    DIRECTIVE("LearnHubAccessTokenTTL", lh_read_duration, access_ttl, "the lifetime of access tokens",
              .min = LH_SECOND, .max = 30 * LH_DAY, .default_value = "24h"),
    DIRECTIVE("LearnHubRefreshTokenTTL", lh_read_duration, refresh_ttl, "the lifetime of refresh tokens",
              .min = LH_SECOND, .max = 365 * LH_DAY, .default_value = "7d"),
    DIRECTIVE("LearnHubTokenTTL", lh_read_duration, token_ttl,
              "the time without a use after which opaque tokens expire; 0: they do not expire",
              .max = 3650 * LH_DAY, .default_value = "90d"),
    DIRECTIVE("LearnHubRevocationInterval", lh_read_duration, revocation_interval,
              "the maximum time until a revoked account, role or token stops working in every process",
              .max = LH_HOUR, .default_value = "10s"),
    DIRECTIVE("LearnHubBcryptCost", lh_read_integer, bcrypt_cost, "the bcrypt cost of password hashes, 4 to 15",
              .min = 4, .max = 15, .default_value = "10"),
    DIRECTIVE("LearnHubLoginThrottle", lh_read_throttle, throttle,
              "FAILURES/TIME, the failed logins of an account after which its logins are rejected, and the same for an "
              "address (ten times as many), or Off",
              .min = LH_SECOND, .max = LH_DAY, .default_value = "10/5m"),
    DIRECTIVE("LearnHubPasswordList", lh_read_passwords, passwords,
              "a file of common passwords, one a line, also gzipped, that users cannot choose, or Off"),
    DIRECTIVE("LearnHubKeepAudit", lh_read_duration, keep_audit,
              "the time after which entries of the audit log are deleted",
              .min = LH_DAY, .max = 3650 * LH_DAY, .default_value = "365d"),

    DIRECTIVE("LearnHubMaxBody", lh_read_integer, max_body,
              "the maximum size of request bodies without a photo or a diagram in bytes",
              .min = 1024, .max = 1073741824, .default_value = "1048576"),
    DIRECTIVE("LearnHubMaxPhoto", lh_read_integer, max_photo, "the maximum size of a photo in bytes",
              .min = 1024, .max = 67108864, .default_value = "8388608"),
    DIRECTIVE("LearnHubMaxDiagram", lh_read_integer, max_diagram, "the maximum size of a body with a diagram in bytes",
              .min = 1024, .max = 67108864, .default_value = "8388608"),
    DIRECTIVE("LearnHubRate", lh_read_rate, rates,
              "On or Off, or a class and its NUMBER/TIME of requests per account and per address, or Off",
              .min = LH_SECOND, .max = LH_DAY, .words = lh_config_rates, .parts = LH_RATE_READ, .default_value = "On"),
    DIRECTIVE("LearnHubConnectionWait", lh_read_duration, connection_wait,
              "the maximum time that a request waits for a database connection",
              .min = 10 * LH_MILLISECOND, .max = LH_MINUTE, .default_value = "2s"),
    DIRECTIVE("LearnHubStatementTimeout", lh_read_duration, statement_timeout, "the timeout of database statements",
              .min = 10 * LH_MILLISECOND, .max = LH_HOUR, .default_value = "5s"),
    DIRECTIVE("LearnHubPreparedStatements", lh_read_choice, prepared,
              "Auto, On or Off: statements are prepared on each connection; Auto: unless a pooler is detected",
              .words = "auto on off", .default_value = "auto"),
    DIRECTIVE("LearnHubTraceStatements", lh_read_flag, trace,
              "On or Off: transactions have the id of their request as application_name",
              .default_value = "Off"),
    DIRECTIVE("LearnHubReadFrom", lh_read_conninfo, read_from,
              "the connection string of standbys that lists are read from, or Primary: only store who makes changes"),
    DIRECTIVE("LearnHubReadLag", lh_read_duration, read_lag,
              "the time by which a standby may be behind the primary",
              .min = 100 * LH_MILLISECOND, .max = LH_MINUTE, .default_value = "5s"),
    DIRECTIVE("LearnHubSpool", lh_read_spool, spool,
              "the size of all temporary files for long responses in bytes, per process, and their directory",
              .min = 1048576, .max = (apr_int64_t)1 << 40, .default_value = "268435456"),
    DIRECTIVE("LearnHubCache", lh_read_integer, cache,
              "the memory of each process for cached responses in bytes; 0 turns the cache off",
              .max = 1073741824, .default_value = "8388608"),
    DIRECTIVE("LearnHubIdempotencyTTL", lh_read_duration, idempotency_ttl,
              "the time for which the response to a request with an Idempotency-Key is kept for repeated requests",
              .min = LH_MINUTE, .max = 30 * LH_DAY, .default_value = "24h"),

    DIRECTIVE("LearnHubPublicURL", lh_read_url, public_url,
              "the base of absolute URLs in responses; unset: scheme and host of the request"),
    DIRECTIVE("LearnHubPasswordResetURL", lh_read_reset_url, reset_url,
              "the page where users choose a new password, with {uid} and {token}; unset: below LearnHubPublicURL"),
    DIRECTIVE("LearnHubActivationURL", lh_read_reset_url, activation_url,
              "the page where users confirm an e-mail address, with {uid} and {token}; unset: below LearnHubPublicURL"),
    DIRECTIVE("LearnHubMeetingURL", lh_read_meeting_url, meeting_url,
              "the meeting URL of confirmed mentoring sessions, with one %s for a random code; unset: none"),

    DIRECTIVE("LearnHubSMTP", lh_read_smtp, smtp,
              "the mail server, smtp://host[:port] or smtps://host[:port]; unset: mails are stored, but not sent"),
    DIRECTIVE("LearnHubSMTPAuth", lh_read_login, smtp_login,
              "the login at the mail server: a user and " LH_SECRET_SOURCES "password itself"),
    DIRECTIVE("LearnHubSMTPSecurity", lh_read_choice, smtp_security,
              "TLS for mail servers on other machines: required, or opportunistic (if the server offers it)",
              .words = "required opportunistic", .default_value = "required"),
    DIRECTIVE("LearnHubMailFrom", lh_read_email, mail_from, "the sender of mails, an e-mail address"),
    DIRECTIVE("LearnHubVerifyEmail", lh_read_flag, verify_email,
              "On or Off: an e-mail address gets no mail but the confirmation until its user has confirmed it",
              .default_value = "Off"),
    DIRECTIVE("LearnHubMailTries", lh_read_integer, mail_tries, "the maximum number of attempts to send a mail",
              .min = 1, .max = 100, .default_value = "10"),
    DIRECTIVE("LearnHubKeepMails", lh_read_duration, keep_mails,
              "the time after which mails that were sent, have failed or have expired are deleted",
              .min = LH_DAY, .max = 3650 * LH_DAY, .default_value = "30d"),

    DIRECTIVE("LearnHubModelURL", lh_read_url, model_url,
              "the chat-completions URL of a model that rates activities; unset: the built-in engine rates them"),
    DIRECTIVE("LearnHubModelName", lh_read_string, model_name, "the name of the model"),
    DIRECTIVE("LearnHubModelKey", lh_read_secret, model_key,
              "the key of the model's API: " LH_SECRET_SOURCES "key itself"),
    DIRECTIVE("LearnHubModelTimeout", lh_read_duration, model_timeout, "the timeout of a request to the model",
              .min = 10 * LH_MILLISECOND, .max = LH_MINUTE, .default_value = "2s"),
    DIRECTIVE("LearnHubModelReviewTimeout", lh_read_duration, review_timeout,
              "the timeout of a request to the model about a drawing",
              .min = 10 * LH_MILLISECOND, .max = 5 * LH_MINUTE, .default_value = "30s"),

    {0}};
/* clang-format on */
