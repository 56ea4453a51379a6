/* SPDX-License-Identifier: Apache-2.0 */
/* The module record, for ap_get_module_config(), and the numbers of log messages. */
#ifndef LEARNHUB_MODULE_H
#define LEARNHUB_MODULE_H

#include <httpd.h>

#include <http_config.h>
#include <http_log.h>

/* Defined in mod_learnhub.c. */
extern module AP_MODULE_DECLARE_DATA __attribute__((visibility("default"))) learnhub_module;

APLOG_USE_MODULE(learnhub);

/* The prefix of a log message with its number: four digits, used once, listed in conf/OPERATING.md. */
#define LH_LOG(number) "LH" #number ": "

#endif
