/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sending side of RFC 1350's lock step and RFC 7440's windows: which
 * block an ACK means, what may be sent next, and when to send it again.
 *
 * Blocks are counted from 1 in 64 bits and become 16-bit numbers on the wire
 * only. All functions are pure: the caller passes the time in, and holds
 * whatever lock protects the structures.
 */
#ifndef _TFTPK_WINDOW_H
#define _TFTPK_WINDOW_H

#include <linux/types.h>

/* The most that max-windowsize may be set to: in larger windows an old ACK
 * could be taken for a new one.
 */
#define TFTPK_WINDOW_MAX	16384

/* Retransmission, all in microseconds. RFC 6298 section 2 with a lower floor. */
#define TFTPK_RTO_FIRST		1000000
#define TFTPK_RTO_MIN		200000
#define TFTPK_RTO_MAX		5000000
#define TFTPK_RTT_MAX		10000000	/* longer ones count as this */
#define TFTPK_PROBE_MIN		20000
#define TFTPK_PROBE_LONE	50000	/* of a flight of one block */
#define TFTPK_PAUSE_MIN		400000	/* after the first needless copy */
#define TFTPK_PAUSE_MAX		4000000	/* longer silence is no pause */
#define TFTPK_DISORDER_MAX	1000000	/* by a round trip that is inexact */

/**
 * struct tftpk_window - what was sent and acknowledged
 * @acked: last block acknowledged; 0 before the first (TCP: SND.UNA less one)
 * @next: block to send next; @acked < @next <= @high (TCP: SND.NXT)
 * @high: high-water mark: first block that was never sent
 * @last: number of the final block, the only one below the block size
 * @flight_ns: when block @acked + 1 was last sent
 * @recover: @high when the window last went back (RFC 6582)
 * @high_ns: when @high last moved, so when the block before it was first sent
 * @rtt_block: block whose ACK gives a round-trip sample, 0 for none
 * @copy_ns: when a block of this flight was last sent again
 * @copies: how often that was
 * @size: blocks that were granted
 * @limit: blocks that may be in flight now: @size, or less
 * @rollover: number on the wire of the block after 65535, 0 or 1
 * @went_back: go-back-N: this flight holds blocks that were sent before
 * @resent_before: the flight before this one went back or was probed
 * @probed: this flight's last block was sent again, as a tail-loss probe
 * @disorder: a dubious ACK came: it reports a loss, or it is an echo
 * @ahead: the most blocks beyond the ACK that a client gets that asked for no window;
 *	0 if it gets none, or none any more
 * @calm: of blocks ahead: how many were acknowledged since a loss, as far as U8_MAX
 * @repeats: likewise: ACKs that came again
 * @former: likewise: @limit before a loss that is doubtful, or 0
 * @late: likewise: a block was sent for the third time
 * @eager: blocks were sent ahead
 * @gap: block @acked + 1 was sent again because others are beyond it
 * @keeps: the client keeps blocks beyond a gap
 * @proven: the client got many blocks ahead before the first loss
 * @minded: it lacked a block soon after another
 * @lossy: some of the blocks ahead were lost
 */
struct tftpk_window {
	u64 acked;
	u64 next;
	u64 high;
	u64 last;
	u64 flight_ns;
	u64 recover;
	u64 high_ns;
	u64 rtt_block;
	u64 copy_ns;
	u16 size;
	u8 copies;
	u16 limit;
	u8 rollover;
	bool went_back;
	bool resent_before;
	bool probed;
	bool disorder;
	u8 ahead;
	u8 calm;
	u8 repeats;
	u8 former;
	bool late : 1;
	bool eager : 1;
	bool gap : 1;
	bool keeps : 1;
	bool proven : 1;
	bool minded : 1;
	bool lossy : 1;
};

/**
 * struct tftpk_rtt - round-trip estimate (RFC 6298), in microseconds
 * @srtt: smoothed round-trip time, 0 before the first sample
 * @rttvar: its variation
 * @min: shortest round trip seen
 * @backoff: timeouts in a row
 * @latest: the latest round trip, or an upper bound of it; 0 if unknown
 * @latest_probed: @latest comes from a flight that was probed
 * @calm: flights in a row that were answered before a probe was due
 * @needless: copies of which the client had no need, less those that it needed, as far
 *	as TFTPK_COPIES_AHEAD
 * @lossy: the client needed a copy, and has not been waited for since
 * @floor: nothing is sent again sooner, as the administrator has it
 * @pause: longest pause of the client that is known
 * @min_wait: nothing is sent again sooner, as these call for; 0 for a steady client
 */
struct tftpk_rtt {
	u32 srtt;
	u32 rttvar;
	u32 min;
	u8 backoff;
	u8 calm;
	s8 needless;
	bool latest_probed : 1;
	bool lossy : 1;
	u32 latest;
	u32 floor;
	u32 pause;
	u32 min_wait;
};

/**
 * enum tftpk_ack - what an ACK means
 * @TFTPK_ACK_STALE: of an old block, repeated, or of a block that was never sent;
 *	nothing to do
 * @TFTPK_ACK_DISORDER: may report a loss; wait a round trip for another ACK
 * @TFTPK_ACK_PROGRESS: acknowledges something new; send on from @next
 * @TFTPK_ACK_GAP: reports a loss; @next went back, send again
 * @TFTPK_ACK_RESEND: reports a loss; tftpk_ahead_resend(), and send block @acked + 1
 * @TFTPK_ACK_DONE: acknowledges the final block
 */
enum tftpk_ack {
	TFTPK_ACK_STALE,
	TFTPK_ACK_DISORDER,
	TFTPK_ACK_PROGRESS,
	TFTPK_ACK_GAP,
	TFTPK_ACK_RESEND,
	TFTPK_ACK_DONE,
};

/**
 * enum tftpk_recovery - what to do when the client was silent for
 *	tftpk_window_wait() microseconds
 * @TFTPK_RECOVERY_UNSENT: send the rest of the window
 * @TFTPK_RECOVERY_GO_BACK: the dubious ACK reported a loss: tftpk_window_go_back(), and
 *	send from @next
 * @TFTPK_RECOVERY_PROBE: tftpk_window_probe(), and send the flight's last block
 * @TFTPK_RECOVERY_RESEND: tftpk_ahead_probe(), and send block @acked + 1
 * @TFTPK_RECOVERY_TIMEOUT: tftpk_window_timeout(), and send from @next
 */
enum tftpk_recovery {
	TFTPK_RECOVERY_UNSENT,
	TFTPK_RECOVERY_GO_BACK,
	TFTPK_RECOVERY_PROBE,
	TFTPK_RECOVERY_RESEND,
	TFTPK_RECOVERY_TIMEOUT,
};

u16 tftpk_wire(u8 rollover, u64 block);
u32 tftpk_wire_ahead(u8 rollover, u64 from, u16 block);

void tftpk_window_init(struct tftpk_window *w, u64 bytes, u32 blksize,
		       u16 windowsize, u8 rollover);
enum tftpk_ack tftpk_window_ack(struct tftpk_window *w, struct tftpk_rtt *rtt,
				u16 block, u64 now_ns);
void tftpk_window_resume(struct tftpk_window *w, u64 acked, u32 inflight);
bool tftpk_window_answers_copy(const struct tftpk_window *w,
			       const struct tftpk_rtt *rtt, u64 now_ns);
bool tftpk_window_unsent(const struct tftpk_window *w, u16 block);
u32 tftpk_window_room(const struct tftpk_window *w);
u32 tftpk_window_note_sent(struct tftpk_window *w, u32 n, u64 now_ns);
u32 tftpk_window_wait(const struct tftpk_window *w, const struct tftpk_rtt *rtt,
		      u32 utimeout);
enum tftpk_recovery tftpk_window_recovery(const struct tftpk_window *w,
					  const struct tftpk_rtt *rtt,
					  bool validated);
void tftpk_window_go_back(struct tftpk_window *w);
void tftpk_window_probe(struct tftpk_window *w, struct tftpk_rtt *rtt,
			bool validated, u64 now_ns);
void tftpk_window_timeout(struct tftpk_window *w, struct tftpk_rtt *rtt);

void tftpk_rtt_sample(struct tftpk_rtt *rtt, u32 us);
u32 tftpk_rtt_due(const struct tftpk_rtt *rtt, u32 inflight);

/**
 * tftpk_window_wire() - a block's number in its packet
 * @w: window
 * @block: number of the block; 0 for the OACK
 */
static inline u16 tftpk_window_wire(const struct tftpk_window *w, u64 block)
{
	return w->rollover ? tftpk_wire(w->rollover, block) : block;
}

/** tftpk_window_inflight() - blocks sent and not acknowledged */
static inline u32 tftpk_window_inflight(const struct tftpk_window *w)
{
	return w->next - w->acked - 1;
}

/** tftpk_window_is_ahead() - may a client that asked for no window have several blocks? */
static inline bool tftpk_window_is_ahead(const struct tftpk_window *w)
{
	return w->size == 1 && (w->limit > 1 || tftpk_window_inflight(w) > 1);
}

#endif /* _TFTPK_WINDOW_H */
