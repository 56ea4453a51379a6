/* SPDX-License-Identifier: Apache-2.0 */
/* The network of a client's address: what limits per address count. Depends on APR only. */
#ifndef LH_NETWORK_H
#define LH_NETWORK_H

#include <apr_network_io.h>

/*
 * A number for the network of an address: an IPv4 address, also one that is mapped into IPv6, is a network of its own;
 * IPv6 addresses with the same first 64 bits are one network, because a client can use them all. 0: ::/64, and
 * addresses of other families.
 */
apr_uint64_t lh_network_of(const apr_sockaddr_t *address);

#endif
