/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files that write and read messages share. An IPv4 address has 4 bytes
 * in a message; tftpk_get_address() and tftpk_put_address() map it and back.
 */
#ifndef _TFTPK_NETLINK_H
#define _TFTPK_NETLINK_H

#include <net/genetlink.h>
#include <net/ipv6.h>

#include "tftpk.h"

struct tftpk_transfer;

/* Adds a transfer to a dump, or nothing. Returns 0, or why there is no room. */
typedef int (*tftpk_dump_fn)(struct sk_buff *skb, struct netlink_callback *cb,
			     struct tftpk_transfer *t, void *data);

void *tftpk_dump_entry(struct sk_buff *skb, struct netlink_callback *cb,
		       u8 cmd);
int tftpk_dump_end(struct sk_buff *skb, void *hdr, int err);
int tftpk_dump_transfers(struct sk_buff *skb, struct netlink_callback *cb,
			 tftpk_dump_fn put, void *data);
int tftpk_get_address(const struct nlattr *attr,
		      struct netlink_ext_ack *extack, struct in6_addr *addr);

static inline int tftpk_put_address(struct sk_buff *skb, int attr,
				    const struct in6_addr *addr)
{
	if (ipv6_addr_v4mapped(addr))
		return nla_put_in_addr(skb, attr, addr->s6_addr32[3]);
	return nla_put_in6_addr(skb, attr, addr);
}

static inline int tftpk_put_network(struct sk_buff *skb, int attr, int plen_attr,
				    const struct tftpk_network *network)
{
	u8 plen = network->plen;

	if (ipv6_addr_v4mapped(&network->addr))
		plen -= 96;
	return tftpk_put_address(skb, attr, &network->addr) ||
	       nla_put_u8(skb, plen_attr, plen);
}

#endif /* _TFTPK_NETLINK_H */
