/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The configuration of a server: the values of its directives. A value is unset until its directive is read; virtual
 * hosts inherit the values of the main server that they do not set; lh_config_complete() then sets the defaults.
 */
#ifndef LH_CONFIG_H
#define LH_CONFIG_H

#include <httpd.h>

#include <http_config.h>

#include "core/secret.h"
#include "crypto/common_password.h"
#include "crypto/jwt.h"
#include "learnhub.h"
#include "util/buckets.h"

typedef struct lh_throttle {
    apr_int64_t failures; /* of an account; 0: off */
    apr_interval_time_t time;
    apr_int64_t address_failures;
    apr_interval_time_t address_time;
} lh_throttle;

typedef struct lh_spool_limit {
    apr_int64_t bytes;
    const char *directory; /* NULL: the system's directory of temporary files */
} lh_spool_limit;

/* The limits of a class of routes, per account and per network of the client. */
typedef struct lh_rate_limits {
    lh_limit account, network;
} lh_rate_limits;

/* In the order of lh_config_rates. */
typedef struct lh_rates {
    lh_rate_limits of[LH_RATE_READ];
} lh_rates;

/* In the order of conf/DIRECTIVES.md. Durations are in microseconds. */
typedef struct lh_config {
    apr_int64_t enabled;
    apr_int64_t apis;                /* bits by index in lh_config_apis */
    apr_int64_t pages;               /* bits by index in lh_config_pages */
    const struct lh_doc_files *docs; /* of /docs; NULL, or without a version: the plain page */
    const char *prefix;              /* of all paths, such as "/learn"; "" without one */
    const char *origins;             /* separated by spaces, or "*", or NULL */
    const char *eco_verify;          /* "admin" or "self" */
    const char *signup_roles;        /* separated by spaces */

    lh_jwt_keys *keys;
    const char *issuer, *audience;
    apr_int64_t access_ttl, refresh_ttl;
    apr_int64_t token_ttl; /* of opaque tokens that are not used; 0: they do not expire */
    apr_int64_t revocation_interval;
    apr_int64_t bcrypt_cost;
    lh_throttle throttle;
    const lh_password_list *passwords; /* that new ones may not equal, or NULL */
    apr_int64_t keep_audit;

    apr_int64_t max_body, max_photo, max_diagram; /* bytes */
    lh_rates rates;
    apr_int64_t connection_wait, statement_timeout;
    const char *prepared; /* "auto", "on" or "off" */
    apr_int64_t trace;
    const char *read_from; /* the connection string of standbys, "" for Primary, or NULL */
    apr_int64_t read_lag;
    lh_spool_limit spool;
    apr_int64_t cache; /* bytes; 0: off */
    apr_int64_t idempotency_ttl;

    const char *public_url;                 /* without a trailing slash, or NULL */
    const char *reset_url, *activation_url; /* with {uid} and {token}, or NULL */
    const char *meeting_url;                /* with one %s, or NULL */

    const char *smtp; /* the URL of the mail server, or NULL: mails are stored, but not sent */
    const lh_credentials *smtp_login;
    const char *smtp_security; /* "required" or "opportunistic" */
    const char *mail_from;     /* an e-mail address */
    apr_int64_t verify_email;
    apr_int64_t mail_tries;
    apr_int64_t keep_mails;

    const char *model_url, *model_name, *model_key;
    apr_int64_t model_timeout, review_timeout;
} lh_config;

/* The names that LearnHubAPI and LearnHubPages accept, separated by spaces. */
extern const char lh_config_apis[], lh_config_pages[];

/* The classes of LearnHubRate in the order of lh_rate, from LH_RATE_SIGNUP on. */
extern const char lh_config_rates[];

/* The directives of the module (core/directives.c). */
extern const command_rec lh_config_commands[];

/* The create_server_config and merge_server_config of the module record. */
void *lh_config_create(apr_pool_t *p, server_rec *s);
void *lh_config_merge(apr_pool_t *p, void *base, void *over);

/* Sets the default of every unset value. */
void lh_config_complete(apr_pool_t *p, lh_config *config);

/* Checks a complete configuration with LearnHub On. Returns NULL, or a message about the first missing directive. */
const char *lh_config_error(const lh_config *config);

/* What the paths of links begin with: the path of LearnHubPublicURL, and LearnHubPrefix. */
const char *lh_config_base(apr_pool_t *p, const lh_config *config);

/* 1 when `bits`, a set of names from `words` (lh_config_apis or lh_config_pages), contains `word`. */
int lh_config_has(const char *words, apr_int64_t bits, const char *word);

/* The limits of a class; not of LH_RATE_BY_METHOD. */
const lh_rate_limits *lh_config_rate(const lh_config *config, lh_rate rate);

/* The name of a class, as in the directive. */
const char *lh_config_rate_name(apr_pool_t *p, lh_rate rate);

#endif
