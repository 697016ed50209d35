/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The receiving side of RFC 1350's lock step and RFC 7440's windows: which block a DATA
 * packet has, whether to take it, and when to acknowledge.
 *
 * Blocks are counted from 1 in 64 bits and are 16-bit numbers on the wire only. All
 * functions are pure, as those of window.h.
 */
#ifndef _TFTPK_RWINDOW_H
#define _TFTPK_RWINDOW_H

#include <linux/types.h>

struct tftpk_rtt;

/**
 * struct tftpk_rwindow - what was received and acknowledged
 * @taken: last block that was taken, all before it, too; 0 before the first
 *	(TCP: RCV.NXT less one)
 * @acked: last block that was acknowledged; 0 before the first
 * @last: number of the final block, the only one below the block size; 0 until it
 *	is here
 * @acked_ns: when that was last acknowledged, or what stands for block 0 was sent
 * @heard_ns: when a DATA packet last came
 * @size: blocks that were granted
 * @rollover: number on the wire of the block after 65535, 0 or 1
 * @rollover_known: the client said so, or did it
 * @gap: the loss of block @taken + 1 was reported
 * @timed: only the ACK at @acked_ns can have made the client send block @taken + 1, so
 *	that gives a round trip
 * @backoff: ACKs in a row that were for the client's silence
 */
struct tftpk_rwindow {
	u64 taken;
	u64 acked;
	u64 last;
	u64 acked_ns;
	u64 heard_ns;
	u16 size;
	u8 rollover;
	bool rollover_known;
	bool gap;
	bool timed;
	u8 backoff;
};

/**
 * enum tftpk_data - what a DATA packet means
 * @TFTPK_DATA_STALE: taken before, beyond the window, or the loss was reported already:
 *	tftpk_rwindow_note_stale()
 * @TFTPK_DATA_REPEATED: the same, but the client seems to lack the ACK of what was taken:
 *	acknowledge again
 * @TFTPK_DATA_GAP: blocks before it are missing: tftpk_rwindow_note_gap(), and
 *	acknowledge, which reports that; if no ACK may go out, the same as for STALE
 * @TFTPK_DATA_TAKEN: tftpk_rwindow_take()
 * @TFTPK_DATA_WINDOW: the same, and acknowledge: it completes a window
 * @TFTPK_DATA_LAST: the same as for TAKEN; it is the final block
 */
enum tftpk_data {
	TFTPK_DATA_STALE,
	TFTPK_DATA_REPEATED,
	TFTPK_DATA_GAP,
	TFTPK_DATA_TAKEN,
	TFTPK_DATA_WINDOW,
	TFTPK_DATA_LAST,
};

void tftpk_rwindow_init(struct tftpk_rwindow *w, u16 windowsize, u8 rollover,
			bool rollover_known, u64 now_ns);
enum tftpk_data tftpk_rwindow_look(const struct tftpk_rwindow *w,
				   const struct tftpk_rtt *rtt, u16 block,
				   bool final, u64 now_ns);
void tftpk_rwindow_take(struct tftpk_rwindow *w, struct tftpk_rtt *rtt,
			u16 block, bool final, u64 now_ns);
void tftpk_rwindow_note_stale(struct tftpk_rwindow *w,
			      const struct tftpk_rtt *rtt, u64 now_ns);
void tftpk_rwindow_note_gap(struct tftpk_rwindow *w, u16 block, u64 now_ns);
void tftpk_rwindow_note_acked(struct tftpk_rwindow *w, u64 now_ns);
u16 tftpk_rwindow_wire(const struct tftpk_rwindow *w, u64 block);
u32 tftpk_rwindow_wait(const struct tftpk_rwindow *w,
		       const struct tftpk_rtt *rtt, u64 now_ns);
bool tftpk_rwindow_timeout(struct tftpk_rwindow *w, const struct tftpk_rtt *rtt,
			   u64 now_ns);

#endif /* _TFTPK_RWINDOW_H */
