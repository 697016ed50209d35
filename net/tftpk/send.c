// SPDX-License-Identifier: GPL-2.0
/*
 * The sending machine: ACKs and the timer, the bursts that they cause, and the
 * work that keeps the page ring filled.
 *
 * ACKs are answered where they arrive, in softirq, from the pages in the ring.
 * The work only refills it. If the ring lacks any page of the window, the work
 * will send all of it.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/sched.h>

#include "ahead.h"
#include "macroflow.h"
#include "resolve.h"
#include "transfer.h"
#include "trace.h"

/* Smallest refill, but at the end of the file; a smaller gap waits. */
#define TFTPK_REFILL_MIN	(16 * PAGE_SIZE)

/* Wait for the client. A client whose packets may be forged from anywhere does not
 * say how often to repeat.
 */
static void tftpk_send_await(struct tftpk_transfer *t)
{
	u32 utimeout = t->peer.near ? t->utimeout : 0;

	/* The timer is for that. */
	if (t->peer.turn)
		return;
	tftpk_transfer_arm(t, tftpk_window_wait(&t->window, &t->peer.rtt,
						utimeout));
}

/* The last block that the ring holds completely. */
static u64 tftpk_send_ready(const struct tftpk_transfer *t)
{
	if (t->source.ring.filled == t->source.size)
		return t->window.last;
	/* A block of text is made of at most as many bytes. */
	if (t->netascii)
		return t->window.acked +
		       (t->source.ring.filled - t->text[0].pos >= t->blksize);
	return div_u64(t->source.ring.filled, t->blksize);
}

/**
 * tftpk_send_goal() - how far the ring should be filled
 * @t: transfer, locked or not sending yet
 *
 * Return: position in the file: the window and some more, or one block before
 * the client has acknowledged anything.
 */
u64 tftpk_send_goal(const struct tftpk_transfer *t)
{
	u64 acked = tftpk_transfer_acked_bytes(t);
	u64 goal, room;

	if (t->phase != TFTPK_PHASE_SENDING)
		return min_t(u64, PAGE_ALIGN((u32)t->blksize), t->source.size);

	goal = acked + (u32)t->window.limit * t->blksize;
	if (!t->source.wanted)
		goal += t->source.ahead;
	room = (t->source.ring.tail + t->source.ring.mask + 1) << PAGE_SHIFT;
	goal = min(PAGE_ALIGN(goal), room);
	return min(goal, t->source.size);
}

/* Is a refill worth it, or does the end of the file fit now? */
static bool tftpk_send_low(const struct tftpk_transfer *t)
{
	u64 goal = tftpk_send_goal(t);

	return goal >= t->source.ring.filled + TFTPK_REFILL_MIN ||
	       (goal == t->source.size && goal > t->source.ring.filled);
}

/* End the transfer if its file has changed: the ring has its pages as they are
 * now. Returns whether it goes on.
 */
static bool tftpk_send_check_file(struct tftpk_transfer *t,
				  struct tftpk_out *out)
{
	if (likely(!READ_ONCE(t->tn->settings.detect_changes) ||
		   !tftpk_file_changed(&t->source)))
		return true;
	tftpk_transfer_end_unreadable(t, -ESTALE, out);
	return false;
}

/* Is there no more to ask for than the window? */
static bool tftpk_send_is_free(const struct tftpk_transfer *t)
{
	return !t->peer.bounded && !t->peer.paced &&
	       (!t->peer.flow || !READ_ONCE(t->peer.flow->rate)) &&
	       !t->peer.turn;
}

/* Charge blocks to the rates that bound them, if any do; @n takes how many may be sent now.
 * Returns false where they have to wait, and the timer asks again. While nothing is out
 * that the client could answer, its silence does not count.
 */
static bool tftpk_send_charge(struct tftpk_transfer *t, u32 *n, u64 now_ns)
{
	return likely(tftpk_send_is_free(t)) ||
	       tftpk_charge_blocks(t, n, now_ns);
}

/* Send so many blocks. Returns false where that failed. */
static bool tftpk_send_burst(struct tftpk_transfer *t, u32 n, u64 now_ns,
			     struct tftpk_out *out)
{
	struct tftpk_window *w = &t->window;
	u64 first = w->next;
	u32 again, sent = tftpk_output_blocks(t, first, n, out);

	again = tftpk_window_note_sent(w, sent, now_ns);
	trace_tftpk_send(t, first, sent, again);
	if (again) {
		t->retransmitted += again;
		tftpk_stats_add(t->tn, TFTPK_A_STATS_BLOCKS_RETRANSMITTED,
				again);
	}
	if (sent == n)
		return true;
	/* The timer tries again. */
	tftpk_stats_inc(t->tn, TFTPK_A_STATS_SEND_ERRORS);
	t->awaits_refill = false;
	return false;
}

/* Send what the window allows, if the ring holds all of it. If not, the work
 * fills the ring and sends: a client answers the end of a window, so half of
 * one gains nothing, and two CPUs sending one window could reorder it.
 */
static void tftpk_send_push(struct tftpk_transfer *t, u64 now_ns,
			    struct tftpk_out *out)
{
	struct tftpk_window *w = &t->window;
	u64 ready, first = w->next;
	u32 room, n, part;
	bool await = true;

	lockdep_assert_held(&t->lock);

	if (!tftpk_send_check_file(t, out))
		return;

	room = tftpk_window_room(w);
	ready = tftpk_send_ready(t);
	n = ready < first ? 0 : min_t(u64, room, ready + 1 - first);
	t->awaits_refill = n < room || room > TFTPK_BURST_MAX;
	n = n < room ? 0 : min_t(u32, room, TFTPK_BURST_MAX);

	for (; n; n -= part) {
		part = n;
		await = tftpk_send_charge(t, &part, now_ns);
		if (!await || !tftpk_send_burst(t, part, now_ns, out))
			break;
	}
	if (await)
		tftpk_send_await(t);

	/* Work that is filling the ring looks again before it goes, and work
	 * that was asked for need not be asked twice.
	 */
	if (!t->filling &&
	    (t->awaits_refill || t->peer.tell || tftpk_send_low(t))) {
		t->filling = true;
		tftpk_transfer_queue(t);
	}
}

/**
 * tftpk_send_answer() - send the OACK or, without one, the first block
 * @t: transfer, locked and negotiating
 * @out: takes the packet
 */
void tftpk_send_answer(struct tftpk_transfer *t, struct tftpk_out *out)
{
	u8 buf[TFTPK_OACK_MAX];

	lockdep_assert_held(&t->lock);

	t->window.flight_ns = ktime_get_ns();
	if (t->phase == TFTPK_PHASE_FIRST) {
		tftpk_send_push(t, t->window.flight_ns, out);
		t->peer.tries += !t->peer.held;
		return;
	}
	t->peer.tries++;
	if (tftpk_output_packet(t->tn->net, &t->peer, buf,
				tftpk_put_oack(buf, &t->options), out))
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_SEND_ERRORS);
	tftpk_send_await(t);
}

/* Send a block once more, as the window has noted; by the timer if @probe. */
static void tftpk_send_copy(struct tftpk_transfer *t, u64 block, bool probe,
			    struct tftpk_out *out)
{
	if (tftpk_output_blocks(t, block, 1, out)) {
		t->retransmitted++;
		if (probe)
			tftpk_stats_inc(t->tn, TFTPK_A_STATS_PROBES);
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_BLOCKS_RETRANSMITTED);
	}
	tftpk_send_await(t);
}

/* Resend the flight's last block: if only that was lost, the client has all
 * now; if more was, its ACK tells. For an unvalidated client this is the only
 * retransmission, and it is limited.
 */
static void tftpk_send_probe(struct tftpk_transfer *t, struct tftpk_out *out)
{
	bool validated = tftpk_transfer_validated(t);
	u64 now_ns = ktime_get_ns();
	u32 n = 1;

	if (!tftpk_send_check_file(t, out) || !tftpk_send_charge(t, &n, now_ns))
		return;
	trace_tftpk_retransmit(t, true);
	tftpk_turn_note_loss(t, now_ns);
	t->peer.tries += !validated;
	tftpk_window_probe(&t->window, &t->peer.rtt, validated, now_ns);
	tftpk_send_copy(t, t->window.next - 1, true, out);
}

/* Of blocks ahead, send the first one again: others may be beyond it. */
static void tftpk_send_gap(struct tftpk_transfer *t, bool probe, u64 now_ns,
			   struct tftpk_out *out)
{
	u32 n = 1;

	if (!tftpk_send_check_file(t, out) || !tftpk_send_charge(t, &n, now_ns))
		return;
	trace_tftpk_retransmit(t, probe);
	tftpk_turn_note_loss(t, now_ns);
	if (probe)
		tftpk_ahead_probe(&t->window, now_ns);
	else
		tftpk_ahead_resend(&t->window, now_ns);
	tftpk_send_copy(t, t->window.acked + 1, probe, out);
}

/* How long a client may be silent, in jiffies. */
static unsigned long tftpk_send_silence_limit(const struct tftpk_transfer *t)
{
	unsigned long give_up = READ_ONCE(t->tn->settings.give_up) *
				(unsigned long)HZ;

	if (tftpk_transfer_validated(t))
		return give_up;
	return min(give_up, msecs_to_jiffies(t->phase == TFTPK_PHASE_SENDING ?
					     TFTPK_UNVALIDATED_OACK_MS :
					     TFTPK_UNVALIDATED_MS));
}

/* Send again: what the window calls for, or the answer to the request. */
static void tftpk_send_recover(struct tftpk_transfer *t, struct tftpk_out *out)
{
	struct tftpk_window *w = &t->window;
	enum tftpk_recovery what = TFTPK_RECOVERY_TIMEOUT;
	u64 now_ns = ktime_get_ns();

	if (t->phase == TFTPK_PHASE_SENDING)
		what = tftpk_ahead_recovery(w, &t->peer.rtt,
					    tftpk_transfer_validated(t));
	switch (what) {
	case TFTPK_RECOVERY_PROBE:
		tftpk_send_probe(t, out);
		return;
	case TFTPK_RECOVERY_RESEND:
		tftpk_send_gap(t, true, now_ns, out);
		return;
	case TFTPK_RECOVERY_UNSENT:
		/* A burst was cut short for want of memory or a route. */
		break;
	case TFTPK_RECOVERY_GO_BACK:
		tftpk_turn_note_loss(t, now_ns);
		trace_tftpk_retransmit(t, false);
		tftpk_window_go_back(w);
		break;
	case TFTPK_RECOVERY_TIMEOUT:
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_TIMEOUTS);
		tftpk_turn_note_loss(t, now_ns);
		trace_tftpk_retransmit(t, false);
		tftpk_ahead_timeout(w, &t->peer.rtt);
		break;
	}
	if (t->phase == TFTPK_PHASE_SENDING)
		tftpk_send_push(t, now_ns, out);
	else
		tftpk_send_answer(t, out);
}

static void tftpk_send_handle_deadline(struct tftpk_transfer *t,
				       struct tftpk_out *out)
{
	struct tftpk_window *w = &t->window;

	if (t->phase == TFTPK_PHASE_OPENING) {
		if (tftpk_resolve_expire(t)) {
			tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
			return;
		}
		/* Storage may take its time, but not for ever. */
		if (time_after_eq(jiffies, t->progress +
				  READ_ONCE(t->tn->settings.give_up) *
				  (unsigned long)HZ))
			tftpk_transfer_timed_out(t, out);
		else
			tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
		return;
	}
	/* Do not count the timer's own lateness (a stopped VM, a busy CPU) as
	 * the client's silence. The intended wait counts.
	 */
	t->progress += jiffies - t->deadline;
	if (time_after_eq(jiffies, t->progress + tftpk_send_silence_limit(t))) {
		tftpk_transfer_note_minding(t);
		if (t->awaits_refill && !tftpk_window_inflight(w))
			/* It is not the client who is silent. */
			tftpk_transfer_timed_out(t, out);
		else
			tftpk_transfer_end(t, tftpk_transfer_all_sent(t) ?
					   TFTPK_OUTCOME_COMPLETED :
					   TFTPK_OUTCOME_TIMED_OUT);
		return;
	}

	if ((t->peer.held || t->peer.turn) && tftpk_window_room(w)) {
		tftpk_send_push(t, ktime_get_ns(), out);
		/* The answer to a request without options. */
		t->peer.tries += t->phase != TFTPK_PHASE_SENDING && !t->peer.held;
	} else if ((!tftpk_transfer_validated(t) &&
		    t->peer.tries >= TFTPK_UNVALIDATED_TRIES) ||
		   (t->awaits_refill && !tftpk_window_inflight(w))) {
		/* Nothing to repeat: listen, or wait for the file. */
		tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
	} else {
		tftpk_send_recover(t, out);
	}
}

/**
 * tftpk_send_turn() - a transfer's turn has come
 * @t: transfer
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_send_turn(struct tftpk_transfer *t)
{
	struct tftpk_out out;

	tftpk_transfer_lock(t, &out);
	if (!t->dead && t->peer.turn) {
		if (tftpk_window_room(&t->window))
			tftpk_send_push(t, ktime_get_ns(), &out);
		else
			tftpk_send_recover(t, &out);
	}
	tftpk_transfer_unlock_send(t, &out);
}

/**
 * tftpk_send_timer() - a transfer's timer
 * @timer: of a transfer
 *
 * Context: softirq.
 */
void tftpk_send_timer(struct timer_list *timer)
{
	struct tftpk_transfer *t = container_of(timer, struct tftpk_transfer,
						timer);
	struct tftpk_out out;

	tftpk_transfer_lock(t, &out);
	if (!t->dead) {
		if (time_before(jiffies, t->deadline))
			mod_timer(&t->timer, t->deadline);
		else
			tftpk_send_handle_deadline(t, &out);
	}
	tftpk_transfer_unlock_send(t, &out);
}

/* Tell of progress, where that is asked for. */
static void tftpk_send_tell_progress(struct tftpk_transfer *t)
{
	u32 step = READ_ONCE(t->tn->settings.progress);
	u32 percent;

	if (!step || !t->source.size)
		return;
	percent = div64_u64(tftpk_transfer_acked_bytes(t) * 100, t->source.size);
	percent -= percent % step;
	if (percent <= t->last_percent || percent >= 100)
		return;
	t->last_percent = percent;
	tftpk_event_transfer(t, TFTPK_EVENT_TYPE_PROGRESS);
}

/**
 * tftpk_send_fill() - fill the ring
 * @t: transfer, entered
 * @goal: position in the file up to which to read
 * @err: takes what tftpk_file_fill() returns
 *
 * Context: process, the transfer's work. May wait for storage.
 *
 * Return: false where the transfer has ended, and is not entered any more.
 */
bool tftpk_send_fill(struct tftpk_transfer *t, u64 goal, int *err)
{
	u32 copied;

	tftpk_transfer_leave(t);
	*err = tftpk_file_fill(&t->source, &t->lock, goal, &copied);
	if (!tftpk_transfer_enter(t))
		return false;
	if (unlikely(copied))
		tftpk_stats_add(t->tn, TFTPK_A_STATS_BYTES_COPIED, copied);
	return true;
}

/**
 * tftpk_send_refill() - fill the ring, and send what had to wait for that
 * @t: transfer, entered; a push asked for it, and noted that in @t->filling
 *
 * Context: process, the transfer's work.
 */
void tftpk_send_refill(struct tftpk_transfer *t)
{
	struct tftpk_out out;
	u64 goal, from;
	bool again;
	int err;

	do {
		spin_lock_bh(&t->lock);
		goal = tftpk_send_goal(t);
		from = t->source.ring.filled;
		spin_unlock_bh(&t->lock);
		if (!tftpk_send_fill(t, goal, &err))
			return;

		tftpk_transfer_lock(t, &out);
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_REFILLS);
		trace_tftpk_refill(t, from, err);
		if (!t->dead && err)
			tftpk_transfer_end_unreadable(t, err, &out);
		else if (!t->dead && t->awaits_refill)
			tftpk_send_push(t, ktime_get_ns(), &out);
		again = !t->dead && (t->awaits_refill || tftpk_send_low(t));
		t->filling = again;
		tftpk_transfer_unlock_send(t, &out);
		tftpk_send_tell_progress(t);
		tftpk_charge_tell(t);
		cond_resched();
	} while (again);
	tftpk_transfer_leave(t);
}

/* The client answered, so take the pages of its window out of what may be pinned. If
 * they are not there, send one block at a time until they are.
 */
static void tftpk_send_reserve(struct tftpk_transfer *t)
{
	if (!t->source.wanted)
		return;
	if (tftpk_transfer_reserve(t, t->source.wanted)) {
		t->window.limit = 1;
		return;
	}
	t->source.wanted = 0;
	t->window.limit = t->window.size;
}

/**
 * tftpk_send_resume() - go on where another server stopped
 * @t: transfer, locked; its ring is empty
 * @out: takes what is sent now
 *
 * Who is validated gets its window, anybody else one block, and the file waits to be
 * read.
 *
 * Context: BH disabled.
 */
void tftpk_send_resume(struct tftpk_transfer *t, struct tftpk_out *out)
{
	u64 now_ns = ktime_get_ns();

	t->progress = jiffies;
	if (t->phase != TFTPK_PHASE_SENDING) {
		tftpk_send_answer(t, out);
		return;
	}
	t->window.limit = 1;
	if (tftpk_transfer_validated(t)) {
		tftpk_turn_join(t, now_ns);
		t->window.limit = t->window.size;
		tftpk_send_reserve(t);
	}
	tftpk_send_push(t, now_ns, out);
}

/* The ACK of an OACK is that of block 0 (RFC 2347). */
static void tftpk_send_take_oack_ack(struct tftpk_transfer *t, u16 block,
				     u64 now_ns, struct tftpk_out *out)
{
	if (block) {
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_ACKS_IGNORED);
		return;
	}
	if (t->peer.tries == 1)
		tftpk_rtt_sample(&t->peer.rtt, div_u64(now_ns -
						  t->window.flight_ns,
						  NSEC_PER_USEC));
	t->peer.rtt.backoff = 0;
	t->peer.tries = 0;
	tftpk_unvalidated_touch(t);
	t->phase = TFTPK_PHASE_SENDING;
	t->progress = jiffies;
	tftpk_turn_join(t, now_ns);
	tftpk_send_reserve(t);
	tftpk_send_push(t, now_ns, out);
}

/* A validated client acknowledged new data, so the way to it is good (RFC 1122 section
 * 2.3.2.1, RFC 4861 section 7.3.1): its neighbour need not be asked, which may be a
 * ROM that answers no ARP while it loads. At a single port an ACK validates nobody.
 */
static void tftpk_send_confirm(const struct tftpk_transfer *t,
			       struct tftpk_out *out)
{
	struct sk_buff *skb = skb_peek(&out->queue);

	if (skb && !t->peer.bounded)
		skb_set_dst_pending_confirm(skb, 1);
}

/* Note that blocks were acknowledged, for the first time if @first says so. */
static void tftpk_send_advance(struct tftpk_transfer *t, bool first, u64 now_ns)
{
	t->text[0] = t->text[1];
	if (first) {
		tftpk_transfer_validate(t);
		tftpk_turn_join(t, now_ns);
		t->window.limit = t->window.size;
	}
	t->phase = TFTPK_PHASE_SENDING;
	t->progress = jiffies;
	tftpk_send_reserve(t);
	tftpk_file_release(&t->source, tftpk_transfer_acked_bytes(t));
}

/* Do what an ACK calls for, before which @acked blocks were acknowledged. */
static void tftpk_send_react(struct tftpk_transfer *t, enum tftpk_ack ack,
			     u64 acked, u64 now_ns, struct tftpk_out *out)
{
	switch (ack) {
	case TFTPK_ACK_DISORDER:
		tftpk_send_await(t);
		fallthrough;
	case TFTPK_ACK_STALE:
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_ACKS_IGNORED);
		break;
	case TFTPK_ACK_DONE:
		tftpk_transfer_end(t, TFTPK_OUTCOME_COMPLETED);
		break;
	case TFTPK_ACK_RESEND:
		tftpk_send_gap(t, false, now_ns, out);
		if (!t->dead && tftpk_window_room(&t->window))
			tftpk_send_push(t, now_ns, out);
		break;
	case TFTPK_ACK_GAP:
		tftpk_turn_note_loss(t, now_ns);
		fallthrough;
	case TFTPK_ACK_PROGRESS:
		tftpk_send_push(t, now_ns, out);
		if (acked && t->window.acked != acked)
			tftpk_send_confirm(t, out);
		break;
	}
}

/**
 * tftpk_send_ack() - an ACK arrived
 * @key: client, and the transfer identifier
 * @block: its block number
 * @skb: the packet, as a socket gets it
 *
 * The fast path: one lookup, one lock, the next blocks built from the ring
 * and sent; nothing is queued but a refill when the ring runs low.
 *
 * Context: softirq, within rcu_read_lock(). Return: the packet, or NULL if the answer
 * took its place.
 */
struct sk_buff *tftpk_send_ack(const struct tftpk_key *key, u16 block,
			       struct sk_buff *skb)
{
	struct tftpk_net *tn = key->port->listener->tn;
	struct tftpk_transfer *t = tftpk_table_find_tid(key);
	struct tftpk_key request;
	struct tftpk_out out;
	u64 acked, timed, now_ns;
	enum tftpk_ack ack;
	bool first = false;

	if (!t) {
		tftpk_stray(key, skb, TFTPK_STRAY_ACK);
		return skb;
	}
	now_ns = ktime_get_ns();
	tftpk_out_init(&out);
	spin_lock(&t->lock);
	if (unlikely(t->writing)) {
		spin_unlock(&t->lock);
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_PACKETS_UNKNOWN);
		return skb;
	}
	if (!tftpk_transfer_live(t)) {
		spin_unlock(&t->lock);
		tftpk_stray(key, skb, TFTPK_STRAY_ACK);
		return skb;
	}
	out.spare = skb;
	tftpk_stats_inc(t->tn, TFTPK_A_STATS_ACKS_RECEIVED);
	if (t->peer.bounded && tftpk_window_unsent(&t->window, block)) {
		/* A client that sees what is sent does not do that. */
		tftpk_transfer_end(t, TFTPK_OUTCOME_ABORTED);
		goto out;
	}
	if (t->phase == TFTPK_PHASE_OACK) {
		tftpk_send_take_oack_ack(t, block, now_ns, &out);
		goto out;
	}

	acked = t->window.acked;
	timed = t->window.rtt_block;
	ack = tftpk_ahead_ack(&t->window, &t->peer.rtt, block, now_ns);
	trace_tftpk_ack(t, block, ack);
	if (t->window.acked != acked) {
		first = !tftpk_transfer_validated(t);
		if (first)
			request = t->peer.request.key;
		tftpk_send_advance(t, first, now_ns);
		if (t->peer.flow && READ_ONCE(t->peer.flow->watched))
			tftpk_turn_note_ack(t, t->window.acked - acked,
					    timed && !t->window.rtt_block ?
					    t->peer.rtt.latest : 0, now_ns);
	} else if (!tftpk_transfer_validated(t) &&
		   t->phase == TFTPK_PHASE_SENDING) {
		/* It asks for the first window, and may be asked again. */
		t->peer.tries = 0;
	}
	tftpk_send_react(t, ack, acked, now_ns, &out);
out:
	spin_unlock(&t->lock);
	tftpk_output_send(tn->net, &out);
	if (first)
		tftpk_transfer_end_former(t, request);
	return out.spare;
}
