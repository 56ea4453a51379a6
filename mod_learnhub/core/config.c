/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <apr_strings.h>
#include <string.h>

#include "core/setting.h"
#include "util/text.h"

const char lh_config_apis[] = "practice tutoring coding mentoring xp admin";
const char lh_config_pages[] = "index health openapi docs";
const char lh_config_rates[] = "signup login mail search write read";

#define UNSET (-1)

/* A value has one part, or several that are set and inherited one by one. */
static int count_parts(const lh_setting *setting)
{
    return setting->parts ? setting->parts : 1;
}

static apr_size_t part_size(const lh_setting *setting)
{
    return setting->size / (apr_size_t)count_parts(setting);
}

static apr_size_t part_offset(const lh_setting *setting, int part)
{
    return setting->offset + part_size(setting) * (apr_size_t)part;
}

static int is_set(const void *config, const lh_setting *setting, int part)
{
    const void *value = (const char *)config + part_offset(setting, part);

    return setting->kind == LH_SETTING_NUMBER ? *(const apr_int64_t *)value >= 0 : *(void *const *)value != NULL;
}

static void unset(void *config, const lh_setting *setting)
{
    int i;

    for (i = 0; setting->kind == LH_SETTING_NUMBER && i < count_parts(setting); i++) {
        *(apr_int64_t *)(void *)((char *)config + part_offset(setting, i)) = UNSET;
    }
}

/* Copies the parts that are not set in *config from *base. */
static void inherit(void *config, const void *base, const lh_setting *setting)
{
    int i;

    for (i = 0; i < count_parts(setting); i++) {
        if (!is_set(config, setting, i)) {
            memcpy((char *)config + part_offset(setting, i), (const char *)base + part_offset(setting, i),
                   part_size(setting));
        }
    }
}

void *lh_config_create(apr_pool_t *p, server_rec *s)
{
    lh_config *config = apr_pcalloc(p, sizeof(*config));
    const command_rec *command;

    (void)s;
    for (command = lh_config_commands; command->name; command++) {
        unset(config, command->cmd_data);
    }
    return config;
}

void *lh_config_merge(apr_pool_t *p, void *base, void *over)
{
    lh_config *merged = apr_pmemdup(p, over, sizeof(lh_config));
    const command_rec *command;

    for (command = lh_config_commands; command->name; command++) {
        inherit(merged, base, command->cmd_data);
    }
    return merged;
}

void lh_config_complete(apr_pool_t *p, lh_config *config)
{
    lh_config *defaults = lh_config_create(p, NULL);
    const command_rec *command;

    for (command = lh_config_commands; command->name; command++) {
        const lh_setting *setting = command->cmd_data;
        if (setting->default_value) {
            char *value = apr_pstrdup(p, setting->default_value);
            setting->read(p, setting, (char *)defaults + setting->offset, 1, &value);
        }
        inherit(config, defaults, setting);
    }
}

const char *lh_config_error(const lh_config *config)
{
    if (!config->keys) {
        return "LearnHub On requires LearnHubJWTSecret: no token can be signed without a key";
    }
    if (config->smtp && !config->mail_from) {
        return "LearnHubSMTP requires LearnHubMailFrom, the sender of mails";
    }
    if (config->verify_email && !config->smtp) {
        return "LearnHubVerifyEmail On requires LearnHubSMTP, which sends the confirmations";
    }
    if (config->model_url && !config->model_name) {
        return "LearnHubModelURL requires LearnHubModelName, which each request to the model contains";
    }
    return NULL;
}

const char *lh_config_base(apr_pool_t *p, const lh_config *config)
{
    const char *host = config->public_url ? strstr(config->public_url, "://") : NULL;
    const char *path = host ? strchr(host + 3, '/') : NULL;

    return apr_pstrcat(p, path ? path : "", config->prefix, NULL);
}

const lh_rate_limits *lh_config_rate(const lh_config *config, lh_rate rate)
{
    return &config->rates.of[rate - LH_RATE_SIGNUP];
}

const char *lh_config_rate_name(apr_pool_t *p, lh_rate rate)
{
    const char *names = lh_config_rates, *name = names;
    apr_size_t length = 0;
    int i;

    for (i = LH_RATE_SIGNUP; i <= (int)rate; i++) {
        name = lh_text_word(&names, &length);
    }
    return apr_pstrmemdup(p, name, length);
}

int lh_config_has(const char *words, apr_int64_t bits, const char *word)
{
    int index = lh_text_index(words, word);

    return index >= 0 && (bits >> index & 1);
}
