// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that belong to no transfer: guesses, and late ones.
 */
#include "silence.h"
#include "transfer.h"

/* Its client acknowledges to the port that it asked: say what helps. */
static void tftpk_stray_hint(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	t->hint = true;
	t->reason = t->peer.request.key.port->port == htons(TFTPK_PORT) ?
		"the client acknowledges to port 69: listen --single-port" :
		"the client acknowledges to the port that it asked: listen --single-port";
}

/* A client whose transfer has not been validated acknowledged at another port: a
 * forger guessed, who never saw the OACK. From beyond a router that ends the
 * transfer. On the link, where the client's neighbours only can forge, it goes on: the
 * forger shall not keep it from starting. A right guess yields half as much then.
 */
static void tftpk_stray_guess(struct tftpk_transfer *t, bool requests)
{
	spin_lock(&t->lock);
	if (t->dead || tftpk_transfer_validated(t)) {
		/* Too late. */
		spin_unlock(&t->lock);
		return;
	}
	if (requests)
		tftpk_stray_hint(t);
	if (t->peer.near) {
		t->window.limit = max(t->window.limit / 2, 1);
	} else {
		tftpk_limit_note_guess(t->tn, &t->peer.request.key);
		/* While it waits for the agent nothing is there to be guessed. */
		if (t->phase != TFTPK_PHASE_OPENING)
			tftpk_transfer_end(t, TFTPK_OUTCOME_ABORTED);
	}
	spin_unlock(&t->lock);
}

/* A client whose last ACK was lost asks for it. */
static void tftpk_stray_repeat(const struct tftpk_key *key,
			       const struct sk_buff *skb, u16 block)
{
	struct tftpk_net *tn = key->port->listener->tn;
	bool near = tftpk_limit_near(tn, key, tftpk_route_iif(key, skb));

	if (tftpk_limit_answer(tn, key, near, TFTPK_REPLY_OTHER))
		tftpk_output_ack(key, tn->net, block);
}

/**
 * tftpk_stray() - an ACK or a block arrived that belongs to no transfer
 * @key: client, and the transfer identifier
 * @skb: the packet, as a socket gets it
 * @data: number of the block, or TFTPK_STRAY_ACK
 *
 * It gets ERROR 5 (RFC 1350 section 4), unless it is merely late, or a guess, or may be
 * another server's for now.
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_stray(const struct tftpk_key *key, const struct sk_buff *skb,
		 u32 data)
{
	struct tftpk_listener *listener = key->port->listener;
	struct tftpk_net *tn = listener->tn;
	struct tftpk_key request = *key;
	struct tftpk_transfer *t;
	u32 stored;
	bool near;

	tftpk_stats_inc(tn, TFTPK_A_STATS_PACKETS_UNKNOWN);
	if (tftpk_limit_recently_ended(tn, key, &stored)) {
		if (stored == (TFTPK_STORED | data))
			tftpk_stray_repeat(key, skb, data);
		return;
	}

	request.port = &listener->main;
	t = tftpk_table_find(&request);
	if (t) {
		tftpk_stray_guess(t, key->port->requests);
		return;
	}
	near = tftpk_limit_near(tn, key, tftpk_route_iif(key, skb));
	if (tftpk_silence_towards(key, near)) {
		tftpk_stats_inc(tn, TFTPK_A_STATS_PACKETS_SILENCED);
		return;
	}
	if (tftpk_limit_answer(tn, key, near, TFTPK_REPLY_OTHER)) {
		tftpk_silence_broken(key, near);
		tftpk_stats_inc(tn, TFTPK_A_STATS_PACKETS_STRANGE);
		tftpk_output_error(key, tn->net, TFTPK_ERR_TID,
				   "unknown transfer ID");
	}
}
