/* SPDX-License-Identifier: Apache-2.0 */
#include "core/conninfo.h"

#include <apr_strings.h>
#include <libpq-fe.h>
#include <string.h>

#include "util/text.h"

#define FORM "must be Primary or a connection string in quotes, such as \"host=db2.example.com dbname=learnhub\""

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
    while (options->keyword && strcmp(options->keyword, keyword)) {
        options++;
    }
    return options->keyword && options->val && *options->val ? options->val : NULL;
}

static const char *check(apr_pool_t *p, const PQconninfoOption *options)
{
    const char *hosts = value_of(options, "host"), *port = value_of(options, "port"), *comma;
    int count = 1;

    hosts = hosts ? hosts : value_of(options, "hostaddr");
    for (comma = hosts ? strchr(hosts, ',') : NULL; comma; comma = strchr(comma + 1, ',')) {
        count++;
    }
    if (!hosts || count > LH_CONNINFO_HOSTS) {
        return apr_psprintf(p, FORM "; it names the hosts of 1 to %d standbys", LH_CONNINFO_HOSTS);
    }
    if (port && port[strspn(port, "0123456789,")]) {
        return FORM "; its port is no number"; /* in a URI with a / in the password, a part of that is read as port */
    }
    return value_of(options, "password") ? FORM " and without a password; use passfile" : NULL;
}

const char *lh_read_conninfo(apr_pool_t *p, const lh_setting *setting, void *target, int argc, char *const argv[])
{
    PQconninfoOption *options;
    char *message = NULL;
    const char *why;

    (void)setting;
    if (argc == 1 && !strcasecmp(argv[0], "Primary")) {
        *(const char **)target = "";
        return NULL;
    }
    if (argc != 1 || !lh_utf8_valid(argv[0], strlen(argv[0]))) {
        return FORM;
    }
    options = PQconninfoParse(argv[0], &message);
    if (options) {
        why = check(p, options);
    }
    else if (!message || strstr(argv[0], "password") || strstr(argv[0], "://")) {
        why = FORM; /* the message may quote a part of a password */
    }
    else {
        why = apr_psprintf(p, FORM ": %.*s", (int)strcspn(message, "\n"), message);
    }
    PQfreemem(message);
    PQconninfoFree(options);
    *(const char **)target = apr_pstrdup(p, argv[0]);
    return why;
}
