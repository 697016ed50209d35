/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Addresses in messages: IPv4 is 4 bytes there and mapped inside, and this is
 * where one becomes the other.
 */
#ifndef _TFTPK_NETLINK_H
#define _TFTPK_NETLINK_H

#include <net/ipv6.h>
#include <net/netlink.h>

static inline int tftpk_put_address(struct sk_buff *skb, int attr,
				    const struct in6_addr *addr)
{
	if (ipv6_addr_v4mapped(addr))
		return nla_put_in_addr(skb, attr, addr->s6_addr32[3]);
	return nla_put_in6_addr(skb, attr, addr);
}

#endif /* _TFTPK_NETLINK_H */
