/* SPDX-License-Identifier: Apache-2.0 */
#include "util/network.h"

#include <string.h>

#define IPV4 ((apr_uint64_t)1 << 32) /* tells IPv4 apart: 0:1::/32 has no clients */

static apr_uint64_t number(const unsigned char *bytes, int count)
{
    apr_uint64_t value = 0;
    int i;

    for (i = 0; i < count; i++) {
        value = value << 8 | bytes[i];
    }
    return value;
}

apr_uint64_t lh_network_of(const apr_sockaddr_t *address)
{
    static const unsigned char mapped[12] = {[10] = 0xFF, [11] = 0xFF};
    const unsigned char *bytes = address->ipaddr_ptr;

    if (address->ipaddr_len == 4) {
        return IPV4 | number(bytes, 4);
    }
    if (address->ipaddr_len != 16) {
        return 0;
    }
    return memcmp(bytes, mapped, sizeof(mapped)) ? number(bytes, 8) : IPV4 | number(bytes + 12, 4);
}
