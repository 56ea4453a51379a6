/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256. */
#include "crypto/digest.h"

#include "tap.h"

int main(void)
{
    static const char abc[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    unsigned char digest[LH_DIGEST_SIZE] = {0};

    tap_begin();
    is_int(lh_digest("abc", digest), 1, "the first digest of a process");
    is_int(digest[0] == 0xba && digest[LH_DIGEST_SIZE - 1] == 0xad, 1, "has the right bytes");
    is_str(lh_digest_hex(tap_pool, "abc"), abc, "as hex digits");
    is_str(lh_digest_hex(tap_pool, ""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
           "of an empty text");
    return tap_end();
}
