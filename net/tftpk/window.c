// SPDX-License-Identifier: GPL-2.0
/*
 * Block arithmetic: acknowledgements, windows, retransmission.
 */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "window.h"

/**
 * tftpk_window_init() - begin a transfer
 * @w: window
 * @bytes: size of the file
 * @blksize: payload bytes of a full block
 * @windowsize: blocks that may be in flight, at least 1
 * @rollover: number on the wire of the block after 65535, 0 or 1
 *
 * A file that is a multiple of the block size ends with an empty block
 * (RFC 1350 section 6), so there is always a last one below that size.
 */
void tftpk_window_init(struct tftpk_window *w, u64 bytes, u32 blksize,
		       u16 windowsize, u8 rollover)
{
	memset(w, 0, sizeof(*w));
	w->next = 1;
	w->high = 1;
	w->last = div_u64(bytes, blksize) + 1;
	w->size = windowsize;
	w->limit = windowsize;
	w->rollover = rollover;
}

/**
 * tftpk_wire() - a block's number in its packet
 * @rollover: number of the block after 65535, 0 or 1
 * @block: number of the block; 0 for the OACK
 */
u16 tftpk_wire(u8 rollover, u64 block)
{
	u64 past;

	if (!rollover || block <= 65535)
		return block;
	/* The numbers are 1 to 65,535 in turn. */
	div64_u64_rem(block - 1, 65535, &past);
	return past + 1;
}

/**
 * tftpk_wire_ahead() - how far a number in a packet lies ahead of a block, in numbers
 * @rollover: number of the block after 65535, 0 or 1
 * @from: number of that block
 * @block: number in the packet
 *
 * Half the numbers lie ahead, the others behind.
 */
u32 tftpk_wire_ahead(u8 rollover, u64 from, u16 block)
{
	u16 wire = tftpk_wire(rollover, from);

	if (!rollover || block >= wire)
		return (u16)(block - wire);
	/* No block has the number 0. */
	return block ? block + 65535 - wire : U16_MAX;
}

/* How far @block lies ahead of the last acknowledged one, in numbers. */
static u32 tftpk_window_ahead(const struct tftpk_window *w, u16 block)
{
	return tftpk_wire_ahead(w->rollover, w->acked, block);
}

/**
 * tftpk_window_unsent() - is this the number of a block that was never sent?
 * @w: window
 * @block: block number of an ACK
 *
 * 0 is not: a late ACK of the OACK has that number.
 */
bool tftpk_window_unsent(const struct tftpk_window *w, u16 block)
{
	u32 numbers = w->rollover ? 65535 : 65536;
	u32 ahead = tftpk_window_ahead(w, block);

	if (!block)
		return false;
	if (ahead < numbers / 2)
		return w->acked + ahead >= w->high;
	/* The number lies behind. That many blocks may not have been sent yet. */
	return !w->acked || numbers - ahead > w->acked;
}

/**
 * tftpk_window_go_back() - go-back-N: return to the first unacknowledged block
 * @w: window
 */
void tftpk_window_go_back(struct tftpk_window *w)
{
	w->next = w->acked + 1;
	w->recover = w->high;
	w->rtt_block = 0;
	w->went_back = true;
	w->probed = false;
	w->disorder = false;
}

/**
 * tftpk_window_resume() - go on where another server stopped
 * @w: window, at its beginning
 * @acked: last block acknowledged
 * @inflight: blocks after it that were sent
 *
 * They are sent again, and the client may acknowledge them before that.
 */
void tftpk_window_resume(struct tftpk_window *w, u64 acked, u32 inflight)
{
	w->acked = acked;
	w->next = acked + 1;
	w->high = w->next + inflight;
	if (inflight)
		tftpk_window_go_back(w);
}

/*
 * An ACK that reports a loss looks like an echo: the ACK that a block causes when
 * it arrives a second time. If the server took an echo for a report, it would send
 * the flight twice, and each copy would cause the next echo. That is the
 * Sorcerer's Apprentice Syndrome (RFC 1123 section 4.2.3.1), one window at a time.
 * A network that copies or reorders a single packet can start it.
 *
 * So the window goes back at once only where no echo is possible: where nothing
 * was sent twice, or where a probe asked for this ACK. Otherwise the window is in
 * disorder, as in TCP: it goes back if nothing more comes within a round trip.
 */

/* A quarter more than the latest round trip: neither probe nor timeout is shorter.
 * Blocks that were sent twice give no sample (Karn's rule). If round trips outgrew the
 * timeout, every block would be sent twice, and the estimate would never learn of it.
 */
static u32 tftpk_rtt_latest_padded(const struct tftpk_rtt *rtt)
{
	return rtt->latest + rtt->latest / 4;
}

/**
 * tftpk_rtt_due() - how long silence of a steady client means nothing
 * @rtt: estimate, of at least one sample
 * @inflight: how many blocks the client may have on their way
 *
 * Only silence reports the loss of a flight's last block or of its ACK, so it waits
 * for two round trips, and longer in lock step, where clients write to a disk before
 * each ACK.
 *
 * Return: microseconds.
 */
u32 tftpk_rtt_due(const struct tftpk_rtt *rtt, u32 inflight)
{
	return max3(2 * rtt->srtt + rtt->rttvar, tftpk_rtt_latest_padded(rtt),
		    inflight > 1 ? TFTPK_PROBE_MIN : TFTPK_PROBE_LONE);
}

/* Take an ACK of a block that is acknowledged already. It may report a loss at the
 * beginning of this flight.
 */
static enum tftpk_ack tftpk_window_take_repeat(struct tftpk_window *w,
					       const struct tftpk_rtt *rtt,
					       u64 now_ns)
{
	bool no_echo = !w->went_back && !w->resent_before &&
			/* If the network copies an ACK, both arrive at once. */
			now_ns - w->flight_ns >=
			rtt->min * (u64)(NSEC_PER_USEC / 2);

	if (!tftpk_window_inflight(w) || w->disorder)
		return TFTPK_ACK_STALE;
	/* In lock step a repeated ACK reports nothing: the client has timed
	 * out, and this side will do so, too. But if this side waits longer
	 * than the client does, that does not pause.
	 */
	if (w->size == 1) {
		w->disorder = rtt->min_wait &&
			now_ns - max(w->flight_ns, w->copy_ns) >=
			tftpk_rtt_due(rtt, 1) * (u64)NSEC_PER_USEC;
		return w->disorder ? TFTPK_ACK_DISORDER : TFTPK_ACK_STALE;
	}
	if (no_echo || w->probed) {
		tftpk_window_go_back(w);
		return TFTPK_ACK_GAP;
	}
	w->disorder = true;
	return TFTPK_ACK_DISORDER;
}

/* After going back: do the blocks that were sent before cause this ACK? Yes, if it
 * comes sooner than a round trip. Yes, too, if it acknowledges the last of them: a
 * client that had them all does so when the copies arrive.
 */
static bool tftpk_window_is_echo(const struct tftpk_window *w,
				 const struct tftpk_rtt *rtt, u64 now_ns)
{
	return w->acked + 1 == w->recover ||
	       now_ns - w->flight_ns < rtt->min * (u64)NSEC_PER_USEC;
}

/*
 * A client that pauses, say to write to a flash, looks like a loss until its ACK
 * comes. A copy costs it time, and makes some lose count for good (the second stage of
 * Raspberry Pi 4). The ACK tells whether the client needed the copy: then it comes a
 * round trip after that. If it comes sooner it answers what was sent before; if it
 * comes later the client paused, copy or not.
 *
 * After the first needless copy nothing is sent again until twice that pause is over.
 * A client that is steady for a while is believed to be so once more. After the second
 * one the server waits as long as it ever does.
 *
 * Where packets are lost as well, each wait costs far more than a copy. So copies that
 * were needed weigh against the others: only a client that needed fewer of late is
 * waited for.
 */

/* Flights after which a client is steady: where it is not known whether it paused,
 * and where it did.
 */
#define TFTPK_CALM		16
#define TFTPK_CALM_AGAIN	64

/* How far copies of either kind, needless and needed, count beyond the others. */
#define TFTPK_COPIES_AHEAD	2

/* Twice the longest pause, within limits. */
static u32 tftpk_rtt_pause_padded(const struct tftpk_rtt *rtt)
{
	return clamp(2 * rtt->pause, (u32)TFTPK_PAUSE_MIN, (u32)TFTPK_RTO_MAX);
}

/* A flight of so many blocks, of which nothing was sent again, took @us. */
static void tftpk_rtt_note_undisturbed(struct tftpk_rtt *rtt, u32 us,
				       u32 inflight)
{
	/* No probe is due as soon as that, as a rule. */
	if (us >= TFTPK_PROBE_MIN && us >= tftpk_rtt_due(rtt, inflight)) {
		rtt->calm = 0;
		rtt->pause = max(rtt->pause, us);
		if (rtt->min_wait)
			rtt->min_wait = max(rtt->min_wait,
					    tftpk_rtt_pause_padded(rtt));
		return;
	}
	if (rtt->calm < U8_MAX)
		rtt->calm++;
	if (rtt->min_wait && rtt->needless < 2 &&
	    rtt->calm >= (rtt->needless > 0 ? TFTPK_CALM_AGAIN : TFTPK_CALM))
		rtt->min_wait = 0;
}

/* The client needed a copy. By chance a pause may have ended just then, if the server
 * does not wait for pauses yet; two such copies in a row are losses.
 */
static void tftpk_rtt_note_needed_copy(struct tftpk_rtt *rtt, u32 us)
{
	if (!rtt->lossy && !rtt->min_wait) {
		rtt->lossy = true;
		rtt->min_wait = 2 * us;
		return;
	}
	rtt->lossy = true;
	rtt->needless = max(rtt->needless - 1, -TFTPK_COPIES_AHEAD);
	rtt->min_wait = rtt->needless > 0 ?
			min(rtt->min_wait, tftpk_rtt_pause_padded(rtt)) : 0;
}

/* The client needed none of so many copies, but paused. Where it loses packets as well,
 * nobody knows how long.
 */
static void tftpk_rtt_note_needless_copy(struct tftpk_rtt *rtt, u32 us,
					 u8 copies)
{
	if (!rtt->lossy || copies == 1)
		rtt->pause = max(rtt->pause, us);
	rtt->needless = min(rtt->needless + (rtt->lossy ? 1 : copies),
			    TFTPK_COPIES_AHEAD);
	if (rtt->needless <= 0)
		return;
	rtt->min_wait = rtt->needless > 1 && !rtt->lossy ?
			TFTPK_RTO_MAX : tftpk_rtt_pause_padded(rtt);
	rtt->lossy = false;
}

/**
 * tftpk_window_answers_copy() - does an ACK answer the copy that was sent last?
 * @w: window
 * @rtt: round-trip estimate
 * @now_ns: time of its arrival
 *
 * Then it comes a round trip later. A client that pauses acknowledges what it had
 * before, at any time.
 */
bool tftpk_window_answers_copy(const struct tftpk_window *w,
			       const struct tftpk_rtt *rtt, u64 now_ns)
{
	u64 since = div_u64(now_ns - w->copy_ns, NSEC_PER_USEC);

	return since >= rtt->min / 2 &&
	       since <= rtt->srtt + 4ULL * rtt->rttvar + USEC_PER_MSEC;
}

/* Judge the copies of a flight by the ACK of all of it, @us after the flight. Of a
 * window that went back, that tells nothing: the client may have lacked any block. Nor
 * does long silence: a client that does not answer copies is heard again when its own
 * timer expires.
 */
static void tftpk_window_judge(const struct tftpk_window *w,
			       struct tftpk_rtt *rtt, u32 us, u64 now_ns)
{
	bool lone = w->high == w->acked + 2;

	if (!w->copies || !rtt->srtt || (w->went_back && !lone))
		return;
	rtt->calm = 0;
	if (tftpk_window_answers_copy(w, rtt, now_ns)) {
		if (lone)
			tftpk_rtt_note_needed_copy(rtt, us);
	} else if (us < TFTPK_PAUSE_MAX) {
		tftpk_rtt_note_needless_copy(rtt, us, w->copies);
	}
}

/**
 * tftpk_window_ack() - take an ACK
 * @w: window
 * @rtt: round-trip estimate; takes a sample where the ACK gives one
 * @block: block number of the ACK
 * @now_ns: time of its arrival
 *
 * RFC 1350 section 2; RFC 7440 section 4: an ACK inside the window means that the
 * blocks behind it did not arrive in order.
 *
 * Return: what it means.
 */
enum tftpk_ack tftpk_window_ack(struct tftpk_window *w, struct tftpk_rtt *rtt,
				u16 block, u64 now_ns)
{
	u32 ahead = tftpk_window_ahead(w, block);
	u64 acked = w->acked + ahead;
	bool lost, went_back = w->went_back;
	u32 us;

	if (!ahead)
		return tftpk_window_take_repeat(w, rtt, now_ns);
	if (acked >= w->high)
		return TFTPK_ACK_STALE;

	us = min_t(u64, div_u64(now_ns - w->high_ns, NSEC_PER_USEC),
		   TFTPK_RTT_MAX);
	if (w->rtt_block && acked >= w->rtt_block) {
		tftpk_rtt_note_undisturbed(rtt, us, tftpk_window_inflight(w));
		tftpk_rtt_sample(rtt, us);
		w->rtt_block = 0;
		rtt->backoff = 0;
	} else if (acked + 1 == w->high) {
		/* This answers either copy, so it is no sample, but an upper
		 * bound. If the probe already waited this long, the path is
		 * lossy, not slower: discard the bound.
		 */
		tftpk_window_judge(w, rtt, us, now_ns);
		lost = w->probed && rtt->latest_probed;
		rtt->latest = lost ? 0 : us;
		rtt->latest_probed = w->probed && !lost;
	}
	w->acked = acked;
	w->copies = 0;
	w->resent_before = w->went_back || w->probed;
	w->went_back = false;
	w->probed = false;
	w->disorder = false;
	if (acked == w->last) {
		w->next = acked + 1;
		return TFTPK_ACK_DONE;
	}

	/* After going back, this may acknowledge blocks beyond @next. */
	if (w->next <= acked + 1) {
		w->next = acked + 1;
		return TFTPK_ACK_PROGRESS;
	}
	if (went_back && tftpk_window_is_echo(w, rtt, now_ns)) {
		w->went_back = true;
		w->disorder = true;
		return TFTPK_ACK_PROGRESS;
	}
	tftpk_window_go_back(w);
	return TFTPK_ACK_GAP;
}

/**
 * tftpk_window_room() - how many blocks the window allows now, from @w->next on
 * @w: window
 */
u32 tftpk_window_room(const struct tftpk_window *w)
{
	u64 end = min(w->acked + w->limit, w->last);

	/* The limit may have become less than what is in flight. */
	return end >= w->next ? end + 1 - w->next : 0;
}

/* Note that a block of this flight is sent again. */
static void tftpk_window_note_copy(struct tftpk_window *w, u64 now_ns)
{
	w->copy_ns = now_ns;
	if (w->copies < U8_MAX)
		w->copies++;
}

/**
 * tftpk_window_note_sent() - note that blocks were sent
 * @w: window
 * @n: blocks sent, from @w->next on
 * @now_ns: the time
 *
 * Only a block's first transmission is timed (Karn's rule, RFC 6298
 * section 3), and only the last block of a burst: a client answers that one.
 *
 * Return: how many of the blocks had been sent before.
 */
u32 tftpk_window_note_sent(struct tftpk_window *w, u32 n, u64 now_ns)
{
	u64 end = w->next + n;
	u32 again = min(w->high, end) - w->next;

	if (w->next == w->acked + 1)
		w->flight_ns = now_ns;
	if (again)
		tftpk_window_note_copy(w, now_ns);
	if (again && w->rtt_block >= w->next)
		w->rtt_block = 0;
	if (end > w->high) {
		/* Of blocks ahead, a client answers each; one at a time is timed. */
		if (!w->rtt_block || !tftpk_window_is_ahead(w)) {
			w->rtt_block = end - 1;
			w->high_ns = now_ns;
		}
		w->high = end;
	}
	w->next = end;
	return again;
}

/**
 * tftpk_rtt_sample() - take a measured round trip (RFC 6298 section 2)
 * @rtt: estimate
 * @us: microseconds from sending a block to its ACK
 */
void tftpk_rtt_sample(struct tftpk_rtt *rtt, u32 us)
{
	us = max(us, 1U);
	rtt->latest = min_t(u32, us, TFTPK_RTT_MAX);
	rtt->latest_probed = false;
	if (!rtt->srtt) {
		rtt->srtt = us;
		rtt->rttvar = us / 2;
		rtt->min = us;
		return;
	}
	rtt->rttvar += ((int)abs((int)(rtt->srtt - us)) -
			(int)rtt->rttvar) / 4;
	rtt->srtt += ((int)us - (int)rtt->srtt) / 8;
	rtt->min = min(rtt->min, us);
}

/* Double the timeout (RFC 6298 section 5.5). */
static void tftpk_rtt_backoff(struct tftpk_rtt *rtt)
{
	if (rtt->backoff < 8)
		rtt->backoff++;
}

/* The retransmission timeout. The option (RFC 2349) never delays the first
 * retransmission. It caps the backoff, but neither below the latest round trip nor
 * below the floor.
 */
static u32 tftpk_rtt_rto(const struct tftpk_rtt *rtt, u32 utimeout, u32 floor)
{
	u64 rto = TFTPK_RTO_FIRST;

	if (rtt->srtt)
		rto = max_t(u64, rtt->srtt + 4ULL * rtt->rttvar, floor);
	rto = max_t(u64, rto, rtt->min_wait);
	return min_t(u64, rto << rtt->backoff,
		     max3(utimeout ?: TFTPK_RTO_MAX, (u32)TFTPK_RTO_MIN,
			  tftpk_rtt_latest_padded(rtt)));
}

/* The least timeout of a flight. RFC 6298 section 2.4 has a second; with a window the
 * client reports most losses, and the timeout is for the few others. In lock step it
 * follows upon the probe, and a client that is not known to lose packets may pause.
 */
static u32 tftpk_window_rto_min(const struct tftpk_window *w,
				const struct tftpk_rtt *rtt)
{
	if (tftpk_window_inflight(w) > 1 || rtt->lossy)
		return TFTPK_RTO_MIN;
	return w->probed && w->acked ? 2 * TFTPK_RTO_FIRST : TFTPK_RTO_FIRST;
}

/* How long to wait in disorder: until the answer to the last burst would be here. If
 * nothing comes, the dubious ACK reported a loss.
 */
static u32 tftpk_rtt_disorder_wait(const struct tftpk_rtt *rtt)
{
	u32 last = min_t(u32, tftpk_rtt_latest_padded(rtt), TFTPK_DISORDER_MAX);

	return max3(rtt->srtt + 4 * rtt->rttvar, last, TFTPK_PROBE_MIN);
}

/* When to send a tail-loss probe, or 0 for not before the timeout. After a timeout
 * the estimate does not count until there is a new sample.
 */
static u32 tftpk_rtt_probe_wait(const struct tftpk_rtt *rtt, u32 inflight)
{
	if (!rtt->srtt || rtt->backoff)
		return 0;
	return max(tftpk_rtt_due(rtt, inflight), rtt->min_wait);
}

/**
 * tftpk_window_wait() - how long to wait for the client
 * @w: window
 * @rtt: round-trip estimate
 * @utimeout: the client's timeout option in microseconds, 0 if it sent none
 *
 * The tail-loss probe, the end of disorder or the retransmission timeout, whichever
 * comes first.
 *
 * Return: microseconds. If they pass, call tftpk_window_recovery().
 */
u32 tftpk_window_wait(const struct tftpk_window *w, const struct tftpk_rtt *rtt,
		      u32 utimeout)
{
	u32 wait = tftpk_rtt_rto(rtt, utimeout, tftpk_window_rto_min(w, rtt));
	u32 probe = tftpk_rtt_probe_wait(rtt, tftpk_window_inflight(w));

	if (probe && !w->probed)
		wait = min(wait, probe);
	if (w->disorder)
		wait = min(wait, tftpk_rtt_disorder_wait(rtt));
	return max(wait, rtt->floor);
}

/**
 * tftpk_window_timeout() - the retransmission timer expired
 * @w: window; goes back to the first unacknowledged block
 * @rtt: estimate; backs off
 */
void tftpk_window_timeout(struct tftpk_window *w, struct tftpk_rtt *rtt)
{
	tftpk_window_go_back(w);
	tftpk_rtt_backoff(rtt);
}

/**
 * tftpk_window_recovery() - choose how to recover after the client was silent
 * @w: window
 * @rtt: round-trip estimate
 * @validated: the client has acknowledged a block; for an unvalidated one, a probe is
 *	the only retransmission
 *
 * Return: what to do, and which function of the window to call.
 */
enum tftpk_recovery tftpk_window_recovery(const struct tftpk_window *w,
					  const struct tftpk_rtt *rtt,
					  bool validated)
{
	if (tftpk_window_room(w))
		return TFTPK_RECOVERY_UNSENT;
	if (w->disorder)
		return TFTPK_RECOVERY_GO_BACK;
	if (tftpk_window_inflight(w) &&
	    (!validated || (!w->probed && !rtt->backoff)))
		return TFTPK_RECOVERY_PROBE;
	return TFTPK_RECOVERY_TIMEOUT;
}

/**
 * tftpk_window_probe() - the flight's last block is sent again, as a tail-loss probe
 * @w: window
 * @rtt: round-trip estimate; backs off from an unvalidated client's second probe on
 * @validated: the client has acknowledged a block
 * @now_ns: the time
 */
void tftpk_window_probe(struct tftpk_window *w, struct tftpk_rtt *rtt,
			bool validated, u64 now_ns)
{
	if (!validated && w->probed)
		tftpk_rtt_backoff(rtt);
	w->probed = true;
	tftpk_window_note_copy(w, now_ns);
	w->rtt_block = 0;
}
