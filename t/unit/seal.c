/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed texts: opened with their key only, and only if they are unchanged. */
#include "crypto/seal.h"

#include "tap.h"

#include <string.h>

static const unsigned char key[LH_SEAL_KEY_BYTES] = "0123456789abcdefghijklmnopqrstu", other[LH_SEAL_KEY_BYTES];

static void test_lengths(void)
{
    static const apr_size_t lengths[] = {0, 1, 15, 16, 17, 1000, 65508};
    static char text[65536], opened[65536];
    static unsigned char sealed[65536 + LH_SEAL_EXTRA];
    apr_size_t i;

    memset(text, 'x', sizeof(text));
    for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        apr_size_t length = lengths[i];

        memset(opened, 0, sizeof(opened));
        ok(lh_seal(key, text, length, sealed) && lh_unseal(key, sealed, length + LH_SEAL_EXTRA, opened) &&
               !memcmp(opened, text, length) && !opened[length],
           "a text of %d bytes is opened", (int)length);
    }
}

static void test_changes(void)
{
    static const char text[] = "{\"access\":\"secret\"}";
    unsigned char sealed[sizeof(text) + LH_SEAL_EXTRA], again[sizeof(sealed)];
    char opened[sizeof(text)];
    int i, refused = 0;

    ok(lh_seal(key, text, sizeof(text), sealed) && lh_seal(key, text, sizeof(text), again), "a text is sealed twice");
    ok(memcmp(sealed, again, sizeof(sealed)) != 0, "with different bytes");
    ok(memcmp(sealed + 12, text, 8) != 0, "that do not contain it");
    ok(!lh_unseal(other, sealed, sizeof(sealed), opened), "another key does not open it");
    for (i = 0; i < (int)sizeof(sealed); i++) {
        sealed[i] ^= 1;
        refused += !lh_unseal(key, sealed, sizeof(sealed), opened);
        sealed[i] ^= 1;
    }
    is_int(refused, sizeof(sealed), "a change of any byte is detected");
    for (i = 0, refused = 0; i < (int)sizeof(sealed); i++) {
        refused += !lh_unseal(key, sealed, (apr_size_t)i, opened);
    }
    is_int(refused, sizeof(sealed), "and a missing end");
    ok(lh_unseal(key, sealed, sizeof(sealed), opened) && !strcmp(opened, text), "unchanged it is opened");
}

int main(void)
{
    tap_begin();
    test_lengths();
    test_changes();
    return tap_end();
}
