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

/* Is the answer to the last ACK still to come? Then another ACK tells the client nothing,
 * but some clients send a window, or in lock step a block, for each.
 */
static bool tftpk_rwindow_answer_is_due(const struct tftpk_rwindow *w,
					const struct tftpk_rtt *rtt, u64 now_ns)
{
	return now_ns - w->acked_ns < rtt->min * (u64)NSEC_PER_USEC / 2;
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
	u32 ahead = tftpk_rwindow_ahead(w, block);
	u64 number = w->taken + ahead;

	if (!ahead) {
		if (!w->taken || w->taken != w->acked ||
		    (w->size > 1 && !w->last) ||
		    tftpk_rwindow_answer_is_due(w, rtt, now_ns))
			return TFTPK_DATA_STALE;
		return TFTPK_DATA_REPEATED;
	}
	if (w->last)
		return TFTPK_DATA_STALE;
	if (tftpk_rwindow_shows_1(w, block))
		return TFTPK_DATA_GAP;
	if (number > w->acked + w->size)
		return TFTPK_DATA_STALE;
	if (ahead > 1)
		return w->gap || tftpk_rwindow_answer_is_due(w, rtt, now_ns) ?
		       TFTPK_DATA_STALE : TFTPK_DATA_GAP;
	if (final)
		return TFTPK_DATA_LAST;
	return number == w->acked + w->size ? TFTPK_DATA_WINDOW :
					      TFTPK_DATA_TAKEN;
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
	w->taken++;
	w->gap = false;
	if (final)
		w->last = w->taken;
}

/**
 * tftpk_rwindow_note_gap() - note that a loss is reported by the next ACK
 * @w: window, before tftpk_rwindow_note_acked()
 * @block: number of the packet that showed the loss
 *
 * So the path is lossy, and the client is not slow: this ends the backoff.
 */
void tftpk_rwindow_note_gap(struct tftpk_rwindow *w, u16 block)
{
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

/**
 * tftpk_rwindow_wait() - how long to wait for the client
 * @w: window
 * @rtt: round-trip estimate
 *
 * Return: microseconds, from when a block was last taken or acknowledged. If they pass,
 *	call tftpk_rwindow_timeout(), and acknowledge. 0 for never: in lock step, where
 *	the client's timer suffices, and after the final block.
 */
u32 tftpk_rwindow_wait(const struct tftpk_rwindow *w,
		       const struct tftpk_rtt *rtt)
{
	u64 us = TFTPK_RTO_FIRST;

	if (w->size == 1 || w->last)
		return 0;
	if (rtt->srtt)
		us = tftpk_rtt_due(rtt, w->size);
	us = min_t(u64, us << w->backoff, TFTPK_RTO_MAX);
	return max_t(u32, us, rtt->floor);
}

/**
 * tftpk_rwindow_timeout() - the client was silent for tftpk_rwindow_wait()
 * @w: window; backs off, and reports the next loss once more
 */
void tftpk_rwindow_timeout(struct tftpk_rwindow *w)
{
	w->gap = false;
	if (w->backoff < TFTPK_BACKOFF_MAX)
		w->backoff++;
}
