// SPDX-License-Identifier: GPL-2.0
/*
 * A listener: its sockets, and its end.
 */
#include <linux/cred.h>
#include <linux/netdevice.h>
#include <linux/rculist.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>
#include <net/ip.h>
#include <net/ipv6.h>

#include "silence.h"
#include "transfer.h"

static const struct cred *tftpk_kernel_cred;

static void tftpk_port_close(struct tftpk_port *port)
{
	if (port->sock)
		sock_release(port->sock);
	port->sock = NULL;
}

/* Not udp_sock_create(): it is in another module, udp_tunnel, and neither sets freebind
 * nor the credentials for a port below 1024.
 */
static int tftpk_port_open(struct tftpk_port *port,
			   struct tftpk_listener *listener, __be16 number)
{
	const struct tftpk_listener_name *name = &listener->name;
	struct sockaddr_storage ss = {};
	const struct cred *old;
	int err, len;
	struct sock *sk;

	port->listener = listener;
	err = sock_create_kern(listener->tn->net, name->family, SOCK_DGRAM,
			       IPPROTO_UDP, &port->sock);
	if (err)
		return err;
	sk = port->sock->sk;

	/* A configuration may be restored before its addresses are there. */
	ip_sock_set_freebind(sk);
	if (name->family == AF_INET6)
		ip6_sock_set_v6only(sk);
	if (name->ifindex) {
		err = sock_bindtoindex(sk, name->ifindex, true);
		if (err)
			goto err_close;
	}

	if (name->family == AF_INET) {
		struct sockaddr_in *sin = (struct sockaddr_in *)&ss;

		sin->sin_family = AF_INET;
		sin->sin_addr.s_addr = name->addr.s6_addr32[3];
		sin->sin_port = number;
		len = sizeof(*sin);
	} else {
		struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&ss;

		sin6->sin6_family = AF_INET6;
		sin6->sin6_addr = name->addr;
		sin6->sin6_port = number;
		sin6->sin6_scope_id = name->ifindex;
		len = sizeof(*sin6);
	}
	/* Whoever may configure the server need not be allowed to bind. */
	old = override_creds(tftpk_kernel_cred);
	err = kernel_bind(port->sock, (struct sockaddr_unsized *)&ss, len);
	revert_creds(old);
	if (err)
		goto err_close;
	port->port = inet_sk(sk)->inet_sport;

	tftpk_input_attach(sk, port);
	return 0;

err_close:
	tftpk_port_close(port);
	return err;
}

/**
 * tftpk_listener_detach() - stop taking packets
 * @listener: listener; its sockets stay, for transfers refer to them
 *
 * Context: process.
 */
void tftpk_listener_detach(struct tftpk_listener *listener)
{
	int i;

	WRITE_ONCE(listener->dead, true);
	if (listener->main.sock)
		rcu_assign_sk_user_data(listener->main.sock->sk, NULL);
	for (i = 0; i < listener->pool_size; i++)
		rcu_assign_sk_user_data(listener->pool[i].sock->sk, NULL);
}

static void tftpk_pool_close(struct tftpk_listener *listener)
{
	while (listener->pool_size)
		tftpk_port_close(&listener->pool[--listener->pool_size]);
}

/* Close the sockets, to which no transfer refers any more. */
static void tftpk_listener_unbind(struct tftpk_listener *listener)
{
	tftpk_port_close(&listener->main);
	tftpk_pool_close(listener);
	listener->name.ifindex = 0;
}

/**
 * tftpk_listener_free() - close the sockets of a listener and free it
 * @listener: listener, to which nothing refers any more
 *
 * Context: process.
 */
void tftpk_listener_free(struct tftpk_listener *listener)
{
	tftpk_listener_unbind(listener);
	/* A packet may still be on its way through tftpk_input(). */
	tftpk_silence_free(listener->silence);
	kfree_rcu(listener, rcu);
}

/* Bind the transfer identifiers: to ports of the range that was set, as far
 * as they are free, or to any.
 */
static int tftpk_pool_open(struct tftpk_listener *listener)
{
	const struct tftpk_settings *set = &listener->tn->settings;
	u32 number = set->port_low;
	int err = 0;

	while (listener->pool_size < TFTPK_POOL_SIZE &&
	       number <= set->port_high) {
		err = tftpk_port_open(&listener->pool[listener->pool_size],
				      listener, htons(number));
		if (!err)
			listener->pool_size++;
		else if (err != -EADDRINUSE)
			return err;
		else if (!number)
			break;
		if (set->port_low)
			number++;
	}
	return listener->pool_size ? 0 : err;
}

/* The number of an interface, or 0 if there is none of that name. */
static int tftpk_interface_index(struct net *net, const char *name)
{
	const struct net_device *dev;
	int ifindex;

	rcu_read_lock();
	dev = dev_get_by_name_rcu(net, name);
	ifindex = dev ? dev->ifindex : 0;
	rcu_read_unlock();
	return ifindex;
}

/* Is there that family at all? */
static int tftpk_family_check(struct net *net, u16 family)
{
	struct socket *sock;
	int err = sock_create_kern(net, family, SOCK_DGRAM, IPPROTO_UDP, &sock);

	if (!err)
		sock_release(sock);
	return err;
}

/* Open the sockets on the interface that has the listener's name now, if it has one
 * and that exists. The pool first: requests find it complete.
 */
static int tftpk_listener_bind(struct tftpk_listener *listener)
{
	struct tftpk_listener_name *name = &listener->name;
	struct net *net = listener->tn->net;
	int err = 0;

	if (*name->interface)
		name->ifindex = tftpk_interface_index(net, name->interface);
	if (tftpk_listener_waits(listener))
		return tftpk_family_check(net, name->family);
	if (!listener->single_port)
		err = tftpk_pool_open(listener);
	if (!err)
		err = tftpk_port_open(&listener->main, listener, name->port);
	if (err)
		tftpk_listener_unbind(listener);
	return err;
}

/**
 * tftpk_listener_make() - open the sockets of a listener
 * @tn: namespace's server; its mutex is held
 * @name: where it listens
 * @options: how it answers
 *
 * Context: process. Return: the listener, which is in no list yet, or an error pointer.
 */
struct tftpk_listener *
tftpk_listener_make(struct tftpk_net *tn,
		    const struct tftpk_listener_name *name,
		    const struct tftpk_listener_options *options)
{
	struct tftpk_listener *listener;
	int err;

	err = tftpk_limit_init(tn) ?: tftpk_turn_init(tn, tftpk_send_turn);
	if (err)
		return ERR_PTR(err);
	listener = kzalloc(sizeof(*listener), GFP_KERNEL_ACCOUNT);
	if (!listener)
		return ERR_PTR(-ENOMEM);
	listener->tn = tn;
	listener->id = ++tn->next_listener;
	listener->name = *name;
	listener->single_port = options->single_port;
	/* IPv6 has none. */
	listener->broadcast = options->broadcast && name->family == AF_INET;
	listener->anycast = options->anycast;
	if (listener->anycast && listener->anycast != TFTPK_ANYCAST_NEVER) {
		listener->silence = tftpk_silence_new();
		err = listener->silence ? 0 : -ENOMEM;
	}

	listener->main.requests = true;
	err = err ?: tftpk_listener_bind(listener);
	if (err) {
		tftpk_listener_free(listener);
		return ERR_PTR(err);
	}
	return listener;
}

static void tftpk_listener_end_transfers(struct tftpk_listener *listener)
{
	const struct tftpk_match match = { .listener = listener };

	/* Requests that came before have become transfers after this. */
	synchronize_rcu();
	tftpk_transfers_kill(listener->tn, &match);
	wait_var_event(&listener->users, !atomic_read(&listener->users));
}

/* Take no packets any more, and end the transfers. */
static void tftpk_listener_stop(struct tftpk_listener *listener)
{
	tftpk_listener_detach(listener);
	tftpk_listener_end_transfers(listener);
}

/**
 * tftpk_listener_close() - end a listener, its transfers included
 * @listener: listener, in its list; is freed
 *
 * Context: process; the server's mutex is held.
 */
void tftpk_listener_close(struct tftpk_listener *listener)
{
	list_del_rcu(&listener->list);
	tftpk_net_changed(listener->tn);
	tftpk_listener_stop(listener);
	tftpk_listener_free(listener);
}

/**
 * tftpk_listener_renew() - give a listener other transfer identifiers
 * @listener: listener; the server's mutex is held
 *
 * Ends the transfers. The port that takes requests stays bound.
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_listener_renew(struct tftpk_listener *listener)
{
	int err;

	if (listener->single_port || tftpk_listener_waits(listener))
		return 0;
	WRITE_ONCE(listener->dead, true);
	tftpk_listener_end_transfers(listener);
	tftpk_pool_close(listener);
	err = tftpk_pool_open(listener);
	/* Pairs with tftpk_request_admit(): the pool is complete. */
	smp_store_release(&listener->dead, false);
	return err;
}

/**
 * tftpk_listener_follow() - bind a listener to the interface that has its name now
 * @listener: listener; the server's mutex is held
 *
 * Ends the transfers where that is another one than before, or none.
 *
 * Context: process.
 */
void tftpk_listener_follow(struct tftpk_listener *listener)
{
	const struct tftpk_listener_name *name = &listener->name;
	struct tftpk_net *tn = listener->tn;

	if (!*name->interface ||
	    (name->ifindex == tftpk_interface_index(tn->net, name->interface) &&
	     (!name->ifindex || !READ_ONCE(listener->dead))))
		return;
	tftpk_listener_stop(listener);
	tftpk_listener_unbind(listener);
	/* Where that fails it waits on. */
	tftpk_listener_bind(listener);
	/* Pairs with tftpk_request_admit(): its sockets are open. */
	smp_store_release(&listener->dead, false);
	tftpk_net_changed(tn);
}

/**
 * tftpk_listeners_init() - prepare to open sockets
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int tftpk_listeners_init(void)
{
	tftpk_kernel_cred = prepare_kernel_cred(&init_task);
	return tftpk_kernel_cred ? 0 : -ENOMEM;
}

/**
 * tftpk_listeners_exit() - undo tftpk_listeners_init()
 */
void tftpk_listeners_exit(void)
{
	put_cred(tftpk_kernel_cred);
}
