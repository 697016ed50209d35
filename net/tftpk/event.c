// SPDX-License-Identifier: GPL-2.0
/*
 * Events to whoever listens to the multicast group: who booted what. Built
 * only where somebody does.
 */
#include <linux/dcache.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <net/genetlink.h>

#include "genl.h"
#include "netlink.h"
#include "transfer.h"

static int tftpk_event_client(struct sk_buff *skb, const struct tftpk_key *key)
{
	int ifindex = key->scope ?: key->port->listener->name.ifindex;

	return tftpk_put_address(skb, TFTPK_A_EVENT_CLIENT_ADDRESS,
				 &key->client) ||
	       tftpk_put_address(skb, TFTPK_A_EVENT_SERVER_ADDRESS,
				 &key->local) ||
	       nla_put_be16(skb, TFTPK_A_EVENT_CLIENT_PORT,
			    key->client_port) ||
	       (ifindex && nla_put_u32(skb, TFTPK_A_EVENT_IFINDEX, ifindex));
}

/* What is known of an open file and of how far the client has got. */
static int tftpk_event_state(struct sk_buff *skb,
			     const struct tftpk_transfer *t)
{
	char *buf = kmalloc(PATH_MAX, GFP_KERNEL);
	char *file;
	int err;

	if (!buf)
		return -ENOMEM;
	file = d_path(&t->source.file->f_path, buf, PATH_MAX);
	err = !IS_ERR(file) &&
	      nla_put_string(skb, TFTPK_A_EVENT_FILE, file);
	kfree(buf);
	return err ||
	       nla_put_u64_64bit(skb, TFTPK_A_EVENT_SIZE, t->source.size,
				 TFTPK_A_EVENT_PAD) ||
	       nla_put_u64_64bit(skb, TFTPK_A_EVENT_ACKNOWLEDGED,
				 tftpk_transfer_acked_bytes(t),
				 TFTPK_A_EVENT_PAD) ||
	       nla_put_u32(skb, TFTPK_A_EVENT_BLOCK_SIZE, t->blksize) ||
	       nla_put_u32(skb, TFTPK_A_EVENT_WINDOW_SIZE, t->window.size) ||
	       nla_put_u32(skb, TFTPK_A_EVENT_TIMEOUT,
			   t->utimeout / USEC_PER_SEC) ||
	       nla_put_u32(skb, TFTPK_A_EVENT_RTT, t->peer.rtt.srtt) ||
	       nla_put_u32(skb, TFTPK_A_EVENT_BLOCKS_RETRANSMITTED,
			   t->retransmitted) ||
	       nla_put_u32(skb, TFTPK_A_EVENT_DURATION,
			   jiffies_to_msecs(jiffies - t->started));
}

static struct sk_buff *tftpk_event_new(enum tftpk_event_type type,
				       const struct tftpk_key *key, size_t size,
				       gfp_t gfp, void **hdr)
{
	struct sk_buff *skb = genlmsg_new(size, gfp);

	if (!skb)
		return NULL;
	*hdr = genlmsg_put(skb, 0, 0, &tftpk_nl_family, 0, TFTPK_CMD_EVENT);
	if (!*hdr || nla_put_u32(skb, TFTPK_A_EVENT_TYPE, type) ||
	    tftpk_event_client(skb, key)) {
		nlmsg_free(skb);
		return NULL;
	}
	return skb;
}

static void tftpk_event_lost(struct tftpk_net *tn)
{
	tftpk_stats_inc(tn, TFTPK_A_STATS_EVENTS_DROPPED);
}

static void tftpk_event_send(struct tftpk_net *tn, struct sk_buff *skb,
			     void *hdr, gfp_t gfp)
{
	int err;

	genlmsg_end(skb, hdr);
	err = genlmsg_multicast_netns(&tftpk_nl_family, tn->net, skb, 0,
				      TFTPK_NLGRP_EVENTS, gfp);
	if (err == -ESRCH)
		return;		/* the last listener has just left */
	if (err)
		tftpk_event_lost(tn);
}

static bool tftpk_event_wanted(const struct tftpk_net *tn)
{
	return genl_has_listeners(&tftpk_nl_family, tn->net,
				  TFTPK_NLGRP_EVENTS);
}

/**
 * tftpk_event_transfer() - tell of a transfer
 * @t: transfer; nothing else changes its file
 * @type: what there is to tell
 *
 * Context: process, the transfer's work.
 */
void tftpk_event_transfer(struct tftpk_transfer *t, enum tftpk_event_type type)
{
	struct tftpk_net *tn = t->tn;
	struct sk_buff *skb;
	void *hdr;
	int err;

	if (!tftpk_event_wanted(tn))
		return;
	skb = tftpk_event_new(type, &t->peer.request.key,
			      NLMSG_GOODSIZE + PATH_MAX + TFTPK_REQUEST_MAX,
			      GFP_KERNEL, &hdr);
	if (!skb) {
		tftpk_event_lost(tn);
		return;
	}

	err = nla_put_u32(skb, TFTPK_A_EVENT_ID, t->id) ||
	      (t->request_skb &&
	       nla_put_string(skb, TFTPK_A_EVENT_NAME,
			      TFTPK_REQUEST(t->request_skb)->name)) ||
	      (t->source.file && t->phase != TFTPK_PHASE_OPENING &&
	       tftpk_event_state(skb, t));
	if (type == TFTPK_EVENT_TYPE_END || type == TFTPK_EVENT_TYPE_REFUSED)
		err = err || nla_put_u32(skb, TFTPK_A_EVENT_OUTCOME,
					 t->outcome);
	if (type == TFTPK_EVENT_TYPE_BOUNDED)
		err = err || nla_put_string(skb, TFTPK_A_EVENT_REASON,
					    "neither on the link nor trusted, at a single port");
	else if (t->reason)
		err = err || nla_put_u32(skb, TFTPK_A_EVENT_ERROR_CODE,
					 t->error_code) ||
		      nla_put_string(skb, TFTPK_A_EVENT_REASON, t->reason);
	if (err) {
		nlmsg_free(skb);
		tftpk_event_lost(tn);
		return;
	}
	tftpk_event_send(tn, skb, hdr, GFP_KERNEL);
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

	if (!tftpk_event_wanted(tn))
		return;
	if (!__ratelimit(&tn->refusals)) {
		tftpk_event_lost(tn);
		return;
	}
	skb = tftpk_event_new(TFTPK_EVENT_TYPE_REFUSED, key,
			      256 + nla_total_size(strlen(name) + 1) +
			      nla_total_size(strlen(reason) + 1), GFP_ATOMIC,
			      &hdr);
	if (!skb) {
		tftpk_event_lost(tn);
		return;
	}
	if (nla_put_string(skb, TFTPK_A_EVENT_NAME, name) ||
	    nla_put_u32(skb, TFTPK_A_EVENT_ERROR_CODE, code) ||
	    nla_put_string(skb, TFTPK_A_EVENT_REASON, reason)) {
		nlmsg_free(skb);
		tftpk_event_lost(tn);
		return;
	}
	tftpk_event_send(tn, skb, hdr, GFP_ATOMIC);
}
