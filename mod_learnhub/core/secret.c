/* SPDX-License-Identifier: Apache-2.0 */
#include "core/secret.h"

#include <httpd.h>

#include <apr_env.h>
#include <apr_strings.h>
#include <http_config.h>
#include <http_core.h>
#include <mpm_common.h>
#include <string.h>

#define LINE_SIZE 4096 /* bytes, including the terminating zero byte */

static const char *from_file(apr_pool_t *p, const char *name, const char **secret)
{
    const char *path = ap_server_root_relative(p, name);
    ap_configfile_t *file;
    char line[LINE_SIZE];
    apr_status_t rv;

    if (!path || ap_pcfg_openfile(&file, p, path) != APR_SUCCESS) {
        return apr_psprintf(p, "cannot read the file %s", name);
    }
    rv = ap_cfg_getline(line, sizeof(line), file);
    ap_cfg_closefile(file);
    if (rv != APR_SUCCESS || !*line) {
        return apr_psprintf(p, "the first line of the file %s is empty or too long", name);
    }
    *secret = apr_pstrdup(p, line);
    return NULL;
}

/* When httpd starts, it reads its configuration twice; the command is run the second time only. */
static const char *from_command(apr_pool_t *p, const char *command, const char **secret)
{
    char **argv, *line;

    if (apr_tokenize_to_argv(command, &argv, p) != APR_SUCCESS || !argv[0]) {
        return "exec: is not followed by a command";
    }
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG &&
        ap_state_query(AP_SQ_RUN_MODE) == AP_SQ_RM_NORMAL) {
        return NULL;
    }
    line = ap_get_exec_line(p, argv[0], (const char *const *)argv);
    if (!line || !*line) {
        return apr_psprintf(p, "the command %s failed or printed nothing", argv[0]);
    }
    *secret = line;
    return NULL;
}

static const char *from_environment(apr_pool_t *p, const char *name, const char **secret)
{
    char *value;

    if (apr_env_get(&value, name, p) != APR_SUCCESS || !*value) {
        return apr_psprintf(p, "the environment variable %s is unset or empty", name);
    }
    *secret = value;
    return NULL;
}

const char *lh_secret_read(apr_pool_t *p, const char *source, const char **secret)
{
    *secret = NULL;
    if (!strncmp(source, "file:", 5)) {
        return from_file(p, source + 5, secret);
    }
    if (!strncmp(source, "exec:", 5)) {
        return from_command(p, source + 5, secret);
    }
    if (!strncmp(source, "env:", 4)) {
        return from_environment(p, source + 4, secret);
    }
    *secret = apr_pstrdup(p, source);
    return NULL;
}
