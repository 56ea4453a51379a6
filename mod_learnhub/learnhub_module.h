/* SPDX-License-Identifier: Apache-2.0 */
/* The module record, for ap_get_module_config() and for log lines. */
#ifndef LEARNHUB_MODULE_H
#define LEARNHUB_MODULE_H

#include <httpd.h>

#include <http_config.h>

/* The one symbol that httpd must find: all others are hidden by the compiler's -fvisibility. */
extern module AP_MODULE_DECLARE_DATA __attribute__((visibility("default"))) learnhub_module;

#endif
