// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers for another server to go on with: as messages, and sealed by a key that
 * both have.
 *
 * The seal is a SipHash-2-4 of 64 bits. It has to withstand who tries one after another
 * with a command, not who searches offline; and it is in every kernel, where HMAC
 * would be another module to load.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/netdevice.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <net/genetlink.h>

#include "genl.h"
#include "netlink.h"
#include "saved.h"
#include "transfer.h"

/* What is saved proves something for so long, in seconds; clocks may differ by as much. */
#define TFTPK_SEAL_AGE	60

/* The numbers, by their attributes. The last three are not sealed: on another host
 * they are others.
 */
#define TFTPK_SAVED(attribute, bits, member) { \
	.attr = TFTPK_A_SAVED_##attribute, \
	.offset = offsetof(struct tftpk_saved, member), \
	.wide = (bits) == 64, \
}

static const struct tftpk_saved_number {
	u16 attr;
	u16 offset;
	bool wide;
} tftpk_saved_numbers[] = {
	TFTPK_SAVED(SIZE, 64, size),
	TFTPK_SAVED(MODIFIED, 64, modified),
	TFTPK_SAVED(STATE, 32, state),
	TFTPK_SAVED(BLOCK, 64, block),
	TFTPK_SAVED(IN_FLIGHT, 32, inflight),
	TFTPK_SAVED(BLOCK_SIZE, 32, blksize),
	TFTPK_SAVED(WINDOW_SIZE, 32, windowsize),
	TFTPK_SAVED(ROLLOVER, 32, rollover),
	TFTPK_SAVED(TIMEOUT, 32, utimeout),
	TFTPK_SAVED(SEND_AHEAD, 32, ahead),
	TFTPK_SAVED(RTT, 32, rtt),
	TFTPK_SAVED(AGE, 32, age),
	TFTPK_SAVED(REQUEST_HASH, 32, hash),
	TFTPK_SAVED(TIME, 64, time),
	TFTPK_SAVED(DEVICE, 32, device),
	TFTPK_SAVED(INODE, 64, inode),
	TFTPK_SAVED(GENERATION, 32, generation),
};

#define TFTPK_SAVED_SEALED	(ARRAY_SIZE(tftpk_saved_numbers) - 3)

static u64 tftpk_saved_number(const struct tftpk_saved *saved,
			      const struct tftpk_saved_number *number)
{
	const void *member = (void *)saved + number->offset;

	return number->wide ? *(u64 *)member : *(u32 *)member;
}

/* ---- the seal ---- */

/* A message as it is sealed: the same bytes on every host, with no two messages alike. */
struct tftpk_sealed {
	struct in6_addr client;
	struct in6_addr server;
	__be16 ports[3];
	u8 flags[2];
	__be64 numbers[TFTPK_SAVED_SEALED];
	u8 opts[8];
	char scope[IFNAMSIZ];
	char interface[IFNAMSIZ];
	char name[];
} __packed;

/* Seal what is saved. Returns 0 or a negative errno; -ENOKEY where there is no key. */
static int tftpk_saved_seal(struct tftpk_net *tn,
			    const struct tftpk_saved *saved,
			    u8 seal[TFTPK_SEAL_LEN])
{
	size_t i, len = strlen(saved->name);
	struct tftpk_sealed *sealed;
	u64 hash;

	lockdep_assert_held(&tn->mutex);

	if (!tn->keyed)
		return -ENOKEY;
	sealed = kzalloc(struct_size(sealed, name, len), GFP_KERNEL);
	if (!sealed)
		return -ENOMEM;
	sealed->client = saved->client;
	sealed->server = saved->server;
	sealed->ports[0] = saved->client_port;
	sealed->ports[1] = saved->server_port;
	sealed->ports[2] = saved->listener_port;
	sealed->flags[0] = saved->former;
	sealed->flags[1] = saved->validated;
	for (i = 0; i < TFTPK_SAVED_SEALED; i++)
		sealed->numbers[i] =
			cpu_to_be64(tftpk_saved_number(saved,
						       &tftpk_saved_numbers[i]));
	sealed->opts[0] = saved->nopts;
	memcpy(sealed->opts + 1, saved->opts, saved->nopts);
	strscpy(sealed->scope, saved->scope, IFNAMSIZ);
	strscpy(sealed->interface, saved->interface, IFNAMSIZ);
	memcpy(sealed->name, saved->name, len);
	hash = siphash(sealed, struct_size(sealed, name, len), &tn->key);
	kfree(sealed);
	put_unaligned_be64(hash, seal);
	return 0;
}

/**
 * tftpk_saved_proves() - does a seal prove what was saved?
 * @tn: namespace's server; its mutex is held
 * @saved: what was saved
 *
 * Context: process.
 */
bool tftpk_saved_proves(struct tftpk_net *tn, const struct tftpk_saved *saved)
{
	u64 now = ktime_get_real_seconds();
	u8 seal[TFTPK_SEAL_LEN];

	if (!saved->sealed || tftpk_saved_seal(tn, saved, seal))
		return false;
	/* In one comparison, which takes as long wherever they differ. */
	return get_unaligned((u64 *)seal) == get_unaligned((u64 *)saved->seal) &&
	       now - saved->time + TFTPK_SEAL_AGE <= 2 * TFTPK_SEAL_AGE;
}

int tftpk_nl_key_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_net *tn = tftpk_net(genl_info_net(info));
	const struct nlattr *attr = info->attrs[TFTPK_A_KEY_KEY];
	const u8 *key = attr ? nla_data(attr) : NULL;

	mutex_lock(&tn->mutex);
	tn->keyed = key;
	tn->key.key[0] = key ? get_unaligned_le64(key) : 0;
	tn->key.key[1] = key ? get_unaligned_le64(key + 8) : 0;
	mutex_unlock(&tn->mutex);
	return 0;
}

/* ---- messages ---- */

static int tftpk_saved_put_numbers(struct sk_buff *skb,
				   const struct tftpk_saved *saved)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tftpk_saved_numbers); i++) {
		const struct tftpk_saved_number *number = &tftpk_saved_numbers[i];
		u64 value = tftpk_saved_number(saved, number);
		int err = number->wide ?
			nla_put_u64_64bit(skb, number->attr, value,
					  TFTPK_A_SAVED_PAD) :
			nla_put_u32(skb, number->attr, value);

		if (err)
			return err;
	}
	return 0;
}

static int tftpk_saved_put(struct sk_buff *skb, const struct tftpk_saved *saved)
{
	if (nla_put_string(skb, TFTPK_A_SAVED_NAME, saved->name) ||
	    tftpk_put_address(skb, TFTPK_A_SAVED_CLIENT_ADDRESS, &saved->client) ||
	    nla_put_be16(skb, TFTPK_A_SAVED_CLIENT_PORT, saved->client_port) ||
	    tftpk_put_address(skb, TFTPK_A_SAVED_SERVER_ADDRESS, &saved->server) ||
	    nla_put_be16(skb, TFTPK_A_SAVED_SERVER_PORT, saved->server_port) ||
	    nla_put_be16(skb, TFTPK_A_SAVED_LISTENER_PORT, saved->listener_port) ||
	    nla_put(skb, TFTPK_A_SAVED_OPTIONS, saved->nopts, saved->opts) ||
	    tftpk_saved_put_numbers(skb, saved) ||
	    (*saved->scope &&
	     nla_put_string(skb, TFTPK_A_SAVED_SCOPE, saved->scope)) ||
	    (*saved->interface &&
	     nla_put_string(skb, TFTPK_A_SAVED_INTERFACE, saved->interface)) ||
	    (saved->former && nla_put_flag(skb, TFTPK_A_SAVED_FORMER)) ||
	    (saved->validated && nla_put_flag(skb, TFTPK_A_SAVED_VALIDATED)) ||
	    (saved->sealed && nla_put(skb, TFTPK_A_SAVED_SEAL, TFTPK_SEAL_LEN,
				      saved->seal)))
		return -EMSGSIZE;
	return 0;
}

/* A number that a message lacks is 0. */
static void tftpk_saved_get_numbers(struct genl_info *info,
				    struct tftpk_saved *saved)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tftpk_saved_numbers); i++) {
		const struct tftpk_saved_number *number = &tftpk_saved_numbers[i];
		const struct nlattr *attr = info->attrs[number->attr];
		void *member = (void *)saved + number->offset;

		if (attr && number->wide)
			*(u64 *)member = nla_get_u64(attr);
		else if (attr)
			*(u32 *)member = nla_get_u32(attr);
	}
}

static const char *tftpk_saved_string(const struct nlattr *attr)
{
	return attr ? nla_data(attr) : "";
}

/* What no message may lack. */
static const u16 tftpk_saved_wanted[] = {
	TFTPK_A_SAVED_NAME, TFTPK_A_SAVED_CLIENT_ADDRESS,
	TFTPK_A_SAVED_CLIENT_PORT, TFTPK_A_SAVED_SERVER_ADDRESS,
	TFTPK_A_SAVED_SERVER_PORT, TFTPK_A_SAVED_LISTENER_PORT,
	TFTPK_A_SAVED_SIZE, TFTPK_A_SAVED_MODIFIED, TFTPK_A_SAVED_STATE,
	TFTPK_A_SAVED_BLOCK, TFTPK_A_SAVED_BLOCK_SIZE,
	TFTPK_A_SAVED_WINDOW_SIZE,
};

/**
 * tftpk_saved_get() - read what was saved
 * @info: message
 * @saved: takes it; what it points to is in the message
 *
 * Context: process. Return: 0, or -EINVAL with a message; nothing but the form was
 * looked at.
 */
int tftpk_saved_get(struct genl_info *info, struct tftpk_saved *saved)
{
	const struct nlattr *opts = info->attrs[TFTPK_A_SAVED_OPTIONS];
	const struct nlattr *seal = info->attrs[TFTPK_A_SAVED_SEAL];
	struct nlattr **attrs = info->attrs;
	size_t i;
	int err;

	memset(saved, 0, sizeof(*saved));
	for (i = 0; i < ARRAY_SIZE(tftpk_saved_wanted); i++)
		if (GENL_REQ_ATTR_CHECK(info, tftpk_saved_wanted[i]))
			return -EINVAL;
	err = tftpk_get_address(attrs[TFTPK_A_SAVED_CLIENT_ADDRESS],
				info->extack, &saved->client) ?:
	      tftpk_get_address(attrs[TFTPK_A_SAVED_SERVER_ADDRESS],
				info->extack, &saved->server);
	if (err)
		return err;
	saved->name = nla_data(attrs[TFTPK_A_SAVED_NAME]);
	saved->client_port = nla_get_be16(attrs[TFTPK_A_SAVED_CLIENT_PORT]);
	saved->server_port = nla_get_be16(attrs[TFTPK_A_SAVED_SERVER_PORT]);
	saved->listener_port = nla_get_be16(attrs[TFTPK_A_SAVED_LISTENER_PORT]);
	saved->scope = tftpk_saved_string(attrs[TFTPK_A_SAVED_SCOPE]);
	saved->interface = tftpk_saved_string(attrs[TFTPK_A_SAVED_INTERFACE]);
	tftpk_saved_get_numbers(info, saved);
	saved->identified = attrs[TFTPK_A_SAVED_DEVICE] &&
			    attrs[TFTPK_A_SAVED_INODE];
	saved->former = nla_get_flag(attrs[TFTPK_A_SAVED_FORMER]);
	saved->validated = nla_get_flag(attrs[TFTPK_A_SAVED_VALIDATED]);
	if (opts && nla_len(opts) > sizeof(saved->opts)) {
		NL_SET_ERR_MSG_ATTR(info->extack, opts, "too many options");
		return -EINVAL;
	}
	if (opts) {
		saved->nopts = nla_len(opts);
		memcpy(saved->opts, nla_data(opts), saved->nopts);
	}
	saved->sealed = seal;
	if (seal)
		memcpy(saved->seal, nla_data(seal), TFTPK_SEAL_LEN);
	return 0;
}

/* ---- saving ---- */

/* Can another server go on with it? What the client was sent of a text is not known to
 * the byte, and nobody else has the agent's files.
 */
static bool tftpk_save_wanted(const struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	return tftpk_transfer_live(t) && !t->writing && !t->netascii &&
	       t->source.export && !d_unlinked(t->source.file->f_path.dentry);
}

static void tftpk_save_window(const struct tftpk_transfer *t,
			      struct tftpk_saved *saved)
{
	const struct tftpk_window *w = &t->window;

	saved->state = t->phase == TFTPK_PHASE_SENDING ?
			       TFTPK_STATE_SENDING : TFTPK_STATE_NEGOTIATING;
	saved->block = w->acked;
	saved->inflight = w->high - w->acked - 1;
	saved->blksize = t->blksize;
	saved->windowsize = t->options.windowsize;
	saved->rollover = w->rollover;
	saved->utimeout = t->utimeout;
	saved->nopts = t->options.nopts;
	memcpy(saved->opts, t->options.opts, saved->nopts);
	saved->ahead = w->ahead;
	saved->rtt = t->peer.rtt.srtt;
}

/* Room for the strings of a transfer. */
struct tftpk_save_room {
	char scope[IFNAMSIZ];
	char interface[IFNAMSIZ];
	char folder[PATH_MAX];
	char file[PATH_MAX];
	char name[2 * PATH_MAX];
};

/* All but two strings. Returns whether it is wanted. */
static bool tftpk_save_state(struct tftpk_transfer *t, struct tftpk_saved *saved,
			     struct tftpk_save_room *room)
{
	const struct tftpk_key *key = &t->peer.tid.key;
	const struct tftpk_source *source = &t->source;
	bool wanted;

	memset(saved, 0, sizeof(*saved));
	spin_lock_bh(&t->lock);
	wanted = tftpk_save_wanted(t);
	if (wanted) {
		saved->client = key->client;
		saved->server = key->local;
		saved->client_port = key->client_port;
		saved->server_port = key->port->port;
		saved->listener_port = t->peer.request.key.port->port;
		/* The listener stays as long as the transfer is not dead. */
		strscpy(room->interface, key->port->listener->name.interface,
			IFNAMSIZ);
		saved->interface = room->interface;
		saved->size = source->size;
		saved->modified = timespec64_to_ns(&source->mtime);
		saved->device = source->inode->i_sb->s_dev;
		saved->inode = source->inode->i_ino;
		saved->generation = source->inode->i_generation;
		tftpk_save_window(t, saved);
		saved->age = div_u64(ktime_get_ns() - t->started_ns,
				     NSEC_PER_MSEC);
		saved->hash = t->request_hash;
		saved->former = t->peer.request.key.former;
		saved->validated = tftpk_transfer_validated(t);
		saved->time = ktime_get_real_seconds();
	}
	spin_unlock_bh(&t->lock);
	return wanted;
}

static void tftpk_save_scope(const struct tftpk_transfer *t, char *scope)
{
	const struct net_device *dev;

	*scope = '\0';
	rcu_read_lock();
	dev = dev_get_by_index_rcu(t->tn->net, t->peer.tid.key.scope);
	if (dev)
		strscpy(scope, dev->name, IFNAMSIZ);
	rcu_read_unlock();
}

/* The name that finds the file: below its export, by a path without links. */
static int tftpk_save_name(const struct tftpk_transfer *t,
			   struct tftpk_save_room *room)
{
	const struct tftpk_export *export = t->source.export;
	const char *folder = d_path(&export->path, room->folder, PATH_MAX);
	const char *file = d_path(&t->source.file->f_path, room->file, PATH_MAX);
	size_t len;

	if (IS_ERR(folder) || IS_ERR(file))
		return -ENAMETOOLONG;
	len = strlen(folder);
	if (len == 1)
		len = 0;
	if (strncmp(file, folder, len) || file[len] != '/')
		return -EXDEV;
	if (export->prefix_len)
		len = snprintf(room->name, sizeof(room->name), "%s%s",
			       export->options.prefix, file + len);
	else
		len = snprintf(room->name, sizeof(room->name), "%s",
			       file + len + 1);
	return len > TFTPK_PATH_MAX ? -ENAMETOOLONG : 0;
}

/* Save a transfer, where another server can go on with it. */
static int tftpk_save_transfer(struct sk_buff *skb, struct netlink_callback *cb,
			       struct tftpk_transfer *t, void *data)
{
	struct tftpk_save_room *room = data;
	struct tftpk_saved saved;
	void *hdr;
	int err;

	/* Its file and export stay: somebody holds the transfer. */
	if (!tftpk_save_state(t, &saved, room) || tftpk_save_name(t, room))
		return 0;
	tftpk_save_scope(t, room->scope);
	saved.scope = room->scope;
	saved.name = room->name;
	mutex_lock(&t->tn->mutex);
	err = tftpk_saved_seal(t->tn, &saved, saved.seal);
	mutex_unlock(&t->tn->mutex);
	if (err == -ENOMEM)
		return err;
	saved.sealed = !err;
	hdr = tftpk_dump_entry(skb, cb, TFTPK_CMD_TRANSFER_SAVE);
	if (!hdr)
		return -EMSGSIZE;
	return tftpk_dump_end(skb, hdr, tftpk_saved_put(skb, &saved));
}

int tftpk_nl_transfer_save_dumpit(struct sk_buff *skb,
				  struct netlink_callback *cb)
{
	struct tftpk_save_room *room = kmalloc(sizeof(*room), GFP_KERNEL);
	int ret;

	if (!room)
		return -ENOMEM;
	ret = tftpk_dump_transfers(skb, cb, tftpk_save_transfer, room);
	kfree(room);
	return ret;
}
