/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TFTPK_ROUTE_H
#define _TFTPK_ROUTE_H

#include <linux/if_ether.h>
#include <linux/in6.h>
#include <linux/skbuff.h>

struct dst_entry;
struct net;
struct tftpk_key;
struct tftpk_peer;

/**
 * struct tftpk_hop - where packets to a client go first
 * @gateway: router, or all zeros where there is none
 * @ifindex: interface
 * @onlink: the client is on its link
 */
struct tftpk_hop {
	struct in6_addr gateway;
	int ifindex;
	bool onlink;
};

struct dst_entry *tftpk_route_find(struct net *net,
				   const struct tftpk_key *key);
struct dst_entry *tftpk_route_get(struct net *net, struct tftpk_peer *peer);
bool tftpk_route_hop(struct net *net, const struct tftpk_key *key,
		     struct tftpk_hop *hop);
bool tftpk_route_likely(struct net *net, const struct tftpk_key *key);
bool tftpk_route_onlink(struct net *net, const struct tftpk_key *key, int iif);
int tftpk_route_iif(const struct tftpk_key *key, const struct sk_buff *skb);
bool tftpk_route_mac(struct net *net, const struct in6_addr *client,
		     int ifindex, u8 mac[ETH_ALEN]);
int tftpk_route_source(struct net *net, struct tftpk_key *key, int ifindex);

#endif /* _TFTPK_ROUTE_H */
