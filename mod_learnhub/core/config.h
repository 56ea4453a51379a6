/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The directives: one row each, with type, place, limits and default. Values start unset, are merged from the main
 * server into its virtual hosts, and get their defaults once, after all of it has been read.
 */
#ifndef LH_CONFIG_H
#define LH_CONFIG_H

#include <httpd.h>

#include <http_config.h>

#include "core/secret.h"
#include "crypto/jwt.h"

typedef struct lh_throttle {
    apr_int64_t failures; /* 0: off */
    apr_interval_time_t time;
} lh_throttle;

/* Durations are in microseconds. */
typedef struct lh_config {
    apr_int64_t enabled;
    apr_int64_t apis;  /* bits: places in lh_config_apis */
    apr_int64_t pages; /* bits: places in lh_config_pages */
    lh_jwt_keys *keys;
    apr_int64_t access_ttl, refresh_ttl;
    apr_int64_t token_ttl; /* of opaque tokens; 0: they do not expire */
    const char *issuer, *audience;
    apr_int64_t bcrypt_cost;
    lh_throttle throttle;
    apr_int64_t revocation_interval;
    apr_int64_t max_body, max_photo; /* bytes */
    const char *origins;             /* separated by spaces, or "*", or NULL */
    apr_int64_t statement_timeout, connection_wait;
    const char *eco_verify;  /* "admin" or "self" */
    const char *meeting_url; /* with one %s, or NULL */
    const char *public_url;  /* without a slash at the end, or NULL */
    const char *reset_url;   /* with {uid} and {token}, or NULL */
    const char *smtp;        /* the mail server's URL, or NULL: mails wait */
    const lh_credentials *smtp_login;
    const char *mail_from; /* an address */
    apr_int64_t mail_tries;
    const char *model_url, *model_name, *model_key;
    apr_int64_t model_timeout;
} lh_config;

extern const char lh_config_apis[], lh_config_pages[];
extern const command_rec lh_config_commands[];

void *lh_config_create(apr_pool_t *p, server_rec *s);
void *lh_config_merge(apr_pool_t *p, void *base, void *over);

/* Gives every unset value its default. */
void lh_config_complete(apr_pool_t *p, lh_config *config);

/* The first thing that is missing for a server with LearnHub On, as a sentence; NULL when nothing is. */
const char *lh_config_error(const lh_config *config);

/* 1 when the bit of `word` in `words` (lh_config_apis or lh_config_pages) is set. */
int lh_config_has(const char *words, apr_int64_t bits, const char *word);

#endif
