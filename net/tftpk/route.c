// SPDX-License-Identifier: GPL-2.0
/*
 * Routes to clients, and what they tell: who is on a link of the server. Neighbours.
 */
#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <net/arp.h>
#include <net/ip.h>
#include <net/ip_fib.h>
#include <net/ip6_fib.h>
#include <net/ip6_route.h>
#include <net/ipv6.h>
#include <net/ndisc.h>
#include <net/route.h>

#include "transfer.h"

/* Shortest prefixes that networks on a link have. Two halves of the address space
 * are another way to write a default route.
 */
#define TFTPK_ONLINK_V4		8
#define TFTPK_ONLINK_V6		32

static struct dst_entry *tftpk_route_v4(struct net *net,
					const struct tftpk_key *key, int oif)
{
	struct flowi4 fl4 = {
		.flowi4_oif	= oif,
		.flowi4_scope	= RT_SCOPE_UNIVERSE,
		.flowi4_proto	= IPPROTO_UDP,
		.flowi4_uid	= sock_net_uid(net, NULL),
		.daddr		= key->client.s6_addr32[3],
		.saddr		= key->local.s6_addr32[3],
		.fl4_sport	= key->port->port,
		.fl4_dport	= key->client_port,
	};
	struct rtable *rt = ip_route_output_flow(net, &fl4, NULL);

	return IS_ERR(rt) ? NULL : &rt->dst;
}

static struct dst_entry *tftpk_route_v6(struct net *net,
					const struct tftpk_key *key, int oif)
{
	struct flowi6 fl6 = {
		.flowi6_oif	= oif,
		.flowi6_proto	= IPPROTO_UDP,
		.flowi6_uid	= sock_net_uid(net, NULL),
		.daddr		= key->client,
		.saddr		= key->local,
		.fl6_sport	= key->port->port,
		.fl6_dport	= key->client_port,
	};
	struct dst_entry *dst = ip6_dst_lookup_flow(net, NULL, &fl6, NULL);

	return IS_ERR(dst) ? NULL : dst;
}

static int tftpk_oif(const struct tftpk_key *key)
{
	return key->scope ?: key->port->listener->name.ifindex;
}

/**
 * tftpk_route_find() - look up the route to a client
 * @net: network namespace
 * @key: client
 *
 * The routing table decides. A link-local scope, or the interface that the listener is
 * bound to, narrows its choice. The source is the address of the request.
 *
 * Context: softirq or BH disabled. Return: the route, with a reference, or NULL.
 */
struct dst_entry *tftpk_route_find(struct net *net, const struct tftpk_key *key)
{
	int oif = tftpk_oif(key);

	return tftpk_is_v4(key) ? tftpk_route_v4(net, key, oif) :
				  tftpk_route_v6(net, key, oif);
}

/**
 * tftpk_route_get() - the route to a client
 * @net: network namespace
 * @peer: client of a transfer, locked
 *
 * Looks it up if there is none, or if it has become invalid.
 *
 * Context: softirq or BH disabled, within rcu_read_lock().
 *
 * Return: the route, valid within the RCU section, or NULL.
 */
struct dst_entry *tftpk_route_get(struct net *net, struct tftpk_peer *peer)
{
	if (peer->dst && dst_check(peer->dst, peer->dst_cookie))
		return peer->dst;

	dst_release(peer->dst);
	peer->dst = tftpk_route_find(net, &peer->tid.key);
	peer->dst_cookie = 0;
	if (peer->dst && !tftpk_is_v4(&peer->tid.key))
		peer->dst_cookie = rt6_get_cookie(dst_rt6_info(peer->dst));
	return peer->dst;
}

static bool tftpk_route_likely_v4(struct net *net, const struct tftpk_key *key)
{
	struct dst_entry *dst;
	u32 flags;

	if (ipv4_is_zeronet(key->client.s6_addr32[3]) ||
	    ipv4_is_zeronet(key->local.s6_addr32[3]))
		return false;
	/* There is none from an address that is not the host's. */
	dst = tftpk_route_find(net, key);
	if (!dst)
		return false;
	flags = container_of(dst, struct rtable, dst)->rt_flags;
	dst_release(dst);
	return !(flags & (RTCF_BROADCAST | RTCF_MULTICAST));
}

static bool tftpk_route_likely_v6(struct net *net, const struct tftpk_key *key)
{
	struct flowi6 fl6 = {
		.flowi6_oif	= tftpk_oif(key),
		.daddr		= key->local,
		.saddr		= key->local,
	};
	struct dst_entry *dst;
	bool local;

	if (ipv6_addr_any(&key->client) || ipv6_addr_is_multicast(&key->client) ||
	    ipv6_addr_any(&key->local) || ipv6_addr_is_multicast(&key->local))
		return false;
	dst = tftpk_route_find(net, key);
	if (!dst)
		return false;
	dst_release(dst);
	dst = ip6_route_output(net, NULL, &fl6);
	local = !dst->error && dst_rt6_info(dst)->rt6i_flags & RTF_LOCAL;
	dst_release(dst);
	return local;
}

/**
 * tftpk_route_likely() - could a client have sent to that address?
 * @net: network namespace
 * @key: client, and the address; from somebody who may lie
 *
 * One host can have the client's address, and there is a route to it; the other
 * address is this host's.
 *
 * Context: BH disabled, within rcu_read_lock().
 */
bool tftpk_route_likely(struct net *net, const struct tftpk_key *key)
{
	return tftpk_is_v4(key) ? tftpk_route_likely_v4(net, key) :
				  tftpk_route_likely_v6(net, key);
}

/* Length of the prefix that the route of an IPv4 client was found by. */
static int tftpk_prefix_v4(struct net *net, const struct tftpk_key *key)
{
	struct flowi4 fl4 = {
		.flowi4_oif	= tftpk_oif(key),
		.flowi4_scope	= RT_SCOPE_UNIVERSE,
		.daddr		= key->client.s6_addr32[3],
	};
	struct fib_result res;

	return fib_lookup(net, &fl4, &res, 0) ? 0 : res.prefixlen;
}

static int tftpk_prefix_v6(const struct dst_entry *dst)
{
	const struct fib6_info *from = rcu_dereference(dst_rt6_info(dst)->from);

	return from ? from->fib6_dst.plen : 0;
}

/**
 * tftpk_route_iif() - the link that a packet came in by
 * @key: its client
 * @skb: packet, as a socket gets it
 *
 * Return: index of the interface; in a VRF of its member.
 */
int tftpk_route_iif(const struct tftpk_key *key, const struct sk_buff *skb)
{
	if (tftpk_is_v4(key))
		return inet_sdif(skb) ?: inet_iif(skb);
	return inet6_sdif(skb) ?: inet6_iif(skb);
}

/**
 * tftpk_route_mac() - the link-layer address of a client
 * @net: network namespace
 * @client: its address
 * @ifindex: interface that it is a neighbour on
 * @mac: takes it
 *
 * Context: within rcu_read_lock(). Return: whether it is known.
 */
bool tftpk_route_mac(struct net *net, const struct in6_addr *client,
		     int ifindex, u8 mac[ETH_ALEN])
{
	struct net_device *dev = dev_get_by_index_rcu(net, ifindex);
	struct neighbour *neigh;
	bool known;

	if (!dev || dev->type != ARPHRD_ETHER)
		return false;
	if (ipv6_addr_v4mapped(client))
		neigh = neigh_lookup(&arp_tbl, &client->s6_addr32[3], dev);
	else
		neigh = neigh_lookup(&nd_tbl, client, dev);
	if (!neigh)
		return false;
	known = READ_ONCE(neigh->nud_state) & NUD_VALID;
	if (known)
		neigh_ha_snapshot(mac, neigh, dev);
	neigh_release(neigh);
	return known;
}

/**
 * tftpk_route_hop() - where packets to a client go first
 * @net: network namespace
 * @key: client
 * @hop: takes it
 *
 * A client is on the link if the route to it has no gateway. A default route that
 * needs no gateway, as of a tunnel, puts nobody on the link.
 *
 * Context: softirq or BH disabled, within rcu_read_lock(). Return: whether there
 * is a route.
 */
bool tftpk_route_hop(struct net *net, const struct tftpk_key *key,
		     struct tftpk_hop *hop)
{
	struct dst_entry *dst = tftpk_route_find(net, key);

	if (!dst)
		return false;
	*hop = (struct tftpk_hop) { .ifindex = dst->dev->ifindex };
	if (tftpk_is_v4(key)) {
		const struct rtable *rt = container_of(dst, struct rtable, dst);

		if (rt->rt_gw_family == AF_INET)
			ipv6_addr_set_v4mapped(rt->rt_gw4, &hop->gateway);
		else if (rt->rt_gw_family)
			hop->gateway = rt->rt_gw6;
		else
			hop->onlink = tftpk_prefix_v4(net, key) >=
				      TFTPK_ONLINK_V4;
	} else {
		const struct rt6_info *rt = dst_rt6_info(dst);

		if (rt->rt6i_flags & RTF_GATEWAY)
			hop->gateway = rt->rt6i_gateway;
		else
			hop->onlink = tftpk_prefix_v6(dst) >= TFTPK_ONLINK_V6;
	}
	dst_release(dst);
	return true;
}

/**
 * tftpk_route_onlink() - is a client on a link of the server?
 * @net: network namespace
 * @key: client
 * @iif: interface that its packet came in by, or 0 for the one that it should
 *
 * Context: softirq or BH disabled, within rcu_read_lock().
 */
bool tftpk_route_onlink(struct net *net, const struct tftpk_key *key, int iif)
{
	struct tftpk_hop hop;

	return tftpk_route_hop(net, key, &hop) && hop.onlink &&
	       (!iif || iif == hop.ifindex);
}

/**
 * tftpk_route_source() - choose the local address to send from
 * @net: network namespace
 * @key: IPv4 client; takes the address
 * @ifindex: interface that the client's packet came in on
 *
 * Context: softirq, within rcu_read_lock(). Return: 0 or a negative errno.
 */
int tftpk_route_source(struct net *net, struct tftpk_key *key, int ifindex)
{
	struct flowi4 fl4 = {
		.flowi4_oif	= ifindex,
		.flowi4_proto	= IPPROTO_UDP,
		.daddr		= key->client.s6_addr32[3],
	};
	struct rtable *rt = ip_route_output_flow(net, &fl4, NULL);

	if (IS_ERR(rt))
		return PTR_ERR(rt);
	ip_rt_put(rt);
	key->local.s6_addr32[3] = fl4.saddr;
	return 0;
}
