/* SPDX-License-Identifier: Apache-2.0 */
#include "http/served.h"

#include <string.h>

#include "http/path.h"
#include "util/text.h"

/* `word` is not terminated. */
static int serves_page(const lh_config *config, const char *word, apr_size_t length)
{
    const char *words = lh_config_pages, *page;
    apr_size_t page_length;
    int i;

    for (i = 0; (page = lh_text_word(&words, &page_length)); i++) {
        if (page_length == length && !memcmp(page, word, length)) {
            return (int)(config->pages >> i & 1);
        }
    }
    return 0;
}

int lh_served(const lh_config *config, const lh_route_group *group, const char *path)
{
    const char *words = group->pages, *word;
    apr_size_t length;
    int i;

    if (!words) {
        return group->always || lh_config_has(lh_config_apis, config->apis, group->name);
    }
    for (i = 0; (word = lh_text_word(&words, &length)) && group->prefixes[i]; i++) {
        if (lh_path_below(group->prefixes[i], path)) {
            return serves_page(config, word, length);
        }
    }
    return 0;
}
