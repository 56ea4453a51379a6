/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers that the module reads itself: the input is a line with an entity tag, and a header. If-Match and
 * If-None-Match match the same tags as a regular expression finds. Authorization: see token_of() in auth/auth.c, which
 * is included for its static functions; what it calls besides is not linked.
 */
#include "auth/auth.c"

#include <apr_network_io.h>
#include <regex.h>

#include "fuzz.h"
#include "http/etag.h"
#include "util/network.h"

/* ---- lists of entity tags ---- */

#define ENTRY "^[, \t]*(W/)?\"([^\"]*)\""

/* 1 when the tag between the quotes is `tag`, perhaps with the suffix of a compressed response. */
static int is_tag(const char *text, const char *tag)
{
    apr_size_t length = strlen(tag);

    return !strncmp(text, tag, length) &&
           (!text[length] || !strcmp(text + length, "-gzip") || !strcmp(text + length, "-br"));
}

static int expected(apr_pool_t *p, const char *header, const char *tag, int weak)
{
    static regex_t entry, any;
    static int ready;
    regmatch_t m[4];

    if (!ready++) {
        REQUIRE(!regcomp(&entry, ENTRY, REG_EXTENDED) && !regcomp(&any, "^[ \t]*\\*[ \t]*$", REG_EXTENDED));
    }
    if (!regexec(&any, header, 0, NULL, 0)) {
        return 1;
    }
    while (!regexec(&entry, header, 4, m, 0)) {
        const char *text = apr_pstrmemdup(p, header + m[2].rm_so, (apr_size_t)(m[2].rm_eo - m[2].rm_so));

        if ((weak || m[1].rm_so < 0) && is_tag(text, tag)) {
            return 1;
        }
        header += m[2].rm_eo + 1;
        if (*header && !strchr(", \t", *header)) { /* the entry that ends here still counts */
            break;
        }
    }
    return 0;
}

static void check_tags(apr_pool_t *p, const char *tag, const char *header)
{
    const char *etag = apr_pstrcat(p, "\"", tag, "\"", NULL), *found;
    int weak;

    for (weak = 0; weak < 2; weak++) {
        found = lh_etag_match(p, header, etag, weak);
        REQUIRE((found != NULL) == expected(p, header, tag, weak));
        REQUIRE(!found || !strncmp(found, etag, strlen(etag) - 1));
        found = lh_etag_match(p, header, NULL, weak);
        REQUIRE(!found || !strcmp(found, "*"));
    }
}

/* ---- Authorization ---- */

static void check_authorization(const char *header)
{
    const char *token = token_of(header);

    if (token) {
        REQUIRE(token > header && token <= header + strlen(header) && *token != ' ');
        REQUIRE(!strncasecmp(header, "Bearer", 6) || !strncasecmp(header, "Token", 5));
        REQUIRE(!is_opaque(token) || strlen(token) == 40);
    }
}

/* ---- addresses ---- */

/* All addresses of an IPv6 network of 64 bits are one network, and no IPv4 address is in it. */
static void check_network(apr_pool_t *p, const char *data, apr_size_t size)
{
    apr_sockaddr_t *four, *six;
    apr_uint64_t network;

    if (size < 16 || !data[1]) {
        return;
    }
    REQUIRE(!apr_sockaddr_info_get(&four, "192.0.2.1", APR_UNSPEC, 0, 0, p));
    REQUIRE(!apr_sockaddr_info_get(&six, "2001:db8::1", APR_UNSPEC, 0, 0, p));
    memcpy(four->ipaddr_ptr, data, 4);
    memcpy(six->ipaddr_ptr, data, 16);
    network = lh_network_of(six);
    REQUIRE(network != lh_network_of(four));
    memset((char *)six->ipaddr_ptr + 8, data[15], 8);
    REQUIRE(lh_network_of(six) == network);
}

void fuzz(apr_pool_t *p, char *data, apr_size_t size)
{
    char *line = strchr(data, '\n');
    const char *header = strdup(line ? line + 1 : data);

    check_authorization(header);
    check_network(p, data, size);
    if (line) {
        *line = '\0';
        if (!strchr(data, '"')) { /* our own tags have none */
            check_tags(p, data, header);
        }
    }
    free((char *)header);
}
