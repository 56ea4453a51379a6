/* SPDX-License-Identifier: Apache-2.0 */
#include "core/readers.h"

#include <httpd.h>

#include <apr_strings.h>
#include <apr_uri.h>
#include <http_config.h>
#include <string.h>

#include "core/config.h"
#include "core/secret.h"
#include "crypto/common_password.h"
#include "util/text.h"

/* ---- numbers ---- */

const char *lh_read_flag(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)p, (void)setting;
    if (argc != 1 || (strcasecmp(argv[0], "On") && strcasecmp(argv[0], "Off"))) {
        return "must be On or Off";
    }
    *(apr_int64_t *)target = !strcasecmp(argv[0], "On");
    return NULL;
}

const char *lh_read_integer(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    apr_int64_t value;

    if (argc != 1 || !lh_text_integer(argv[0], &value) || value < setting->min || value > setting->max) {
        return apr_psprintf(p, "must be a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT, setting->min,
                            setting->max);
    }
    *(apr_int64_t *)target = value;
    return NULL;
}

/* Parses a number with the unit ms, s, m, h, d or none (seconds). Returns microseconds; -1 for any other text. */
static apr_int64_t parse_duration(const char *text)
{
    static const struct {
        const char *unit;
        apr_int64_t micros;
    } units[] = {{"ms", LH_MILLISECOND}, {"s", LH_SECOND}, {"", LH_SECOND},
                 {"m", LH_MINUTE},       {"h", LH_HOUR},   {"d", LH_DAY}};
    apr_int64_t number = 0;
    apr_size_t i;

    if (*text < '0' || *text > '9') {
        return -1;
    }
    for (; *text >= '0' && *text <= '9' && number < 1000000; text++) {
        number = number * 10 + (*text - '0');
    }
    for (i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (!strcmp(text, units[i].unit)) {
            return number * units[i].micros;
        }
    }
    return -1;
}

/* Writes a duration of whole milliseconds with the largest unit that divides it. */
static const char *duration_text(apr_pool_t *p, apr_int64_t micros)
{
    static const struct {
        const char *unit;
        apr_int64_t micros;
    } units[] = {{"d", LH_DAY}, {"h", LH_HOUR}, {"m", LH_MINUTE}, {"s", LH_SECOND}, {"ms", LH_MILLISECOND}};
    int i = micros ? 0 : 3; /* 0 is 0s */

    while (i < 4 && micros % units[i].micros) {
        i++;
    }
    return apr_psprintf(p, "%" APR_INT64_T_FMT "%s", micros / units[i].micros, units[i].unit);
}

const char *lh_read_duration(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    apr_int64_t value = argc == 1 ? parse_duration(argv[0]) : -1;

    if (value < setting->min || value > setting->max) {
        return apr_psprintf(p, "must be a time such as 90s, 15m, 24h or 7d, from %s to %s",
                            duration_text(p, setting->min), duration_text(p, setting->max));
    }
    *(apr_int64_t *)target = value;
    return NULL;
}

#define FAILURES_MAX 1000000

/* FAILURES/TIME. Returns 0 if the text has another form. */
static int parse_failures(apr_pool_t *p, const lh_setting *setting, const char *text, apr_int64_t *failures,
                          apr_interval_time_t *time)
{
    const char *slash = strchr(text, '/');

    *time = slash ? parse_duration(slash + 1) : -1;
    return slash && lh_text_integer(apr_pstrmemdup(p, text, (apr_size_t)(slash - text)), failures) && *failures >= 1 &&
           *failures <= FAILURES_MAX && *time >= setting->min && *time <= setting->max;
}

/* FAILURES/TIME [FAILURES/TIME] or Off. Without the second, the limit of an address is ten times the first. */
const char *lh_read_throttle(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    lh_throttle *throttle = target;

    if (argc == 1 && !strcasecmp(argv[0], "Off")) {
        memset(throttle, 0, sizeof(*throttle));
        return NULL;
    }
    if (argc < 1 || argc > 2 || !parse_failures(p, setting, argv[0], &throttle->failures, &throttle->time) ||
        (argc == 2 && !parse_failures(p, setting, argv[1], &throttle->address_failures, &throttle->address_time))) {
        return apr_psprintf(p,
                            "must be Off or FAILURES/TIME such as 10/5m, and optionally a second one for addresses, "
                            "with 1 to %d failures in %s to %s",
                            FAILURES_MAX, duration_text(p, setting->min), duration_text(p, setting->max));
    }
    if (argc == 1) {
        throttle->address_failures = 10 * throttle->failures;
        throttle->address_time = throttle->time;
    }
    return NULL;
}

/* ---- rates ---- */

/* clang-format off */

/* The limits of `On`, per account and per address. No user and no front end reaches them; a school is one address. */
static const lh_rate_limits default_rates[] = {
    [LH_RATE_SIGNUP - LH_RATE_SIGNUP] = {{0, 0},                {600, 5 * LH_MINUTE}},
    [LH_RATE_LOGIN - LH_RATE_SIGNUP]  = {{0, 0},                {1200, 5 * LH_MINUTE}},
    [LH_RATE_MAIL - LH_RATE_SIGNUP]   = {{300, LH_HOUR},        {3000, LH_HOUR}},
    [LH_RATE_SEARCH - LH_RATE_SIGNUP] = {{600, LH_MINUTE},      {1200, LH_MINUTE}},
    [LH_RATE_WRITE - LH_RATE_SIGNUP]  = {{1200, LH_MINUTE},     {12000, LH_MINUTE}},
    [LH_RATE_READ - LH_RATE_SIGNUP]   = {{120000, LH_MINUTE},   {600000, LH_MINUTE}}};

/* clang-format on */

/* NUMBER/TIME */
static int read_limit(apr_pool_t *p, const lh_setting *setting, const char *text, lh_limit *limit)
{
    const char *slash = strchr(text, '/');

    limit->time = slash ? parse_duration(slash + 1) : -1;
    return slash && lh_text_integer(apr_pstrmemdup(p, text, (apr_size_t)(slash - text)), &limit->requests) &&
           limit->requests >= 1 && limit->requests <= 1000000 && limit->time >= setting->min &&
           limit->time <= setting->max;
}

/* [ACCOUNT] ADDRESS, which are NUMBER/TIME; Off. Without ADDRESS an address has ten times the limit of an account. */
static int read_limits(apr_pool_t *p, const lh_setting *setting, int per_account, int argc, char *const argv[],
                       lh_rate_limits *limits)
{
    memset(limits, 0, sizeof(*limits));
    if (argc == 1 && !strcasecmp(argv[0], "Off")) {
        return 1;
    }
    if (!per_account) {
        return argc == 1 && read_limit(p, setting, argv[0], &limits->network);
    }
    if (argc < 1 || argc > 2 || !read_limit(p, setting, argv[0], &limits->account)) {
        return 0;
    }
    limits->network.requests = 10 * limits->account.requests;
    limits->network.time = limits->account.time;
    return argc == 1 || read_limit(p, setting, argv[1], &limits->network);
}

/* On, Off, or CLASS followed by its limits; other classes keep theirs. */
const char *lh_read_rate(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    lh_rates *rates = target;
    int class = argc > 1 ? lh_text_index(setting->words, argv[0]) : -1;

    if (argc == 1 && !strcasecmp(argv[0], "On")) {
        memcpy(rates->of, default_rates, sizeof(default_rates));
    }
    else if (argc == 1 && !strcasecmp(argv[0], "Off")) {
        memset(rates, 0, sizeof(*rates));
    }
    else if (class < 0 ||
             !read_limits(p, setting, class >= LH_RATE_MAIL - LH_RATE_SIGNUP, argc - 1, argv + 1, &rates->of[class])) {
        return apr_psprintf(p,
                            "must be On, Off, or a class (%s) and Off or NUMBER/TIME per account and per address, such "
                            "as search 600/1m 1200/1m; signup and login have only the limit per address. NUMBER is 1 "
                            "to 1000000, TIME %s to %s",
                            setting->words, duration_text(p, setting->min), duration_text(p, setting->max));
    }
    return NULL;
}

/* BYTES [DIRECTORY] */
const char *lh_read_spool(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    lh_spool_limit *limit = target;
    apr_finfo_t info;

    limit->directory = NULL;
    if (argc > 1) {
        limit->directory = ap_server_root_relative(p, argv[1]);
        if (argc > 2 || !limit->directory || apr_stat(&info, limit->directory, APR_FINFO_TYPE, p) != APR_SUCCESS ||
            info.filetype != APR_DIR) {
            return "must be BYTES [DIRECTORY], with a directory that exists";
        }
    }
    return lh_read_integer(p, setting, &limit->bytes, argc > 0, argv);
}

/* ---- names and strings ---- */

#define ALL_WORDS 0x7FFFFFFF

/* Names of setting->words, stored as bits by their index. */
const char *lh_read_words(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    apr_int64_t bits = 0;
    int i, index;

    for (i = 0; i < argc; i++) {
        index = lh_text_index(setting->words, argv[i]);
        if (index >= 0) {
            bits |= (apr_int64_t)1 << index;
        }
        else if (argc == 1 && !strcasecmp(argv[i], "all")) {
            bits = ALL_WORDS;
        }
        else if (argc != 1 || strcasecmp(argv[i], "none")) {
            return apr_psprintf(p, "must be all, none, or some of: %s; \"%s\" is not allowed here", setting->words,
                                argv[i]);
        }
    }
    if (argc == 0) {
        return apr_psprintf(p, "must be all, none, or some of: %s", setting->words);
    }
    *(apr_int64_t *)target = bits;
    return NULL;
}

const char *lh_read_choice(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    if (argc != 1 || lh_text_index(setting->words, argv[0]) < 0) {
        return apr_psprintf(p, "must be one of: %s", setting->words);
    }
    *(const char **)target = apr_pstrdup(p, argv[0]);
    ap_str_tolower(*(char **)target);
    return NULL;
}

/* Words of setting->words, stored as a list. */
const char *lh_read_list(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    char *list = NULL;
    int i;

    for (i = 0; i < argc && lh_text_index(setting->words, argv[i]) >= 0; i++) {
        list = list ? apr_pstrcat(p, list, " ", argv[i], NULL) : apr_pstrdup(p, argv[i]);
    }
    if (!list || i < argc) {
        return apr_psprintf(p, "must be one or more of: %s", setting->words);
    }
    ap_str_tolower(list);
    *(const char **)target = list;
    return NULL;
}

const char *lh_read_string(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)setting;
    if (argc != 1 || !*argv[0] || !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return "must be one UTF-8 string that is not empty, in quotes if it contains spaces";
    }
    *(const char **)target = apr_pstrdup(p, argv[0]);
    return NULL;
}

const char *lh_read_email(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)setting;
    if (argc != 1 || !lh_text_is_email(argv[0]) || !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return "must be an e-mail address such as learnhub@example.com";
    }
    *(const char **)target = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* FILE or Off, which is stored as an empty list: it replaces an inherited one. */
const char *lh_read_passwords(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    const char *file = argc == 1 && *argv[0] ? ap_server_root_relative(p, argv[0]) : NULL, *why;

    (void)setting;
    if (!file) {
        return "must be Off or a file of common passwords, one a line";
    }
    if (!strcasecmp(argv[0], "Off")) {
        *(const lh_password_list **)target = lh_password_list_empty(p);
        return NULL;
    }
    why = lh_password_list_read(p, file, target);
    return why ? apr_psprintf(p, "%s: %s", argv[0], why) : NULL;
}

/* ---- URLs ---- */

#define NEVER_IN_URLS " \t\"\\<>"

/* The part of a URL after http:// or https://; NULL for other schemes. */
static const char *after_scheme(const char *url)
{
    return !strncmp(url, "http://", 7) ? url + 7 : !strncmp(url, "https://", 8) ? url + 8 : NULL;
}

/* http(s)://host[:port], and a path if it is allowed. */
static int is_url(const char *text, int path_allowed)
{
    const char *host = after_scheme(text);

    return host && *host && *host != '/' && *host != ':' && !strpbrk(host, NEVER_IN_URLS "?#@") &&
           (path_allowed || !strchr(host, '/'));
}

const char *lh_read_url(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    char *url;

    (void)setting;
    if (argc != 1 || !is_url(argv[0], 1)) {
        return "must be an absolute URL such as https://learn.example.com, without a query";
    }
    url = apr_pstrdup(p, argv[0]);
    if (url[strlen(url) - 1] == '/') {
        url[strlen(url) - 1] = '\0';
    }
    *(const char **)target = url;
    return NULL;
}

#define PATH_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~."

/* /segment/segment, without a slash at the end. */
static int is_path(const char *text)
{
    apr_size_t length = 0;

    for (; *text == '/'; text += 1 + length) {
        length = strspn(text + 1, PATH_CHARACTERS);
        if (!length || text[1] == '.') {
            return 0;
        }
    }
    return length && !*text;
}

/* A path such as /learn; / for none, which is stored as an empty string. */
const char *lh_read_prefix(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)setting;
    if (argc != 1 || (strcmp(argv[0], "/") && !is_path(argv[0]))) {
        return "must be / or a path such as /learn, of letters, digits, - _ ~ and . and without a slash at the end";
    }
    *(const char **)target = argv[0][1] ? apr_pstrdup(p, argv[0]) : "";
    return NULL;
}

#define ORIGINS "must be * or origins such as https://app.example.com"

const char *lh_read_origins(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    const char *list = NULL;
    int i;

    (void)setting;
    for (i = 0; i < argc; i++) {
        if (!is_url(argv[i], 0) && (argc != 1 || strcmp(argv[i], "*"))) {
            return apr_psprintf(p, ORIGINS "; \"%s\" is not an origin", argv[i]);
        }
        list = list ? apr_pstrcat(p, list, " ", argv[i], NULL) : apr_pstrdup(p, argv[i]);
    }
    *(const char **)target = list;
    return list ? NULL : ORIGINS;
}

/* A URL with {uid} and {token}, which are replaced in each link. */
const char *lh_read_reset_url(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)setting;
    if (argc != 1 || !after_scheme(argv[0]) || strpbrk(argv[0], NEVER_IN_URLS) || !strstr(argv[0], "{uid}") ||
        !strstr(argv[0], "{token}")) {
        return "must be a URL with {uid} and {token} in it, such as https://app.example.com/reset/{uid}/{token}";
    }
    *(const char **)target = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* A URL with one %s, which is replaced by a random code. */
const char *lh_read_meeting_url(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    const char *code = argc == 1 ? strstr(argv[0], "%s") : NULL;

    (void)setting;
    if (!code || !after_scheme(argv[0]) || strstr(code + 2, "%s") || strpbrk(argv[0], NEVER_IN_URLS) ||
        !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return "must be a URL with one %s in it, such as https://meet.example.com/%s";
    }
    *(const char **)target = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* smtp(s)://host[:port]. A login in the URL is rejected: it would be visible in mod_info. */
static int is_smtp_url(apr_pool_t *p, const char *text)
{
    apr_uri_t uri;
    apr_int64_t port;

    if ((strncmp(text, "smtp://", 7) && strncmp(text, "smtps://", 8)) || strpbrk(text, NEVER_IN_URLS "?#@") ||
        apr_uri_parse(p, text, &uri) != APR_SUCCESS) {
        return 0;
    }
    return uri.hostname && *uri.hostname && !uri.path &&
           (!uri.port_str || (lh_text_integer(uri.port_str, &port) && port > 0 && port < 65536));
}

const char *lh_read_smtp(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)setting;
    if (argc != 1 || !is_smtp_url(p, argv[0])) {
        return "must be smtp://host[:port] or smtps://host[:port]; LearnHubSMTPAuth sets the login";
    }
    *(const char **)target = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* ---- secrets ---- */

/* [kid=NAME] LH_SECRET_SOURCES; adds a key each time it is read. */
const char *lh_read_key(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    lh_jwt_keys **keys = target;
    const char *kid = argc == 2 && !strncmp(argv[0], "kid=", 4) ? argv[0] + 4 : NULL, *secret, *why;

    (void)setting;
    if (argc < 1 || argc > 2 || (argc == 2 && !kid)) {
        return "must be [kid=NAME] and " LH_SECRET_SOURCES "secret itself";
    }
    why = lh_secret_read(p, argv[argc - 1], &secret);
    if (why) {
        return why;
    }
    if (!*keys) {
        *keys = lh_jwt_keys_make(p);
    }
    if (!secret) {
        return NULL; /* httpd reads its configuration for the first time: the command was not run */
    }
    return lh_jwt_keys_add(*keys, kid ? apr_pstrdup(p, kid) : NULL, secret, strlen(secret));
}

/* USER LH_SECRET_SOURCES */
const char *lh_read_login(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    lh_credentials *login = apr_pcalloc(p, sizeof(*login));
    const char *why;

    (void)setting;
    if (argc != 2 || !*argv[0]) {
        return "must be a user and " LH_SECRET_SOURCES "password itself";
    }
    why = lh_secret_read(p, argv[1], &login->password);
    login->user = apr_pstrdup(p, argv[0]);
    *(const lh_credentials **)target = login;
    return why;
}

const char *lh_read_secret(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    (void)setting;
    return argc == 1 && *argv[0] ? lh_secret_read(p, argv[0], target) : "must be " LH_SECRET_SOURCES "secret itself";
}
