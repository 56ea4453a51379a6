/* SPDX-License-Identifier: Apache-2.0 */
#include "http/etag.h"

#include <apr_escape.h>
#include <apr_strings.h>
#include <string.h>

/*
 * The first GMAC alone would do if users did not see it: several values of it with one nonce reveal the key, with which
 * a user could construct different bodies with equal tags. As the nonce of a second GMAC, of nothing, it is encrypted.
 */
const char *lh_etag(apr_pool_t *p, lh_mac *gmac, const char *body, apr_size_t length)
{
    static const unsigned char fixed_nonce[LH_GMAC_NONCE_BYTES];
    unsigned char digest[LH_GMAC_BYTES], tag[LH_GMAC_BYTES];

    if (!gmac || !lh_mac_sign(gmac, fixed_nonce, body, length, digest) || !lh_mac_sign(gmac, digest, "", 0, tag)) {
        return NULL;
    }
    return apr_pstrcat(p, "\"", apr_pescape_hex(p, tag, LH_GMAC_BYTES, 0), "\"", NULL);
}

/* 1 when the tag between the quotes at `sent` is `etag`, which has quotes as well, or `etag` with a suffix. */
static int is_same(const char *sent, apr_size_t length, const char *etag)
{
    static const char *const suffixes[] = {"", "-gzip", "-br"};
    apr_size_t own = strlen(etag) - 2, i;

    if (length < own || memcmp(sent, etag + 1, own)) {
        return 0;
    }
    for (i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++) {
        if (length - own == strlen(suffixes[i]) && !memcmp(sent + own, suffixes[i], length - own)) {
            return 1;
        }
    }
    return 0;
}

const char *lh_etag_match(apr_pool_t *p, const char *header, const char *etag, int weak)
{
    const char *s = header + strspn(header, " \t");

    if (*s == '*' && !s[1 + strspn(s + 1, " \t")]) {
        return etag ? etag : "*";
    }
    for (;;) {
        const char *tag;
        apr_size_t length;
        int is_weak;

        s += strspn(s, ", \t");
        is_weak = !strncmp(s, "W/", 2);
        tag = s + 2 * is_weak;
        if (*tag != '"' || !strchr(tag + 1, '"')) {
            return NULL;
        }
        length = strcspn(tag + 1, "\"");
        if (etag && (weak || !is_weak) && is_same(tag + 1, length, etag)) {
            return apr_pstrmemdup(p, tag, length + 2);
        }
        s = tag + length + 2;
        if (*s && !strchr(", \t", *s)) {
            return NULL;
        }
    }
}
