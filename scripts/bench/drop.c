// SPDX-License-Identifier: GPL-2.0
/*
 * The floor of uploads: what arrives at UDP port 9 is counted and dropped, as early as an
 * encapsulation may. The parameter tells how many packets that were.
 */
#include <linux/in.h>
#include <linux/module.h>
#include <linux/net.h>
#include <linux/udp.h>
#include <net/net_namespace.h>
#include <net/sock.h>
#include <net/udp.h>

static ulong drop_packets;
module_param_named(packets, drop_packets, ulong, 0444);
MODULE_PARM_DESC(packets, "how many were dropped");

static struct socket *drop_socket;

static int drop_rcv(struct sock *sk, struct sk_buff *skb)
{
	drop_packets++;
	consume_skb(skb);
	return 0;
}

static int __init drop_init(void)
{
	struct sockaddr_in any = {
		.sin_family	= AF_INET,
		.sin_port	= htons(9),
	};
	struct sock *sk;
	int err;

	err = sock_create_kern(&init_net, AF_INET, SOCK_DGRAM, IPPROTO_UDP,
			       &drop_socket);
	if (err)
		return err;
	err = kernel_bind(drop_socket, (struct sockaddr *)&any, sizeof(any));
	if (err) {
		sock_release(drop_socket);
		return err;
	}
	sk = drop_socket->sk;
	WRITE_ONCE(udp_sk(sk)->encap_rcv, drop_rcv);
	WRITE_ONCE(udp_sk(sk)->encap_type, 1);
	udp_encap_enable();
	return 0;
}
module_init(drop_init);

static void __exit drop_exit(void)
{
	/* No packet is in the function any more when this returns. */
	sock_release(drop_socket);
	synchronize_net();
}
module_exit(drop_exit);

MODULE_DESCRIPTION("Drops packets for the benchmark of tftpk");
MODULE_LICENSE("GPL");
