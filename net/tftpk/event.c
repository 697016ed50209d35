// SPDX-License-Identifier: GPL-2.0
/*
 * What netlink tells of a transfer, in dumps and in events. Events go to whoever
 * listens to the multicast group, who booted what, and are built only where
 * somebody does.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/user_namespace.h>
#include <net/genetlink.h>

#include "genl.h"
#include "netlink.h"
#include "transfer.h"

/**
 * tftpk_put_path() - put the path of a file
 * @skb: message
 * @attr: attribute
 * @file: open file
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_put_path(struct sk_buff *skb, int attr, const struct file *file)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
	char *path;
	int err;

	if (!buf)
		return -ENOMEM;
	path = d_path(&file->f_path, buf, PATH_MAX);
	err = IS_ERR(path) ? PTR_ERR(path) : nla_put_string(skb, attr, path);
	kfree(buf);
	return err;
}

static int tftpk_put_client(struct sk_buff *skb, const struct tftpk_key *key)
{
	int ifindex = key->scope ?: key->port->listener->name.ifindex;

	if (tftpk_put_address(skb, TFTPK_A_TRANSFER_CLIENT_ADDRESS,
			      &key->client) ||
	    nla_put_be16(skb, TFTPK_A_TRANSFER_CLIENT_PORT,
			 key->client_port) ||
	    tftpk_put_address(skb, TFTPK_A_TRANSFER_SERVER_ADDRESS,
			      &key->local) ||
	    (ifindex && nla_put_u32(skb, TFTPK_A_TRANSFER_IFINDEX, ifindex)))
		return -EMSGSIZE;
	return 0;
}

/* Once all is here, it is known. */
static u64 tftpk_sink_size(const struct tftpk_transfer *t)
{
	const struct tftpk_sink *sink = &t->source.sink;

	return sink->window.last ? sink->received : sink->size;
}

/**
 * tftpk_put_transfer() - put what dumps and events tell of a transfer
 * @skb: message
 * @t: transfer, locked
 *
 * All but the path of its file: softirqs want the lock, and come under the locks of
 * paths.
 *
 * Context: process. Return: 0 or -EMSGSIZE.
 */
int tftpk_put_transfer(struct sk_buff *skb, const struct tftpk_transfer *t)
{
	u64 size = t->writing ? tftpk_sink_size(t) : t->source.size;

	lockdep_assert_held(&t->lock);

	if (nla_put_u32(skb, TFTPK_A_TRANSFER_ID, t->id) ||
	    tftpk_put_client(skb, &t->peer.tid.key) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_AGE,
			div_u64(ktime_get_ns() - t->started_ns, NSEC_PER_MSEC)))
		return -EMSGSIZE;
	if (t->writing && nla_put_u32(skb, TFTPK_A_TRANSFER_DIRECTION,
				      TFTPK_DIRECTION_WRITE))
		return -EMSGSIZE;
	if (t->phase == TFTPK_PHASE_OPENING)
		return 0;
	if ((size != TFTPK_SIZE_UNKNOWN &&
	     nla_put_u64_64bit(skb, TFTPK_A_TRANSFER_SIZE, size,
			       TFTPK_A_TRANSFER_PAD)) ||
	    nla_put_u64_64bit(skb, TFTPK_A_TRANSFER_ACKNOWLEDGED,
			      tftpk_transfer_acked_bytes(t),
			      TFTPK_A_TRANSFER_PAD) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_BLOCK_SIZE, t->blksize) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_WINDOW_SIZE,
			t->options.windowsize) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_TIMEOUT,
			t->utimeout / USEC_PER_SEC) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_RTT, t->peer.rtt.srtt) ||
	    nla_put_u32(skb, TFTPK_A_TRANSFER_BLOCKS_RETRANSMITTED,
			t->retransmitted))
		return -EMSGSIZE;
	return 0;
}

/* Begin an event; one that cannot be built is counted. */
static struct sk_buff *tftpk_event_new(struct tftpk_net *tn,
				       enum tftpk_event_type type, size_t size,
				       gfp_t gfp, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(size, gfp);

	*hdr = skb ? genlmsg_put(skb, 0, 0, &tftpk_nl_family, 0,
				 TFTPK_CMD_EVENT) : NULL;
	if (*hdr && !nla_put_u32(skb, TFTPK_A_TRANSFER_TYPE, type))
		return skb;
	nlmsg_free(skb);
	tftpk_stats_inc(tn, TFTPK_A_STATS_EVENTS_DROPPED);
	return NULL;
}

static bool tftpk_event_closed;

/* Send it, unless there was an error. Returns whether all who listen got it, and
 * somebody does.
 */
static bool tftpk_event_send(struct tftpk_net *tn, struct sk_buff *skb,
			     void *hdr, unsigned int group, int err)
{
	if (err) {
		nlmsg_free(skb);
	} else {
		genlmsg_end(skb, hdr);
		/* Within RCU: see tftpk_event_exit(). */
		rcu_read_lock();
		if (READ_ONCE(tftpk_event_closed)) {
			nlmsg_free(skb);
			err = -ESRCH;
		} else {
			err = genlmsg_multicast_netns(&tftpk_nl_family,
						      tn->net, skb, 0,
						      group, GFP_ATOMIC);
		}
		rcu_read_unlock();
		if (err == -ESRCH)
			return false;	/* the last listener has just left */
	}
	if (err)
		tftpk_stats_inc(tn, TFTPK_A_STATS_EVENTS_DROPPED);
	return !err;
}

static bool tftpk_event_wanted(const struct tftpk_net *tn)
{
	return !READ_ONCE(tftpk_event_closed) &&
	       genl_has_listeners(&tftpk_nl_family, tn->net,
				  TFTPK_NLGRP_EVENTS);
}

/**
 * tftpk_event_exit() - end events
 *
 * Transfers that end after the family was unregistered would tell of it to the group
 * that another family was given its number.
 *
 * Context: process.
 */
void tftpk_event_exit(void)
{
	WRITE_ONCE(tftpk_event_closed, true);
	synchronize_rcu();
}

/**
 * tftpk_event_notice() - let the agent know that there are questions
 * @tn: namespace's server
 *
 * Context: any but hard interrupts.
 */
void tftpk_event_notice(struct tftpk_net *tn)
{
	struct sk_buff *skb = genlmsg_new(0, GFP_ATOMIC | __GFP_NOWARN);
	void *hdr = skb ? genlmsg_put(skb, 0, 0, &tftpk_nl_family, 0,
				      TFTPK_CMD_RESOLVE_NOTICE) : NULL;
	bool told = false;

	if (hdr) {
		told = tftpk_event_send(tn, skb, hdr, TFTPK_NLGRP_RESOLVE, 0);
	} else {
		nlmsg_free(skb);
		tftpk_stats_inc(tn, TFTPK_A_STATS_EVENTS_DROPPED);
	}
	/* The next question tells of this one, too. */
	if (!told)
		WRITE_ONCE(tn->noticed, false);
}

/* How it ended, or why it is slow. */
static int tftpk_put_reason(struct sk_buff *skb, const struct tftpk_transfer *t,
			    enum tftpk_event_type type)
{
	if (type == TFTPK_EVENT_TYPE_BOUNDED)
		return nla_put_string(skb, TFTPK_A_TRANSFER_REASON,
				      tftpk_single_port(t) ?
				      "neither on the link nor trusted, at a single port" :
				      "neither on the link nor trusted, while ports are guessed");
	if ((type == TFTPK_EVENT_TYPE_END ||
	     type == TFTPK_EVENT_TYPE_REFUSED) &&
	    nla_put_u32(skb, TFTPK_A_TRANSFER_OUTCOME, t->outcome))
		return -EMSGSIZE;
	if (t->reason &&
	    ((!t->hint && nla_put_u32(skb, TFTPK_A_TRANSFER_ERROR_CODE,
				      t->error_code)) ||
	     nla_put_string(skb, TFTPK_A_TRANSFER_REASON, t->reason)))
		return -EMSGSIZE;
	return 0;
}

/**
 * tftpk_event_transfer() - tell of a transfer
 * @t: transfer, entered or being reaped
 * @type: what there is to tell
 *
 * Context: process, a work of the transfer.
 */
void tftpk_event_transfer(struct tftpk_transfer *t, enum tftpk_event_type type)
{
	struct sk_buff *skb;
	bool opened;
	void *hdr;
	int err;

	if (!tftpk_event_wanted(t->tn))
		return;
	skb = tftpk_event_new(t->tn, type,
			      NLMSG_GOODSIZE + PATH_MAX + TFTPK_REQUEST_MAX,
			      GFP_KERNEL, &hdr);
	if (!skb)
		return;

	spin_lock_bh(&t->lock);
	err = tftpk_put_transfer(skb, t) ?: tftpk_put_reason(skb, t, type);
	opened = !t->writing && t->phase != TFTPK_PHASE_OPENING;
	spin_unlock_bh(&t->lock);
	if (!err && t->request_skb)
		err = nla_put_string(skb, TFTPK_A_TRANSFER_NAME,
				     TFTPK_REQUEST(t->request_skb)->name);
	/* Paths are the host's: none for who is root of a namespace only. */
	if (!err && opened && t->tn->net->user_ns == &init_user_ns)
		err = tftpk_put_path(skb, TFTPK_A_TRANSFER_FILE, t->source.file);
	tftpk_event_send(t->tn, skb, hdr, TFTPK_NLGRP_EVENTS, err);
}

/**
 * tftpk_event_draining() - tell that requests are no longer taken, or are again
 * @tn: namespace's server; its mutex is held
 *
 * Context: process.
 */
void tftpk_event_draining(struct tftpk_net *tn)
{
	struct sk_buff *skb;
	void *hdr;

	lockdep_assert_held(&tn->mutex);
	if (!tftpk_event_wanted(tn))
		return;
	skb = tftpk_event_new(tn, tn->settings.draining ?
					  TFTPK_EVENT_TYPE_DRAIN :
					  TFTPK_EVENT_TYPE_UNDRAIN,
			      NLMSG_GOODSIZE, GFP_KERNEL, &hdr);
	if (skb)
		tftpk_event_send(tn, skb, hdr, TFTPK_NLGRP_EVENTS, 0);
}

/**
 * tftpk_event_refused() - tell of a request that became no transfer
 * @key: client
 * @name: what it asked for
 * @code: code of the ERROR that it got, or would have got
 * @reason: why
 *
 * A flood of them is cut off and counted: see tftpk_net.refusals.
 *
 * Context: softirq.
 */
void tftpk_event_refused(const struct tftpk_key *key, const char *name,
			 u16 code, const char *reason)
{
	struct tftpk_net *tn = key->port->listener->tn;
	struct sk_buff *skb;
	void *hdr;
	int err;

	if (!tftpk_event_wanted(tn))
		return;
	if (!__ratelimit(&tn->refusals)) {
		tftpk_stats_inc(tn, TFTPK_A_STATS_EVENTS_DROPPED);
		return;
	}
	skb = tftpk_event_new(tn, TFTPK_EVENT_TYPE_REFUSED,
			      256 + nla_total_size(strlen(name) + 1) +
			      nla_total_size(strlen(reason) + 1), GFP_ATOMIC,
			      &hdr);
	if (!skb)
		return;
	err = tftpk_put_client(skb, key) ?:
	      nla_put_string(skb, TFTPK_A_TRANSFER_NAME, name) ?:
	      nla_put_u32(skb, TFTPK_A_TRANSFER_ERROR_CODE, code) ?:
	      nla_put_string(skb, TFTPK_A_TRANSFER_REASON, reason);
	tftpk_event_send(tn, skb, hdr, TFTPK_NLGRP_EVENTS, err);
}
