/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of an upload: rwindow.c as recv.c drives it, the network of window-model.h,
 * and a client that sends as RFC 7440 has it: from the block behind an ACK on a whole
 * window, and that again when nothing comes.
 *
 * Header only, as window-model.h.
 */
#ifndef _TFTPK_RWINDOW_MODEL_H
#define _TFTPK_RWINDOW_MODEL_H

#include "rwindow.h"
#include "window-model.h"

/**
 * struct upload_case - a file, a network and a client
 * @net: the same as for a download; @retry_us is the client's timeout, @reack_* and
 *	@later_us mean nothing, @limit is of DATA as well
 * @unknown: the client did not say how its numbers roll over
 * @repeats: it sends its window again for an ACK that repeats
 * @spacing_us: from a block to the next one
 * @pause_us: before each window
 * @store_us: from the final block to its ACK
 * @slower: the most time that it may take, of 1000 of what it takes without faults; 0
 *	for any
 */
struct upload_case {
	struct model_case net;
	bool unknown;
	bool repeats;
	u32 spacing_us;
	u32 pause_us;
	u32 store_us;
	u32 slower;
};

/* Of @net, queue, time, figures and @rtt are used, and @received, @last and @client_ns. */
struct upload {
	const struct upload_case *c;

	/* server */
	struct tftpk_rwindow window;
	u64 timer_ns;		/* when it acknowledges */

	/* client */
	u64 base;		/* last block that was acknowledged */
	u64 busy_ns;		/* it sends until then, and does not listen */
	u64 resends;		/* for want of an ACK */
	bool done;

	struct model net;
};

/* ---- the server ---- */

static inline void upload_await(struct upload *u)
{
	u32 us = tftpk_rwindow_wait(&u->window, &u->net.rtt, u->net.now_ns);

	u->timer_ns = us ? u->net.now_ns + us * (u64)NSEC_PER_USEC : U64_MAX;
}

static inline void upload_ack(struct upload *u)
{
	struct tftpk_rwindow *w = &u->window;

	tftpk_rwindow_note_acked(w, u->net.now_ns);
	if (tftpk_rwindow_wire(w, w->taken) != model_wire(&u->c->net, w->taken))
		model_fail(&u->net, "an ACK has a wrong number");
	u->net.acks_sent++;
	model_transmit(&u->net, true, w->taken);
	upload_await(u);
}

static inline void upload_take(struct upload *u, u64 block, bool final)
{
	struct tftpk_rwindow *w = &u->window;

	if (block != w->taken + 1) {
		model_fail(&u->net, "one block was taken for another");
		return;
	}
	tftpk_rwindow_take(w, &u->net.rtt, model_wire(&u->c->net, block), final,
			   u->net.now_ns);
	u->net.received = block;
	if (w->taken != block || w->last != (final ? block : 0))
		model_fail(&u->net, "what was taken is not noted");
	upload_await(u);
}

static inline void upload_data(struct upload *u, u64 block)
{
	struct tftpk_rwindow *w = &u->window;
	u16 wire = model_wire(&u->c->net, block);
	bool final = block == u->net.last;
	enum tftpk_data data = tftpk_rwindow_look(w, &u->net.rtt, wire, final,
						  u->net.now_ns);

	switch (data) {
	case TFTPK_DATA_STALE:
		tftpk_rwindow_note_stale(w, &u->net.rtt, u->net.now_ns);
		break;
	case TFTPK_DATA_GAP:
		/* Unless it cannot be known yet how numbers roll over */
		if (block <= w->taken + w->rollover_known)
			model_fail(&u->net, "a gap where none is");
		tftpk_rwindow_note_gap(w, wire, u->net.now_ns);
		upload_ack(u);
		break;
	case TFTPK_DATA_REPEATED:
		if (block != w->taken && (w->size == 1 || w->last))
			model_fail(&u->net, "an old block was acknowledged again");
		tftpk_rwindow_note_stale(w, &u->net.rtt, u->net.now_ns);
		upload_ack(u);
		break;
	case TFTPK_DATA_TAKEN:
		upload_take(u, block, final);
		break;
	case TFTPK_DATA_WINDOW:
		upload_take(u, block, final);
		upload_ack(u);
		break;
	case TFTPK_DATA_LAST:
		if (!final)
			model_fail(&u->net, "the file ends too early");
		upload_take(u, block, final);
		if (u->timer_ns != U64_MAX)
			model_fail(&u->net, "the server waits for more");
		u->timer_ns = u->net.now_ns +
			      u->c->store_us * (u64)NSEC_PER_USEC;
		break;
	}
	if (w->taken - w->acked > w->size)
		model_fail(&u->net, "more than a window was taken");
}

static inline void upload_timer(struct upload *u)
{
	if (u->window.last) {
		upload_ack(u);
	} else if (tftpk_rwindow_timeout(&u->window, &u->net.rtt,
					 u->net.now_ns)) {
		u->net.timeouts++;
		upload_ack(u);
	} else {
		upload_await(u);
	}
}

/* ---- the client ---- */

static inline void upload_send(struct upload *u, u64 pause_us)
{
	u64 end = min(u->base + u->c->net.windowsize, u->net.last), block;
	u64 now_ns = u->net.now_ns;

	u->net.now_ns += pause_us * NSEC_PER_USEC;
	for (block = u->base + 1; block <= end; block++) {
		u->net.data_sent++;
		model_transmit(&u->net, false, block);
		u->net.now_ns += u->c->spacing_us * (u64)NSEC_PER_USEC;
	}
	u->busy_ns = u->net.now_ns;
	u->net.client_ns = u->busy_ns + u->c->net.retry_us * (u64)NSEC_PER_USEC;
	u->net.now_ns = now_ns;
}

static inline void upload_client_ack(struct upload *u, u64 block)
{
	if (block > u->net.received)
		model_fail(&u->net, "what was not received was acknowledged");
	if (block < u->base || (block == u->base && !u->c->repeats))
		return;
	if (block == u->net.last) {
		u->done = true;
		return;
	}
	if (block > u->base) {
		u->base = block;
		upload_send(u, u->c->pause_us);
	} else {
		upload_send(u, 0);
	}
}

/* ---- all of it ---- */

static inline void upload_step(struct upload *u)
{
	struct model *m = &u->net;
	u64 packet_ns = m->queued ? m->queue[0].arrives_ns : U64_MAX;

	if (packet_ns <= min(u->timer_ns, m->client_ns)) {
		struct model_packet packet = model_dequeue(m);

		m->now_ns = packet.arrives_ns;
		if (!packet.ack) {
			upload_data(u, packet.block);
		} else if (m->now_ns < u->busy_ns) {
			/* Its socket keeps it. */
			m->events--;
			packet.arrives_ns = u->busy_ns;
			model_enqueue(m, &packet);
		} else {
			upload_client_ack(u, packet.block);
		}
	} else if (u->timer_ns <= m->client_ns) {
		m->now_ns = u->timer_ns;
		upload_timer(u);
	} else {
		m->now_ns = m->client_ns;
		u->resends++;
		upload_send(u, 0);
	}
}

static inline u64 upload_windows(const struct upload_case *c)
{
	return div_u64(c->net.blocks - 1, c->net.windowsize) + 1;
}

/* How long an upload takes without faults, in microseconds, and how long it took. */
static inline u64 upload_ideal_us(const struct upload_case *c)
{
	u64 windows = upload_windows(c);

	return windows * (2 * c->net.delay_us + c->pause_us) +
	       (c->net.blocks - windows) * c->spacing_us + c->store_us;
}

static inline u64 upload_us(const struct upload *u)
{
	return div_u64(u->net.now_ns - NSEC_PER_SEC, NSEC_PER_USEC);
}

/* Does nothing more than copies disturb it, so that no side has to send anything twice? */
static inline bool upload_is_calm(const struct upload_case *c)
{
	u32 window_us = c->net.windowsize * c->spacing_us;

	return !c->net.loss && !c->net.jitter && !c->pause_us && !c->store_us &&
	       !c->unknown &&
	       c->net.retry_us > 2 * (2 * c->net.delay_us + window_us);
}

/**
 * upload_run() - an upload from its first block to the last ACK
 * @u: model; its figures are what came of it
 * @c: what to model
 * @random: source of random numbers
 * @state: what it works on
 *
 * Return: NULL, or what went wrong.
 */
static inline const char *upload_run(struct upload *u,
				     const struct upload_case *c,
				     u32 (*random)(void *state), void *state)
{
	struct model *m = &u->net;
	u64 limit = (u64)c->net.limit * c->net.blocks;

	memset(u, 0, offsetof(struct upload, net.queue));
	u->c = c;
	m->c = &c->net;
	m->random = random;
	m->random_state = state;
	m->now_ns = NSEC_PER_SEC;
	m->last = c->net.first + c->net.blocks - 1;
	m->received = c->net.first - 1;

	tftpk_rwindow_init(&u->window, c->net.windowsize, c->net.rollover,
			   !c->unknown || c->net.first > 65536,
			   m->now_ns - 2 * c->net.delay_us * (u64)NSEC_PER_USEC);
	u->window.taken = m->received;
	u->window.acked = m->received;
	u->base = m->received;
	upload_await(u);
	upload_send(u, 0);

	while (!m->failure && !u->done) {
		if (++m->events > MODEL_EVENTS)
			model_fail(m, "it does not end");
		upload_step(u);
	}
	if (m->received != m->last)
		model_fail(m, "the server lacks something");
	if (limit && m->data_sent * 1000 > limit)
		model_fail(m, "too many packets were sent");
	if (c->slower && upload_us(u) * 1000 > c->slower * upload_ideal_us(c))
		model_fail(m, "it took too long");
	/* For each block one, one for a gap behind it, and one for its copy; others are for
	 * silence. A client that repeats at each ACK can make more, if the network delays
	 * copies.
	 */
	if (!(c->repeats && c->net.jitter) &&
	    m->acks_sent > 3 * (u64)c->net.blocks + m->timeouts + u->resends)
		model_fail(m, "too many ACKs were sent");
	if (upload_is_calm(c) && m->acks_sent > upload_windows(c))
		model_fail(m, "an ACK was sent twice");
	if (upload_is_calm(c) && m->data_sent > 2 * (u64)c->net.blocks)
		model_fail(m, "copies made more of themselves");
	return m->failure;
}

#endif /* _TFTPK_RWINDOW_MODEL_H */
