// SPDX-License-Identifier: GPL-2.0
/*
 * Packets from the sockets, in softirq.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/udp.h>

#include "tftpk.h"

static void tftpk_key_fill(struct tftpk_key *key, const struct tftpk_port *port,
			   const struct sk_buff *skb)
{
	memset(key, 0, sizeof(*key));
	key->port = port;
	key->client_port = udp_hdr(skb)->source;

	if (port->listener->family == AF_INET) {
		ipv6_addr_set_v4mapped(ip_hdr(skb)->saddr, &key->client);
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, &key->local);
	} else {
		key->client = ipv6_hdr(skb)->saddr;
		key->local = ipv6_hdr(skb)->daddr;
		if (ipv6_addr_type(&key->client) & IPV6_ADDR_LINKLOCAL)
			key->scope = inet6_iif(skb);
	}
}

/* A request to many is answered by none: all servers of the link would. */
static bool tftpk_to_many(const struct tftpk_key *key,
			  const struct sk_buff *skb)
{
	if (key->port->listener->family == AF_INET)
		return skb_rtable(skb)->rt_flags &
		       (RTCF_BROADCAST | RTCF_MULTICAST);
	return ipv6_addr_is_multicast(&key->local);
}

/* RRQ or WRQ; consumes @skb. */
static void tftpk_input_request(const struct tftpk_key *key,
				struct sk_buff *skb, u16 op)
{
	struct tftpk_net *tn = key->port->listener->tn;
	struct tftpk_request req;
	u32 len, hash;

	len = skb->len - sizeof(struct udphdr);
	if (!key->port->requests || tftpk_to_many(key, skb) ||
	    len > TFTPK_REQUEST_MAX || skb_linearize(skb))
		goto malformed;
	skb_pull(skb, sizeof(struct udphdr));
	if (tftpk_parse_request(skb->data + 2, len - 2, &req))
		goto malformed;

	if (op == TFTPK_OP_WRQ) {
		tftpk_stats_inc(tn, TFTPK_STAT_WRITES_REFUSED);
		tftpk_output_error(key, tn->net, TFTPK_ERR_ACCESS,
				   "read-only server");
		consume_skb(skb);
		return;
	}
	if (req.mode != TFTPK_MODE_OCTET) {
		tftpk_stats_inc(tn, TFTPK_STAT_REQUESTS_REFUSED);
		tftpk_output_error(key, tn->net, TFTPK_ERR_UNDEFINED,
				   "only octet mode is served");
		consume_skb(skb);
		return;
	}

	hash = jhash(skb->data, len, 0);
	/* It outlives this packet's way through the stack. */
	skb_orphan(skb);
	skb_dst_drop(skb);
	skb_ext_reset(skb);
	skb->dev = NULL;
	*TFTPK_REQUEST(skb) = req;
	tftpk_transfer_request(key, skb, hash);
	return;

malformed:
	tftpk_stats_inc(tn, TFTPK_STAT_PACKETS_MALFORMED);
	kfree_skb(skb);
}

/**
 * tftpk_input() - take a packet from a socket (its encap_rcv)
 * @sk: socket of a listener
 * @skb: packet, from its UDP header on, checksum verified; consumed
 *
 * ACKs longer than four bytes are accepted: some clients append to them.
 *
 * Context: softirq, within rcu_read_lock(). Return: 0.
 */
int tftpk_input(struct sock *sk, struct sk_buff *skb)
{
	const struct tftpk_port *port = rcu_dereference_sk_user_data(sk);
	struct tftpk_key key;
	const __be16 *packet;
	u16 op;

	if (!port) {
		kfree_skb(skb);
		return 0;
	}
	if (!pskb_may_pull(skb, sizeof(struct udphdr) + TFTPK_HDR_LEN))
		goto malformed;
	packet = (const __be16 *)(skb->data + sizeof(struct udphdr));
	op = ntohs(packet[0]);
	tftpk_key_fill(&key, port, skb);

	switch (op) {
	case TFTPK_OP_ACK:
		tftpk_transfer_ack(&key, ntohs(packet[1]));
		break;
	case TFTPK_OP_ERROR:
		tftpk_transfer_abort(&key);
		break;
	case TFTPK_OP_RRQ:
	case TFTPK_OP_WRQ:
		tftpk_input_request(&key, skb, op);
		return 0;
	default:
		goto malformed;
	}
	consume_skb(skb);
	return 0;

malformed:
	tftpk_stats_inc(port->listener->tn, TFTPK_STAT_PACKETS_MALFORMED);
	kfree_skb(skb);
	return 0;
}
