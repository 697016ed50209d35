// SPDX-License-Identifier: GPL-2.0
/*
 * Packets from the sockets, in softirq.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/udp.h>
#include <net/ip.h>
#include <net/ipv6.h>
#include <net/route.h>
#include <net/udp.h>
#include <net/udp_tunnel.h>

#include "resolve.h"
#include "transfer.h"

static void tftpk_key_fill(struct tftpk_key *key, const struct tftpk_port *port,
			   const struct sk_buff *skb)
{
	memset(key, 0, sizeof(*key));
	key->port = port;
	key->client_port = udp_hdr(skb)->source;

	if (port->listener->name.family == AF_INET) {
		ipv6_addr_set_v4mapped(ip_hdr(skb)->saddr, &key->client);
		ipv6_addr_set_v4mapped(ip_hdr(skb)->daddr, &key->local);
	} else {
		key->client = ipv6_hdr(skb)->saddr;
		key->local = ipv6_hdr(skb)->daddr;
		if (ipv6_addr_type(&key->client) & IPV6_ADDR_LINKLOCAL)
			key->scope = inet6_iif(skb);
	}
}

/* Can no host have the source address? The stack lets IPv6 packets from mapped IPv4
 * addresses in, which inside of the module are other hosts, and packets from the
 * unspecified address.
 */
static bool tftpk_input_is_martian(const struct tftpk_key *key)
{
	if (key->port->listener->name.family == AF_INET)
		return ipv4_is_zeronet(key->client.s6_addr32[3]);
	return ipv6_addr_v4mapped(&key->client) ||
	       ipv6_addr_any(&key->client);
}

/* Choose the local address to answer a request from: the one that it was sent to. If
 * it was broadcast and the listener accepts that, the address of the interface. Returns
 * false where the request is to be ignored, since all servers of the link got it.
 */
static bool tftpk_input_choose_local(struct tftpk_key *key,
				     const struct sk_buff *skb)
{
	const struct tftpk_listener *listener = key->port->listener;
	u32 flags;

	if (listener->name.family == AF_INET6)
		return !ipv6_addr_is_multicast(&key->local);
	flags = skb_rtable(skb)->rt_flags;
	if (flags & RTCF_MULTICAST)
		return false;
	if (!(flags & RTCF_BROADCAST))
		return true;
	return listener->broadcast &&
	       !tftpk_route_source(listener->tn->net, key, inet_iif(skb));
}

/* Was a packet sent to one host, as all packets of a transfer are? */
static bool tftpk_input_is_unicast(const struct tftpk_key *key,
				   const struct sk_buff *skb)
{
	return skb->pkt_type != PACKET_BROADCAST &&
	       skb->pkt_type != PACKET_MULTICAST &&
	       !ipv6_addr_is_multicast(&key->local);
}

/* Refuse a request with an ERROR, if its source is within its rate, and if the client
 * would not take the ERROR for one of its transfer.
 */
static void tftpk_input_refuse(const struct tftpk_key *key, const char *name,
			       int c, u16 code,
			       const char *text, int iif)
{
	struct tftpk_net *tn = key->port->listener->tn;

	tftpk_stats_inc(tn, c);
	tftpk_event_refused(key, name, code, text);
	if (tftpk_table_sends_from(key))
		return;
	if (tftpk_limit_answer(tn, key, tftpk_limit_near(tn, key, iif),
			       TFTPK_REPLY_OTHER))
		tftpk_output_error(key, tn->net, code, text);
	else
		tftpk_stats_inc(tn, TFTPK_A_STATS_REQUESTS_LIMITED);
}

/* Why a mode is not served, or NULL; RFC 1123 section 4.2.2.1 has no mail. */
static const char *tftpk_input_bad_mode(enum tftpk_mode mode)
{
	switch (mode) {
	case TFTPK_MODE_OCTET:
	case TFTPK_MODE_NETASCII:
		return NULL;
	case TFTPK_MODE_MAIL:
		return "no mail here";
	case TFTPK_MODE_UNKNOWN:
		return "unknown mode";
	case TFTPK_MODE_MISSING:
		break;
	}
	return "no mode";
}

/* Who lets nobody write needs no agent for it. */
static bool tftpk_input_takes_uploads(const struct tftpk_net *tn)
{
	return READ_ONCE(tn->settings.uploads) && READ_ONCE(tn->agent);
}

/* RRQ or WRQ; consumes @skb. */
static void tftpk_input_request(struct tftpk_key *key, struct sk_buff *skb,
				u16 op)
{
	struct tftpk_net *tn = key->port->listener->tn;
	struct tftpk_arrival arrival = {
		.iif	= tftpk_route_iif(key, skb),
		.writes	= op == TFTPK_OP_WRQ,
		.size	= TFTPK_SIZE_UNKNOWN,
	};
	int iif = arrival.iif;
	struct tftpk_request req;
	const char *bad_mode;
	u32 len;

	len = skb->len - sizeof(struct udphdr);
	if (!key->port->requests || len > TFTPK_REQUEST_MAX ||
	    skb_linearize(skb))
		goto malformed;
	skb_pull(skb, sizeof(struct udphdr));
	if (tftpk_parse_request(skb->data + 2, len - 2, &req))
		goto malformed;
	/* It is kept until the file is open, which is not what reserves are for. */
	if (skb_pfmemalloc(skb) || !tftpk_input_choose_local(key, skb)) {
		tftpk_stats_inc(tn, TFTPK_A_STATS_REQUESTS_DROPPED);
		kfree_skb(skb);
		return;
	}

	bad_mode = tftpk_input_bad_mode(req.mode);
	if (bad_mode)
		tftpk_input_refuse(key, req.name, arrival.writes ?
				   TFTPK_A_STATS_WRITES_REFUSED :
				   TFTPK_A_STATS_REQUESTS_REFUSED,
				   TFTPK_ERR_OPERATION, bad_mode, iif);
	else if (arrival.writes && !tftpk_input_takes_uploads(tn))
		tftpk_input_refuse(key, req.name, TFTPK_A_STATS_WRITES_REFUSED,
				   TFTPK_ERR_ACCESS, TFTPK_READ_ONLY, iif);
	else if (req.malformed && READ_ONCE(tn->settings.strict_options))
		tftpk_input_refuse(key, req.name, TFTPK_A_STATS_REQUESTS_REFUSED,
				   TFTPK_ERR_OPTION, "bad option value", iif);
	else
		goto accept;
	consume_skb(skb);
	return;

accept:
	arrival.hash = jhash(skb->data, len, 0);
	if (arrival.writes)
		tftpk_parse_tsize(skb->data + 2, len - 2, &arrival.size);
	tftpk_keep_skb(skb);
	*TFTPK_REQUEST(skb) = req;
	tftpk_request(key, skb, &arrival);
	return;

malformed:
	tftpk_stats_inc(tn, TFTPK_A_STATS_PACKETS_MALFORMED);
	kfree_skb(skb);
}

/* A packet from a socket, from its UDP header on, with a valid checksum. ACKs longer
 * than four bytes are accepted: some clients append to them.
 */
static int tftpk_input(struct sock *sk, struct sk_buff *skb)
{
	const struct tftpk_port *port = rcu_dereference_sk_user_data(sk);
	struct tftpk_key key;
	const __be16 *packet;
	u16 op;

	if (!port) {
		kfree_skb(skb);
		return 0;
	}
	if (!pskb_may_pull(skb, sizeof(struct udphdr) + TFTPK_HDR_LEN) ||
	    !udp_hdr(skb)->source)
		goto malformed;
	packet = (const __be16 *)(skb->data + sizeof(struct udphdr));
	op = ntohs(packet[0]);
	tftpk_key_fill(&key, port, skb);
	if (tftpk_input_is_martian(&key))
		goto malformed;

	if (op != TFTPK_OP_RRQ && op != TFTPK_OP_WRQ &&
	    !tftpk_input_is_unicast(&key, skb))
		goto malformed;

	switch (op) {
	case TFTPK_OP_ACK:
		skb = tftpk_send_ack(&key, ntohs(packet[1]), skb);
		/* The next packet is built in it. */
		napi_consume_skb(skb, 1);
		return 0;
	case TFTPK_OP_ERROR:
		tftpk_transfer_abort(&key, ntohs(packet[1]));
		break;
	case TFTPK_OP_DATA:
		tftpk_recv_data(&key, ntohs(packet[1]), skb);
		return 0;
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
	tftpk_stats_inc(port->listener->tn, TFTPK_A_STATS_PACKETS_MALFORMED);
	kfree_skb(skb);
	return 0;
}

/* An ICMP error; it quotes the headers of a packet of ours. Only port unreachable
 * counts: the client's own host sends that. Errors of routers may be temporary. A
 * forger would have to guess both ports.
 */
static void tftpk_encap_err_rcv(struct sock *sk, struct sk_buff *skb, int err,
				__be16 client_port, u32 info, u8 *payload)
{
	const struct tftpk_port *port = rcu_dereference_sk_user_data(sk);
	struct tftpk_key key = { .port = port, .client_port = client_port };

	if (!port)
		return;
	if (port->listener->name.family == AF_INET) {
		const struct iphdr *iph = (const struct iphdr *)skb->data;

		if (icmp_hdr(skb)->type != ICMP_DEST_UNREACH ||
		    icmp_hdr(skb)->code != ICMP_PORT_UNREACH)
			return;
		ipv6_addr_set_v4mapped(iph->daddr, &key.client);
		ipv6_addr_set_v4mapped(iph->saddr, &key.local);
	} else {
		const struct ipv6hdr *ip6h = (const struct ipv6hdr *)skb->data;

		if (icmp6_hdr(skb)->icmp6_type != ICMPV6_DEST_UNREACH ||
		    icmp6_hdr(skb)->icmp6_code != ICMPV6_PORT_UNREACH)
			return;
		key.client = ip6h->daddr;
		key.local = ip6h->saddr;
		if (ipv6_addr_type(&key.client) & IPV6_ADDR_LINKLOCAL)
			key.scope = inet6_iif(skb);
	}
	tftpk_transfer_end_unreachable(&key);
}

/**
 * tftpk_input_attach() - take the packets of a socket
 * @sk: UDP socket
 * @port: port that it belongs to
 *
 * By hand: setup_udp_tunnel_sock() is in another module, udp_tunnel.
 *
 * Context: process.
 */
void tftpk_input_attach(struct sock *sk, struct tftpk_port *port)
{
	rcu_assign_sk_user_data(sk, port);
	udp_sk(sk)->encap_err_rcv = tftpk_encap_err_rcv;
	udp_sk(sk)->encap_rcv = tftpk_input;
	WRITE_ONCE(udp_sk(sk)->encap_type, 1);
	udp_tunnel_encap_enable(sk);
}
