// SPDX-License-Identifier: GPL-2.0
/*
 * Block arithmetic of uploads: what to take, and when to acknowledge.
 */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "rwindow.h"
#include "window.h"

/* Where timeouts stop doubling: the least one is TFTPK_RTO_MAX then. */
#define TFTPK_BACKOFF_MAX	8

/**
 * tftpk_rwindow_init() - begin an upload
 * @w: window
 * @windowsize: blocks that the client may have in flight, at least 1
 * @rollover: number on the wire of the block after 65535, 0 or 1
 * @rollover_known: the client said so; else it shows at that block
 * @now_ns: when the OACK is sent, or ACK 0
 */
void tftpk_rwindow_init(struct tftpk_rwindow *w, u16 windowsize, u8 rollover,
			bool rollover_known, u64 now_ns)
{
	memset(w, 0, sizeof(*w));
	w->size = windowsize;
	w->rollover = rollover_known ? rollover : 0;
	w->rollover_known = rollover_known;
	w->acked_ns = now_ns;
	w->heard_ns = now_ns;
	w->timed = true;
}

/**
 * tftpk_rwindow_wire() - a block's number in its packet
 * @w: window
 * @block: number of the block; 0 for what is acknowledged before the first
 */
u16 tftpk_rwindow_wire(const struct tftpk_rwindow *w, u64 block)
{
	return tftpk_wire(w->rollover, block);
}

/* How far @block lies ahead of the last block that was taken, in numbers. */
static u32 tftpk_rwindow_ahead(const struct tftpk_rwindow *w, u16 block)
{
	/* In lock step nothing but the next block can follow. */
	if (w->size == 1 && w->taken == 65535 && !w->rollover_known &&
	    block == 1)
		return 1;
	return tftpk_wire_ahead(w->rollover, w->taken, block);
}

/*
 * In windows, a 1 after 65535 may be the next block or the one after that, and then 0
 * was lost. A guess could leave a block out of the file. The end of the window decides:
 * a client that goes on with 0 may not have sent that number yet.
 */
static bool tftpk_rwindow_shows_1(const struct tftpk_rwindow *w, u16 block)
{
	return w->size > 1 && !w->rollover_known && block &&
	       w->acked + w->size == 65535 + (u64)block;
}

/* How long silence means nothing, but for the backoff. */
static u32 tftpk_rwindow_due(const struct tftpk_rwindow *w,
			     const struct tftpk_rtt *rtt)
{
	return rtt->srtt ? tftpk_rtt_due(rtt, w->size) : TFTPK_RTO_FIRST;
}

/*
 * Is the last ACK to be repeated for a packet that brings nothing? If it was lost, yes.
 * But tftp-hpa sends a block again for each ACK that repeats: if the network copied one
 * packet, all that follow would be sent twice, the Sorcerer's Apprentice Syndrome. What
 * comes soon after the ACK is such a copy, and no client misses an ACK as soon as that.
 *
 * Within windows nothing tells a copy of a window from one that is sent for want of the
 * ACK, but that it comes after silence, so the timer repeats the ACK. Only a client that
 * sends again sooner than the timer expires is answered at once, from time to time.
 */
static bool tftpk_rwindow_wants_ack(const struct tftpk_rwindow *w,
				    const struct tftpk_rtt *rtt, bool newest,
				    u64 now_ns)
{
	u64 since_ns = now_ns - w->acked_ns;

	if (w->size == 1 || w->last)
		return newest && w->taken && w->taken == w->acked &&
		       since_ns >= max_t(u32, rtt->min / 2, TFTPK_PROBE_LONE) *
				   (u64)NSEC_PER_USEC;
	return w->taken != w->acked + w->size &&
	       since_ns >= max_t(u32, tftpk_rwindow_due(w, rtt), TFTPK_RTO_FIRST) *
			   (u64)NSEC_PER_USEC;
}

/* What does a DATA packet bring? */
static enum tftpk_data tftpk_rwindow_judge(const struct tftpk_rwindow *w,
					   u16 block, bool final)
{
	u32 ahead = tftpk_rwindow_ahead(w, block);
	u64 number = w->taken + ahead;

	if (!ahead || w->last)
		return TFTPK_DATA_STALE;
	if (tftpk_rwindow_shows_1(w, block))
		return TFTPK_DATA_GAP;
	if (number > w->acked + w->size)
		return TFTPK_DATA_STALE;
	if (ahead > 1)
		return w->gap ? TFTPK_DATA_STALE : TFTPK_DATA_GAP;
	if (final)
		return TFTPK_DATA_LAST;
	return number == w->acked + w->size ? TFTPK_DATA_WINDOW :
					      TFTPK_DATA_TAKEN;
}

/**
 * tftpk_rwindow_look() - what does a DATA packet mean?
 * @w: window
 * @rtt: round-trip estimate
 * @block: its block number
 * @final: its payload is shorter than a block
 * @now_ns: time of its arrival
 *
 * RFC 1350 section 2; RFC 7440 section 4.
 */
enum tftpk_data tftpk_rwindow_look(const struct tftpk_rwindow *w,
				   const struct tftpk_rtt *rtt, u16 block,
				   bool final, u64 now_ns)
{
	enum tftpk_data data = tftpk_rwindow_judge(w, block, final);
	bool newest = !tftpk_rwindow_ahead(w, block);

	if (data == TFTPK_DATA_STALE &&
	    tftpk_rwindow_wants_ack(w, rtt, newest, now_ns))
		return TFTPK_DATA_REPEATED;
	return data;
}

/**
 * tftpk_rwindow_take() - take a block
 * @w: window
 * @rtt: round-trip estimate; takes a sample where the block gives one
 * @block: its number, which tftpk_rwindow_look() found to be that of the next block
 * @final: its payload is shorter than a block
 * @now_ns: time of its arrival
 *
 * What comes after silence does not end the backoff, if it may have come without the
 * ACKs for that: a client that often pauses would get two ACKs for each window, and
 * never give a sample (Karn's algorithm).
 */
void tftpk_rwindow_take(struct tftpk_rwindow *w, struct tftpk_rtt *rtt,
			u16 block, bool final, u64 now_ns)
{
	if (w->timed) {
		tftpk_rtt_sample(rtt, min_t(u64, TFTPK_RTT_MAX,
					    div_u64(now_ns - w->acked_ns,
						    NSEC_PER_USEC)));
		w->timed = false;
		w->backoff = 0;
	}
	if (w->taken == 65535 && !w->rollover_known) {
		w->rollover = block;
		w->rollover_known = true;
	}
	w->heard_ns = now_ns;
	w->taken++;
	w->gap = false;
	if (final)
		w->last = w->taken;
}

/**
 * tftpk_rwindow_note_stale() - note that the client sent what is of no use
 * @w: window
 * @rtt: round-trip estimate
 * @now_ns: time of its arrival
 *
 * It is not silent. If this ends its silence, it did not pause, but lacks an ACK: this
 * ends the backoff.
 */
void tftpk_rwindow_note_stale(struct tftpk_rwindow *w,
			      const struct tftpk_rtt *rtt, u64 now_ns)
{
	if (now_ns - w->heard_ns >=
	    tftpk_rwindow_due(w, rtt) * (u64)NSEC_PER_USEC)
		w->backoff = 0;
	w->heard_ns = now_ns;
}

/**
 * tftpk_rwindow_note_gap() - note that a loss is reported by the next ACK
 * @w: window, before tftpk_rwindow_note_acked()
 * @block: number of the packet that showed the loss
 * @now_ns: time of its arrival
 *
 * So the path is lossy, and the client is not slow: this ends the backoff.
 */
void tftpk_rwindow_note_gap(struct tftpk_rwindow *w, u16 block, u64 now_ns)
{
	w->heard_ns = now_ns;
	if (tftpk_rwindow_shows_1(w, block)) {
		w->rollover = 1;
		w->rollover_known = true;
	}
	w->gap = true;
	w->backoff = 0;
}

/**
 * tftpk_rwindow_note_acked() - note that an ACK of all that was taken goes out
 * @w: window
 * @now_ns: the time
 *
 * Before the first block, this is the OACK or ACK 0 once more. Only the ACK of a whole
 * window is timed: after any other the client may send the next block unasked, or has.
 */
void tftpk_rwindow_note_acked(struct tftpk_rwindow *w, u64 now_ns)
{
	w->timed = w->taken == w->acked + w->size;
	w->acked = w->taken;
	w->acked_ns = now_ns;
}

/* How long the client may be silent now, in microseconds; 0 for ever. In lock step its own
 * timer suffices, and after the final block there is nothing to wait for.
 */
static u32 tftpk_rwindow_patience(const struct tftpk_rwindow *w,
				  const struct tftpk_rtt *rtt)
{
	u64 us = (u64)tftpk_rwindow_due(w, rtt) << w->backoff;

	if (w->size == 1 || w->last)
		return 0;
	return max_t(u32, min_t(u64, us, TFTPK_RTO_MAX), rtt->floor);
}

/* How long the client has been silent. */
static u64 tftpk_rwindow_silence(const struct tftpk_rwindow *w, u64 now_ns)
{
	return div_u64(now_ns - max(w->heard_ns, w->acked_ns), NSEC_PER_USEC);
}

/**
 * tftpk_rwindow_wait() - how much longer to wait for the client
 * @w: window
 * @rtt: round-trip estimate
 * @now_ns: the time
 *
 * Return: microseconds. If they pass, call tftpk_rwindow_timeout(). 0 for ever.
 */
u32 tftpk_rwindow_wait(const struct tftpk_rwindow *w,
		       const struct tftpk_rtt *rtt, u64 now_ns)
{
	u32 patience = tftpk_rwindow_patience(w, rtt);
	u64 silence = tftpk_rwindow_silence(w, now_ns);

	if (!patience)
		return 0;
	return silence < patience ? patience - silence : 1;
}

/**
 * tftpk_rwindow_timeout() - time has passed; is the client silent for too long?
 * @w: window; backs off if so, and reports the next loss once more
 * @rtt: round-trip estimate
 * @now_ns: the time
 *
 * Return: true if an ACK is to go out for that.
 */
bool tftpk_rwindow_timeout(struct tftpk_rwindow *w, const struct tftpk_rtt *rtt,
			   u64 now_ns)
{
	u32 patience = tftpk_rwindow_patience(w, rtt);

	if (!patience || tftpk_rwindow_silence(w, now_ns) < patience)
		return false;
	w->gap = false;
	if (w->backoff < TFTPK_BACKOFF_MAX)
		w->backoff++;
	return true;
}
