/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A model of a transfer: window.c and ahead.c as send.c drives them, a network that
 * loses, repeats and delays, and a receiver as RFC 7440 describes it. Time is
 * simulated, so a whole transfer takes as long as its arithmetic.
 *
 * Packets carry the number of their block in full besides the 16 bits that
 * the two sides may look at. So the model knows when these deceive a receiver.
 *
 * Header only, for the unit tests and for the fuzzer in userspace.
 */
#ifndef _TFTPK_WINDOW_MODEL_H
#define _TFTPK_WINDOW_MODEL_H

#include "ahead.h"

#define MODEL_QUEUE	8192		/* packets on their way */
#define MODEL_BURST	64		/* as TFTPK_BURST_MAX */
#define MODEL_EVENTS	100000		/* a transfer that takes more hangs */

struct model;

/**
 * struct model_case - a file, a network and a client
 * @desc: for people
 * @first: block that comes first, for transfers near the end of the numbers
 * @blocks: how many, the final one included
 * @windowsize: blocks that may be in flight
 * @rollover: number that follows upon 65535
 * @delay_us: one way
 * @later_us: that, once 20 blocks have arrived; 0 for no other
 * @jitter_us: up to that much more, which reorders
 * @jitter: share of packets with jitter, of 1000
 * @loss: share of packets that are lost, each way, of 1000
 * @copies: share of packets that arrive twice, each way, of 1000
 * @retry_us: when the client repeats its ACK; 0 for never
 * @reack_old: it acknowledges again what it has already
 * @reack_last: it acknowledges again the last of what it has already
 * @reack_all: it reports a gap for each packet behind that, not just once
 * @ahead: most blocks beyond the ACK, for a window of one block
 * @keeps: the client keeps blocks beyond a gap
 * @silent: it does not report gaps
 * @limit: DATA packets that may be sent, of 1000 per block; 0 for any number
 * @other: another network and client, NULL for those here
 */
struct model_case {
	const char *desc;
	u64 first;
	u32 blocks;
	u16 windowsize;
	u8 rollover;
	u32 delay_us;
	u32 later_us;
	u32 jitter_us;
	u16 jitter;
	u16 loss;
	u16 copies;
	u32 retry_us;
	bool reack_old;
	bool reack_last;
	bool reack_all;
	u8 ahead;
	bool keeps;
	bool silent;
	u32 limit;
	const struct model_other *other;
};

struct model_packet {
	u64 arrives_ns;
	u64 order;
	u64 block;
	bool ack;
};

/**
 * struct model_other - a network and a client that are modelled elsewhere
 * @arrival: when what is sent now arrives; U64_MAX for never
 * @data: a DATA packet arrived
 * @timer: the client's timer expired
 */
struct model_other {
	u64 (*arrival)(struct model *m, bool ack, u64 block);
	void (*data)(struct model *m, const struct model_packet *packet);
	void (*timer)(struct model *m);
};

struct model {
	const struct model_case *c;
	u32 (*random)(void *state);
	void *random_state;
	u64 now_ns;
	u64 order;
	u32 queued;

	/* server */
	struct tftpk_window window;
	struct tftpk_rtt rtt;
	u64 server_ns;		/* when its timer fires */
	bool server_done;

	/* client */
	u64 received;		/* all up to this block */
	u64 last;
	u64 kept;		/* bit n: block @received + 1 + n */
	u64 client_ns;
	u32 since_ack;
	bool gap_told;

	/* figures */
	u64 data_sent;
	u64 acks_sent;
	u64 probes;
	u64 timeouts;
	u64 events;
	const char *failure;

	struct model_packet queue[MODEL_QUEUE];	/* a heap */
};

static inline void model_fail(struct model *m, const char *why)
{
	if (!m->failure)
		m->failure = why;
}

/* As in the RFCs and tftp-hpa, written another way than window.c has it. */
static inline u16 model_wire(const struct model_case *c, u64 block)
{
	while (block > 65535)
		block = block - 65536 + c->rollover;
	return block;
}

static inline bool model_chance(struct model *m, u16 share)
{
	return share && m->random(m->random_state) % 1000 < share;
}

static inline bool model_before(const struct model_packet *a,
				const struct model_packet *b)
{
	return a->arrives_ns < b->arrives_ns ||
	       (a->arrives_ns == b->arrives_ns && a->order < b->order);
}

static inline void model_enqueue(struct model *m,
				 const struct model_packet *packet)
{
	u32 i, up;

	/* As in any network. */
	if (m->queued == MODEL_QUEUE)
		return;
	for (i = m->queued++; i; i = up) {
		up = (i - 1) / 2;
		if (!model_before(packet, &m->queue[up]))
			break;
		m->queue[i] = m->queue[up];
	}
	m->queue[i] = *packet;
}

static inline struct model_packet model_dequeue(struct model *m)
{
	struct model_packet first = m->queue[0], *last;
	u32 i, k;

	last = &m->queue[--m->queued];
	for (i = 0; (k = 2 * i + 1) < m->queued; i = k) {
		if (k + 1 < m->queued &&
		    model_before(&m->queue[k + 1], &m->queue[k]))
			k++;
		if (!model_before(&m->queue[k], last))
			break;
		m->queue[i] = m->queue[k];
	}
	m->queue[i] = *last;
	return first;
}

/* The network: none, one or two of what was sent arrive, later. */
static inline void model_transmit(struct model *m, bool ack, u64 block)
{
	int n = model_chance(m, m->c->loss) ? 0 :
		model_chance(m, m->c->copies) ? 2 : 1;
	u64 delay_us = m->c->later_us && m->received >= m->c->first + 20 ?
		       m->c->later_us : m->c->delay_us;

	if (m->c->other) {
		struct model_packet packet = {
			.arrives_ns = m->c->other->arrival(m, ack, block),
			.order = m->order++,
			.block = block,
			.ack = ack,
		};

		if (packet.arrives_ns != U64_MAX)
			model_enqueue(m, &packet);
		return;
	}
	while (n--) {
		struct model_packet packet = {
			.arrives_ns = m->now_ns + delay_us * NSEC_PER_USEC,
			.order = m->order++,
			.block = block,
			.ack = ack,
		};

		if (model_chance(m, m->c->jitter))
			packet.arrives_ns += m->random(m->random_state) %
				(m->c->jitter_us + 1) * (u64)NSEC_PER_USEC;
		model_enqueue(m, &packet);
	}
}

/* ---- the server, as send.c has it ---- */

/* What may be in flight. */
static inline u32 model_window(const struct model *m)
{
	return m->c->windowsize + m->c->ahead;
}

static inline void model_send(struct model *m, u64 block)
{
	const struct tftpk_window *w = &m->window;

	if (block <= w->acked || block > w->acked + model_window(m) ||
	    block > w->last)
		model_fail(m, "a block outside the window was sent");
	if (m->c->ahead && block > w->acked + 1 &&
	    model_wire(m->c, block) < model_wire(m->c, w->acked + 1))
		model_fail(m, "a block beyond the end of the numbers was sent ahead");
	m->data_sent++;
	model_transmit(m, false, block);
}

static inline void model_await(struct model *m)
{
	m->server_ns = m->now_ns + tftpk_window_wait(&m->window, &m->rtt, 0) *
				   (u64)NSEC_PER_USEC;
}

static inline void model_push(struct model *m)
{
	struct tftpk_window *w = &m->window;
	u32 room, n, i;

	while ((room = tftpk_window_room(w))) {
		if (room > model_window(m)) {
			model_fail(m, "more room than a window");
			return;
		}
		n = min_t(u32, room, MODEL_BURST);
		for (i = 0; i < n; i++)
			model_send(m, w->next + i);
		tftpk_window_note_sent(w, n, m->now_ns);
	}
	if (tftpk_window_inflight(w) > model_window(m))
		model_fail(m, "more in flight than a window");
	model_await(m);
}

/* The first block that is not acknowledged is sent again. */
static inline void model_resend(struct model *m)
{
	model_send(m, m->window.acked + 1);
	model_await(m);
}

static inline void model_ack(struct model *m, u64 block)
{
	struct tftpk_window *w = &m->window;
	u64 acked = w->acked;
	enum tftpk_ack ack;

	if (m->server_done)
		return;
	ack = tftpk_ahead_ack(w, &m->rtt, model_wire(m->c, block), m->now_ns);
	if (w->acked > m->received)
		model_fail(m, "what was not received counts as acknowledged");
	if (w->acked < acked)
		model_fail(m, "an ACK was taken back");
	if (w->next <= w->acked || w->next > w->high)
		model_fail(m, "the next block is out of place");

	switch (ack) {
	case TFTPK_ACK_DONE:
		if (w->acked != w->last)
			model_fail(m, "done too early");
		m->server_done = true;
		break;
	case TFTPK_ACK_PROGRESS:
	case TFTPK_ACK_GAP:
		model_push(m);
		break;
	case TFTPK_ACK_RESEND:
		tftpk_ahead_resend(w, m->now_ns);
		model_resend(m);
		model_push(m);
		break;
	case TFTPK_ACK_DISORDER:
		model_await(m);
		fallthrough;
	case TFTPK_ACK_STALE:
		if (w->acked != acked)
			model_fail(m, "a stale ACK acknowledged something");
		break;
	}
}

static inline void model_server_timer(struct model *m)
{
	struct tftpk_window *w = &m->window;

	switch (tftpk_ahead_recovery(w, &m->rtt, true)) {
	case TFTPK_RECOVERY_PROBE:
		m->probes++;
		tftpk_window_probe(w, &m->rtt, true, m->now_ns);
		model_send(m, w->next - 1);
		model_await(m);
		return;
	case TFTPK_RECOVERY_RESEND:
		m->probes++;
		tftpk_ahead_probe(w, m->now_ns);
		model_resend(m);
		return;
	case TFTPK_RECOVERY_UNSENT:
		model_fail(m, "a window was not sent");
		return;
	case TFTPK_RECOVERY_GO_BACK:
		tftpk_window_go_back(w);
		break;
	case TFTPK_RECOVERY_TIMEOUT:
		m->timeouts++;
		tftpk_ahead_timeout(w, &m->rtt);
		break;
	}
	model_push(m);
}

/* ---- the client, as RFC 7440 has it ---- */

static inline void model_client_ack(struct model *m)
{
	m->acks_sent++;
	m->since_ack = 0;
	model_transmit(m, true, m->received);
}

static inline void model_client_wait(struct model *m)
{
	m->client_ns = m->c->retry_us ? m->now_ns +
		       m->c->retry_us * (u64)NSEC_PER_USEC : U64_MAX;
}

static inline void model_data(struct model *m, u64 block)
{
	u16 wire = model_wire(m->c, block);
	u16 behind;

	if (m->received < m->last &&
	    wire == model_wire(m->c, m->received + 1)) {
		if (block != m->received + 1) {
			model_fail(m, "the client takes one block for another");
			return;
		}
		do {
			m->received++;
			m->kept >>= 1;
		} while (m->kept & 1);
		m->gap_told = false;
		model_client_wait(m);
		if (++m->since_ack == m->c->windowsize ||
		    m->received == m->last)
			model_client_ack(m);
		return;
	}

	if (m->c->keeps && block > m->received && block < m->received + 64)
		m->kept |= 1ULL << (block - m->received - 1);
	behind = model_wire(m->c, m->received) - wire;
	if (behind < 32768) {
		/* It has that. Whoever has all says so again. */
		if (m->c->reack_old || m->received == m->last ||
		    (m->c->reack_last && !behind))
			model_client_ack(m);
	} else if (m->c->reack_all || (!m->gap_told && !m->c->silent)) {
		m->gap_told = true;
		model_client_ack(m);
		model_client_wait(m);
	}
}

static inline void model_client_timer(struct model *m)
{
	m->gap_told = false;
	model_client_wait(m);
	if (m->received < m->last)
		model_client_ack(m);
	else
		m->client_ns = U64_MAX;
}

/* ---- all of it ---- */

static inline void model_step(struct model *m)
{
	u64 packet_ns = m->queued ? m->queue[0].arrives_ns : U64_MAX;
	u64 server_ns = m->server_done ? U64_MAX : m->server_ns;
	u64 timer_ns = min(server_ns, m->client_ns);

	if (packet_ns <= timer_ns) {
		struct model_packet packet = model_dequeue(m);

		m->now_ns = packet.arrives_ns;
		if (packet.ack)
			model_ack(m, packet.block);
		else if (m->c->other)
			m->c->other->data(m, &packet);
		else
			model_data(m, packet.block);
	} else if (server_ns <= m->client_ns) {
		m->now_ns = server_ns;
		model_server_timer(m);
	} else {
		m->now_ns = m->client_ns;
		if (m->c->other)
			m->c->other->timer(m);
		else
			model_client_timer(m);
	}
}

/**
 * model_run() - a transfer from its first block to the last ACK
 * @m: model; its figures are what came of it
 * @c: what to model
 * @random: source of random numbers
 * @state: what it works on
 *
 * Return: NULL, or what went wrong.
 */
static inline const char *model_run(struct model *m, const struct model_case *c,
				    u32 (*random)(void *state), void *state)
{
	u64 limit;

	memset(m, 0, offsetof(struct model, queue));
	m->c = c;
	m->random = random;
	m->random_state = state;
	/* Time does not begin at zero anywhere. */
	m->now_ns = NSEC_PER_SEC;

	tftpk_window_init(&m->window, 8 * (c->first + c->blocks - 2ULL), 8,
			  c->windowsize, c->rollover);
	m->last = c->first + c->blocks - 1;
	if (m->window.last != m->last)
		model_fail(m, "wrong number of blocks");
	m->received = c->first - 1;
	m->window.acked = c->first - 1;
	m->window.next = c->first;
	m->window.high = c->first;
	m->window.ahead = c->ahead;
	/* A window was negotiated, and the OACK's round trip measured. */
	if (c->windowsize > 1)
		tftpk_rtt_sample(&m->rtt, 2 * c->delay_us);
	model_client_wait(m);
	model_push(m);

	while (!m->failure && !m->server_done) {
		if (++m->events > MODEL_EVENTS)
			model_fail(m, "it does not end");
		model_step(m);
	}
	if (m->received != m->last)
		model_fail(m, "the client lacks something");
	limit = (u64)c->limit * c->blocks;
	if (limit && m->data_sent * 1000 > limit)
		model_fail(m, "too many packets were sent");
	if (!c->loss && !c->jitter && !c->later_us &&
	    m->data_sent > 2 * (u64)c->blocks + model_window(m))
		model_fail(m, "copies made more of themselves");
	return m->failure;
}

#endif /* _TFTPK_WINDOW_MODEL_H */
