// SPDX-License-Identifier: GPL-2.0
/*
 * Blocks ahead of the ACKs of a client in lock step.
 *
 * Such a client never said that it takes a block before it has acknowledged the one
 * before. Many do: their network card or their socket holds what comes early. So the
 * window is one of congestion, as TCP's (RFC 5681): it begins with one block ahead,
 * doubles with each prompt round trip up to the first loss, and grows by a block later;
 * a loss halves it. Round trips that grow with it mean that blocks wait at the client,
 * or on the way: then it does not grow.
 *
 * At the first sign that the client minds, the transfer goes on in lock step for good.
 *
 * A client that keeps blocks beyond a gap (iPXE) acknowledges the last block before the
 * gap for each of them, and then all of them at once; so only the gap is sent again
 * (RFC 6582). One that takes blocks in order only (GRUB) is sent all blocks from the gap
 * on again.
 */
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/string.h>
#include <linux/time64.h>

#include "ahead.h"
#include "proto.h"

/* Blocks acknowledged in lock step before any is sent ahead: the client has shown that
 * it gets what is sent to it, and how long it takes.
 */
#define TFTPK_AHEAD_AFTER	8
/* A client that acknowledges fewer blocks before a loss minds, or so it seems. Once it
 * has acknowledged more without any, that has to happen twice in a row.
 */
#define TFTPK_AHEAD_CALM	4
#define TFTPK_AHEAD_PROVEN	32
/* Blocks on both sides of the end of the numbers that are sent in lock step: clients
 * take a block beyond it for one far behind (iPXE, GRUB), and say that they have it.
 */
#define TFTPK_AHEAD_WRAP	128
/* Repeated ACKs that report a gap; a single one may be a copy. */
#define TFTPK_AHEAD_REPEATS	2

/* Clients of which more blocks than they asked for are known to do no harm, by the
 * options that they send.
 */
static const struct {
	u16 blksize;
	u8 nopts;
	u8 opts[2];
} tftpk_ahead_known[] = {
	/* iPXE */
	{ 1432, 2, { TFTPK_OPT_BLKSIZE, TFTPK_OPT_TSIZE } },
	/* GRUB */
	{ 1024, 2, { TFTPK_OPT_BLKSIZE, TFTPK_OPT_TSIZE } },
};

static bool tftpk_ahead_is_known(const struct tftpk_request *req)
{
	u32 i;

	for (i = 0; i < ARRAY_SIZE(tftpk_ahead_known); i++)
		if (req->nopts == tftpk_ahead_known[i].nopts &&
		    req->blksize == tftpk_ahead_known[i].blksize &&
		    !memcmp(req->opts, tftpk_ahead_known[i].opts, req->nopts))
			return true;
	return false;
}

/**
 * tftpk_ahead_most() - how many blocks a client may be sent beyond its ACK
 * @req: the client's request
 * @blksize: payload bytes of a block
 * @most: the most blocks, as the administrator has it
 * @all: also for clients that are not known to get along with that
 *
 * Return: blocks; 0 for lock step, and for a client that asked for a window.
 */
u32 tftpk_ahead_most(const struct tftpk_request *req, u32 blksize, u32 most,
		     bool all)
{
	if (req->mode != TFTPK_MODE_OCTET ||
	    tftpk_has_option(req, TFTPK_OPT_WINDOWSIZE) ||
	    (!all && !tftpk_ahead_is_known(req)))
		return 0;
	return min(most, max(TFTPK_AHEAD_BYTES / blksize, 1U) - 1);
}

/* Go on in lock step, for good. */
static void tftpk_ahead_stop(struct tftpk_window *w)
{
	w->ahead = 0;
	w->limit = 1;
}

/* A block was lost, or the client did not take it. */
static void tftpk_ahead_note_loss(struct tftpk_window *w)
{
	bool minds = w->calm < TFTPK_AHEAD_CALM;

	if (minds && (w->minded || !w->proven))
		tftpk_ahead_stop(w);
	else
		w->limit = max(w->limit / 2, 2);
	w->minded = minds;
	w->recover = w->high;
	w->lossy = true;
	w->calm = 0;
}

/* A round trip was measured. Did the blocks of the flight have to wait nowhere? */
static void tftpk_ahead_grow(struct tftpk_window *w, const struct tftpk_rtt *rtt)
{
	if (rtt->latest > 2 * rtt->min)
		return;
	w->limit = min(w->lossy ? w->limit + 1 : 2 * w->limit, w->ahead + 1);
}

/* Do the numbers begin anew soon, or have they just done so? */
static bool tftpk_ahead_wraps(const struct tftpk_window *w)
{
	u16 wire = tftpk_window_wire(w, w->acked);

	return wire > 65535 - TFTPK_AHEAD_WRAP ||
	       (wire < TFTPK_AHEAD_WRAP && w->acked > wire);
}

/* Send the first block ahead, if the client has kept up so far. */
static void tftpk_ahead_begin(struct tftpk_window *w, const struct tftpk_rtt *rtt)
{
	if (w->acked < TFTPK_AHEAD_AFTER || w->resent_before || w->went_back ||
	    rtt->min_wait || rtt->latest > 2 * rtt->min || tftpk_ahead_wraps(w))
		return;
	w->limit = 2;
	w->eager = true;
	w->calm = 0;
	w->gap = false;
	w->repeats = 0;
	w->former = 0;
}

/* In lock step a block was acknowledged. If the client lacked what it was sent three
 * times, and more, it minds.
 */
static void tftpk_ahead_go_on(struct tftpk_window *w, const struct tftpk_rtt *rtt,
			      u64 now_ns)
{
	if (w->late && w->acked + 1 < w->recover &&
	    tftpk_window_answers_copy(w, rtt, now_ns))
		tftpk_ahead_stop(w);
	else
		tftpk_ahead_begin(w, rtt);
	w->late = false;
}

/* The first ACK after a loss. If it does not answer the copy, there was none: packets
 * were reordered, or the client paused.
 */
static void tftpk_ahead_judge(struct tftpk_window *w, const struct tftpk_rtt *rtt,
			      u64 now_ns)
{
	if (w->former && w->ahead && !tftpk_window_answers_copy(w, rtt, now_ns)) {
		w->limit = w->former;
		w->recover = 0;
		w->gap = false;
		w->minded = false;
		w->calm = U8_MAX;
	}
	w->former = 0;
}

/* An ACK of what is acknowledged already: the client got a block beyond a gap. After a
 * copy was sent it may as well be the answer to that.
 */
static enum tftpk_ack tftpk_ahead_take_repeat(struct tftpk_window *w)
{
	if (w->gap || w->acked + 1 < w->recover ||
	    tftpk_window_inflight(w) <= TFTPK_AHEAD_REPEATS ||
	    ++w->repeats < TFTPK_AHEAD_REPEATS)
		return TFTPK_ACK_STALE;
	w->former = w->limit;
	tftpk_ahead_note_loss(w);
	return TFTPK_ACK_RESEND;
}

/* The block after a gap that was sent again is missing, too. */
static enum tftpk_ack tftpk_ahead_take_partial(struct tftpk_window *w)
{
	u64 recover = w->recover;

	if (w->keeps)
		return TFTPK_ACK_RESEND;
	tftpk_window_go_back(w);
	w->recover = recover;
	return TFTPK_ACK_GAP;
}

/* Take an ACK of block @acked, which is in flight as others are. */
static enum tftpk_ack tftpk_ahead_take(struct tftpk_window *w,
				       struct tftpk_rtt *rtt, u64 acked,
				       u64 now_ns)
{
	u64 blocks = acked - w->acked;
	bool resent;

	tftpk_ahead_judge(w, rtt, now_ns);
	resent = w->gap;
	if (w->rtt_block && acked >= w->rtt_block) {
		tftpk_rtt_sample(rtt, min_t(u64, div_u64(now_ns - w->high_ns,
							 NSEC_PER_USEC),
					    TFTPK_RTT_MAX));
		w->rtt_block = 0;
		if (w->ahead)
			tftpk_ahead_grow(w, rtt);
	}
	rtt->backoff = 0;
	w->acked = acked;
	w->next = max(w->next, acked + 1);
	w->calm = min_t(u64, w->calm + blocks, U8_MAX);
	if (w->calm >= TFTPK_AHEAD_PROVEN)
		w->proven = true;
	w->gap = false;
	w->repeats = 0;
	w->copies = 0;
	w->probed = false;
	w->resent_before = resent || w->went_back;
	w->went_back = false;
	if (acked == w->last)
		return TFTPK_ACK_DONE;
	if (tftpk_ahead_wraps(w) || w->late)
		w->limit = 1;
	if (resent && blocks > 1)
		w->keeps = true;
	return resent && acked + 1 < w->recover ? tftpk_ahead_take_partial(w) :
						  TFTPK_ACK_PROGRESS;
}

/**
 * tftpk_ahead_ack() - take an ACK, as tftpk_window_ack()
 * @w: window
 * @rtt: round-trip estimate
 * @block: block number of the ACK
 * @now_ns: time of its arrival
 *
 * Return: what it means.
 */
enum tftpk_ack tftpk_ahead_ack(struct tftpk_window *w, struct tftpk_rtt *rtt,
			       u16 block, u64 now_ns)
{
	enum tftpk_ack ack;
	u32 distance;
	u64 acked;

	if (w->ahead && tftpk_window_unsent(w, block))
		tftpk_ahead_stop(w);
	if (!tftpk_window_is_ahead(w)) {
		acked = w->acked;
		ack = tftpk_window_ack(w, rtt, block, now_ns);
		if (w->acked != acked && w->ahead)
			tftpk_ahead_go_on(w, rtt, now_ns);
		return ack;
	}
	distance = tftpk_wire_ahead(w->rollover, w->acked, block);
	if (!distance)
		return tftpk_ahead_take_repeat(w);
	if (w->acked + distance >= w->high)
		return TFTPK_ACK_STALE;
	return tftpk_ahead_take(w, rtt, w->acked + distance, now_ns);
}

/**
 * tftpk_ahead_recovery() - choose how to recover, as tftpk_window_recovery()
 * @w: window
 * @rtt: round-trip estimate
 * @validated: the client has acknowledged a block
 *
 * Return: what to do, and which function to call.
 */
enum tftpk_recovery tftpk_ahead_recovery(const struct tftpk_window *w,
					 const struct tftpk_rtt *rtt,
					 bool validated)
{
	if (!tftpk_window_is_ahead(w) || tftpk_window_room(w))
		return tftpk_window_recovery(w, rtt, validated);
	return w->gap ? TFTPK_RECOVERY_TIMEOUT : TFTPK_RECOVERY_RESEND;
}

/**
 * tftpk_ahead_resend() - the first block that is not acknowledged is sent again
 * @w: window
 * @now_ns: the time
 *
 * After TFTPK_ACK_RESEND.
 */
void tftpk_ahead_resend(struct tftpk_window *w, u64 now_ns)
{
	w->gap = true;
	w->probed = true;
	w->copy_ns = now_ns;
	w->rtt_block = 0;
}

/**
 * tftpk_ahead_probe() - the same, after TFTPK_RECOVERY_RESEND: no ACK reported the loss
 * @w: window
 * @now_ns: the time
 */
void tftpk_ahead_probe(struct tftpk_window *w, u64 now_ns)
{
	w->former = w->limit;
	tftpk_ahead_note_loss(w);
	tftpk_ahead_resend(w, now_ns);
}

/**
 * tftpk_ahead_timeout() - the retransmission timer expired, as tftpk_window_timeout()
 * @w: window
 * @rtt: estimate
 *
 * A block is to be sent for the third time.
 */
void tftpk_ahead_timeout(struct tftpk_window *w, struct tftpk_rtt *rtt)
{
	if (w->late && w->high > w->acked + 2) {
		/* Some answer a copy only of the last block that they have, and the
		 * ACK of that may be what was lost (curl, tftp-hpa).
		 */
		w->limit = w->high - 1 - w->acked;
	} else if (tftpk_window_is_ahead(w)) {
		w->limit = 1;
		w->late = true;
	}
	tftpk_window_timeout(w, rtt);
}
