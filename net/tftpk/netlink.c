// SPDX-License-Identifier: GPL-2.0
/*
 * Commands and dumps of the netlink family, whose specification is
 * Documentation/netlink/specs/tftpk.yaml.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/ipv6.h>

#include "genl.h"
#include "tftpk.h"

/* Addresses are mapped inside, and what they are outside. */
static int tftpk_put_address(struct sk_buff *skb, int attr, u16 family,
			     const struct in6_addr *addr)
{
	if (family == AF_INET)
		return nla_put_in_addr(skb, attr, addr->s6_addr32[3]);
	return nla_put_in6_addr(skb, attr, addr);
}

/* ---- exports ---- */

static int tftpk_put_export(struct sk_buff *skb,
			    const struct tftpk_export *export)
{
	const struct cred *cred = export->cred;

	return nla_put_u32(skb, TFTPK_A_EXPORT_ID, export->id) ||
	       nla_put_string(skb, TFTPK_A_EXPORT_PATH, export->name) ||
	       nla_put_u32(skb, TFTPK_A_EXPORT_UID,
			   from_kuid_munged(&init_user_ns, cred->fsuid)) ||
	       nla_put_u32(skb, TFTPK_A_EXPORT_GID,
			   from_kgid_munged(&init_user_ns, cred->fsgid));
}

/**
 * tftpk_nl_export_add_doit() - export-add
 * @skb: request
 * @info: its attributes
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_nl_export_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	u32 uid = TFTPK_UNPRIVILEGED, gid = TFTPK_UNPRIVILEGED;
	struct tftpk_export *export;
	struct sk_buff *reply;
	kuid_t kuid;
	kgid_t kgid;
	void *hdr;
	int err;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_EXPORT_PATH))
		return -EINVAL;
	if (info->attrs[TFTPK_A_EXPORT_UID])
		uid = nla_get_u32(info->attrs[TFTPK_A_EXPORT_UID]);
	if (info->attrs[TFTPK_A_EXPORT_GID])
		gid = nla_get_u32(info->attrs[TFTPK_A_EXPORT_GID]);
	kuid = make_kuid(&init_user_ns, uid);
	kgid = make_kgid(&init_user_ns, gid);
	if (!uid_valid(kuid) || !gid_valid(kgid)) {
		NL_SET_ERR_MSG(info->extack, "no such user or group id");
		return -EINVAL;
	}

	/* Everything that can fail comes before the export is visible. */
	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE + PATH_MAX, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &tftpk_nl_family, 0,
				TFTPK_CMD_EXPORT_ADD);
	if (!hdr) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}

	mutex_lock(&tn->mutex);
	err = tftpk_export_add(tn, nla_data(info->attrs[TFTPK_A_EXPORT_PATH]),
			       kuid, kgid, &export, info->extack);
	if (!err)
		err = tftpk_put_export(reply, export) ? -EMSGSIZE : 0;
	mutex_unlock(&tn->mutex);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/**
 * tftpk_nl_export_del_doit() - export-del
 * @skb: request
 * @info: its attributes
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_nl_export_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_EXPORT_PATH))
		return -EINVAL;
	return tftpk_export_del(tftpk_net(genl_info_net(info)),
				nla_data(info->attrs[TFTPK_A_EXPORT_PATH]),
				info->extack);
}

/**
 * tftpk_nl_export_get_dumpit() - export-get
 * @skb: reply
 * @cb: args[0] is the last id that was told
 *
 * Context: process. Return: bytes in @skb, or a negative errno.
 */
int tftpk_nl_export_get_dumpit(struct sk_buff *skb,
			       struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	struct tftpk_export *export;

	mutex_lock(&tn->mutex);
	list_for_each_entry(export, &tn->exports, list) {
		void *hdr;

		if (export->id <= cb->args[0])
			continue;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &tftpk_nl_family,
				  NLM_F_MULTI, TFTPK_CMD_EXPORT_GET);
		if (!hdr)
			break;
		if (tftpk_put_export(skb, export)) {
			genlmsg_cancel(skb, hdr);
			break;
		}
		genlmsg_end(skb, hdr);
		cb->args[0] = export->id;
	}
	mutex_unlock(&tn->mutex);
	return skb->len;
}

/* ---- listeners ---- */

struct tftpk_listener_name {
	struct in6_addr addr;
	u16 family;
	__be16 port;
	u32 ifindex;
};

static int tftpk_get_listener(struct genl_info *info,
			      struct tftpk_listener_name *name)
{
	struct nlattr *attr;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_LISTENER_ADDRESS))
		return -EINVAL;
	memset(name, 0, sizeof(*name));

	attr = info->attrs[TFTPK_A_LISTENER_ADDRESS];
	switch (nla_len(attr)) {
	case sizeof(struct in_addr):
		name->family = AF_INET;
		name->addr.s6_addr32[3] = nla_get_in_addr(attr);
		break;
	case sizeof(struct in6_addr):
		name->family = AF_INET6;
		name->addr = nla_get_in6_addr(attr);
		if (ipv6_addr_v4mapped(&name->addr)) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "an IPv4 address has four bytes");
			return -EINVAL;
		}
		break;
	default:
		NL_SET_ERR_MSG_ATTR(info->extack, attr,
				    "an address has 4 or 16 bytes");
		return -EINVAL;
	}

	name->port = htons(TFTPK_PORT);
	attr = info->attrs[TFTPK_A_LISTENER_PORT];
	if (attr) {
		name->port = nla_get_be16(attr);
		if (!name->port) {
			NL_SET_ERR_MSG_ATTR(info->extack, attr,
					    "port 0 is none");
			return -EINVAL;
		}
	}
	attr = info->attrs[TFTPK_A_LISTENER_IFINDEX];
	if (attr)
		name->ifindex = nla_get_u32(attr);
	if ((ipv6_addr_type(&name->addr) & IPV6_ADDR_LINKLOCAL) &&
	    name->family == AF_INET6 && !name->ifindex) {
		NL_SET_ERR_MSG(info->extack,
			       "a link-local address needs an interface");
		return -EINVAL;
	}
	return 0;
}

/**
 * tftpk_nl_listener_add_doit() - listener-add
 * @skb: request
 * @info: its attributes
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_nl_listener_add_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_listener_name name;
	int err = tftpk_get_listener(info, &name);

	return err ?: tftpk_listener_add(tftpk_net(genl_info_net(info)),
					 &name.addr, name.family, name.port,
					 name.ifindex, info->extack);
}

/**
 * tftpk_nl_listener_del_doit() - listener-del
 * @skb: request
 * @info: its attributes
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_nl_listener_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_listener_name name;
	int err = tftpk_get_listener(info, &name);

	return err ?: tftpk_listener_del(tftpk_net(genl_info_net(info)),
					 &name.addr, name.family, name.port,
					 name.ifindex, info->extack);
}

static int tftpk_put_listener(struct sk_buff *skb,
			      const struct tftpk_listener *listener)
{
	return tftpk_put_address(skb, TFTPK_A_LISTENER_ADDRESS,
				 listener->family, &listener->addr) ||
	       nla_put_be16(skb, TFTPK_A_LISTENER_PORT, listener->main.port) ||
	       (listener->ifindex &&
		nla_put_u32(skb, TFTPK_A_LISTENER_IFINDEX,
			    listener->ifindex)) ||
	       (listener->implicit &&
		nla_put_flag(skb, TFTPK_A_LISTENER_IMPLICIT));
}

/**
 * tftpk_nl_listener_get_dumpit() - listener-get
 * @skb: reply
 * @cb: args[0] is the number of listeners that were told
 *
 * Context: process. Return: bytes in @skb, or a negative errno.
 */
int tftpk_nl_listener_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	struct tftpk_listener *listener;
	long i = 0;

	mutex_lock(&tn->mutex);
	list_for_each_entry(listener, &tn->listeners, list) {
		void *hdr;

		if (i++ < cb->args[0])
			continue;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &tftpk_nl_family,
				  NLM_F_MULTI, TFTPK_CMD_LISTENER_GET);
		if (!hdr)
			break;
		if (tftpk_put_listener(skb, listener)) {
			genlmsg_cancel(skb, hdr);
			break;
		}
		genlmsg_end(skb, hdr);
		cb->args[0] = i;
	}
	mutex_unlock(&tn->mutex);
	return skb->len;
}

/* ---- transfers ---- */

static int tftpk_put_transfer(struct sk_buff *skb,
			      const struct tftpk_transfer *t, char *buf)
{
	const struct tftpk_key *key = &t->tid.key;
	u16 family = key->port->listener->family;
	int ifindex = key->scope ?: key->port->listener->ifindex;

	lockdep_assert_held(&t->lock);

	if (nla_put_u32(skb, TFTPK_A_TRANSFER_ID, t->id) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_STATE, t->state) ||
	    tftpk_put_address(skb, TFTPK_A_TRANSFER_CLIENT_ADDRESS, family,
			      &key->client) ||
	    nla_put_be16(skb, TFTPK_A_TRANSFER_CLIENT_PORT,
			 key->client_port) ||
	    tftpk_put_address(skb, TFTPK_A_TRANSFER_SERVER_ADDRESS, family,
			      &key->local) ||
	    nla_put_be16(skb, TFTPK_A_TRANSFER_SERVER_PORT, key->port->port) ||
	    (ifindex && nla_put_u32(skb, TFTPK_A_TRANSFER_IFINDEX, ifindex)) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_AGE,
			jiffies_to_msecs(jiffies - t->started)))
		return -EMSGSIZE;

	if (t->file) {
		char *name = d_path(&t->file->f_path, buf, PATH_MAX);

		if (nla_put_u32(skb, TFTPK_A_TRANSFER_EXPORT_ID,
				t->export->id) ||
		    (!IS_ERR(name) &&
		     nla_put_string(skb, TFTPK_A_TRANSFER_FILE, name)) ||
		    nla_put_u64_64bit(skb, TFTPK_A_TRANSFER_SIZE, t->size,
				      TFTPK_A_TRANSFER_PAD))
			return -EMSGSIZE;
	}
	if (t->state == TFTPK_STATE_OPENING)
		return 0;
	return nla_put_u64_64bit(skb, TFTPK_A_TRANSFER_ACKNOWLEDGED,
				 min(t->window.acked * t->blksize, t->size),
				 TFTPK_A_TRANSFER_PAD) ||
	       nla_put_u32(skb, TFTPK_A_TRANSFER_BLOCK_SIZE, t->blksize) ||
	       nla_put_u32(skb, TFTPK_A_TRANSFER_WINDOW_SIZE,
			   t->window.size) ||
	       nla_put_u32(skb, TFTPK_A_TRANSFER_TIMEOUT, t->timeout) ||
	       nla_put_u32(skb, TFTPK_A_TRANSFER_RTT, t->rtt.srtt) ||
	       nla_put_u32(skb, TFTPK_A_TRANSFER_BLOCKS_RETRANSMITTED,
			   t->retransmitted);
}

/**
 * tftpk_nl_transfer_get_dumpit() - transfer-get
 * @skb: reply
 * @cb: args[0] is the last id that was told; they ascend in the list
 *
 * Context: process. Return: bytes in @skb, or a negative errno.
 */
int tftpk_nl_transfer_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
	struct tftpk_transfer *t;

	if (!buf)
		return -ENOMEM;
	spin_lock_bh(&tn->lock);
	list_for_each_entry(t, &tn->transfers, list) {
		int err = -ENOENT;
		void *hdr;

		if (t->id <= cb->args[0])
			continue;
		hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				  cb->nlh->nlmsg_seq, &tftpk_nl_family,
				  NLM_F_MULTI, TFTPK_CMD_TRANSFER_GET);
		if (!hdr)
			break;
		spin_lock(&t->lock);
		if (!t->dead)
			err = tftpk_put_transfer(skb, t, buf) ? -EMSGSIZE : 0;
		spin_unlock(&t->lock);
		if (!err)
			genlmsg_end(skb, hdr);
		else
			genlmsg_cancel(skb, hdr);
		if (err == -EMSGSIZE)
			break;
		cb->args[0] = t->id;
	}
	spin_unlock_bh(&tn->lock);
	kfree(buf);
	return skb->len;
}

/* ---- counters and settings ---- */

static struct sk_buff *tftpk_reply(struct genl_info *info, u8 cmd, void **hdr)
{
	struct sk_buff *reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!reply)
		return NULL;
	*hdr = genlmsg_put_reply(reply, info, &tftpk_nl_family, 0, cmd);
	if (!*hdr) {
		nlmsg_free(reply);
		return NULL;
	}
	return reply;
}

/**
 * tftpk_nl_stats_get_doit() - stats-get
 * @skb: request
 * @info: its header
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	u64 count[__TFTPK_STAT_MAX];
	struct sk_buff *reply;
	void *hdr;
	int i;

	BUILD_BUG_ON(TFTPK_A_STATS_REQUESTS + __TFTPK_STAT_MAX !=
		     __TFTPK_A_STATS_MAX);
	BUILD_BUG_ON(TFTPK_A_STATS_REQUESTS + TFTPK_STAT_BLOCKS_SENT !=
		     TFTPK_A_STATS_BLOCKS_SENT);

	reply = tftpk_reply(info, TFTPK_CMD_STATS_GET, &hdr);
	if (!reply)
		return -ENOMEM;
	tftpk_stats_read(tn, count);
	for (i = 0; i < __TFTPK_STAT_MAX; i++) {
		if (nla_put_u64_64bit(reply, TFTPK_A_STATS_REQUESTS + i,
				      count[i], TFTPK_A_STATS_PAD)) {
			nlmsg_free(reply);
			return -EMSGSIZE;
		}
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/* Which attribute is which setting. */
#define TFTPK_SETTING(attr, member) \
	[TFTPK_A_SETTINGS_##attr] = { \
		offsetof(struct tftpk_settings, member), \
		sizeof_field(struct tftpk_settings, member) \
	}

static const struct {
	u16 offset;
	u16 size;
} tftpk_settings_map[] = {
	TFTPK_SETTING(ZEROCOPY, zerocopy),
	TFTPK_SETTING(GSO, gso),
	TFTPK_SETTING(DETECT_CHANGES, detect_changes),
	TFTPK_SETTING(MAX_TRANSFERS, max_transfers),
	TFTPK_SETTING(MAX_BLKSIZE, max_blksize),
	TFTPK_SETTING(MAX_WINDOWSIZE, max_windowsize),
	TFTPK_SETTING(GIVE_UP, give_up),
};

static void *tftpk_setting(struct tftpk_net *tn, int attr)
{
	return (void *)&tn->settings + tftpk_settings_map[attr].offset;
}

/**
 * tftpk_nl_settings_get_doit() - settings-get
 * @skb: request
 * @info: its header
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_nl_settings_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	struct sk_buff *reply;
	int attr, err = 0;
	void *hdr;

	reply = tftpk_reply(info, TFTPK_CMD_SETTINGS_GET, &hdr);
	if (!reply)
		return -ENOMEM;
	mutex_lock(&tn->mutex);
	for (attr = 1; attr < ARRAY_SIZE(tftpk_settings_map) && !err; attr++) {
		if (tftpk_settings_map[attr].size == sizeof(bool))
			err = nla_put_u8(reply, attr,
					 *(bool *)tftpk_setting(tn, attr));
		else
			err = nla_put_u32(reply, attr,
					  *(u32 *)tftpk_setting(tn, attr));
	}
	mutex_unlock(&tn->mutex);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/**
 * tftpk_nl_settings_set_doit() - settings-set
 * @skb: request
 * @info: its attributes, whose ranges the policy has checked
 *
 * Context: process. Return: 0 or -EINVAL.
 */
int tftpk_nl_settings_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	bool any = false;
	int attr;

	BUILD_BUG_ON(ARRAY_SIZE(tftpk_settings_map) != __TFTPK_A_SETTINGS_MAX);

	mutex_lock(&tn->mutex);
	for (attr = 1; attr < ARRAY_SIZE(tftpk_settings_map); attr++) {
		const struct nlattr *value = info->attrs[attr];

		if (!value)
			continue;
		any = true;
		if (tftpk_settings_map[attr].size == sizeof(bool))
			WRITE_ONCE(*(bool *)tftpk_setting(tn, attr),
				   nla_get_u8(value));
		else
			WRITE_ONCE(*(u32 *)tftpk_setting(tn, attr),
				   nla_get_u32(value));
	}
	mutex_unlock(&tn->mutex);
	if (!any) {
		NL_SET_ERR_MSG(info->extack, "no setting was given");
		return -EINVAL;
	}
	return 0;
}

/**
 * tftpk_netlink_init() - register the family
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_netlink_init(void)
{
	return genl_register_family(&tftpk_nl_family);
}

/**
 * tftpk_netlink_exit() - unregister the family
 *
 * Context: process.
 */
void tftpk_netlink_exit(void)
{
	genl_unregister_family(&tftpk_nl_family);
}
