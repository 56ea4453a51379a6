/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "handler.h"
#include "learnhub_module.h"
#include "server.h"

static void register_hooks(apr_pool_t *p)
{
    lh_server_hooks(p);
    lh_handler_hooks(p);
}

/* The one exported symbol. */
__attribute__((visibility("default"))) module AP_MODULE_DECLARE_DATA learnhub_module = {
    STANDARD20_MODULE_STUFF, NULL, NULL, lh_config_create, lh_config_merge, lh_config_commands, register_hooks,
    AP_MODULE_FLAG_NONE};
