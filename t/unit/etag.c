/* SPDX-License-Identifier: Apache-2.0 */
/* Entity tags: the digest, and the lists of If-Match and If-None-Match. */
#include "http/etag.h"

#include "tap.h"

#include <apr_strings.h>

#define TAG "\"0123\""

static void test_digest(void)
{
    /* The SHA-256 of no bytes, and of "abc" (FIPS 180-2), cut to 128 bits. */
    is_str(lh_etag(tap_pool, "", 0), "\"e3b0c44298fc1c149afbf4c8996fb924\"", "the tag of an empty body");
    is_str(lh_etag(tap_pool, "abcd", 3), "\"ba7816bf8f01cfea414140de5dae2223\"", "the tag of abc");
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
    test_digest();
    test_lists();
    return tap_end();
}
