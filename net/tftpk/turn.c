// SPDX-License-Identifier: GPL-2.0
/*
 * Turns: transfers to the same network send one after another, once they are a crowd. A
 * timer has those send whose turn has come.
 */
#include <linux/hrtimer.h>
#include <linux/jhash.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "macroflow.h"
#include "transfer.h"

/* Networks that share one of these have a rate in common for no reason. */
#define TFTPK_TURN_LINES	256

/* So many send at one time; others may use the processor then. */
#define TFTPK_TURN_BATCH	64

/**
 * struct tftpk_line - transfers to a network, and who of them waits
 * @lock: protects it; under that of a transfer
 * @flow: rate that they share
 * @waiting: struct tftpk_peer, by their turns
 * @send: has one of them send
 * @timer: of the first one
 */
struct tftpk_line {
	spinlock_t lock;	/* all of it; under that of a transfer */
	struct tftpk_macroflow flow;
	struct list_head waiting;
	void (*send)(struct tftpk_transfer *t);
	struct hrtimer timer;
};

/**
 * struct tftpk_lines - all of them
 * @seed: keeps anybody from choosing with whom to stand in line
 * @rated: how many have a rate
 * @lines: by a hash of the network
 */
struct tftpk_lines {
	u32 seed;
	atomic_t rated;
	struct tftpk_line lines[TFTPK_TURN_LINES];
};

static struct tftpk_line *tftpk_line_of(const struct tftpk_transfer *t)
{
	return container_of(t->peer.flow, struct tftpk_line, flow);
}

static void tftpk_line_start(struct tftpk_line *line, u64 ns)
{
	hrtimer_start(&line->timer, ns_to_ktime(ns), HRTIMER_MODE_REL_SOFT);
}

/* Take the first one out whose turn has come. */
static struct tftpk_transfer *tftpk_line_next(struct tftpk_line *line)
{
	struct tftpk_peer *peer;
	u64 wait;

	spin_lock(&line->lock);
	peer = list_first_entry_or_null(&line->waiting, struct tftpk_peer,
					waiting);
	if (peer) {
		wait = tftpk_macroflow_wait(&line->flow, peer->turn_at,
					    ktime_get_ns());
		if (wait) {
			tftpk_line_start(line, wait);
			peer = NULL;
		} else {
			list_del_init(&peer->waiting);
		}
	}
	spin_unlock(&line->lock);
	return peer ? container_of(peer, struct tftpk_transfer, peer) : NULL;
}

static enum hrtimer_restart tftpk_line_timer(struct hrtimer *timer)
{
	struct tftpk_line *line = container_of(timer, struct tftpk_line, timer);
	struct tftpk_transfer *t;
	int n;

	/* A transfer that ends meanwhile is freed by RCU. */
	rcu_read_lock();
	for (n = 0; n < TFTPK_TURN_BATCH; n++) {
		t = tftpk_line_next(line);
		if (!t)
			break;
		line->send(t);
	}
	rcu_read_unlock();
	if (n == TFTPK_TURN_BATCH)
		tftpk_line_start(line, 0);
	return HRTIMER_NORESTART;
}

/**
 * tftpk_turn_init() - make the lines, before the first listener
 * @tn: namespace's server; its mutex is held
 * @send: called when the turn of a transfer has come, in softirq within
 *	rcu_read_lock(); it may have ended
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int tftpk_turn_init(struct tftpk_net *tn,
		    void (*send)(struct tftpk_transfer *t))
{
	struct tftpk_lines *lines;
	struct tftpk_line *line;

	lockdep_assert_held(&tn->mutex);
	if (tn->lines)
		return 0;
	lines = kvzalloc(sizeof(*lines), GFP_KERNEL_ACCOUNT);
	if (!lines)
		return -ENOMEM;
	lines->seed = get_random_u32();
	for (line = lines->lines; line < lines->lines + TFTPK_TURN_LINES; line++) {
		spin_lock_init(&line->lock);
		line->flow.rated = &lines->rated;
		INIT_LIST_HEAD(&line->waiting);
		line->send = send;
		hrtimer_setup(&line->timer, tftpk_line_timer, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_SOFT);
	}
	tn->lines = lines;
	return 0;
}

/**
 * tftpk_turn_exit() - free the lines
 * @tn: namespace's server, without transfers
 *
 * Context: process.
 */
void tftpk_turn_exit(struct tftpk_net *tn)
{
	int i;

	for (i = 0; tn->lines && i < TFTPK_TURN_LINES; i++)
		hrtimer_cancel(&tn->lines->lines[i].timer);
	kvfree(tn->lines);
}

/* A network: 256 IPv4 addresses or an IPv6 network of 64 bits. */
static u32 tftpk_turn_hash(const struct in6_addr *client, u32 seed)
{
	if (ipv6_addr_v4mapped(client))
		return jhash_1word(ntohl(client->s6_addr32[3]) >> 8, seed);
	return jhash_2words((__force u32)client->s6_addr32[0],
			    (__force u32)client->s6_addr32[1], seed);
}

/**
 * tftpk_turn_join() - a transfer begins to send
 * @t: transfer, locked
 * @now_ns: the time
 */
void tftpk_turn_join(struct tftpk_transfer *t, u64 now_ns)
{
	struct tftpk_lines *lines = t->tn->lines;
	u32 crowd = READ_ONCE(t->tn->settings.crowd), hash;
	struct tftpk_line *line;

	lockdep_assert_held(&t->lock);

	if (!crowd || t->peer.flow || t->peer.bounded || t->peer.paced)
		return;
	hash = tftpk_turn_hash(&t->peer.request.key.client, lines->seed);
	line = &lines->lines[hash % TFTPK_TURN_LINES];
	spin_lock(&line->lock);
	tftpk_macroflow_join(&line->flow, crowd, t->peer.rtt.min, now_ns);
	spin_unlock(&line->lock);
	INIT_LIST_HEAD(&t->peer.waiting);
	t->peer.flow = &line->flow;
}

/**
 * tftpk_turn_leave() - a transfer ends
 * @t: transfer, locked
 */
void tftpk_turn_leave(struct tftpk_transfer *t)
{
	struct tftpk_line *line;

	lockdep_assert_held(&t->lock);

	if (!t->peer.flow)
		return;
	line = tftpk_line_of(t);
	spin_lock(&line->lock);
	list_del_init(&t->peer.waiting);
	tftpk_macroflow_leave(&line->flow);
	spin_unlock(&line->lock);
	t->peer.flow = NULL;
}

/**
 * tftpk_turn_take() - take a turn, or wait for it
 * @t: transfer, locked
 * @n: blocks that are to be sent; takes how many of them may be sent now
 * @now_ns: the time
 *
 * Return: whether they may be. If not, @send of tftpk_turn_init() is called when they may.
 */
bool tftpk_turn_take(struct tftpk_transfer *t, u32 *n, u64 now_ns)
{
	struct tftpk_line *line = tftpk_line_of(t);
	bool first;
	u64 wait;

	lockdep_assert_held(&t->lock);

	spin_lock(&line->lock);
	if (t->peer.turn) {
		wait = !list_empty(&t->peer.waiting);
		*n = min_t(u32, *n, t->peer.turn);
		goto out;
	}
	wait = tftpk_macroflow_charge(&line->flow, tftpk_output_bytes(t), n,
				      &t->peer.turn_at, now_ns);
	if (wait) {
		t->peer.turn = *n;
		first = list_empty(&line->waiting);
		list_add_tail(&t->peer.waiting, &line->waiting);
		if (first)
			tftpk_line_start(line, wait);
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_TURNS_AWAITED);
	}
out:
	spin_unlock(&line->lock);
	if (!wait)
		t->peer.turn = 0;
	return !wait;
}

/**
 * tftpk_turn_note_ack() - a transfer's client acknowledged blocks
 * @t: transfer, locked
 * @n: how many
 * @us: round trip that this measured, or 0
 * @now_ns: the time
 */
void tftpk_turn_note_ack(struct tftpk_transfer *t, u32 n, u32 us, u64 now_ns)
{
	struct tftpk_line *line = tftpk_line_of(t);

	lockdep_assert_held(&t->lock);

	spin_lock(&line->lock);
	tftpk_macroflow_note_ack(&line->flow, n, tftpk_output_bytes(t), us,
				 now_ns);
	spin_unlock(&line->lock);
}

/**
 * tftpk_turn_note_loss() - a transfer's client lacks a block
 * @t: transfer, locked
 * @now_ns: the time
 */
void tftpk_turn_note_loss(struct tftpk_transfer *t, u64 now_ns)
{
	const struct tftpk_key *key = &t->peer.request.key;
	struct tftpk_line *line;

	lockdep_assert_held(&t->lock);

	if (!t->peer.flow)
		return;
	line = tftpk_line_of(t);
	spin_lock(&line->lock);
	tftpk_macroflow_note_loss(&line->flow,
				  jhash2((const u32 *)&key->client, 4,
					 t->tn->lines->seed), now_ns);
	spin_unlock(&line->lock);
}
