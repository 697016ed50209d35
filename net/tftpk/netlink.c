// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink family, whose specification is
 * Documentation/netlink/specs/tftpk.yaml: what all dumps share, transfers, counters
 * and settings. What genl.h declares runs in process context, without
 * tftpk_net.mutex.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <net/genetlink.h>
#include <net/ipv6.h>
#include <net/l3mdev.h>
#include <net/udp.h>

#include "genl.h"
#include "netlink.h"
#include "resolve.h"
#include "transfer.h"

#define TFTPK_DUMP_USUAL	8192	/* bytes */

/**
 * tftpk_dump_entry() - begin an entry of a dump
 * @skb: message
 * @cb: dump; whoever sets its seq wants it to be consistent
 * @cmd: command of the entry
 *
 * Context: process. Return: its header, or NULL where it does not fit.
 */
void *tftpk_dump_entry(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd)
{
	void *hdr = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				cb->nlh->nlmsg_seq, &tftpk_nl_family,
				NLM_F_MULTI, cmd);

	if (hdr && cb->seq)
		genl_dump_check_consistent(cb, hdr);
	return hdr;
}

/* Have room for an entry with the longest paths. */
int tftpk_nl_dump_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = NLMSG_GOODSIZE + 3 * PATH_MAX;
	return 0;
}

/**
 * tftpk_dump_end() - end an entry, or take it back where it did not fit
 * @skb: message
 * @hdr: header of the entry
 * @err: whether it did not
 *
 * One that takes more than what readers usually have room for comes alone.
 *
 * Context: process. Return: 0 or -EMSGSIZE.
 */
int tftpk_dump_end(struct sk_buff *skb, void *hdr, int err)
{
	bool alone = hdr == skb->data + NLMSG_HDRLEN + GENL_HDRLEN;

	if (skb->len > TFTPK_DUMP_USUAL && !alone)
		err = -EMSGSIZE;
	if (err)
		genlmsg_cancel(skb, hdr);
	else
		genlmsg_end(skb, hdr);
	return err ? -EMSGSIZE : 0;
}

/**
 * tftpk_get_address() - take an address out of a request
 * @attr: attribute
 * @extack: takes a message where it is none
 * @addr: takes the address
 *
 * Context: process. Return: 0 or -EINVAL.
 */
int tftpk_get_address(const struct nlattr *attr,
		      struct netlink_ext_ack *extack, struct in6_addr *addr)
{
	switch (nla_len(attr)) {
	case sizeof(struct in_addr):
		ipv6_addr_set_v4mapped(nla_get_in_addr(attr), addr);
		return 0;
	case sizeof(struct in6_addr):
		*addr = nla_get_in6_addr(attr);
		if (!ipv6_addr_v4mapped(addr))
			return 0;
	}
	NL_SET_ERR_MSG_ATTR(extack, attr,
			    "an address has 4 bytes, or 16 of IPv6");
	return -EINVAL;
}

/* ---- transfers ---- */

/* What others are told of its phase. */
static enum tftpk_state tftpk_state(const struct tftpk_transfer *t)
{
	switch ((enum tftpk_phase)t->phase) {
	case TFTPK_PHASE_OPENING:
		return TFTPK_STATE_OPENING;
	case TFTPK_PHASE_OACK:
	case TFTPK_PHASE_FIRST:
		return TFTPK_STATE_NEGOTIATING;
	case TFTPK_PHASE_RECEIVING:
		return TFTPK_STATE_RECEIVING;
	case TFTPK_PHASE_STORING:
		return TFTPK_STATE_STORING;
	case TFTPK_PHASE_SENDING:
		break;
	}
	return TFTPK_STATE_SENDING;
}

/* Tell of one transfer, if it is still running. */
static int tftpk_dump_transfer(struct sk_buff *skb,
			       struct netlink_callback *cb,
			       struct tftpk_transfer *t, void *data)
{
	void *hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_TRANSFER_GET);
	bool dead, opened = false;
	int err = 0;

	if (!hdr)
		return -EMSGSIZE;
	spin_lock_bh(&t->lock);
	dead = t->dead;
	if (!dead) {
		opened = t->phase != TFTPK_PHASE_OPENING;
		err = tftpk_put_transfer(skb, t) ||
		      nla_put_u32(skb, TFTPK_A_TRANSFER_STATE,
				  tftpk_state(t)) ||
		      nla_put_be16(skb, TFTPK_A_TRANSFER_SERVER_PORT,
				   t->peer.tid.key.port->port) ||
		      (opened && t->source.export &&
		       nla_put_u32(skb, TFTPK_A_TRANSFER_EXPORT_ID,
				   t->source.export->id));
	}
	spin_unlock_bh(&t->lock);

	/* The file stays open as long as somebody holds the transfer, and the request
	 * of an upload stays. Who fetches which is not for everybody, and paths of the
	 * host are not for root of a container.
	 */
	if (dead || err || !netlink_capable(cb->skb, CAP_NET_ADMIN))
		;
	else if (t->writing)
		err = nla_put_string(skb, TFTPK_A_TRANSFER_NAME,
				     TFTPK_REQUEST(t->request_skb)->name);
	else if (opened)
		err = tftpk_put_path(skb, TFTPK_A_TRANSFER_FILE,
				     t->source.file);
	if (dead) {
		genlmsg_cancel(skb, hdr);
		return 0;
	}
	return tftpk_dump_end(skb, hdr, err);
}

#define TFTPK_DUMP_BATCH	64

/**
 * tftpk_dump_transfers() - go through all transfers for a dump
 * @skb: message, in part
 * @cb: of the dump; its args[0] is the last id that was told, which ascend
 * @put: tells of one that is held meanwhile, or leaves it out
 * @data: for @put
 *
 * Context: process. Return: what the dump returns.
 */
int tftpk_dump_transfers(struct sk_buff *skb, struct netlink_callback *cb,
			 tftpk_dump_fn put, void *data)
{
	struct tftpk_net *tn = tftpk_net(sock_net(cb->skb->sk));
	struct tftpk_transfer **found;
	int err = 0;
	u32 i, n;

	found = kmalloc_array(TFTPK_DUMP_BATCH, sizeof(*found), GFP_KERNEL);
	if (!found)
		return -ENOMEM;

	do {
		n = tftpk_table_get(tn, cb->args[0], U32_MAX, found,
				    TFTPK_DUMP_BATCH);
		for (i = 0; i < n; i++) {
			if (!err)
				err = put(skb, cb, found[i], data);
			if (!err)
				cb->args[0] = found[i]->id;
			tftpk_transfer_put(found[i]);
		}
	} while (n && !err);
	kfree(found);
	return skb->len ?: err;
}

int tftpk_nl_transfer_get_dumpit(struct sk_buff *skb,
				 struct netlink_callback *cb)
{
	return tftpk_dump_transfers(skb, cb, tftpk_dump_transfer, NULL);
}

int tftpk_nl_transfer_kill_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_match match = {};
	struct in6_addr client;
	int err;

	if (info->attrs[TFTPK_A_TRANSFER_ID])
		match.id = nla_get_u32(info->attrs[TFTPK_A_TRANSFER_ID]);
	if (info->attrs[TFTPK_A_TRANSFER_CLIENT_ADDRESS]) {
		err = tftpk_get_address(info->attrs[TFTPK_A_TRANSFER_CLIENT_ADDRESS],
					info->extack, &client);
		if (err)
			return err;
		match.client = &client;
		if (info->attrs[TFTPK_A_TRANSFER_CLIENT_PORT])
			match.client_port =
				nla_get_be16(info->attrs[TFTPK_A_TRANSFER_CLIENT_PORT]);
	}
	if (!match.id && !match.client) {
		NL_SET_ERR_MSG(info->extack,
			       "neither an id nor a client address was given");
		return -EINVAL;
	}
	if (!tftpk_transfers_kill(tftpk_net(genl_info_net(info)), &match)) {
		NL_SET_ERR_MSG(info->extack, "no such transfer");
		return -ENOENT;
	}
	return 0;
}

/* ---- counters and settings ---- */

static struct sk_buff *tftpk_reply(struct genl_info *info, u8 cmd, void **hdr)
{
	struct sk_buff *reply = genlmsg_new(GENLMSG_DEFAULT_SIZE + PATH_MAX,
					    GFP_KERNEL);

	if (!reply)
		return NULL;
	*hdr = genlmsg_put_reply(reply, info, &tftpk_nl_family, 0, cmd);
	if (!*hdr) {
		nlmsg_free(reply);
		return NULL;
	}
	return reply;
}

int tftpk_nl_stats_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	u64 count[__TFTPK_A_STATS_MAX];
	struct sk_buff *reply;
	void *hdr;
	int attr;

	reply = tftpk_reply(info, TFTPK_CMD_STATS_GET, &hdr);
	if (!reply)
		return -ENOMEM;
	tftpk_stats_read(tn, count);
	for (attr = TFTPK_A_STATS_PAD + 1; attr < ARRAY_SIZE(count); attr++) {
		if (nla_put_u64_64bit(reply, attr, count[attr],
				      TFTPK_A_STATS_PAD)) {
			nlmsg_free(reply);
			return -EMSGSIZE;
		}
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

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
	for (attr = 1; attr < ARRAY_SIZE(tftpk_setting) && !err; attr++) {
		u32 value = tftpk_setting_get(&tn->settings, attr);

		err = tftpk_setting[attr].is_switch ?
			      nla_put_u8(reply, attr, value) :
			      nla_put_u32(reply, attr, value);
	}
	mutex_unlock(&tn->mutex);
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

/* Transfer identifiers move only where the range really changes. */
static int tftpk_set_ports(struct tftpk_net *tn, struct genl_info *info)
{
	const struct nlattr *low = info->attrs[TFTPK_A_SETTINGS_PORT_LOW];
	const struct nlattr *high = info->attrs[TFTPK_A_SETTINGS_PORT_HIGH];

	if (!low && !high)
		return 0;
	if (!low || !high || nla_get_u32(low) > nla_get_u32(high) ||
	    !nla_get_u32(low) != !nla_get_u32(high)) {
		NL_SET_ERR_MSG(info->extack,
			       "a port range goes from low to high, or is 0 to 0");
		return -EINVAL;
	}
	if (nla_get_u32(low) == tn->settings.port_low &&
	    nla_get_u32(high) == tn->settings.port_high)
		return 0;
	return tftpk_listeners_reopen(tn, nla_get_u32(low), nla_get_u32(high),
				      info->extack);
}

int tftpk_nl_settings_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	bool draining, any = false;
	int attr, err;

	mutex_lock(&tn->mutex);
	draining = tn->settings.draining;
	/* The only one that can fail goes first. */
	err = tftpk_set_ports(tn, info);
	for (attr = 1; attr < ARRAY_SIZE(tftpk_setting) && !err; attr++) {
		const struct nlattr *value = info->attrs[attr];

		if (!value)
			continue;
		any = true;
		tftpk_setting_put(&tn->settings, attr,
				  tftpk_setting[attr].is_switch ?
					  nla_get_u8(value) :
					  nla_get_u32(value));
	}
	if (tn->settings.draining != draining)
		tftpk_event_draining(tn);
	mutex_unlock(&tn->mutex);
	if (!err && !any) {
		NL_SET_ERR_MSG(info->extack, "no setting was given");
		err = -EINVAL;
	}
	return err;
}

/* ---- lookup ---- */

/**
 * struct tftpk_found - what a name stands for
 * @answer: the agent's, or NULL
 * @by: who answered
 * @export: that has it, or has the last word, or NULL
 */
struct tftpk_found {
	struct tftpk_answer *answer;
	enum tftpk_answerer by;
	struct tftpk_export *export;
};

static bool tftpk_found_denied(const struct tftpk_found *found)
{
	return found->answer && found->answer->kind == TFTPK_ANSWER_ERROR;
}

static struct file *tftpk_found_open(struct tftpk_net *tn,
				     struct tftpk_query query, bool last,
				     struct tftpk_found *found)
{
	struct tftpk_answer *answer = found->answer;

	if (found->export)
		tftpk_export_put(found->export);
	found->export = NULL;
	if (tftpk_found_denied(found))
		return ERR_PTR(-EACCES);
	if (answer && answer->kind == TFTPK_ANSWER_FILE)
		return tftpk_resolve_open(answer);
	if (answer && answer->kind == TFTPK_ANSWER_NAME)
		query.name = answer->text;
	return tftpk_export_look_up(tn, query, last, &found->export);
}

/* As a request would: ask at first, or where no export has the name, or never. Consumes
 * the question.
 */
static struct file *tftpk_look_up(struct tftpk_net *tn,
				  const struct tftpk_query *query,
				  struct tftpk_question *question,
				  enum tftpk_resolve resolve,
				  struct tftpk_found *found)
{
	struct file *file;
	int err;

	if (resolve != TFTPK_RESOLVE_ALL) {
		file = tftpk_found_open(tn, *query,
					resolve == TFTPK_RESOLVE_OFF, found);
		if (resolve == TFTPK_RESOLVE_OFF ||
		    !tftpk_is_missing(PTR_ERR(file))) {
			kfree(question);
			return file;
		}
	}
	err = tftpk_resolve_command(tn, question, &found->answer, &found->by);
	return err ? ERR_PTR(err) : tftpk_found_open(tn, *query, true, found);
}

static int tftpk_put_lookup(struct sk_buff *skb, struct file *file,
			    const struct tftpk_found *found)
{
	const char *reason;
	u16 code;

	if (nla_put_u32(skb, TFTPK_A_LOOKUP_ANSWERED_BY, found->by))
		return -EMSGSIZE;
	if (IS_ERR(file)) {
		reason = tftpk_file_refusal(found->export, PTR_ERR(file), &code);
		if (tftpk_found_denied(found)) {
			reason = found->answer->text;
			code = found->answer->code;
		}
		return nla_put_u32(skb, TFTPK_A_LOOKUP_ERROR_CODE, code) ||
		       nla_put_string(skb, TFTPK_A_LOOKUP_REASON, reason);
	}
	return tftpk_put_path(skb, TFTPK_A_LOOKUP_FILE, file) ||
	       (found->export &&
		nla_put_u32(skb, TFTPK_A_LOOKUP_EXPORT_ID, found->export->id)) ||
	       nla_put_u64_64bit(skb, TFTPK_A_LOOKUP_SIZE,
				 i_size_read(file_inode(file)),
				 TFTPK_A_LOOKUP_PAD);
}

/**
 * struct tftpk_asker - how a client would be taken that asks
 * @key: names the client, and the listener
 * @hop: where packets to it go first
 * @class: how it is taken
 */
struct tftpk_asker {
	struct tftpk_key key;
	struct tftpk_hop hop;
	enum tftpk_client_class class;
};

static enum tftpk_client_class tftpk_classify(struct tftpk_net *tn,
					      struct tftpk_asker *asker,
					      int iif)
{
	if (!tftpk_route_hop(tn->net, &asker->key, &asker->hop))
		return TFTPK_CLIENT_CLASS_UNREACHABLE;
	if (!tftpk_limit_near(tn, &asker->key, iif))
		return TFTPK_CLIENT_CLASS_ROUTED;
	return tftpk_trust_of(tn, &asker->key.client) ?
		       TFTPK_CLIENT_CLASS_TRUSTED : TFTPK_CLIENT_CLASS_LINK;
}

/* Does the listener get what comes from an interface or VRF? */
static bool tftpk_listener_hears(const struct tftpk_listener *listener,
				 int ifindex)
{
	struct net *net = listener->tn->net;

	return udp_sk_bound_dev_eq(net, listener->name.ifindex, ifindex,
				   l3mdev_master_ifindex_by_index(net, ifindex));
}

/* Find the listener that takes the client of @asker best; its request comes from
 * an interface or VRF if @ifindex is not 0.
 */
static void tftpk_find_listener(struct tftpk_net *tn, int ifindex,
				struct tftpk_asker *asker)
{
	struct tftpk_asker found = *asker;
	struct tftpk_listener *listener;
	u16 family = ipv6_addr_v4mapped(&found.key.client) ? AF_INET : AF_INET6;
	/* Any member of a VRF will do. */
	int iif = l3mdev_master_ifindex_by_index(tn->net, ifindex) == ifindex ?
			  0 : ifindex;

	lockdep_assert_held(&tn->mutex);

	if (ipv6_addr_type(&found.key.client) & IPV6_ADDR_LINKLOCAL)
		found.key.scope = ifindex;
	list_for_each_entry(listener, &tn->listeners, list) {
		const struct tftpk_listener_name *name = &listener->name;

		if (name->family != family || tftpk_listener_waits(listener) ||
		    (ifindex && !tftpk_listener_hears(listener, ifindex)))
			continue;
		found.key.port = &listener->main;
		found.key.local = name->addr;
		found.class = tftpk_classify(tn, &found, iif);
		if (found.class > TFTPK_CLIENT_CLASS_UNREACHABLE &&
		    !tftpk_listener_hears(listener, found.hop.ifindex))
			continue;
		if (found.class > asker->class)
			*asker = found;
	}
}

static int tftpk_put_client(struct sk_buff *skb, struct tftpk_net *tn,
			    const struct tftpk_asker *asker)
{
	bool near = asker->class >= TFTPK_CLIENT_CLASS_LINK;
	u32 window, burst = tftpk_limit_burst(tn, near);

	if (nla_put_u32(skb, TFTPK_A_LOOKUP_SOURCE, asker->class))
		return -EMSGSIZE;
	if (asker->class <= TFTPK_CLIENT_CLASS_UNREACHABLE)
		return 0;
	window = tftpk_limit_window(asker->key.port->listener,
				    tftpk_limit_bounded(&asker->key, near));
	window = min(READ_ONCE(tn->settings.max_windowsize), window);
	return nla_put_u32(skb, TFTPK_A_LOOKUP_IFINDEX, asker->hop.ifindex) ||
	       nla_put_u32(skb, TFTPK_A_LOOKUP_BURST, burst) ||
	       nla_put_u32(skb, TFTPK_A_LOOKUP_WINDOW_SIZE, window) ||
	       (!ipv6_addr_any(&asker->hop.gateway) &&
		tftpk_put_address(skb, TFTPK_A_LOOKUP_GATEWAY,
				  &asker->hop.gateway));
}

/* Tell of a client, and make its question; takes the address of its link layer to @mac,
 * if that is known.
 */
static int tftpk_lookup_client(struct sk_buff *skb, struct genl_info *info,
			       struct tftpk_query *query, u8 mac[ETH_ALEN],
			       struct tftpk_question **question)
{
	const struct tftpk_request req = { .name = query->name };
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	struct tftpk_asker asker = { .key.client = *query->client };
	const struct tftpk_trust *trust = NULL;
	int err = 0, ifindex = 0;

	if (info->attrs[TFTPK_A_LOOKUP_IFINDEX])
		ifindex = nla_get_u32(info->attrs[TFTPK_A_LOOKUP_IFINDEX]);

	if (!ifindex &&
	    ipv6_addr_type(&asker.key.client) & IPV6_ADDR_LINKLOCAL) {
		NL_SET_ERR_MSG(info->extack,
			       "a link-local address needs an interface");
		return -EINVAL;
	}

	mutex_lock(&tn->mutex);
	local_bh_disable();
	rcu_read_lock();
	if (ifindex && !dev_get_by_index_rcu(tn->net, ifindex)) {
		err = -ENODEV;
		goto out;
	}
	tftpk_find_listener(tn, ifindex, &asker);
	err = tftpk_put_client(skb, tn, &asker);
	if (asker.class == TFTPK_CLIENT_CLASS_TRUSTED)
		trust = tftpk_trust_of(tn, &asker.key.client);
	if (trust && !err)
		err = tftpk_put_network(skb, TFTPK_A_LOOKUP_NETWORK,
					TFTPK_A_LOOKUP_PREFIX_LENGTH,
					&trust->network);
	if (err) {
		err = -EMSGSIZE;
		goto out;
	}
	if (tftpk_route_mac(tn->net, query->client, asker.hop.ifindex, mac))
		query->mac = mac;
	*question = tftpk_question_new(tn, &asker.key, &req, GFP_ATOMIC);
	if (*question) {
		(*question)->near = asker.class >= TFTPK_CLIENT_CLASS_LINK;
		(*question)->iif = asker.hop.ifindex;
	} else {
		err = -ENOMEM;
	}
out:
	rcu_read_unlock();
	local_bh_enable();
	mutex_unlock(&tn->mutex);
	return err;
}

/* The question of no client in particular. */
static struct tftpk_question *
tftpk_lookup_anybody(const struct tftpk_net *tn, const char *name)
{
	const struct tftpk_request req = { .name = name };
	const struct tftpk_key nobody = {};

	return tftpk_question_new(tn, &nobody, &req, GFP_KERNEL);
}

int tftpk_nl_lookup_doit(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *address = info->attrs[TFTPK_A_LOOKUP_CLIENT_ADDRESS];
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	enum tftpk_resolve resolve = READ_ONCE(tn->settings.resolve);
	struct tftpk_question *question = NULL;
	struct tftpk_found found = {};
	struct tftpk_query query = {};
	struct in6_addr client;
	struct sk_buff *reply;
	struct file *file;
	u8 mac[ETH_ALEN];
	int err = 0;
	void *hdr;

	if (GENL_REQ_ATTR_CHECK(info, TFTPK_A_LOOKUP_NAME))
		return -EINVAL;
	reply = tftpk_reply(info, TFTPK_CMD_LOOKUP, &hdr);
	if (!reply)
		return -ENOMEM;
	query.name = nla_data(info->attrs[TFTPK_A_LOOKUP_NAME]);
	if (address) {
		query.client = &client;
		err = tftpk_get_address(address, info->extack, &client) ?:
		      tftpk_lookup_client(reply, info, &query, mac, &question);
	} else {
		question = tftpk_lookup_anybody(tn, query.name);
		err = question ? 0 : -ENOMEM;
	}
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	if (info->attrs[TFTPK_A_LOOKUP_NO_AGENT])
		resolve = TFTPK_RESOLVE_OFF;
	file = tftpk_look_up(tn, &query, question, resolve, &found);
	err = tftpk_put_lookup(reply, file, &found);
	if (!IS_ERR(file))
		fput(file);
	if (found.export)
		tftpk_export_put(found.export);
	tftpk_answer_put(found.answer);
	if (err) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
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
