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
	w->rollover = rollover;
}

/**
 * tftpk_window_wire() - a block's number in its packet
 * @w: window
 * @block: number of the block, 0 for what precedes the first
 */
u16 tftpk_window_wire(const struct tftpk_window *w, u64 block)
{
	u64 past;

	if (!w->rollover || block <= 65535)
		return block;
	/* 65,535 numbers in turn: 1 follows upon the highest. */
	div64_u64_rem(block - 1, 65535, &past);
	return past + 1;
}

/* How far @block lies ahead of the last acknowledged one, in numbers. */
static u32 tftpk_window_ahead(const struct tftpk_window *w, u16 block)
{
	u16 acked = tftpk_window_wire(w, w->acked);

	/* Half the numbers lie ahead, the others behind. */
	if (!w->rollover || block >= acked)
		return (u16)(block - acked);
	/* 0 is not among the numbers that take turns. */
	return block ? block + 65535 - acked : U16_MAX;
}

/**
 * tftpk_window_unsent() - is that the number of a block that was never sent?
 * @w: window
 * @block: block number of an ACK
 *
 * 0 never counts as one: it acknowledges the OACK, and may do so late.
 */
bool tftpk_window_unsent(const struct tftpk_window *w, u16 block)
{
	u32 numbers = w->rollover ? 65535 : 65536;
	u32 ahead = tftpk_window_ahead(w, block);

	if (!block)
		return false;
	if (ahead < numbers / 2)
		return w->acked + ahead >= w->high;
	/* It lies behind, if there is that much behind. */
	return !w->acked || numbers - ahead > w->acked;
}

/**
 * tftpk_window_back() - go back to the first block that was not acknowledged
 * @w: window
 */
void tftpk_window_back(struct tftpk_window *w)
{
	w->next = w->acked + 1;
	w->again = w->high;
	w->timed = 0;
	w->rolled = true;
	w->probed = false;
	w->suspect = false;
}

/*
 * An ACK that reports a loss looks like the echo of a block that arrived
 * twice. Taking echoes for reports sends every flight twice from then on,
 * each copy causing the next echo: the Sorcerer's Apprentice (RFC 1123
 * section 4.2.3.1), one window at a time. A network that copies or reorders
 * a single packet is enough to call him.
 *
 * So reports are believed at once where nothing was sent twice, or where
 * silence has made us ask by a probe. Where they may be echoes, the window
 * moves on, and goes back only if nothing more comes within a round trip.
 */

/* Does a repeated ACK report a loss at the beginning of this flight? */
static enum tftpk_ack tftpk_window_repeated(struct tftpk_window *w,
					    const struct tftpk_rtt *rtt,
					    u64 now_ns)
{
	bool believed = !w->rolled && !w->echo &&
			/* The network's copy of an ACK comes along at once. */
			now_ns - w->flight_ns >=
			rtt->min * (NSEC_PER_USEC / 2);

	/* Without a window there is nothing to report: the client has merely
	 * timed out, and so will we.
	 */
	if (w->size == 1 || !tftpk_window_inflight(w) || w->suspect)
		return TFTPK_ACK_STALE;
	if (believed || w->probed) {
		tftpk_window_back(w);
		return TFTPK_ACK_GAP;
	}
	w->suspect = true;
	return TFTPK_ACK_SUSPECT;
}

/* Was an ACK inside a window that went back caused by what had been sent
 * before? That which comes sooner than a round trip was. And a client that had
 * all of it acknowledges its end once the copies arrive.
 */
static bool tftpk_window_echo(const struct tftpk_window *w,
			      const struct tftpk_rtt *rtt, u64 now_ns)
{
	return w->acked + 1 == w->again ||
	       now_ns - w->flight_ns < rtt->min * (u64)NSEC_PER_USEC;
}

/**
 * tftpk_window_ack() - take an ACK
 * @w: window
 * @rtt: round-trip estimate; takes a sample where the ACK gives one
 * @block: block number of the ACK
 * @now_ns: time of its arrival
 *
 * RFC 1350 section 2; RFC 7440 section 4: an ACK inside the window means
 * that what came after it was not received in order.
 *
 * Return: what it means.
 */
enum tftpk_ack tftpk_window_ack(struct tftpk_window *w, struct tftpk_rtt *rtt,
				u16 block, u64 now_ns)
{
	u32 ahead = tftpk_window_ahead(w, block);
	u64 acked = w->acked + ahead;
	bool lost, rolled = w->rolled;
	u32 us;

	if (!ahead)
		return tftpk_window_repeated(w, rtt, now_ns);
	if (acked >= w->high)
		return TFTPK_ACK_STALE;

	us = min_t(u64, div_u64(now_ns - w->timed_ns, NSEC_PER_USEC),
		   TFTPK_RTT_MAX);
	if (w->timed && acked >= w->timed) {
		tftpk_rtt_sample(rtt, us);
		w->timed = 0;
		rtt->backoff = 0;
	} else if (acked + 1 == w->high) {
		/* An answer to what was sent first, or to what was again. Where
		 * a flight was probed although that long was waited for, each
		 * one loses something, and round trips are no longer than they
		 * were.
		 */
		lost = w->probed && rtt->guess;
		rtt->last = lost ? 0 : us;
		rtt->guess = w->probed && !lost;
	}
	w->acked = acked;
	w->echo = w->rolled || w->probed;
	w->rolled = false;
	w->probed = false;
	w->suspect = false;
	if (acked == w->last)
		return TFTPK_ACK_DONE;

	/* After going back this may be of what went out before. */
	if (w->next <= acked + 1) {
		w->next = acked + 1;
		return TFTPK_ACK_PROGRESS;
	}
	if (rolled && tftpk_window_echo(w, rtt, now_ns)) {
		w->rolled = true;
		w->suspect = true;
		return TFTPK_ACK_PROGRESS;
	}
	tftpk_window_back(w);
	return TFTPK_ACK_GAP;
}

/**
 * tftpk_window_room() - how many blocks may be sent now, from @w->next on
 * @w: window
 */
u32 tftpk_window_room(const struct tftpk_window *w)
{
	u64 end = min(w->acked + w->size, w->last);

	return end + 1 - w->next;
}

/**
 * tftpk_window_sent() - note that blocks went out
 * @w: window
 * @n: blocks sent, from @w->next on
 * @now_ns: the time
 *
 * Only a block's first transmission is timed (Karn's rule, RFC 6298
 * section 3), and only the last one of a burst: a client answers that.
 *
 * Return: how many of the blocks had been sent before.
 */
u32 tftpk_window_sent(struct tftpk_window *w, u32 n, u64 now_ns)
{
	u64 end = w->next + n;
	u32 again = min(w->high, end) - w->next;

	if (w->next == w->acked + 1)
		w->flight_ns = now_ns;
	if (again) {
		if (w->timed >= w->next)
			w->timed = 0;
	}
	if (end > w->high) {
		w->timed = end - 1;
		w->timed_ns = now_ns;
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
	rtt->last = min_t(u32, us, TFTPK_RTT_MAX);
	rtt->guess = false;
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

/* Wait twice as long (RFC 6298 section 5.5). */
static void tftpk_rtt_backoff(struct tftpk_rtt *rtt)
{
	if (rtt->backoff < 8)
		rtt->backoff++;
}

/* Somewhat more than the last round trip may have taken. What was sent twice
 * gives no sample (Karn's rule). So where round trips became longer than what
 * is waited for by the estimate, all would be sent twice from then on: nothing
 * may wait for less than what is known to have come at last.
 */
static u32 tftpk_rtt_last(const struct tftpk_rtt *rtt)
{
	return rtt->last + rtt->last / 4;
}

/**
 * tftpk_rtt_rto() - retransmission timeout in microseconds
 * @rtt: estimate
 * @utimeout: the client's timeout option in microseconds, 0 if it sent none
 *
 * The option (RFC 2349) never delays the first retransmission: it caps what
 * the backoff makes of it, though not below what a round trip takes, or the floor.
 */
u32 tftpk_rtt_rto(const struct tftpk_rtt *rtt, u32 utimeout)
{
	u64 rto = TFTPK_RTO_FIRST;

	if (rtt->srtt)
		rto = max_t(u64, rtt->srtt + 4ULL * rtt->rttvar, TFTPK_RTO_MIN);
	return min_t(u64, rto << rtt->backoff,
		     max3(utimeout ?: TFTPK_RTO_MAX, (u32)TFTPK_RTO_MIN,
			  tftpk_rtt_last(rtt)));
}

/* How long to wait for what tells a loss from an echo: until the answer to what
 * was sent just now would be here.
 */
static u32 tftpk_rtt_suspect(const struct tftpk_rtt *rtt)
{
	u32 last = min_t(u32, tftpk_rtt_last(rtt), TFTPK_SUSPECT_MAX);

	return max3(rtt->srtt + 4 * rtt->rttvar, last, TFTPK_PROBE_MIN);
}

/* When to probe for the loss of a flight's tail, 0 for not before the timeout:
 * after two round trips, as nothing but silence tells that the last block or its
 * ACK was lost. Clients in lock step also write to a disk meanwhile. After a
 * timeout the estimate is not believed until there is a new sample.
 */
static u32 tftpk_rtt_probe(const struct tftpk_rtt *rtt, u32 inflight)
{
	if (!rtt->srtt || rtt->backoff)
		return 0;
	return max3(2 * rtt->srtt + rtt->rttvar, tftpk_rtt_last(rtt),
		    inflight > 1 ? TFTPK_PROBE_MIN : TFTPK_PROBE_LONE);
}

/**
 * tftpk_window_wait() - how long to wait for the client
 * @w: window
 * @rtt: round-trip estimate
 * @utimeout: the client's timeout option in microseconds, 0 if it sent none
 *
 * Until the tail-loss probe, or until an ACK that may be an echo is taken for a
 * report of a loss, or until the retransmission timeout, whichever comes first.
 *
 * Return: microseconds; then tftpk_window_expired() tells what to do.
 */
u32 tftpk_window_wait(const struct tftpk_window *w, const struct tftpk_rtt *rtt,
		      u32 utimeout)
{
	u32 wait = tftpk_rtt_rto(rtt, utimeout);
	u32 probe = tftpk_rtt_probe(rtt, tftpk_window_inflight(w));

	if (probe && !w->probed)
		wait = min(wait, probe);
	if (w->suspect)
		wait = min(wait, tftpk_rtt_suspect(rtt));
	return wait;
}

/**
 * tftpk_window_timeout() - the retransmission timer expired
 * @w: window; goes back to the first block that was not acknowledged
 * @rtt: estimate; backs off
 */
void tftpk_window_timeout(struct tftpk_window *w, struct tftpk_rtt *rtt)
{
	tftpk_window_back(w);
	tftpk_rtt_backoff(rtt);
}

/**
 * tftpk_window_expired() - the wait is over and the client was silent
 * @w: window
 * @rtt: round-trip estimate
 * @verified: the client has acknowledged a block; an unverified one is only sent
 *	the flight's last block again
 *
 * Return: what to do, and to say by a function of the window.
 */
enum tftpk_expired tftpk_window_expired(const struct tftpk_window *w,
					const struct tftpk_rtt *rtt,
					bool verified)
{
	if (tftpk_window_room(w))
		return TFTPK_EXPIRED_UNSENT;
	if (w->suspect)
		return TFTPK_EXPIRED_LOSS;
	if (tftpk_window_inflight(w) &&
	    (!verified || (!w->probed && !rtt->backoff)))
		return TFTPK_EXPIRED_PROBE;
	return TFTPK_EXPIRED_TIMEOUT;
}

/**
 * tftpk_window_probe() - the flight's last block is sent again to ask for an
 *	answer
 * @w: window
 * @rtt: round-trip estimate; backs off where an unverified client is asked again
 * @verified: the client has acknowledged a block
 */
void tftpk_window_probe(struct tftpk_window *w, struct tftpk_rtt *rtt,
			bool verified)
{
	if (!verified && w->probed)
		tftpk_rtt_backoff(rtt);
	w->probed = true;
	w->timed = 0;
}
