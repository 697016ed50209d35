/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _TFTPK_MACROFLOW_H
#define _TFTPK_MACROFLOW_H

#include <linux/types.h>

/**
 * struct tftpk_macroflow - what transfers to one network have in common (RFC 3124)
 * @rated: how many macroflows have a rate
 * @watched: ACKs and losses are to be told; read without the lock
 * @starting: @rate is looked for from below
 * @quiet: periods in a row with nothing that speaks against more
 * @idle: periods in a row in which nobody waited
 * @stood: periods in a row with a queue that did not get empty, of which the rate was lowered
 * @running: transfers that send
 * @rate: bytes per second that all of them send, or 0: nobody waits for others; read
 *	without the lock
 * @top: the least rate that was too high, or 0
 * @clock: how many bytes could have been sent at this rate and those before
 * @clock_ns: when that was
 * @tail: where on that clock the next turn begins, if it is not over
 * @open_ns: until when many transfers are no reason to begin with a low rate
 * @grown_ns: from when on a rate that was doubled may be doubled again
 * @settled_ns: until when losses are those of a rate that was higher
 * @period_ns: when this period began
 * @reporters: of the period: whose losses those were, a bit each of a hash
 * @losses: likewise: how many
 * @acked: likewise: blocks acknowledged
 * @bytes: likewise: of those
 * @waits: likewise: how often somebody waited
 * @samples: likewise: round trips measured
 * @least_us: likewise: the least of them
 * @queue_us: how much longer it was than @base_us in the period before
 * @base_us: the least round trip at all, or 0
 */
struct tftpk_macroflow {
	atomic_t *rated;
	bool watched;
	bool starting;
	u16 quiet;
	u16 idle;
	u16 stood;
	u32 running;
	u64 rate;
	u64 top;
	u64 clock;
	u64 clock_ns;
	u64 tail;
	u64 open_ns;
	u64 grown_ns;
	u64 settled_ns;
	u64 period_ns;
	u64 reporters;
	u32 losses;
	u32 acked;
	u64 bytes;
	u32 waits;
	u32 samples;
	u32 least_us;
	u32 queue_us;
	u32 base_us;
};

void tftpk_macroflow_join(struct tftpk_macroflow *flow, u32 crowd, u32 us,
			  u64 now_ns);
void tftpk_macroflow_leave(struct tftpk_macroflow *flow);
u64 tftpk_macroflow_charge(struct tftpk_macroflow *flow, u32 bytes, u32 *n,
			   u64 *turn, u64 now_ns);
u64 tftpk_macroflow_wait(struct tftpk_macroflow *flow, u64 turn, u64 now_ns);
void tftpk_macroflow_note_ack(struct tftpk_macroflow *flow, u32 n, u32 bytes,
			      u32 us, u64 now_ns);
void tftpk_macroflow_note_loss(struct tftpk_macroflow *flow, u32 reporter,
			       u64 now_ns);

#endif /* _TFTPK_MACROFLOW_H */
