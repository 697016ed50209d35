// SPDX-License-Identifier: GPL-2.0
/*
 * The receiving machine of uploads: DATA and the timer, the ACKs that they cause, and
 * the work that writes.
 *
 * DATA is taken where it arrives, in softirq, in order. It is acknowledged there as
 * well, as long as not too much waits to be written. The agent is asked for the file
 * when the first block is here, which shows that the client is no forger; that block is
 * acknowledged when the file is there. When all is written, the agent stores it. The
 * last block is acknowledged after that.
 */
#include <linux/file.h>
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/udp.h>

#include "resolve.h"
#include "transfer.h"
#include "trace.h"

/* As many blocks are written at once, unless something waits for them. */
#define TFTPK_RECV_BATCH	32

/* Once all is taken, the agent's answer comes before the ACK. */
static bool tftpk_recv_may_ack(const struct tftpk_transfer *t)
{
	const struct tftpk_rwindow *w = &t->source.sink.window;

	return t->phase == TFTPK_PHASE_RECEIVING && t->source.file && !w->last;
}

/* Acknowledge what was taken. */
static void tftpk_recv_ack(struct tftpk_transfer *t, u64 now_ns,
			   struct tftpk_out *out)
{
	struct tftpk_rwindow *w = &t->source.sink.window;
	bool progress = w->acked != w->taken;
	u8 buf[TFTPK_HDR_LEN];

	lockdep_assert_held(&t->lock);

	tftpk_put_ack(buf, tftpk_rwindow_wire(w, w->taken));
	if (tftpk_output_packet(t->tn->net, &t->peer, buf, sizeof(buf), out))
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_SEND_ERRORS);
	else if (progress && !t->peer.bounded)
		/* As for those who read, see tftpk_send_confirm(). */
		skb_set_dst_pending_confirm(skb_peek_tail(&out->queue), 1);
	tftpk_rwindow_note_acked(w, now_ns);
	t->source.sink.held = false;
}

/* Acknowledge what had to wait, if it need not any more. */
static void tftpk_recv_unhold(struct tftpk_transfer *t, struct tftpk_out *out)
{
	if (t->source.sink.held && tftpk_recv_may_ack(t) &&
	    !tftpk_sink_is_high(t))
		tftpk_recv_ack(t, ktime_get_ns(), out);
}

/* Wait for the client. Its questions have times of their own. */
static void tftpk_recv_await(struct tftpk_transfer *t)
{
	u32 wait = tftpk_rwindow_wait(&t->source.sink.window, &t->peer.rtt,
				      ktime_get_ns());

	if (TFTPK_WAITING(t->request_skb)->question)
		return;
	if (!wait || !tftpk_recv_may_ack(t) || t->source.sink.held)
		wait = TFTPK_RTO_FIRST;
	/* What is here is not to lie in memory. */
	if (!skb_queue_empty(&t->source.sink.blocks))
		wait = min_t(u32, wait, TFTPK_RTO_MIN);
	tftpk_transfer_arm(t, wait);
}

/* Nobody is there to store it. */
static void tftpk_recv_fail(struct tftpk_transfer *t, struct tftpk_out *out)
{
	tftpk_transfer_fail(t, TFTPK_OUTCOME_DENIED, TFTPK_ERR_UNDEFINED,
			    "not stored", out);
}

/* Have the work write what is there. */
static void tftpk_recv_flush(struct tftpk_transfer *t)
{
	if (t->filling || !t->source.file ||
	    skb_queue_empty(&t->source.sink.blocks))
		return;
	t->filling = true;
	tftpk_transfer_queue(t);
}

/**
 * tftpk_recv_answer() - send the OACK or, without one, the ACK of block 0
 * @t: upload, locked and negotiating
 * @out: takes the packet
 */
void tftpk_recv_answer(struct tftpk_transfer *t, struct tftpk_out *out)
{
	u8 buf[TFTPK_OACK_MAX];
	size_t len = TFTPK_HDR_LEN;

	lockdep_assert_held(&t->lock);

	if (t->phase == TFTPK_PHASE_OACK)
		len = tftpk_put_oack(buf, &t->options);
	else
		tftpk_put_ack(buf, 0);
	if (tftpk_output_packet(t->tn->net, &t->peer, buf, len, out))
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_SEND_ERRORS);
	if (t->peer.tries++)
		tftpk_rwindow_note_acked(&t->source.sink.window,
					 ktime_get_ns());
	tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
}

/* The first block is here: ask for a file. For want of memory the client sends the block
 * again.
 */
static bool tftpk_recv_begin(struct tftpk_transfer *t, struct sk_buff *skb,
			     struct tftpk_out *out)
{
	int err = tftpk_resolve_ask(t, TFTPK_OPERATION_OPEN,
				    t->source.sink.size);

	if (err == -ENOTCONN)
		tftpk_recv_fail(t, out);
	if (err)
		return false;
	if (!tftpk_sink_put(t, skb)) {
		tftpk_question_drop(t);
		return false;
	}
	tftpk_transfer_validate(t);
	t->phase = TFTPK_PHASE_RECEIVING;
	tftpk_transfer_arm(t, tftpk_resolve_wait(t->tn));
	return true;
}

/* Take the next block. Returns whether there was room for it. */
static bool tftpk_recv_take(struct tftpk_transfer *t, struct sk_buff *skb,
			    u16 block, enum tftpk_data what, u64 now_ns,
			    struct tftpk_out *out)
{
	u32 len = skb->len - sizeof(struct udphdr) - TFTPK_HDR_LEN;
	struct tftpk_sink *sink = &t->source.sink;
	bool kept;

	if (t->phase == TFTPK_PHASE_RECEIVING)
		kept = tftpk_sink_put(t, skb);
	else
		kept = tftpk_recv_begin(t, skb, out);
	if (!kept) {
		/* It makes room. */
		if (!t->dead)
			tftpk_recv_flush(t);
		return false;
	}
	tftpk_rwindow_take(&sink->window, &t->peer.rtt, block,
			   what == TFTPK_DATA_LAST, now_ns);
	tftpk_stats_inc(t->tn, TFTPK_A_STATS_DATA_RECEIVED);
	sink->received += len;
	t->progress = jiffies;
	/* Text gets shorter when it is written. */
	if (sink->received > sink->max_size && !t->netascii) {
		tftpk_transfer_fail(t, TFTPK_OUTCOME_DENIED, TFTPK_ERR_FULL,
				    "file too large", out);
		return true;
	}
	if (what == TFTPK_DATA_WINDOW) {
		sink->held = true;
		tftpk_recv_unhold(t, out);
		if (sink->held && t->source.file)
			tftpk_stats_inc(t->tn, TFTPK_A_STATS_ACKS_HELD);
	}
	if (what == TFTPK_DATA_LAST || sink->held || tftpk_sink_is_high(t) ||
	    skb_queue_len(&sink->blocks) >= TFTPK_RECV_BATCH)
		tftpk_recv_flush(t);
	/* Within a window the timer finds out by itself that the client was not silent. */
	if (what != TFTPK_DATA_TAKEN ||
	    sink->window.taken == sink->window.acked + 1)
		tftpk_recv_await(t);
	return true;
}

/* Do what a block calls for. Returns whether it was kept. */
static bool tftpk_recv_react(struct tftpk_transfer *t, struct sk_buff *skb,
			     u16 block, struct tftpk_out *out)
{
	u32 len = skb->len - sizeof(struct udphdr) - TFTPK_HDR_LEN;
	struct tftpk_sink *sink = &t->source.sink;
	enum tftpk_data what = TFTPK_DATA_STALE;
	u64 now_ns = ktime_get_ns();

	if (len <= t->blksize && t->phase != TFTPK_PHASE_STORING)
		what = tftpk_rwindow_look(&sink->window, &t->peer.rtt, block,
					  len < t->blksize, now_ns);
	trace_tftpk_data(t, block, what);
	switch (what) {
	case TFTPK_DATA_STALE:
		tftpk_rwindow_note_stale(&sink->window, &t->peer.rtt, now_ns);
		break;
	case TFTPK_DATA_GAP:
	case TFTPK_DATA_REPEATED:
		/* While the agent opens the file: told when that is done. */
		if (what == TFTPK_DATA_GAP && !t->source.file &&
		    t->phase == TFTPK_PHASE_RECEIVING)
			sink->held = true;
		if (!tftpk_recv_may_ack(t) || sink->held) {
			tftpk_rwindow_note_stale(&sink->window, &t->peer.rtt,
						 now_ns);
			break;
		}
		if (what == TFTPK_DATA_GAP)
			tftpk_rwindow_note_gap(&sink->window, block, now_ns);
		else
			tftpk_rwindow_note_stale(&sink->window, &t->peer.rtt,
						 now_ns);
		tftpk_recv_ack(t, now_ns, out);
		tftpk_recv_await(t);
		break;
	default:
		return tftpk_recv_take(t, skb, block, what, now_ns, out);
	}
	return false;
}

/* Does it come by another way than the request of a client on the link? That may be
 * anybody.
 */
static bool tftpk_recv_from_elsewhere(const struct tftpk_transfer *t,
				      const struct tftpk_key *key,
				      const struct sk_buff *skb)
{
	return t->peer.near &&
	       tftpk_route_iif(key, skb) !=
	       TFTPK_WAITING(t->request_skb)->iif &&
	       !tftpk_trust_of(t->tn, &key->client);
}

/**
 * tftpk_recv_data() - a DATA packet arrived
 * @key: client, and the transfer identifier
 * @block: its block number
 * @skb: the packet, from its UDP header on; consumed
 *
 * Context: softirq, within rcu_read_lock().
 */
void tftpk_recv_data(const struct tftpk_key *key, u16 block,
		     struct sk_buff *skb)
{
	struct tftpk_transfer *t = tftpk_table_find_tid(key);
	bool first = false, kept = false;
	struct tftpk_key request;
	struct tftpk_out out;

	if (!t) {
		tftpk_stray(key, skb, block);
		kfree_skb(skb);
		return;
	}
	tftpk_transfer_lock(t, &out);
	if (!t->writing) {
		tftpk_transfer_unlock_send(t, &out);
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_PACKETS_MALFORMED);
		kfree_skb(skb);
		return;
	}
	if (!tftpk_transfer_live(t)) {
		tftpk_transfer_unlock_send(t, &out);
		tftpk_stray(key, skb, block);
		kfree_skb(skb);
		return;
	}
	first = !tftpk_transfer_validated(t);
	if (!tftpk_recv_from_elsewhere(t, key, skb))
		kept = tftpk_recv_react(t, skb, block, &out);
	first = first && tftpk_transfer_validated(t);
	if (first)
		request = t->peer.request.key;
	if (!kept)
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_DATA_IGNORED);
	tftpk_transfer_unlock_send(t, &out);
	if (!kept)
		kfree_skb(skb);
	if (first) {
		tftpk_question_notice(t->tn);
		tftpk_transfer_end_former(t, request);
	}
}

/* ---- the timer ---- */

static unsigned long tftpk_recv_silence_limit(const struct tftpk_transfer *t)
{
	unsigned long give_up = READ_ONCE(t->tn->settings.give_up) *
				(unsigned long)HZ;

	return tftpk_transfer_validated(t) ? give_up :
	       min(give_up, msecs_to_jiffies(TFTPK_UNVALIDATED_MS));
}

/* The client is silent, or the storage. */
static void tftpk_recv_recover(struct tftpk_transfer *t,
			       struct tftpk_out *out)
{
	struct tftpk_sink *sink = &t->source.sink;
	u64 now_ns = ktime_get_ns();

	switch (t->phase) {
	case TFTPK_PHASE_OACK:
	case TFTPK_PHASE_FIRST:
		if (t->peer.tries < TFTPK_UNVALIDATED_TRIES) {
			tftpk_recv_answer(t, out);
			return;
		}
		break;
	case TFTPK_PHASE_RECEIVING:
		tftpk_recv_flush(t);
		if (tftpk_recv_may_ack(t) && !sink->held &&
		    tftpk_rwindow_timeout(&sink->window, &t->peer.rtt, now_ns))
			tftpk_recv_ack(t, now_ns, out);
		tftpk_recv_await(t);
		return;
	}
	tftpk_transfer_arm(t, TFTPK_RTO_FIRST);
}

static void tftpk_recv_handle_deadline(struct tftpk_transfer *t,
				       struct tftpk_out *out)
{
	if (tftpk_resolve_expire(t))
		return;
	/* As tftpk_send_handle_deadline() has it. */
	t->progress += jiffies - t->deadline;
	if (time_before(jiffies, t->progress + tftpk_recv_silence_limit(t)))
		tftpk_recv_recover(t, out);
	else if (t->filling || t->phase == TFTPK_PHASE_OPENING)
		tftpk_transfer_timed_out(t, out);
	else
		tftpk_transfer_end(t, TFTPK_OUTCOME_TIMED_OUT);
}

/**
 * tftpk_recv_timer() - an upload's timer
 * @timer: of an upload
 *
 * Context: softirq.
 */
void tftpk_recv_timer(struct timer_list *timer)
{
	struct tftpk_transfer *t = container_of(timer, struct tftpk_transfer,
						timer);
	struct tftpk_out out;

	tftpk_transfer_lock(t, &out);
	if (!t->dead) {
		if (time_before(jiffies, t->deadline))
			mod_timer(&t->timer, t->deadline);
		else
			tftpk_recv_handle_deadline(t, &out);
	}
	tftpk_transfer_unlock_send(t, &out);
}

/* ---- the work ---- */

/* Is the agent gone who opened the file? Nobody would store it. */
static bool tftpk_recv_orphaned(const struct tftpk_transfer *t)
{
	return !READ_ONCE(t->tn->agent) ||
	       READ_ONCE(t->tn->attached) != t->source.sink.attached;
}

/* The agent gave a file. What is here is written where others wait for storage, too. */
static void tftpk_recv_open(struct tftpk_transfer *t,
			    const struct tftpk_answer *answer)
{
	struct file *file = tftpk_answer_sink(answer);
	struct tftpk_out out;
	const char *text;
	u16 code;

	tftpk_transfer_lock(t, &out);
	if (!IS_ERR(file)) {
		/* It is closed with the transfer, dead or not. */
		t->source.file = file;
		t->source.sink.attached = READ_ONCE(t->tn->attached);
	}
	if (!t->dead && IS_ERR(file)) {
		text = tftpk_sink_error(PTR_ERR(file), &code);
		tftpk_transfer_fail(t, TFTPK_OUTCOME_UNWRITABLE, code, text,
				    &out);
	} else if (!t->dead) {
		tftpk_recv_unhold(t, &out);
		t->filling = true;
		tftpk_transfer_requeue(t);
		tftpk_recv_await(t);
	}
	tftpk_transfer_unlock_send(t, &out);
}

/* The agent stored the file: all is acknowledged. */
static void tftpk_recv_stored(struct tftpk_transfer *t)
{
	struct tftpk_out out;

	tftpk_transfer_lock(t, &out);
	if (!t->dead) {
		tftpk_recv_ack(t, ktime_get_ns(), &out);
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_UPLOADS_STORED);
		tftpk_transfer_end(t, TFTPK_OUTCOME_COMPLETED);
	}
	tftpk_transfer_unlock_send(t, &out);
}

/* Do what the agent's answer says, and leave. */
static void tftpk_recv_obey(struct tftpk_transfer *t,
			    struct tftpk_answer *answer)
{
	switch (answer->kind) {
	case TFTPK_ANSWER_FILE:
		tftpk_recv_open(t, answer);
		break;
	case TFTPK_ANSWER_WELCOME:
		tftpk_recv_stored(t);
		break;
	default:
		tftpk_resolve_deny(t, answer);
		return;
	}
	tftpk_answer_put(answer);
	tftpk_transfer_leave(t);
}

/* All is written: have it stored, and leave. */
static void tftpk_recv_store(struct tftpk_transfer *t)
{
	struct tftpk_out out;
	struct file *file;

	tftpk_event_transfer(t, TFTPK_EVENT_TYPE_RECEIVED);
	/* Whoever reads it next finds it open for writing by nobody. */
	spin_lock_bh(&t->lock);
	file = t->source.file;
	t->source.file = NULL;
	spin_unlock_bh(&t->lock);
	tftpk_transfer_leave(t);
	__fput_sync(file);
	if (!tftpk_transfer_enter(t))
		return;
	tftpk_transfer_lock(t, &out);
	if (t->dead) {
		/* Killed meanwhile. */
	} else if (tftpk_recv_orphaned(t) ||
		   tftpk_resolve_ask(t, TFTPK_OPERATION_COMMIT,
				     t->source.sink.written)) {
		tftpk_recv_fail(t, &out);
	} else {
		tftpk_transfer_arm(t, READ_ONCE(t->tn->settings.store_timeout) *
				   USEC_PER_SEC);
	}
	tftpk_transfer_unlock_send(t, &out);
	tftpk_question_notice(t->tn);
	tftpk_transfer_leave(t);
}

/* Write a batch, and acknowledge what waited for that. Returns whether the work goes
 * on; otherwise the transfer is left.
 */
static bool tftpk_recv_write(struct tftpk_transfer *t,
			     struct sk_buff_head *batch, u32 truesize, bool end)
{
	struct tftpk_out out;
	const char *text;
	bool entered;
	u16 code;
	int err;

	tftpk_transfer_leave(t);
	err = tftpk_sink_write(&t->source, batch, t->netascii, end);
	trace_tftpk_write(t, skb_queue_len(batch), err);
	tftpk_sink_free(batch);
	entered = tftpk_transfer_enter(t);

	tftpk_transfer_lock(t, &out);
	tftpk_sink_uncharge(t, truesize);
	if (t->dead) {
		/* Killed meanwhile. */
	} else if (err) {
		text = tftpk_sink_error(err, &code);
		tftpk_transfer_fail(t, TFTPK_OUTCOME_UNWRITABLE, code, text,
				    &out);
	} else {
		t->progress = jiffies;
		tftpk_recv_unhold(t, &out);
		tftpk_recv_await(t);
	}
	tftpk_transfer_unlock_send(t, &out);
	if (entered && err)
		tftpk_transfer_leave(t);
	return entered && !err;
}

/* What the work does next. */
enum tftpk_recv_next {
	TFTPK_RECV_LEAVE,
	TFTPK_RECV_WRITE,
	TFTPK_RECV_STORE,
};

/* Take the next batch, if there is one. @end says that it is the last. */
static enum tftpk_recv_next tftpk_recv_next(struct tftpk_transfer *t,
					    struct sk_buff_head *batch,
					    u32 *truesize, bool *end)
{
	struct tftpk_sink *sink = &t->source.sink;
	enum tftpk_recv_next next = TFTPK_RECV_LEAVE;

	__skb_queue_head_init(batch);
	spin_lock_bh(&t->lock);
	if (!t->dead && t->phase == TFTPK_PHASE_RECEIVING && t->source.file) {
		*truesize = tftpk_sink_take(t, batch);
		*end = sink->window.last && skb_queue_empty(&sink->blocks);
		if (!skb_queue_empty(batch)) {
			next = TFTPK_RECV_WRITE;
		} else if (*end) {
			t->phase = TFTPK_PHASE_STORING;
			next = TFTPK_RECV_STORE;
		}
	}
	t->filling = next == TFTPK_RECV_WRITE;
	spin_unlock_bh(&t->lock);
	return next;
}

/**
 * tftpk_recv_run() - go on with an upload that has begun
 * @t: upload, entered; left then
 *
 * Context: process, the transfer's work.
 */
void tftpk_recv_run(struct tftpk_transfer *t)
{
	struct tftpk_answer *answer = NULL;
	struct sk_buff_head batch;
	u32 truesize;
	bool end;

	spin_lock_bh(&t->lock);
	if (!t->dead)
		answer = tftpk_resolve_answer(t);
	spin_unlock_bh(&t->lock);
	if (answer) {
		tftpk_recv_obey(t, answer);
		return;
	}

	for (;;) {
		switch (tftpk_recv_next(t, &batch, &truesize, &end)) {
		case TFTPK_RECV_WRITE:
			if (!tftpk_recv_write(t, &batch, truesize, end))
				return;
			break;
		case TFTPK_RECV_STORE:
			tftpk_recv_store(t);
			return;
		case TFTPK_RECV_LEAVE:
			tftpk_transfer_leave(t);
			return;
		}
		cond_resched();
	}
}
