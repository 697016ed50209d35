// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers of another server, or of one before: a command says what a client asked
 * for and how far it is, and this server goes on.
 *
 * Whoever says that may lie. So the transfer gets what a request of its client would
 * get here and now: its file is looked up below the exports, by their credentials; its
 * options are negotiated anew, and have to come out the same; all limits hold. The
 * client counts as validated only by a seal.
 *
 * The command does what a transfer's work does for a request. The transfer is entered
 * meanwhile, so that whoever ends it leaves it to be taken apart.
 */
#include <linux/dcache.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/netdevice.h>
#include <net/genetlink.h>
#include <net/ipv6.h>

#include "genl.h"
#include "netlink.h"
#include "saved.h"
#include "trace.h"
#include "transfer.h"

/* More than any server has in flight to a client that asked for no window. */
#define TFTPK_ADOPT_AHEAD	64

/* What was begun before counts as begun then. */
#define TFTPK_ADOPT_AGE_MS	(24 * 3600 * MSEC_PER_SEC)

/**
 * struct tftpk_adoption - a transfer that is being adopted
 * @tn: namespace's server
 * @saved: what is said of it
 * @extack: takes why it is refused
 * @key: names it, by the port of requests
 * @port: its identifier
 * @near: see tftpk_limit_near()
 * @hop: where packets to the client go first
 * @file: open file, until the transfer has it
 * @export: that has it, likewise
 */
struct tftpk_adoption {
	struct tftpk_net *tn;
	struct tftpk_saved saved;
	struct netlink_ext_ack *extack;
	struct tftpk_key key;
	const struct tftpk_port *port;
	bool near;
	struct tftpk_hop hop;
	struct file *file;
	struct tftpk_export *export;
};

#define tftpk_adopt_refuse(adoption, err, text)			\
({								\
	NL_SET_ERR_MSG((adoption)->extack, text);		\
	(err);							\
})

/* ---- what is said ---- */

/* Could these have been granted, by any server? */
static bool tftpk_adopt_options_valid(const struct tftpk_saved *saved)
{
	u32 seen = 0, timeouts = BIT(TFTPK_OPT_TIMEOUT) | BIT(TFTPK_OPT_UTIMEOUT);
	int i;

	for (i = 0; i < saved->nopts; i++) {
		if (saved->opts[i] >= __TFTPK_OPT_MAX ||
		    seen & BIT(saved->opts[i]))
			return false;
		seen |= BIT(saved->opts[i]);
	}
	if ((seen & timeouts) == timeouts ||
	    !(seen & timeouts) != !saved->utimeout ||
	    (saved->utimeout && (saved->utimeout < TFTPK_UTIMEOUT_MIN ||
				 saved->utimeout > TFTPK_UTIMEOUT_MAX)))
		return false;
	return saved->blksize >= TFTPK_BLKSIZE_MIN &&
	       saved->blksize <= TFTPK_BLKSIZE_MAX &&
	       saved->windowsize && saved->windowsize <= TFTPK_WINDOW_MAX &&
	       (saved->blksize == TFTPK_BLKSIZE_DEFAULT ||
		seen & BIT(TFTPK_OPT_BLKSIZE)) &&
	       (saved->windowsize == 1 || seen & BIT(TFTPK_OPT_WINDOWSIZE));
}

/* Is the last block not acknowledged, and are those in flight of this file? */
static bool tftpk_adopt_position_valid(const struct tftpk_saved *saved)
{
	u64 last = div_u64(saved->size, saved->blksize) + 1;

	if (saved->state == TFTPK_STATE_NEGOTIATING && saved->block)
		return false;
	if (saved->state == TFTPK_STATE_SENDING && !saved->block && !saved->nopts)
		return false;
	return saved->block < last && saved->inflight <= last - saved->block &&
	       saved->inflight <= max(saved->windowsize, TFTPK_ADOPT_AHEAD);
}

static int tftpk_adopt_check(struct tftpk_adoption *a)
{
	const struct tftpk_saved *saved = &a->saved;

	if (ipv6_addr_v4mapped(&saved->client) !=
	    ipv6_addr_v4mapped(&saved->server))
		return tftpk_adopt_refuse(a, -EINVAL,
					  "the addresses are not of one family");
	if (!saved->client_port)
		return tftpk_adopt_refuse(a, -EINVAL, "no client has port 0");
	if (saved->state != TFTPK_STATE_NEGOTIATING &&
	    saved->state != TFTPK_STATE_SENDING)
		return tftpk_adopt_refuse(a, -EINVAL,
					  "nothing was sent of such a transfer");
	if (!tftpk_adopt_options_valid(saved))
		return tftpk_adopt_refuse(a, -EINVAL,
					  "no server grants such options");
	if (!tftpk_adopt_position_valid(saved))
		return tftpk_adopt_refuse(a, -EINVAL,
					  "the file does not have these blocks");
	return 0;
}

/* ---- where ---- */

static const struct tftpk_port *
tftpk_adopt_port(const struct tftpk_listener *listener, __be16 number)
{
	u32 i;

	if (listener->single_port)
		return listener->main.port == number ? &listener->main : NULL;
	for (i = 0; i < listener->pool_size; i++)
		if (listener->pool[i].port == number)
			return &listener->pool[i];
	return NULL;
}

/* Find the ports that the client sends to, of the listener that it asked. */
static const struct tftpk_listener *
tftpk_adopt_listener(struct tftpk_adoption *a)
{
	const struct tftpk_saved *saved = &a->saved;
	u16 family = ipv6_addr_v4mapped(&saved->client) ? AF_INET : AF_INET6;
	const struct tftpk_listener *listener, *found = NULL;
	bool any;

	lockdep_assert_held(&a->tn->mutex);

	list_for_each_entry(listener, &a->tn->listeners, list) {
		const struct tftpk_listener_name *name = &listener->name;

		any = family == AF_INET ? !name->addr.s6_addr32[3] :
					  ipv6_addr_any(&name->addr);
		if (name->family != family || name->port != saved->listener_port ||
		    tftpk_listener_waits(listener) ||
		    strcmp(name->interface, saved->interface) ||
		    (!any && !ipv6_addr_equal(&name->addr, &saved->server)))
			continue;
		/* It has the packets of who listens to all addresses. */
		if (!found || !any)
			found = listener;
	}
	if (found)
		a->port = tftpk_adopt_port(found, saved->server_port);
	return found;
}

/* The interface of a link-local client, which no other has. */
static int tftpk_adopt_scope(struct tftpk_adoption *a)
{
	const struct tftpk_saved *saved = &a->saved;
	const struct net_device *dev;

	if (!(ipv6_addr_type(&saved->client) & IPV6_ADDR_LINKLOCAL))
		return *saved->scope ? -EINVAL : 0;
	dev = dev_get_by_name_rcu(a->tn->net, saved->scope);
	if (!dev)
		return -ENODEV;
	a->key.scope = dev->ifindex;
	return 0;
}

/* Find out all that packets of the client would tell. */
static int tftpk_adopt_place(struct tftpk_adoption *a)
{
	const struct tftpk_listener *listener = tftpk_adopt_listener(a);
	struct tftpk_net *tn = a->tn;
	int err = 0;

	if (!listener)
		return tftpk_adopt_refuse(a, -EADDRNOTAVAIL,
					  "no listener takes the client's requests");
	if (!a->port)
		return tftpk_adopt_refuse(a, -EADDRNOTAVAIL,
					  "the listener does not have the transfer's port");
	memset(&a->key, 0, sizeof(a->key));
	a->key.client = a->saved.client;
	a->key.local = a->saved.server;
	a->key.client_port = a->saved.client_port;
	a->key.former = a->saved.former;
	a->key.port = &listener->main;
	local_bh_disable();
	rcu_read_lock();
	if (tftpk_adopt_scope(a))
		err = tftpk_adopt_refuse(a, -EINVAL,
					 "a link-local client, and no other, has an interface");
	else if (!tftpk_route_likely(tn->net, &a->key) ||
		 !tftpk_route_hop(tn->net, &a->key, &a->hop))
		err = tftpk_adopt_refuse(a, -ENETUNREACH,
					 "no way leads from the server's address to the client");
	else
		a->near = tftpk_limit_near(tn, &a->key, 0);
	rcu_read_unlock();
	local_bh_enable();
	return err;
}

static int tftpk_adopt_find_place(struct tftpk_adoption *a)
{
	int err;

	mutex_lock(&a->tn->mutex);
	err = tftpk_adopt_place(a);
	mutex_unlock(&a->tn->mutex);
	return err;
}

/* ---- the file ---- */

/* Open what a request of the client would get. */
static int tftpk_adopt_open(struct tftpk_adoption *a)
{
	struct tftpk_query query = {
		.name	= a->saved.name,
		.client	= &a->saved.client,
	};
	struct file *file;
	u8 mac[ETH_ALEN];

	rcu_read_lock();
	if (tftpk_route_mac(a->tn->net, query.client, a->hop.ifindex, mac))
		query.mac = mac;
	rcu_read_unlock();
	file = tftpk_export_look_up(a->tn, query, false, &a->export);
	if (!IS_ERR(file)) {
		a->file = file;
		return 0;
	}
	if (tftpk_is_missing(PTR_ERR(file)))
		return tftpk_adopt_refuse(a, -ENOENT,
					  "no export has the file for the client");
	return tftpk_adopt_refuse(a, PTR_ERR(file), "the file cannot be opened");
}

/* Is it the file that was sent so far? */
static bool tftpk_adopt_same_file(const struct tftpk_source *source,
				  const struct tftpk_saved *saved)
{
	const struct inode *inode = source->inode;

	return source->size == saved->size &&
	       (u64)timespec64_to_ns(&source->mtime) == saved->modified &&
	       (!saved->identified ||
		(inode->i_sb->s_dev == saved->device &&
		 inode->i_ino == saved->inode &&
		 inode->i_generation == saved->generation));
}

static int tftpk_adopt_take_file(struct tftpk_adoption *a,
				 struct tftpk_transfer *t)
{
	int err = tftpk_file_take(&t->source, &t->lock,
				  READ_ONCE(a->tn->settings.detect_changes),
				  a->file);

	if (err)
		return tftpk_adopt_refuse(a, err, "the file is being written");
	if (!tftpk_adopt_same_file(&t->source, &a->saved))
		return tftpk_adopt_refuse(a, -ESTALE, "it is another file");
	t->source.export = a->export;
	return 0;
}

/* ---- the transfer ---- */

static bool tftpk_adopt_exported(const struct tftpk_adoption *a)
{
	const struct tftpk_export *export;

	lockdep_assert_held(&a->tn->mutex);

	list_for_each_entry(export, &a->tn->exports, list)
		if (export == a->export)
			return true;
	return false;
}

/* Who adopts it again after it has ended sends to a client that has gone. */
static bool tftpk_adopt_is_over(const struct tftpk_adoption *a,
				const struct tftpk_transfer *t)
{
	u32 stored;

	return tftpk_limit_recently_ended(a->tn, &t->peer.tid.key, &stored);
}

/* Let the transfer in. Commands see it from now on, packets do not. */
static int tftpk_adopt_let_in(struct tftpk_adoption *a, struct tftpk_transfer *t)
{
	const char *refusal;

	local_bh_disable();
	rcu_read_lock();
	t->peer.bounded = tftpk_limit_bounded(&a->key, a->near);
	refusal = tftpk_request_let_in(t);
	spin_unlock(&t->lock);
	rcu_read_unlock();
	local_bh_enable();
	if (!refusal)
		return 0;
	if (a->extack)
		a->extack->_msg = refusal;
	return -EBUSY;
}

/* Make the transfer, entered and with a reference of the command's; it has the file
 * from now on.
 */
static int tftpk_adopt_begin(struct tftpk_adoption *a, struct tftpk_transfer **made)
{
	u32 age = min_t(u32, a->saved.age, TFTPK_ADOPT_AGE_MS);
	struct tftpk_transfer *t = tftpk_transfer_alloc(a->tn, &a->key);
	int err;

	if (!t)
		return -ENOMEM;
	tftpk_request_setup(t, false);
	refcount_inc(&t->ref);
	t->working = true;
	t->request_hash = a->saved.hash;
	t->started_ns = ktime_get_ns() - (u64)age * NSEC_PER_MSEC;
	t->peer.near = a->near;
	t->peer.tid.key = a->key;
	t->peer.tid.key.port = a->port;
	t->peer.tid.key.former = 0;
	if (tftpk_adopt_is_over(a, t))
		err = tftpk_adopt_refuse(a, -EALREADY,
					 "the transfer has ended here a moment ago");
	else
		err = tftpk_adopt_take_file(a, t) ?: tftpk_adopt_let_in(a, t);
	if (err) {
		tftpk_transfer_discard(t);
		return err;
	}
	a->file = NULL;
	a->export = NULL;
	*made = t;
	return 0;
}

/* Grant it what it had. */
static int tftpk_adopt_negotiate(struct tftpk_adoption *a,
				 struct tftpk_transfer *t)
{
	const struct tftpk_saved *saved = &a->saved;
	struct tftpk_request req = {
		.name		= saved->name,
		.blksize	= saved->blksize,
		.windowsize	= saved->windowsize,
		.utimeout	= saved->utimeout,
		.mode		= TFTPK_MODE_OCTET,
		.rollover	= saved->rollover,
		.nopts		= saved->nopts,
	};
	int err;

	memcpy(req.opts, saved->opts, saved->nopts);
	err = tftpk_request_negotiate(t, &req);
	if (err)
		return err;
	if (t->options.nopts != saved->nopts || t->blksize != saved->blksize ||
	    t->options.windowsize != saved->windowsize ||
	    t->options.rollover != saved->rollover)
		return tftpk_adopt_refuse(a, -ERANGE,
					  "the client would not be granted here what it has");
	return 0;
}

/* Put it where it was. */
static void tftpk_adopt_position(const struct tftpk_saved *saved,
				 struct tftpk_transfer *t)
{
	struct tftpk_ring *ring = &t->source.ring;

	t->window.ahead = min_t(u32, t->window.ahead, saved->ahead);
	tftpk_window_resume(&t->window, saved->block, saved->inflight);
	ring->tail = tftpk_transfer_acked_bytes(t) >> PAGE_SHIFT;
	ring->filled = ring->tail << PAGE_SHIFT;
	if (saved->rtt && saved->rtt <= TFTPK_RTT_MAX)
		tftpk_rtt_sample(&t->peer.rtt, saved->rtt);
	if (saved->state == TFTPK_STATE_SENDING)
		t->phase = TFTPK_PHASE_SENDING;
	else
		t->phase = saved->nopts ? TFTPK_PHASE_OACK : TFTPK_PHASE_FIRST;
}

/* Go on, unless it was killed, or has been adopted before. The lock is held from the
 * time on that packets find it.
 */
static int tftpk_adopt_start(struct tftpk_adoption *a, struct tftpk_transfer *t,
			     bool proved, struct tftpk_transfer **oldest,
			     struct tftpk_out *out)
{
	int err;

	lockdep_assert_held(&t->lock);

	if (t->dead)
		return -ECANCELED;
	err = tftpk_table_add_known(t);
	if (err)
		return tftpk_adopt_refuse(a, err,
					  "the client has a transfer by these ports");
	tftpk_adopt_position(&a->saved, t);
	t->announced = true;
	if (proved)
		tftpk_transfer_validate(t);
	else
		*oldest = tftpk_unvalidated_add(t);
	tftpk_stats_inc(a->tn, TFTPK_A_STATS_TRANSFERS_STARTED);
	tftpk_stats_inc(a->tn, TFTPK_A_STATS_TRANSFERS_ADOPTED);
	trace_tftpk_start(t);
	/* It is its work's turn. */
	t->working = false;
	tftpk_send_resume(t, out);
	return 0;
}

static int tftpk_adopt_resume(struct tftpk_adoption *a, struct tftpk_transfer *t)
{
	bool proved = a->saved.validated && tftpk_saved_proves(a->tn, &a->saved);
	struct tftpk_transfer *oldest = NULL;
	struct tftpk_out out;
	int err;

	rcu_read_lock();
	tftpk_transfer_lock(t, &out);
	err = tftpk_adopt_start(a, t, proved, &oldest, &out);
	tftpk_transfer_unlock_send(t, &out);
	local_bh_disable();
	if (oldest)
		tftpk_transfer_evict(oldest);
	local_bh_enable();
	rcu_read_unlock();
	/* Its listener stays, with the mutex held. */
	if (!err)
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_START);
	return err;
}

/* End what did not become a transfer; nobody is told. */
static void tftpk_adopt_cancel(struct tftpk_transfer *t)
{
	spin_lock_bh(&t->lock);
	if (!t->dead) {
		t->dead = true;
		tftpk_transfer_unreserve(t);
		tftpk_client_del(t);
	}
	spin_unlock_bh(&t->lock);
	tftpk_transfer_leave(t);
}

/* Adopt it while nobody changes exports or listeners. */
static int tftpk_adopt(struct tftpk_adoption *a)
{
	struct tftpk_transfer *t;
	int err;

	lockdep_assert_held(&a->tn->mutex);

	err = tftpk_adopt_place(a);
	if (err)
		return err;
	if (!tftpk_adopt_exported(a))
		return tftpk_adopt_refuse(a, -ENOENT, "the export has gone");
	err = tftpk_adopt_begin(a, &t);
	if (err)
		return err;
	err = tftpk_adopt_negotiate(a, t) ?: tftpk_adopt_resume(a, t);
	if (err)
		tftpk_adopt_cancel(t);
	tftpk_transfer_put(t);
	return err;
}

int tftpk_nl_transfer_adopt_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct tftpk_adoption a = {
		.tn	= tftpk_net(genl_info_net(info)),
		.extack	= info->extack,
	};
	int err;

	err = tftpk_saved_get(info, &a.saved) ?:
	      tftpk_adopt_check(&a) ?:
	      tftpk_adopt_find_place(&a) ?:
	      tftpk_adopt_open(&a);
	if (!err) {
		mutex_lock(&a.tn->mutex);
		err = tftpk_adopt(&a);
		mutex_unlock(&a.tn->mutex);
	}
	if (a.file)
		fput(a.file);
	if (a.export)
		tftpk_export_put(a.export);
	return err;
}
