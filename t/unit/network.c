/* SPDX-License-Identifier: Apache-2.0 */
/* The networks of addresses: which addresses have the same number. */
#include "util/network.h"

#include "tap.h"

#include <arpa/inet.h>

static apr_uint64_t network(const char *text)
{
    apr_sockaddr_t *address = NULL;

    if (apr_sockaddr_info_get(&address, text, APR_UNSPEC, 80, 0, tap_pool) != APR_SUCCESS) {
        ok(0, "%s is an address", text);
        return 0;
    }
    return lh_network_of(address);
}

/* APR turns the text of a mapped address into IPv4, httpd's sockets do not. */
static apr_uint64_t mapped(const char *text)
{
    apr_sockaddr_t *address = NULL;

    apr_sockaddr_info_get(&address, "::1", APR_INET6, 80, 0, tap_pool);
    inet_pton(AF_INET6, text, address->ipaddr_ptr);
    return lh_network_of(address);
}

int main(void)
{
    tap_begin();
    ok(network("192.0.2.1") == network("192.0.2.1"), "an IPv4 address is a network");
    ok(network("192.0.2.1") != network("192.0.2.2"), "each IPv4 address is a network of its own");
    ok(mapped("::ffff:192.0.2.1") == network("192.0.2.1"), "an IPv4 address in IPv6 is that of IPv4");
    ok(network("2001:db8:1:2::1") == network("2001:db8:1:2:ffff:ffff:ffff:ffff"), "IPv6 addresses of one /64");
    ok(network("2001:db8:1:2::1") != network("2001:db8:1:3::1"), "IPv6 addresses of two /64");
    ok(network("::1") != network("0.0.0.1"), "IPv4 and IPv6 have no number in common");
    return tap_end();
}
