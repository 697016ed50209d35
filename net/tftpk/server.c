// SPDX-License-Identifier: GPL-2.0
/*
 * The server of a network namespace: where it listens, what it exports, and the order
 * in which all of it is opened and closed.
 */
#include <linux/netdevice.h>
#include <linux/netlink.h>
#include <linux/path.h>
#include <linux/rculist.h>
#include <linux/workqueue.h>
#include <net/ipv6.h>

#include "answer.h"
#include "transfer.h"

/* ---- listeners ---- */

/* Close the implicit listeners; says whether there were any. */
static bool tftpk_implicit_close(struct tftpk_net *tn)
{
	struct tftpk_listener *listener, *next;
	bool any = false;

	list_for_each_entry_safe(listener, next, &tn->listeners, list) {
		if (listener->implicit) {
			tftpk_listener_close(listener);
			any = true;
		}
	}
	return any;
}

/* Listen on port 69 of all addresses; IPv4 alone where IPv6 is off. */
static int tftpk_implicit_open(struct tftpk_net *tn)
{
	static const struct tftpk_listener_name names[] = {
		{ .family = AF_INET, .port = htons(TFTPK_PORT),
		  .addr.s6_addr[10] = 0xff, .addr.s6_addr[11] = 0xff },
		{ .family = AF_INET6, .port = htons(TFTPK_PORT) },
	};
	static const struct tftpk_listener_options options = {};
	int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct tftpk_listener *listener;

		listener = tftpk_listener_make(tn, &names[i], &options);
		if (PTR_ERR(listener) == -EAFNOSUPPORT && i)
			continue;
		if (IS_ERR(listener)) {
			tftpk_implicit_close(tn);
			return PTR_ERR(listener);
		}
		listener->implicit = true;
		list_add_tail_rcu(&listener->list, &tn->listeners);
		tftpk_net_changed(tn);
	}
	return 0;
}

static struct tftpk_listener *
tftpk_listener_find(struct tftpk_net *tn,
		    const struct tftpk_listener_name *name)
{
	struct tftpk_listener *listener;

	list_for_each_entry(listener, &tn->listeners, list)
		if (listener->name.family == name->family &&
		    ipv6_addr_equal(&listener->name.addr, &name->addr) &&
		    listener->name.port == name->port &&
		    !strcmp(listener->name.interface, name->interface))
			return listener;
	return NULL;
}

/* Open listeners into @made: all of them, but for a family that is missing
 * where several are wanted. Says why not.
 */
static int tftpk_listeners_make(struct tftpk_net *tn,
				const struct tftpk_listener_name *names, int n,
				const struct tftpk_listener_options *options,
				struct list_head *made)
{
	int i, err = 0;

	for (i = 0; i < n; i++) {
		struct tftpk_listener *listener;

		listener = tftpk_listener_make(tn, &names[i], options);
		if (!IS_ERR(listener)) {
			list_add_tail(&listener->list, made);
			continue;
		}
		err = PTR_ERR(listener);
		if (err != -EAFNOSUPPORT)
			return err;
	}
	return list_empty(made) ? err : 0;
}

/**
 * tftpk_listener_add() - listen on an address, or on several
 * @tn: namespace's server; its mutex is held
 * @names: where
 * @n: how many; of several, those of a family that is missing are left out
 * @options: how to answer
 * @extack: takes a message where it fails
 *
 * All or none. Replaces implicit listeners; these come back where this fails.
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_listener_add(struct tftpk_net *tn,
		       const struct tftpk_listener_name *names, int n,
		       const struct tftpk_listener_options *options,
		       struct netlink_ext_ack *extack)
{
	struct tftpk_listener *listener, *next;
	LIST_HEAD(made);
	bool replaced;
	int i, err;

	lockdep_assert_held(&tn->mutex);

	for (i = 0; i < n; i++) {
		listener = tftpk_listener_find(tn, &names[i]);
		if (listener && !listener->implicit) {
			NL_SET_ERR_MSG(extack, "already listening there");
			return -EEXIST;
		}
	}

	replaced = tftpk_implicit_close(tn);
	err = tftpk_listeners_make(tn, names, n, options, &made);
	if (!err) {
		list_for_each_entry_safe(listener, next, &made, list) {
			list_del(&listener->list);
			list_add_tail_rcu(&listener->list, &tn->listeners);
		}
		tftpk_net_changed(tn);
		/* An interface may have come or gone meanwhile, unseen. */
		schedule_work(&tn->follow);
		return 0;
	}

	list_for_each_entry_safe(listener, next, &made, list)
		tftpk_listener_close(listener);
	if (replaced)
		tftpk_implicit_open(tn);
	if (err == -EADDRINUSE)
		NL_SET_ERR_MSG(extack,
			       "something listens there already, or no port of the range is free");
	else if (err == -EADDRNOTAVAIL || err == -EINVAL)
		NL_SET_ERR_MSG(extack, "cannot bind to that address");
	return err;
}

/**
 * tftpk_listener_del() - close listeners and end their transfers
 * @tn: namespace's server; its mutex is held
 * @names: where they listen
 * @n: how many; of several, one must be there
 * @extack: takes a message where there is none
 *
 * Context: process. Return: 0 or -ENOENT.
 */
int tftpk_listener_del(struct tftpk_net *tn,
		       const struct tftpk_listener_name *names, int n,
		       struct netlink_ext_ack *extack)
{
	struct tftpk_listener *listener;
	int i, err = -ENOENT;

	lockdep_assert_held(&tn->mutex);

	for (i = 0; i < n; i++) {
		listener = tftpk_listener_find(tn, &names[i]);
		if (listener) {
			tftpk_listener_close(listener);
			err = 0;
		}
	}
	if (err)
		NL_SET_ERR_MSG(extack, "not listening there");
	return err;
}

static int tftpk_listeners_renew(struct tftpk_net *tn)
{
	struct tftpk_listener *listener;
	int err = 0;

	list_for_each_entry(listener, &tn->listeners, list)
		err = tftpk_listener_renew(listener) ?: err;
	return err;
}

/**
 * tftpk_listeners_reopen() - take transfer identifiers from other ports
 * @tn: namespace's server; its mutex is held
 * @low: first port, or 0 for any
 * @high: last port
 * @extack: takes a message where it fails
 *
 * Ends all transfers, also where a listener finds no free port in the range
 * and all stays as it was.
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_listeners_reopen(struct tftpk_net *tn, u32 low, u32 high,
			   struct netlink_ext_ack *extack)
{
	u32 old_low = tn->settings.port_low, old_high = tn->settings.port_high;
	int err;

	lockdep_assert_held(&tn->mutex);

	tn->settings.port_low = low;
	tn->settings.port_high = high;
	err = tftpk_listeners_renew(tn);
	if (err) {
		if (err == -EADDRINUSE)
			NL_SET_ERR_MSG(extack,
				       "too few ports of the range are free");
		else if (err == -EADDRNOTAVAIL || err == -ENODEV)
			NL_SET_ERR_MSG(extack,
				       "a listener's address or interface is not there to bind to ports of the range");
		tn->settings.port_low = old_low;
		tn->settings.port_high = old_high;
		tftpk_listeners_renew(tn);
	}
	return err;
}

/* ---- interfaces ---- */

static void tftpk_server_follow(struct work_struct *work)
{
	struct tftpk_net *tn = container_of(work, struct tftpk_net, follow);
	struct tftpk_listener *listener;

	mutex_lock(&tn->mutex);
	list_for_each_entry(listener, &tn->listeners, list)
		tftpk_listener_follow(listener);
	mutex_unlock(&tn->mutex);
}

/* An interface came, went or has another name. Whoever configures the server may wait
 * for transfers to end with the mutex held, and they for RTNL: so nothing waits here.
 * A listener whose interface is not its own any more takes no requests from now on;
 * the work does the rest.
 */
static int tftpk_server_notify(struct notifier_block *nb, unsigned long event,
			       void *info)
{
	const struct net_device *dev = netdev_notifier_info_to_dev(info);
	struct net *net = dev_net(dev);
	struct tftpk_net *tn = tftpk_net(net);
	struct tftpk_listener *listener;
	bool any = false;

	if ((event != NETDEV_REGISTER && event != NETDEV_UNREGISTER &&
	     event != NETDEV_CHANGENAME) || !check_net(net))
		return NOTIFY_DONE;
	rcu_read_lock();
	list_for_each_entry_rcu(listener, &tn->listeners, list) {
		const struct tftpk_listener_name *name = &listener->name;

		any |= *name->interface;
		if (*name->interface &&
		    READ_ONCE(name->ifindex) == dev->ifindex &&
		    (event == NETDEV_UNREGISTER ||
		     dev_get_by_name_rcu(net, name->interface) != dev))
			WRITE_ONCE(listener->dead, true);
	}
	rcu_read_unlock();
	if (any)
		schedule_work(&tn->follow);
	return NOTIFY_DONE;
}

static struct notifier_block tftpk_server_notifier = {
	.notifier_call = tftpk_server_notify,
};

/**
 * tftpk_server_export() - serve the files beneath a folder
 * @tn: namespace's server; its mutex is held
 * @export: the folder; the server's if this succeeds
 * @extack: takes a message where it fails
 *
 * Listens on port 69 of all addresses, unless there is a listener.
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_server_export(struct tftpk_net *tn, struct tftpk_export *export,
			struct netlink_ext_ack *extack)
{
	struct tftpk_export *other;
	int err;

	lockdep_assert_held(&tn->mutex);

	list_for_each_entry(other, &tn->exports, list) {
		if (path_equal(&other->path, &export->path) &&
		    tftpk_export_has_prefix(other, export->options.prefix)) {
			NL_SET_ERR_MSG(extack,
				       "the folder is exported already");
			return -EEXIST;
		}
	}
	if (list_empty(&tn->listeners)) {
		err = tftpk_implicit_open(tn);
		if (err == -EADDRINUSE)
			NL_SET_ERR_MSG(extack,
				       "cannot listen on UDP port 69: is another TFTP server running?");
		if (err)
			return err;
	}
	export->id = ++tn->next_export;
	list_add_tail_rcu(&export->list, &tn->exports);
	tftpk_net_changed(tn);
	return 0;
}

/* Forget an export and end its transfers. */
static void tftpk_server_end_export(struct tftpk_net *tn,
				    struct tftpk_export *export)
{
	const struct tftpk_match match = { .export = export };

	list_del_rcu(&export->list);
	tftpk_net_changed(tn);
	/* Whoever found it before has a transfer now that uses it. */
	synchronize_rcu();
	tftpk_transfers_kill(tn, &match);
}

/**
 * tftpk_server_unexport() - stop serving a folder and end its transfers
 * @tn: namespace's server; its mutex is held
 * @name: path of the folder, or its name at the time of its export
 * @path: the folder now, or NULL where it was removed, replaced or hidden by a
 *	mount; then it goes by its name
 * @prefix: only under this one, or NULL for all
 * @ended: takes the exports, each for tftpk_export_end() without the mutex
 * @extack: takes a message where there is no such export
 *
 * The last export takes the implicit listeners with it.
 *
 * Context: process. Return: 0 or -ENOENT.
 */
int tftpk_server_unexport(struct tftpk_net *tn, const char *name,
			  const struct path *path, const char *prefix,
			  struct list_head *ended,
			  struct netlink_ext_ack *extack)
{
	struct tftpk_export *export, *next;

	lockdep_assert_held(&tn->mutex);

	list_for_each_entry_safe(export, next, &tn->exports, list) {
		if (((path && path_equal(&export->path, path)) ||
		     !strcmp(export->name, name)) &&
		    tftpk_export_has_prefix(export, prefix)) {
			tftpk_server_end_export(tn, export);
			list_add_tail(&export->list, ended);
			tftpk_export_put(export);
		}
	}
	if (list_empty(ended)) {
		NL_SET_ERR_MSG(extack, "the folder is not exported");
		return -ENOENT;
	}
	if (list_empty(&tn->exports))
		tftpk_implicit_close(tn);
	return 0;
}

/* ---- namespaces ---- */

static int __net_init tftpk_net_init(struct net *net)
{
	struct tftpk_net *tn = tftpk_net_alloc(net);

	if (!tn)
		return -ENOMEM;
	INIT_WORK(&tn->follow, tftpk_server_follow);
	*(struct tftpk_net **)net_generic(net, tftpk_net_id) = tn;
	return 0;
}

/* No packet comes in after this and the RCU grace period that follows. */
static void __net_exit tftpk_net_pre_exit(struct net *net)
{
	struct tftpk_net *tn = tftpk_net(net);
	struct tftpk_listener *listener;

	/* Nothing queues it any more: the namespace goes, or the notifier has gone. */
	cancel_work_sync(&tn->follow);
	list_for_each_entry(listener, &tn->listeners, list)
		tftpk_listener_detach(listener);
}

/* What waits for storage goes on, without the namespace. */
static void __net_exit tftpk_net_exit(struct net *net)
{
	struct tftpk_net *tn = tftpk_net(net);
	struct tftpk_listener *listener, *next;
	struct tftpk_export *export, *e;

	tftpk_transfers_close(tn);
	tftpk_memory_close(tn);
	list_for_each_entry_safe(listener, next, &tn->listeners, list)
		tftpk_listener_free(listener);
	list_for_each_entry_safe(export, e, &tn->exports, list) {
		list_del(&export->list);
		tftpk_export_unmake(export);
	}
	tftpk_net_put(tn);
}

unsigned int tftpk_net_id __read_mostly;

static struct pernet_operations tftpk_net_ops = {
	.init		= tftpk_net_init,
	.pre_exit	= tftpk_net_pre_exit,
	.exit		= tftpk_net_exit,
	.id		= &tftpk_net_id,
	.size		= sizeof(struct tftpk_net *),
};

/**
 * tftpk_server_init() - have a server in every network namespace
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_server_init(void)
{
	int err;

	err = tftpk_listeners_init();
	if (err)
		return err;
	err = register_pernet_subsys(&tftpk_net_ops);
	if (err)
		goto err_pernet;
	err = register_netdevice_notifier(&tftpk_server_notifier);
	if (err)
		goto err_notifier;
	return 0;

err_notifier:
	unregister_pernet_subsys(&tftpk_net_ops);
err_pernet:
	tftpk_listeners_exit();
	return err;
}

/**
 * tftpk_server_exit() - end all servers, their transfers included
 *
 * Context: process.
 */
void tftpk_server_exit(void)
{
	unregister_netdevice_notifier(&tftpk_server_notifier);
	unregister_pernet_subsys(&tftpk_net_ops);
	tftpk_listeners_exit();
	tftpk_exports_exit();
	/* Exports and listeners are freed by RCU. */
	rcu_barrier();
}
