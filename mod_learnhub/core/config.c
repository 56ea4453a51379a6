/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <apr_lib.h>
#include <apr_strings.h>
#include <apr_uri.h>
#include <stddef.h>
#include <string.h>

#include "core/learnhub_module.h"
#include "core/secret.h"
#include "util/text.h"

const char lh_config_apis[] = "practice tutoring coding mentoring xp admin";
const char lh_config_pages[] = "index health";

#define ALL_WORDS 0x7FFFFFFF

typedef struct lh_setting setting;

/* Reads the arguments of one directive into `place`; NULL, or what is wrong with them. */
typedef const char *reader(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[]);

/* How an unset value is represented: a negative number (the first member of a throttle), or NULL. */
typedef enum { POINTER, NUMBER } value_kind;

struct lh_setting {
    reader *read;
    value_kind kind;
    apr_size_t offset, size;   /* of the value in lh_config */
    apr_int64_t min, max;      /* integers as such, durations in microseconds */
    const char *default_value; /* the default as it would be written; NULL: stays unset */
    const char *words;         /* of read_words */
};

/* ---- readers ---- */

static const char *read_flag(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    (void)p, (void)set;
    if (argc != 1 || (strcasecmp(argv[0], "On") && strcasecmp(argv[0], "Off"))) {
        return "takes On or Off";
    }
    *(apr_int64_t *)place = !strcasecmp(argv[0], "On");
    return NULL;
}

static const char *read_integer(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    apr_int64_t value;

    if (argc != 1 || !lh_text_integer(argv[0], &value) || value < set->min || value > set->max) {
        return apr_psprintf(p, "takes a whole number from %" APR_INT64_T_FMT " to %" APR_INT64_T_FMT, set->min,
                            set->max);
    }
    *(apr_int64_t *)place = value;
    return NULL;
}

/* A number with ms, s, m, h or d; without a unit it is seconds. -1 when it is none. */
static apr_int64_t duration(const char *text)
{
    static const struct {
        const char *unit;
        apr_int64_t micros;
    } units[] = {{"ms", 1000}, {"s", 1000000}, {"", 1000000}, {"m", 60000000}, {"h", 3600000000}, {"d", 86400000000}};
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

static const char *duration_text(apr_pool_t *p, apr_int64_t micros)
{
    static const struct {
        char unit;
        apr_int64_t micros;
    } units[] = {{'d', 86400000000}, {'h', 3600000000}, {'m', 60000000}, {'s', 1000000}};
    int i = 0;

    while (i < 3 && micros % units[i].micros) {
        i++;
    }
    return micros % units[i].micros
               ? apr_psprintf(p, "%" APR_INT64_T_FMT "ms", micros / 1000)
               : apr_psprintf(p, "%" APR_INT64_T_FMT "%c", micros / units[i].micros, units[i].unit);
}

static const char *read_duration(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    apr_int64_t value = argc == 1 ? duration(argv[0]) : -1;

    if (value < set->min || value > set->max) {
        return apr_psprintf(p, "takes a time such as 90s, 15m, 24h or 7d, from %s to %s", duration_text(p, set->min),
                            duration_text(p, set->max));
    }
    *(apr_int64_t *)place = value;
    return NULL;
}

/* The index of a word in a list, whatever its case, or -1. */
static int word_index(const char *words, const char *word)
{
    const char *entry;
    apr_size_t length;
    int i;

    for (i = 0; (entry = lh_text_word(&words, &length)); i++) {
        if (strlen(word) == length && !strncasecmp(entry, word, length)) {
            return i;
        }
    }
    return -1;
}

static const char *read_words(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    apr_int64_t bits = 0;
    int i, index;

    for (i = 0; i < argc; i++) {
        index = word_index(set->words, argv[i]);
        if (index >= 0) {
            bits |= (apr_int64_t)1 << index;
        }
        else if (argc == 1 && !strcasecmp(argv[i], "all")) {
            bits = ALL_WORDS;
        }
        else if (argc != 1 || strcasecmp(argv[i], "none")) {
            return apr_psprintf(p, "does not know \"%s\": it takes all, none or some of: %s", argv[i], set->words);
        }
    }
    if (argc == 0) {
        return apr_psprintf(p, "takes all, none or some of: %s", set->words);
    }
    *(apr_int64_t *)place = bits;
    return NULL;
}

/* One of the words. */
static const char *read_choice(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    if (argc != 1 || word_index(set->words, argv[0]) < 0) {
        return apr_psprintf(p, "takes one of: %s", set->words);
    }
    *(const char **)place = apr_pstrdup(p, argv[0]);
    ap_str_tolower(*(char **)place);
    return NULL;
}

static const char *read_text(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    (void)set;
    if (argc != 1 || !*argv[0] || !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return "takes one text that is not empty";
    }
    *(const char **)place = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* http(s)://host[:port], and nothing behind it but a path where one is allowed. */
static int is_url(const char *text, int path)
{
    const char *host = !strncmp(text, "http://", 7) ? text + 7 : !strncmp(text, "https://", 8) ? text + 8 : NULL;

    return host && *host && *host != '/' && *host != ':' && !strpbrk(host, " \t\"\\<>?#@") &&
           (path || !strchr(host, '/'));
}

static const char *read_url(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    char *url;

    (void)set;
    if (argc != 1 || !is_url(argv[0], 1)) {
        return "takes an absolute URL such as https://learn.example.com";
    }
    url = apr_pstrdup(p, argv[0]);
    if (url[strlen(url) - 1] == '/') {
        url[strlen(url) - 1] = '\0';
    }
    *(const char **)place = url;
    return NULL;
}

static const char *read_origins(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    const char *list = NULL;
    int i;

    (void)set;
    for (i = 0; i < argc; i++) {
        if (!is_url(argv[i], 0) && (argc != 1 || strcmp(argv[i], "*"))) {
            return apr_psprintf(p, "takes * or origins such as https://app.example.com; \"%s\" is none", argv[i]);
        }
        list = list ? apr_pstrcat(p, list, " ", argv[i], NULL) : apr_pstrdup(p, argv[i]);
    }
    *(const char **)place = list;
    return list ? NULL : "takes * or origins such as https://app.example.com";
}

/* [kid=NAME] SOURCE */
static const char *read_key(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    lh_jwt_keys **keys = place;
    const char *kid = argc == 2 && !strncmp(argv[0], "kid=", 4) ? argv[0] + 4 : NULL, *secret, *why;

    (void)set;
    if (argc < 1 || argc > 2 || (argc == 2 && !kid)) {
        return "takes [kid=NAME] and file:PATH, exec:COMMAND, env:NAME or the text itself";
    }
    why = lh_secret_read(p, argv[argc - 1], &secret);
    if (why) {
        return why;
    }
    if (!*keys) {
        *keys = lh_jwt_keys_make(p);
    }
    if (!secret) {
        return NULL; /* a pass of the configuration that does not run commands */
    }
    return lh_jwt_keys_add(*keys, kid ? apr_pstrdup(p, kid) : NULL, secret, strlen(secret));
}

/* Where the owner of an account finds the form for a new password. */
static const char *read_link(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    (void)set;
    if (argc != 1 || (strncmp(argv[0], "http://", 7) && strncmp(argv[0], "https://", 8)) ||
        strpbrk(argv[0], " \t\"\\<>") || !strstr(argv[0], "{uid}") || !strstr(argv[0], "{token}")) {
        return "takes a URL with {uid} and {token} in it, such as https://app.example.com/reset/{uid}/{token}";
    }
    *(const char **)place = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* A URL with one %s in it. */
static const char *read_meeting(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    const char *code = argc == 1 ? strstr(argv[0], "%s") : NULL;

    (void)set;
    if (!code || (strncmp(argv[0], "http://", 7) && strncmp(argv[0], "https://", 8)) || strstr(code + 2, "%s") ||
        strpbrk(argv[0], " \t\"\\<>") || !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return "takes a URL with one %s in it, such as https://meet.example.com/%s";
    }
    *(const char **)place = apr_pstrdup(p, argv[0]);
    return NULL;
}

static const char *read_address(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    (void)set;
    if (argc != 1 || !lh_text_is_email(argv[0]) || !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return "takes an e-mail address such as learnhub@example.com";
    }
    *(const char **)place = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* smtp(s)://host[:port]; a password has its own directive, which nobody shows. */
static const char *read_smtp(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    apr_uri_t uri;
    apr_int64_t port;

    (void)set;
    if (argc != 1 || (strncmp(argv[0], "smtp://", 7) && strncmp(argv[0], "smtps://", 8)) ||
        strpbrk(argv[0], " \t\"\\<>?#@") || apr_uri_parse(p, argv[0], &uri) != APR_SUCCESS || !uri.hostname ||
        !*uri.hostname || uri.path ||
        (uri.port_str && !(lh_text_integer(uri.port_str, &port) && port > 0 && port < 65536))) {
        return "takes smtp://host[:port] or smtps://host[:port]; LearnHubSMTPAuth says who logs in";
    }
    *(const char **)place = apr_pstrdup(p, argv[0]);
    return NULL;
}

/* USER SOURCE */
static const char *read_login(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    lh_credentials *login = apr_pcalloc(p, sizeof(*login));
    const char *why;

    (void)set;
    if (argc != 2 || !*argv[0]) {
        return "takes a user and file:PATH, exec:COMMAND, env:NAME or the password itself";
    }
    why = lh_secret_read(p, argv[1], &login->password);
    login->user = apr_pstrdup(p, argv[0]);
    *(const lh_credentials **)place = login;
    return why;
}

static const char *read_secret(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    (void)set;
    return argc == 1 && *argv[0] ? lh_secret_read(p, argv[0], place)
                                 : "takes file:PATH, exec:COMMAND, env:NAME or the text itself";
}

/* N/TIME or Off */
static const char *read_throttle(apr_pool_t *p, const setting *set, void *place, int argc, char *const argv[])
{
    lh_throttle *throttle = place;
    const char *slash = argc == 1 ? strchr(argv[0], '/') : NULL;
    apr_int64_t failures;

    if (argc == 1 && !strcasecmp(argv[0], "Off")) {
        throttle->failures = throttle->time = 0;
        return NULL;
    }
    if (!slash || !lh_text_integer(apr_pstrmemdup(p, argv[0], (apr_size_t)(slash - argv[0])), &failures) ||
        failures < 1 || failures > 1000000 || duration(slash + 1) < set->min || duration(slash + 1) > set->max) {
        return "takes Off or failures/time such as 10/5m";
    }
    throttle->failures = failures;
    throttle->time = duration(slash + 1);
    return NULL;
}

/* ---- the directives ---- */

#define SECONDS (apr_int64_t)1000000
#define DAYS (86400 * SECONDS)

static const char *read_directive(cmd_parms *cmd, void *unused, int argc, char *const argv[]);

/* The default_value, when given, must be valid. */
#define DIRECTIVE(name, reader, member, help, ...)                                                                     \
    AP_INIT_TAKE_ARGV(name, read_directive,                                                                            \
                      ((void *)&(const setting){.read = reader,                                                        \
                                                .offset = offsetof(lh_config, member),                                 \
                                                .size = sizeof(((lh_config *)0)->member),                              \
                                                .kind = _Generic(((lh_config *)0)->member, apr_int64_t                 \
                                                                 : NUMBER, lh_throttle                                 \
                                                                 : NUMBER, default                                     \
                                                                 : POINTER),                                           \
                                                __VA_ARGS__}),                                                         \
                      RSRC_CONF, help)

/* clang-format off */
const command_rec lh_config_commands[] = {
    DIRECTIVE("LearnHub", read_flag, enabled, "On or Off: serve the APIs in this server", .default_value = "Off"),
    DIRECTIVE("LearnHubAPI", read_words, apis, "which APIs: practice tutoring coding mentoring xp admin, all or none",
              .words = lh_config_apis, .default_value = "all"),
    DIRECTIVE("LearnHubPages", read_words, pages, "which pages of its own: index (/) health (/health), all or none",
              .words = lh_config_pages, .default_value = "all"),
    DIRECTIVE("LearnHubJWTSecret", read_key, keys,
              "[kid=NAME] file:PATH, exec:COMMAND, env:NAME or the text; the first signs, all verify"),
    DIRECTIVE("LearnHubAccessTokenTTL", read_duration, access_ttl, "how long an access token is valid",
              .min = SECONDS, .max = 30 * DAYS, .default_value = "24h"),
    DIRECTIVE("LearnHubRefreshTokenTTL", read_duration, refresh_ttl, "how long a refresh token is valid",
              .min = SECONDS, .max = 365 * DAYS, .default_value = "7d"),
    DIRECTIVE("LearnHubTokenTTL", read_duration, token_ttl, "how long an opaque token is valid; 0: until logout",
              .max = 3650 * DAYS, .default_value = "0"),
    DIRECTIVE("LearnHubJWTIssuer", read_text, issuer, "the iss of tokens; checked when set"),
    DIRECTIVE("LearnHubJWTAudience", read_text, audience, "the aud of tokens; checked when set"),
    DIRECTIVE("LearnHubBcryptCost", read_integer, bcrypt_cost, "work factor of password hashes, 4 to 15",
              .min = 4, .max = 15, .default_value = "10"),
    DIRECTIVE("LearnHubLoginThrottle", read_throttle, throttle, "failed logins per account and per address, or Off",
              .min = SECONDS, .max = DAYS, .default_value = "10/5m"),
    DIRECTIVE("LearnHubRevocationInterval", read_duration, revocation_interval,
              "after how long a revoked account, role or token stops working everywhere; 0: at once",
              .max = 3600 * SECONDS, .default_value = "10s"),
    DIRECTIVE("LearnHubMaxBody", read_integer, max_body, "largest request body in bytes",
              .min = 1024, .max = 1073741824, .default_value = "1048576"),
    DIRECTIVE("LearnHubMaxPhoto", read_integer, max_photo, "largest photo in bytes",
              .min = 1024, .max = 67108864, .default_value = "2097152"),
    DIRECTIVE("LearnHubCORS", read_origins, origins, "* or the origins whose pages may call the APIs"),
    DIRECTIVE("LearnHubStatementTimeout", read_duration, statement_timeout, "deadline of one run of statements",
              .min = SECONDS / 100, .max = 3600 * SECONDS, .default_value = "5s"),
    DIRECTIVE("LearnHubConnectionWait", read_duration, connection_wait, "how long a request waits for a connection",
              .min = SECONDS / 100, .max = 60 * SECONDS, .default_value = "2s"),
    DIRECTIVE("LearnHubPublicURL", read_url, public_url, "base of absolute URLs; unset: as the request came"),
    DIRECTIVE("LearnHubPasswordResetURL", read_link, reset_url,
              "the page for a new password, with {uid} and {token}; unset: below LearnHubPublicURL"),
    DIRECTIVE("LearnHubSMTP", read_smtp, smtp,
              "the mail server, smtp://host:port or smtps://host:port; unset: mails wait"),
    DIRECTIVE("LearnHubSMTPAuth", read_login, smtp_login, "a user of the mail server, and the SOURCE of the password"),
    DIRECTIVE("LearnHubMailFrom", read_address, mail_from, "the sender's address of mails"),
    DIRECTIVE("LearnHubEcoVerify", read_choice, eco_verify, "who verifies eco-activities: admin, or self: owners, too",
              .words = "admin self", .default_value = "admin"),
    DIRECTIVE("LearnHubMeetingURL", read_meeting, meeting_url,
              "where confirmed sessions meet; %s becomes an unguessable code; unset: mails name no place"),
    DIRECTIVE("LearnHubMailTries", read_integer, mail_tries, "how often a mail is tried before it is given up",
              .min = 1, .max = 100, .default_value = "10"),
    DIRECTIVE("LearnHubModelURL", read_url, model_url,
              "chat-completions URL of a model that rates activities; unset: the built-in engine rates them"),
    DIRECTIVE("LearnHubModelName", read_text, model_name, "the model's name at LearnHubModelURL"),
    DIRECTIVE("LearnHubModelKey", read_secret, model_key, "its key: file:PATH, exec:COMMAND, env:NAME or the text"),
    DIRECTIVE("LearnHubModelTimeout", read_duration, model_timeout, "how long a request waits for the model",
              .min = SECONDS / 100, .max = 60 * SECONDS, .default_value = "2s"),
    {NULL}};
/* clang-format on */

static const setting *setting_of(const command_rec *command)
{
    return command->cmd_data;
}

static int is_set(const void *config, const setting *set)
{
    const unsigned char *place = (const unsigned char *)config + set->offset;

    if (set->kind == NUMBER) {
        return *(const apr_int64_t *)(const void *)place >= 0;
    }
    return *(void *const *)(const void *)place != NULL;
}

static const char *read_directive(cmd_parms *cmd, void *unused, int argc, char *const argv[])
{
    lh_config *config = ap_get_module_config(cmd->server->module_config, &learnhub_module);
    const setting *set = cmd->info;
    const char *wrong;

    (void)unused;
    wrong = set->read(cmd->pool, set, (char *)config + set->offset, argc, argv);
    return wrong ? apr_pstrcat(cmd->pool, cmd->cmd->name, apr_isupper(*wrong) ? ": " : " ", wrong, NULL) : NULL;
}

void *lh_config_create(apr_pool_t *p, server_rec *s)
{
    lh_config *config = apr_pcalloc(p, sizeof(*config));
    const command_rec *command;

    (void)s;
    for (command = lh_config_commands; command->name; command++) {
        const setting *set = setting_of(command);
        if (is_set(config, set)) { /* a number that is zero */
            *(apr_int64_t *)(void *)((char *)config + set->offset) = -1;
        }
    }
    return config;
}

void *lh_config_merge(apr_pool_t *p, void *base, void *over)
{
    char *merged = apr_pmemdup(p, over, sizeof(lh_config));
    const command_rec *command;

    for (command = lh_config_commands; command->name; command++) {
        const setting *set = setting_of(command);
        if (!is_set(over, set)) {
            memcpy(merged + set->offset, (char *)base + set->offset, set->size);
        }
    }
    return merged;
}

void lh_config_complete(apr_pool_t *p, lh_config *config)
{
    const command_rec *command;

    for (command = lh_config_commands; command->name; command++) {
        const setting *set = setting_of(command);
        if (!is_set(config, set) && set->default_value) {
            char *value = apr_pstrdup(p, set->default_value);
            set->read(p, set, (char *)config + set->offset, 1, &value);
        }
    }
}

const char *lh_config_error(const lh_config *config)
{
    if (!config->keys) {
        return "LearnHub is On, but no LearnHubJWTSecret is given: without a key nobody could log in";
    }
    if (config->smtp && !config->mail_from) {
        return "LearnHubSMTP is given, but no LearnHubMailFrom: a mail needs a sender";
    }
    if (config->model_url && !config->model_name) {
        return "LearnHubModelURL is given, but no LearnHubModelName: a request has to name its model";
    }
    return NULL;
}

int lh_config_has(const char *words, apr_int64_t bits, const char *word)
{
    int index = word_index(words, word);

    return index >= 0 && (bits >> index & 1);
}
