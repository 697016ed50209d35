// SPDX-License-Identifier: GPL-2.0
/*
 * Commands and dumps of what is configured: exports, listeners and trusted
 * networks. What genl.h declares runs in process context, without
 * tftpk_net.mutex.
 */
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/path.h>
#include <linux/net.h>
#include <linux/netdevice.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uidgid.h>
#include <net/genetlink.h>
#include <net/ipv6.h>

#include "genl.h"
#include "netlink.h"
#include "tftpk.h"

/* Others wait meanwhile, see TFTPK_STORAGE_WAIT_MS. */
#define TFTPK_UNEXPORT_SECONDS	30

/* A network; all bits of its address count where its length is NULL. */
static int tftpk_get_network(const struct nlattr *address,
			     const struct nlattr *length,
			     struct netlink_ext_ack *extack,
			     struct tftpk_network *network)
{
	struct in6_addr addr;
	int err, max, plen;

	err = tftpk_get_address(address, extack, &addr);
	if (err)
		return err;
	max = ipv6_addr_v4mapped(&addr) ? 32 : 128;
	plen = length ? nla_get_u8(length) : max;
	if (plen > max) {
		NL_SET_ERR_MSG(extack,
			       "a prefix is not longer than its address");
		return -EINVAL;
	}
	tftpk_network_set(network, &addr, 128 - max + plen);
	return 0;
}

/* ---- exports ---- */

static int tftpk_put_audience(struct sk_buff *skb,
			      const struct tftpk_export_options *options)
{
	u32 i;

	for (i = 0; i < options->n_audience; i++) {
		const struct tftpk_audience *audience = &options->audience[i];
		struct nlattr *nest;

		nest = nla_nest_start(skb, audience->excluded ?
						   TFTPK_A_EXPORT_NOT_FOR :
						   TFTPK_A_EXPORT_FOR);
		if (!nest || tftpk_put_network(skb, TFTPK_A_NETWORK_ADDRESS,
					       TFTPK_A_NETWORK_PREFIX_LENGTH,
					       &audience->network))
			return -EMSGSIZE;
		nla_nest_end(skb, nest);
	}
	return 0;
}

/* Where names are looked up, and what becomes of those that are not found. */
static int tftpk_put_names(struct sk_buff *skb,
			   const struct tftpk_export_options *options)
{
	return tftpk_put_audience(skb, options) ||
	       (options->root_by != TFTPK_ROOT_BY_NONE &&
		nla_put_u32(skb, TFTPK_A_EXPORT_ROOT_BY, options->root_by)) ||
	       (options->only && nla_put_flag(skb, TFTPK_A_EXPORT_ONLY)) ||
	       (options->drop_first_folder &&
		nla_put_flag(skb, TFTPK_A_EXPORT_DROP_FIRST_FOLDER)) ||
	       (options->default_file &&
		nla_put_string(skb, TFTPK_A_EXPORT_DEFAULT,
			       options->default_file)) ||
	       (options->refusal &&
		nla_put_string(skb, TFTPK_A_EXPORT_REFUSAL, options->refusal));
}

static int tftpk_put_export(struct sk_buff *skb,
			    const struct tftpk_export *export)
{
	const struct tftpk_export_options *options = &export->options;
	const struct cred *cred = export->cred;

	return nla_put_u32(skb, TFTPK_A_EXPORT_ID, export->id) ||
	       nla_put_string(skb, TFTPK_A_EXPORT_PATH, export->name) ||
	       nla_put_u32(skb, TFTPK_A_EXPORT_UID,
			   from_kuid_munged(&init_user_ns, cred->fsuid)) ||
	       nla_put_u32(skb, TFTPK_A_EXPORT_GID,
			   from_kgid_munged(&init_user_ns, cred->fsgid)) ||
	       nla_put_string(skb, TFTPK_A_EXPORT_PREFIX, options->prefix) ||
	       (options->no_symlinks &&
		nla_put_flag(skb, TFTPK_A_EXPORT_NO_SYMLINKS)) ||
	       (options->max_blksize != TFTPK_UNSET &&
		nla_put_u32(skb, TFTPK_A_EXPORT_MAX_BLKSIZE,
			    options->max_blksize)) ||
	       (options->min_timeout != TFTPK_UNSET &&
		nla_put_u32(skb, TFTPK_A_EXPORT_MIN_TIMEOUT,
			    options->min_timeout)) ||
	       (options->send_ahead != TFTPK_UNSET &&
		nla_put_u8(skb, TFTPK_A_EXPORT_SEND_AHEAD,
			   options->send_ahead)) ||
	       (options->dscp &&
		nla_put_u8(skb, TFTPK_A_EXPORT_DSCP, options->dscp)) ||
	       (options->max_rate &&
		nla_put_u32(skb, TFTPK_A_EXPORT_MAX_RATE,
			    options->max_rate)) ||
	       (options->rollover &&
		nla_put_u8(skb, TFTPK_A_EXPORT_ROLLOVER, options->rollover)) ||
	       (options->no_tsize &&
		nla_put_flag(skb, TFTPK_A_EXPORT_NO_TSIZE)) ||
	       tftpk_put_names(skb, options);
}

/* Attributes are checked to be terminated, not where their string ends. */
static const char *tftpk_get_string(const struct genl_info *info, int attr)
{
	return info->attrs[attr] ? nla_data(info->attrs[attr]) : NULL;
}

/* May the sender have files opened as that user and group? As nobody or as himself
 * he may. To configure networks is no leave to read what belongs to others: that
 * takes what becoming one of them takes. Himself is who opened the socket and who
 * sends, if they are one.
 */
static int tftpk_may_open_as(struct sk_buff *skb, kuid_t uid, kgid_t gid,
			     struct netlink_ext_ack *extack)
{
	const struct cred *opener = NETLINK_CB(skb).sk->sk_socket->file->f_cred;

	if (!uid_eq(uid, KUIDT_INIT(TFTPK_UNPRIVILEGED)) &&
	    !(uid_eq(uid, current_fsuid()) && uid_eq(uid, opener->fsuid)) &&
	    !netlink_capable(skb, CAP_SETUID)) {
		NL_SET_ERR_MSG(extack,
			       "to open files as another user takes CAP_SETUID");
		return -EPERM;
	}
	if (!gid_eq(gid, KGIDT_INIT(TFTPK_UNPRIVILEGED)) &&
	    !(gid_eq(gid, current_fsgid()) && gid_eq(gid, opener->fsgid)) &&
	    !netlink_capable(skb, CAP_SETGID)) {
		NL_SET_ERR_MSG(extack,
			       "to open files as another group takes CAP_SETGID");
		return -EPERM;
	}
	return 0;
}

/* The longest network first, equal ones side by side. */
static int tftpk_compare_audience(const void *a, const void *b)
{
	const struct tftpk_network *one = a, *other = b;

	return other->plen - one->plen ?:
	       memcmp(&one->addr, &other->addr, sizeof(one->addr));
}

static int tftpk_get_audience(const struct nlattr *nest, bool excluded,
			      struct netlink_ext_ack *extack,
			      struct tftpk_audience *audience)
{
	struct nlattr *attrs[TFTPK_A_NETWORK_MAX + 1];
	int err;

	err = nla_parse_nested(attrs, TFTPK_A_NETWORK_MAX, nest,
			       tftpk_network_nl_policy, extack);
	if (err)
		return err;
	if (!attrs[TFTPK_A_NETWORK_ADDRESS]) {
		NL_SET_ERR_MSG_ATTR(extack, nest, "a network has no address");
		return -EINVAL;
	}
	audience->excluded = excluded;
	return tftpk_get_network(attrs[TFTPK_A_NETWORK_ADDRESS],
				 attrs[TFTPK_A_NETWORK_PREFIX_LENGTH], extack,
				 &audience->network);
}

/* Who is to see an export, into an array of TFTPK_NETWORKS_MAX. */
static int tftpk_get_audiences(struct genl_info *info,
			       struct tftpk_audience *audience, u32 *n)
{
	const struct nlattr *attr;
	int err, rem;
	u32 i;

	*n = 0;
	nlmsg_for_each_attr(attr, info->nlhdr, GENL_HDRLEN, rem) {
		bool excluded = nla_type(attr) == TFTPK_A_EXPORT_NOT_FOR;

		if (!excluded && nla_type(attr) != TFTPK_A_EXPORT_FOR)
			continue;
		if (*n == TFTPK_NETWORKS_MAX) {
			NL_SET_ERR_MSG(info->extack,
				       "an export has at most 64 networks");
			return -E2BIG;
		}
		err = tftpk_get_audience(attr, excluded, info->extack,
					 &audience[(*n)++]);
		if (err)
			return err;
	}
	sort(audience, *n, sizeof(*audience), tftpk_compare_audience, NULL);
	for (i = 1; i < *n; i++) {
		if (!tftpk_compare_audience(&audience[i - 1], &audience[i])) {
			NL_SET_ERR_MSG(info->extack,
				       "a network is given twice");
			return -EINVAL;
		}
	}
	return 0;
}

/* Where names are looked up, and what becomes of those that are not found. */
static int tftpk_get_names(struct genl_info *info,
			   struct tftpk_export_options *options)
{
	const char *c;

	options->only = info->attrs[TFTPK_A_EXPORT_ONLY];
	options->drop_first_folder =
		info->attrs[TFTPK_A_EXPORT_DROP_FIRST_FOLDER];
	options->default_file = tftpk_get_string(info, TFTPK_A_EXPORT_DEFAULT);
	options->refusal = tftpk_get_string(info, TFTPK_A_EXPORT_REFUSAL);
	if (info->attrs[TFTPK_A_EXPORT_ROOT_BY])
		options->root_by =
			nla_get_u32(info->attrs[TFTPK_A_EXPORT_ROOT_BY]);
	if (options->only && options->root_by == TFTPK_ROOT_BY_NONE) {
		NL_SET_ERR_MSG(info->extack,
			       "names in clients' folders alone, but these have no names");
		return -EINVAL;
	}
	if (options->default_file && !*options->default_file) {
		NL_SET_ERR_MSG(info->extack, "the default is no file");
		return -EINVAL;
	}
	if (!options->refusal)
		return 0;
	for (c = options->refusal; *c >= ' ' && *c <= '~'; c++)
		;
	if (*c || c == options->refusal) {
		NL_SET_ERR_MSG(info->extack,
			       "the text of a refusal is printable ASCII");
		return -EINVAL;
	}
	return 0;
}

/* How a folder is to be served, and whether the sender may have it so. */
static int tftpk_get_export_options(struct sk_buff *skb, struct genl_info *info,
				    struct tftpk_export_options *options)
{
	u32 uid = TFTPK_UNPRIVILEGED, gid = TFTPK_UNPRIVILEGED;

	*options = (struct tftpk_export_options) {
		.prefix = tftpk_get_string(info, TFTPK_A_EXPORT_PREFIX),
		.max_blksize = TFTPK_UNSET,
		.min_timeout = TFTPK_UNSET,
		.send_ahead = TFTPK_UNSET,
		.no_symlinks = info->attrs[TFTPK_A_EXPORT_NO_SYMLINKS],
		.no_tsize = info->attrs[TFTPK_A_EXPORT_NO_TSIZE],
	};
	if (info->attrs[TFTPK_A_EXPORT_UID])
		uid = nla_get_u32(info->attrs[TFTPK_A_EXPORT_UID]);
	if (info->attrs[TFTPK_A_EXPORT_GID])
		gid = nla_get_u32(info->attrs[TFTPK_A_EXPORT_GID]);
	if (info->attrs[TFTPK_A_EXPORT_MAX_BLKSIZE])
		options->max_blksize =
			nla_get_u32(info->attrs[TFTPK_A_EXPORT_MAX_BLKSIZE]);
	if (info->attrs[TFTPK_A_EXPORT_MIN_TIMEOUT])
		options->min_timeout =
			nla_get_u32(info->attrs[TFTPK_A_EXPORT_MIN_TIMEOUT]);
	if (info->attrs[TFTPK_A_EXPORT_SEND_AHEAD])
		options->send_ahead =
			nla_get_u8(info->attrs[TFTPK_A_EXPORT_SEND_AHEAD]);
	if (info->attrs[TFTPK_A_EXPORT_DSCP])
		options->dscp = nla_get_u8(info->attrs[TFTPK_A_EXPORT_DSCP]);
	if (info->attrs[TFTPK_A_EXPORT_MAX_RATE])
		options->max_rate =
			nla_get_u32(info->attrs[TFTPK_A_EXPORT_MAX_RATE]);
	if (info->attrs[TFTPK_A_EXPORT_ROLLOVER])
		options->rollover =
			nla_get_u8(info->attrs[TFTPK_A_EXPORT_ROLLOVER]);
	options->uid = make_kuid(&init_user_ns, uid);
	options->gid = make_kgid(&init_user_ns, gid);
	if (!uid_valid(options->uid) || !gid_valid(options->gid)) {
		NL_SET_ERR_MSG(info->extack, "no such user or group id");
		return -EINVAL;
	}
	return tftpk_get_names(info, options) ?:
	       tftpk_may_open_as(skb, options->uid, options->gid, info->extack);
}

/* Make the export that a command wants. */
static struct tftpk_export *tftpk_make_export(struct sk_buff *skb,
					      struct genl_info *info)
{
	struct tftpk_export_options options;
	struct tftpk_audience *audience;
	struct tftpk_export *export;
	int err;

	audience = kcalloc(TFTPK_NETWORKS_MAX, sizeof(*audience), GFP_KERNEL);
	if (!audience)
		return ERR_PTR(-ENOMEM);
	err = tftpk_get_export_options(skb, info, &options) ?:
	      tftpk_get_audiences(info, audience, &options.n_audience);
	options.audience = audience;
	export = err ? ERR_PTR(err) :
		 tftpk_export_make(tftpk_get_string(info, TFTPK_A_EXPORT_PATH),
				   &options, info->extack);
	kfree(audience);
	return export;
}

int tftpk_nl_export_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	struct tftpk_export *export;
	struct sk_buff *reply;
	void *hdr;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_EXPORT_PATH))
		return -EINVAL;

	/* Everything that can fail comes before the export is visible. */
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE + 3 * PATH_MAX, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &tftpk_nl_family, 0,
				TFTPK_CMD_EXPORT_ADD);
	if (!hdr) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}

	export = tftpk_make_export(skb, info);
	if (IS_ERR(export)) {
		nlmsg_free(reply);
		return PTR_ERR(export);
	}

	mutex_lock(&tn->mutex);
	err = tftpk_server_export(tn, export, info->extack);
	if (err)
		tftpk_export_unmake(export);
	else
		err = tftpk_put_export(reply, export) ? -EMSGSIZE : 0;
	mutex_unlock(&tn->mutex);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

int tftpk_nl_export_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	const char *name = tftpk_get_string(info, TFTPK_A_EXPORT_PATH);
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	unsigned long deadline = jiffies + TFTPK_UNEXPORT_SECONDS * HZ;
	struct tftpk_export *export, *next;
	struct path path = {};
	LIST_HEAD(ended);
	int err;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_EXPORT_PATH))
		return -EINVAL;
	/* Where storage does not answer it goes by its name. */
	err = tftpk_export_path(name, &path);
	if (err == -EINTR && fatal_signal_pending(current))
		return err;
	mutex_lock(&tn->mutex);
	err = tftpk_server_unexport(tn, name, path.dentry ? &path : NULL,
				    tftpk_get_string(info, TFTPK_A_EXPORT_PREFIX),
				    &ended, info->extack);
	mutex_unlock(&tn->mutex);
	path_put(&path);

	list_for_each_entry_safe(export, next, &ended, list)
		err = tftpk_export_end(export, deadline) ?: err;
	if (err == -ETIMEDOUT) {
		NL_SET_ERR_MSG(info->extack,
			       "no longer served, but the storage does not answer: files are closed when it does");
		err = -EINPROGRESS;
	}
	return err;
}

/* cb->args[0] is the last id that was told. */
int tftpk_nl_export_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	struct tftpk_export *export;
	int err = 0;

	mutex_lock(&tn->mutex);
	cb->seq = tn->generation;
	list_for_each_entry(export, &tn->exports, list) {
		void *hdr;

		if (export->id <= cb->args[0])
			continue;
		err = -EMSGSIZE;
		hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_EXPORT_GET);
		if (hdr)
			err = tftpk_dump_end(skb, hdr,
					     tftpk_put_export(skb, export));
		if (err)
			break;
		cb->args[0] = export->id;
	}
	mutex_unlock(&tn->mutex);
	return skb->len ?: err;
}

/* ---- listeners ---- */

/* The name of an interface, if it exists. */
static bool tftpk_interface_name(struct net *net, int ifindex, char *name)
{
	const struct net_device *dev;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(net, ifindex);
	if (dev)
		strscpy(name, dev->name, IFNAMSIZ);
	rcu_read_unlock();
	return dev;
}

/* Where a request wants to listen: on one address, or on any of both
 * families, IPv6 first. Returns how many there are, or a negative errno.
 */
static int tftpk_get_listeners(struct genl_info *info,
			       struct tftpk_listener_name names[2])
{
	struct tftpk_listener_name name = { .port = htons(TFTPK_PORT) };
	struct nlattr *attr;
	int err;

	attr = info->attrs[TFTPK_A_LISTENER_PORT];
	if (attr) {
		name.port = nla_get_be16(attr);
		if (!name.port) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "port 0 is none");
			return -EINVAL;
		}
	}
	attr = info->attrs[TFTPK_A_LISTENER_INTERFACE];
	if (attr)
		nla_strscpy(name.interface, attr, sizeof(name.interface));
	attr = info->attrs[TFTPK_A_LISTENER_IFINDEX];
	if (attr && !*name.interface && nla_get_u32(attr) &&
	    !tftpk_interface_name(genl_info_net(info), nla_get_u32(attr),
				  name.interface)) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr, "no such interface");
		return -ENODEV;
	}

	if (!info->attrs[TFTPK_A_LISTENER_ADDRESS]) {
		name.family = AF_INET6;
		names[0] = name;
		name.family = AF_INET;
		ipv6_addr_set_v4mapped(htonl(INADDR_ANY), &name.addr);
		names[1] = name;
		return 2;
	}
	err = tftpk_get_address(info->attrs[TFTPK_A_LISTENER_ADDRESS],
				info->extack, &name.addr);
	if (err)
		return err;
	name.family = ipv6_addr_v4mapped(&name.addr) ? AF_INET : AF_INET6;
	if (name.family == AF_INET6 && !*name.interface &&
	    (ipv6_addr_type(&name.addr) & IPV6_ADDR_LINKLOCAL)) {
		NL_SET_ERR_MSG(info->extack,
			       "a link-local address needs an interface");
		return -EINVAL;
	}
	names[0] = name;
	return 1;
}

/* How it wants the listeners to answer. */
static int tftpk_get_listener_options(struct genl_info *info,
				      struct tftpk_listener_options *options)
{
	const struct nlattr *anycast = info->attrs[TFTPK_A_LISTENER_ANYCAST];

	*options = (struct tftpk_listener_options) {
		.single_port = info->attrs[TFTPK_A_LISTENER_SINGLE_PORT],
		.broadcast = info->attrs[TFTPK_A_LISTENER_BROADCAST],
		.anycast = anycast ? nla_get_u32(anycast) : 0,
	};
	if (!options->anycast)
		return 0;
	if (!options->single_port) {
		NL_SET_ERR_MSG_ATTR(info->extack, anycast,
				    "an address of several servers wants a single port");
		return -EINVAL;
	}
	if (options->anycast > TFTPK_ANYCAST_MAX &&
	    options->anycast != TFTPK_ANYCAST_NEVER) {
		NL_SET_ERR_MSG_ATTR(info->extack, anycast,
				    "a silence is no longer than an hour, or for ever");
		return -ERANGE;
	}
	return 0;
}

int tftpk_nl_listener_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	struct tftpk_listener_options options;
	struct tftpk_listener_name names[2];
	int err, n = tftpk_get_listeners(info, names);

	if (n < 0)
		return n;
	err = tftpk_get_listener_options(info, &options);
	if (err)
		return err;
	mutex_lock(&tn->mutex);
	err = tftpk_listener_add(tn, names, n, &options, info->extack);
	mutex_unlock(&tn->mutex);
	return err;
}

int tftpk_nl_listener_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	struct tftpk_listener_name names[2];
	int err, n = tftpk_get_listeners(info, names);

	if (n < 0)
		return n;
	mutex_lock(&tn->mutex);
	err = tftpk_listener_del(tn, names, n, info->extack);
	mutex_unlock(&tn->mutex);
	return err;
}

static int tftpk_put_listener(struct sk_buff *skb,
			      const struct tftpk_listener *listener)
{
	const struct tftpk_listener_name *name = &listener->name;

	return tftpk_put_address(skb, TFTPK_A_LISTENER_ADDRESS, &name->addr) ||
	       nla_put_be16(skb, TFTPK_A_LISTENER_PORT, name->port) ||
	       (name->ifindex &&
		nla_put_u32(skb, TFTPK_A_LISTENER_IFINDEX, name->ifindex)) ||
	       (*name->interface &&
		nla_put_string(skb, TFTPK_A_LISTENER_INTERFACE,
			       name->interface)) ||
	       (*name->interface && !name->ifindex &&
		nla_put_flag(skb, TFTPK_A_LISTENER_WAITING)) ||
	       (listener->implicit &&
		nla_put_flag(skb, TFTPK_A_LISTENER_IMPLICIT)) ||
	       (listener->single_port &&
		nla_put_flag(skb, TFTPK_A_LISTENER_SINGLE_PORT)) ||
	       (listener->broadcast &&
		nla_put_flag(skb, TFTPK_A_LISTENER_BROADCAST)) ||
	       (listener->anycast &&
		nla_put_u32(skb, TFTPK_A_LISTENER_ANYCAST, listener->anycast));
}

/* cb->args[0] is the number of listeners that were told. */
int tftpk_nl_listener_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	struct tftpk_listener *listener;
	int err = 0;
	long i = 0;

	mutex_lock(&tn->mutex);
	cb->seq = tn->generation;
	list_for_each_entry(listener, &tn->listeners, list) {
		void *hdr;

		if (i++ < cb->args[0])
			continue;
		err = -EMSGSIZE;
		hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_LISTENER_GET);
		if (hdr)
			err = tftpk_dump_end(skb, hdr,
					     tftpk_put_listener(skb, listener));
		if (err)
			break;
		cb->args[0] = i;
	}
	mutex_unlock(&tn->mutex);
	return skb->len ?: err;
}

/* ---- trust ---- */

/* Change the list by the network of a command. */
static int tftpk_change_trust(struct genl_info *info,
			      int (*change)(struct tftpk_net *tn,
					    const struct tftpk_network *network))
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	struct tftpk_network network;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_TRUST_ADDRESS))
		return -EINVAL;
	err = tftpk_get_network(info->attrs[TFTPK_A_TRUST_ADDRESS],
				info->attrs[TFTPK_A_TRUST_PREFIX_LENGTH],
				info->extack, &network);
	if (err)
		return err;
	mutex_lock(&tn->mutex);
	err = change(tn, &network);
	mutex_unlock(&tn->mutex);
	return err;
}

int tftpk_nl_trust_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = tftpk_change_trust(info, tftpk_trust_add);

	if (err == -EEXIST)
		NL_SET_ERR_MSG(info->extack, "the network is trusted already");
	return err;
}

int tftpk_nl_trust_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	int err = tftpk_change_trust(info, tftpk_trust_del);

	if (err == -ENOENT)
		NL_SET_ERR_MSG(info->extack, "the network is not trusted");
	return err;
}

/* cb->args[0] is the number of networks that were told. */
int tftpk_nl_trust_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	const struct tftpk_trust *trust;
	long n = 0;
	int err = 0;

	mutex_lock(&tn->mutex);
	cb->seq = tn->generation;
	list_for_each_entry(trust, &tn->trusted, list) {
		void *hdr;

		if (n++ < cb->args[0])
			continue;
		hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_TRUST_GET);
		err = -EMSGSIZE;
		if (hdr) {
			err = tftpk_put_network(skb, TFTPK_A_TRUST_ADDRESS,
						TFTPK_A_TRUST_PREFIX_LENGTH,
						&trust->network);
			err = tftpk_dump_end(skb, hdr, err);
		}
		if (err)
			break;
		cb->args[0]++;
	}
	mutex_unlock(&tn->mutex);
	return skb->len ?: err;
}
