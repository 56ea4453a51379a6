/* SPDX-License-Identifier: Apache-2.0 */
#include "core/config.h"
#include "handler.h"
#include "metrics/metrics.h"
#include "server.h"

static void register_hooks(apr_pool_t *p)
{
    lh_server_hooks(p);
    lh_handler_hooks(p);
    lh_metrics_hooks();
}

/* The only exported symbol, which httpd looks up; -fvisibility=hidden hides all others. */
extern module AP_MODULE_DECLARE_DATA __attribute__((visibility("default"))) learnhub_module;

AP_DECLARE_MODULE(learnhub) = {
    STANDARD20_MODULE_STUFF, NULL, NULL, lh_config_create, lh_config_merge, lh_config_commands, register_hooks,
    AP_MODULE_FLAG_NONE};
