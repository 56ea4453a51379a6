/* SPDX-License-Identifier: Apache-2.0 */
/* Entity tags: the tag of a body, and the lists of If-Match and If-None-Match. */
#include "http/etag.h"

#include "tap.h"

#include <apr_strings.h>
#include <string.h>

#define TAG "\"0123\""

static void test_tags(void)
{
    static const unsigned char zero[LH_GMAC_KEY_BYTES], other[LH_GMAC_KEY_BYTES] = {1};
    static const unsigned char expected[] = {0x58, 0xe2, 0xfc, 0xce, 0xfa, 0x7e, 0x30, 0x61,
                                             0x36, 0x7f, 0x1d, 0x57, 0xa4, 0xe7, 0x45, 0x5a};
    lh_mac *gmac = lh_mac_gmac(tap_pool, zero);
    unsigned char mac[LH_GMAC_BYTES];
    const char *tag = lh_etag(tap_pool, gmac, "abcd", 4);

    /* Test case 1 of the GCM specification: AES-128 with a key and a nonce of zeros, and no data. */
    ok(lh_mac_sign(gmac, zero, "", 0, mac) && !memcmp(mac, expected, sizeof(mac)), "the GMAC of nothing");
    /* The first 12 bytes of that, followed by 00000001, encrypted with AES-128. */
    is_str(lh_etag(tap_pool, gmac, "", 0), "\"d911c96cecbf81e173640d963ff68e35\"", "the tag of an empty body");
    is_str(lh_etag(tap_pool, gmac, "abcd", 4), tag, "the same body has the same tag again");
    is_str(lh_etag(tap_pool, lh_mac_gmac(tap_pool, zero), "abcd", 4), tag, "the same body and key have the same tag");
    ok(strcmp(lh_etag(tap_pool, gmac, "abce", 4), tag) != 0, "another body has another tag");
    ok(strcmp(lh_etag(tap_pool, gmac, "abcd", 3), tag) != 0, "a shorter body has another tag");
    ok(strcmp(lh_etag(tap_pool, lh_mac_gmac(tap_pool, other), "abcd", 4), tag) != 0, "another key gives another tag");
}

static void test_lists(void)
{
    static const struct {
        const char *header, *strong, *weak;
    } cases[] = {{TAG, TAG, TAG},
                 {"W/" TAG, NULL, TAG},
                 {"\"x\", " TAG, TAG, TAG},
                 {" ,,\t\"x\" ,W/\"y\"," TAG ",", TAG, TAG},
                 {"\"a,b\" " TAG, TAG, TAG},
                 {"*", TAG, TAG},
                 {" * ", TAG, TAG},
                 {"*, " TAG, NULL, NULL},
                 {"", NULL, NULL},
                 {",", NULL, NULL},
                 {"\"\"", NULL, NULL},
                 {"\"", NULL, NULL},
                 {"W/", NULL, NULL},
                 {"w/" TAG, NULL, NULL},
                 {"0123", NULL, NULL},
                 {"\"0123", NULL, NULL},
                 {"\"012\"", NULL, NULL},
                 {"\"01234\"", NULL, NULL},
                 {"\"x\"; " TAG, NULL, NULL},
                 {"\"x\"" TAG, NULL, NULL},
                 {"\"0123-gzip\"", "\"0123-gzip\"", "\"0123-gzip\""},
                 {"W/\"0123-br\"", NULL, "\"0123-br\""},
                 {"\"0123-gzi\"", NULL, NULL},
                 {"\"0123-gzipx\"", NULL, NULL},
                 {"\"0123-x\"", NULL, NULL}};
    apr_size_t i;

    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *header = cases[i].header;

        is_str(lh_etag_match(tap_pool, header, TAG, 0), cases[i].strong,
               apr_pstrcat(tap_pool, "strong: ", header, NULL));
        is_str(lh_etag_match(tap_pool, header, TAG, 1), cases[i].weak, apr_pstrcat(tap_pool, "weak: ", header, NULL));
    }
}

int main(void)
{
    tap_begin();
    test_tags();
    test_lists();
    return tap_end();
}
