/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"

#include <apr_strings.h>
#include <string.h>

#include "core/setting.h"
#include "util/text.h"

const char lh_config_apis[] = "practice tutoring coding mentoring xp admin";
const char lh_config_pages[] = "index health";

#define UNSET (-1)

static int is_set(const void *config, const lh_setting *setting)
{
    const void *value = (const char *)config + setting->offset;

    return setting->kind == LH_SETTING_NUMBER ? *(const apr_int64_t *)value >= 0 : *(void *const *)value != NULL;
}

void *lh_config_create(apr_pool_t *p, server_rec *s)
{
    lh_config *config = apr_pcalloc(p, sizeof(*config));
    const command_rec *command;

    (void)s;
    for (command = lh_config_commands; command->name; command++) {
        const lh_setting *setting = command->cmd_data;
        if (setting->kind == LH_SETTING_NUMBER) {
            *(apr_int64_t *)(void *)((char *)config + setting->offset) = UNSET;
        }
    }
    return config;
}

void *lh_config_merge(apr_pool_t *p, void *base, void *over)
{
    char *merged = apr_pmemdup(p, over, sizeof(lh_config));
    const command_rec *command;

    for (command = lh_config_commands; command->name; command++) {
        const lh_setting *setting = command->cmd_data;
        if (!is_set(over, setting)) {
            memcpy(merged + setting->offset, (char *)base + setting->offset, setting->size);
        }
    }
    return merged;
}

void lh_config_complete(apr_pool_t *p, lh_config *config)
{
    const command_rec *command;

    for (command = lh_config_commands; command->name; command++) {
        const lh_setting *setting = command->cmd_data;
        if (!is_set(config, setting) && setting->default_value) {
            char *value = apr_pstrdup(p, setting->default_value);
            setting->read(p, setting, (char *)config + setting->offset, 1, &value);
        }
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

int lh_config_has(const char *words, apr_int64_t bits, const char *word)
{
    int index = lh_text_index(words, word);

    return index >= 0 && (bits >> index & 1);
}
