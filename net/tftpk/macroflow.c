// SPDX-License-Identifier: GPL-2.0
/*
 * The rate that the transfers to a network share, once they are many or lose packets
 * together: a macroflow, as RFC 3124 calls it.
 *
 * TFTP has no congestion control: lock step is slow enough for one client, and a window
 * is sent as fast as it can be. A boot storm is a thousand of them. The narrowest queue
 * on their way has room for some hundred packets, so nearly all blocks are lost, and most
 * of what gets through are blocks that the client cannot use.
 *
 * So clients of one network take turns: each sends a few blocks, then waits for the others'.
 * How fast that goes follows what comes back. Once round trips never get as short as they
 * were, packets stand in a queue, however short the bursts that the timer makes
 * (RFC 8289 section 3 has that of the least delay of a period), and the rate gets less. It gets
 * still less once losses are frequent, but only of losses that several clients report: one
 * that lies, or is gone, slows nobody. Otherwise it grows.
 */
#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/time64.h>

#include "macroflow.h"

/* Turns that come so soon are now. */
#define TFTPK_FLOW_SLACK_NS	(500 * NSEC_PER_USEC)

#define TFTPK_FLOW_PERIOD_US	50000U
#define TFTPK_FLOW_PERIOD_NS	(TFTPK_FLOW_PERIOD_US * (u64)NSEC_PER_USEC)

/* Bytes per second: at first, of many transfers; at least; and from where on nobody waits. */
#define TFTPK_FLOW_FIRST	(8U << 20)
#define TFTPK_FLOW_MIN		(64ULL << 10)
#define TFTPK_FLOW_MAX		(1024ULL << 20)

/* What a rate gets more with each period for each transfer, so that several get equal. */
#define TFTPK_FLOW_MORE		256U

/* For so long a network is known to have room. */
#define TFTPK_FLOW_OPEN_NS	(60ULL * NSEC_PER_SEC)

/* Periods without losses, or without anybody who waited, after which nobody is watched. */
#define TFTPK_FLOW_CALM		40

/* Blocks of a turn: so many, but fewer if it takes longer until all had theirs, and more if
 * there would be more turns in a second.
 */
#define TFTPK_FLOW_TURN		4U
#define TFTPK_FLOW_ROUNDS	4
#define TFTPK_FLOW_TURNS	4096

/* Losses that count: of so many clients, and one of so many blocks. */
#define TFTPK_FLOW_FEW		3
#define TFTPK_FLOW_REPORTERS	8
#define TFTPK_FLOW_LOSS_PARTS	64

/* Least round trips that are longer by less are no queue. */
#define TFTPK_FLOW_STANDING_US	1000
#define TFTPK_FLOW_SAMPLES	4

/* A queue that does not get empty for so many periods, though the rate was lowered, is none:
 * the way has become longer.
 */
#define TFTPK_FLOW_STANDS	8

static void tftpk_flow_begin_period(struct tftpk_macroflow *flow, u64 now_ns)
{
	flow->period_ns = now_ns;
	flow->reporters = 0;
	flow->losses = 0;
	flow->acked = 0;
	flow->bytes = 0;
	flow->waits = 0;
	flow->samples = 0;
	flow->least_us = U32_MAX;
}

static void tftpk_flow_watch(struct tftpk_macroflow *flow, u64 now_ns)
{
	if (flow->watched)
		return;
	WRITE_ONCE(flow->watched, true);
	flow->quiet = 0;
	flow->idle = 0;
	flow->stood = 0;
	flow->queue_us = 0;
	flow->top = 0;
	tftpk_flow_begin_period(flow, now_ns);
}

static void tftpk_flow_tick(struct tftpk_macroflow *flow, u64 now_ns)
{
	if (now_ns <= flow->clock_ns)
		return;
	flow->clock += mul_u64_u64_div_u64(flow->rate, now_ns - flow->clock_ns,
					   NSEC_PER_SEC);
	flow->clock_ns = now_ns;
}

/* Nanoseconds until the clock is at @turn. */
static u64 tftpk_flow_until(const struct tftpk_macroflow *flow, u64 turn)
{
	u64 ns;

	if (!flow->rate || turn <= flow->clock)
		return 0;
	ns = mul_u64_u64_div_u64(turn - flow->clock, NSEC_PER_SEC, flow->rate);
	return ns > TFTPK_FLOW_SLACK_NS ? ns : 0;
}

static void tftpk_flow_set_rate(struct tftpk_macroflow *flow, u64 rate)
{
	atomic_add(!!rate - !!flow->rate, flow->rated);
	WRITE_ONCE(flow->rate, rate ? max_t(u64, rate, TFTPK_FLOW_MIN) : 0);
}

/* Nobody waits any more. */
static void tftpk_flow_open(struct tftpk_macroflow *flow, u64 now_ns)
{
	tftpk_flow_set_rate(flow, 0);
	flow->starting = false;
	flow->quiet = 0;
	flow->open_ns = now_ns + TFTPK_FLOW_OPEN_NS;
}

/* Do losses speak of a queue that is full? */
static bool tftpk_flow_loses(const struct tftpk_macroflow *flow)
{
	u32 few = flow->starting ? TFTPK_FLOW_FEW :
			clamp(flow->running / 4, (u32)TFTPK_FLOW_FEW,
			      (u32)TFTPK_FLOW_REPORTERS);

	return hweight64(flow->reporters) >= few &&
	       (u64)flow->losses * TFTPK_FLOW_LOSS_PARTS > flow->acked;
}

/* The part of the period's round trips, in microseconds, that is a queue which never gets
 * empty, or 0.
 */
static u32 tftpk_flow_standing(const struct tftpk_macroflow *flow)
{
	u32 us;

	if (flow->samples < TFTPK_FLOW_SAMPLES)
		return 0;
	us = flow->least_us - flow->base_us;
	return us > max_t(u32, flow->base_us / 8, TFTPK_FLOW_STANDING_US) ?
		       us : 0;
}

static u32 tftpk_flow_turn(const struct tftpk_macroflow *flow, u32 bytes)
{
	u64 most = div64_u64(flow->rate, (u64)TFTPK_FLOW_ROUNDS *
			     max(flow->running, 1U) * bytes);

	return max_t(u64, clamp_t(u64, most, 1, TFTPK_FLOW_TURN),
		     div_u64(flow->rate / TFTPK_FLOW_TURNS, bytes));
}

/* This rate is too high. For a turn and some time, losses are those of it. */
static void tftpk_flow_lower(struct tftpk_macroflow *flow, u64 rate, u64 now_ns,
			     u32 bytes)
{
	u64 turn = div64_u64((u64)flow->running * TFTPK_FLOW_TURN * bytes *
			     NSEC_PER_SEC, flow->rate);

	flow->top = flow->rate;
	flow->settled_ns = now_ns + 2 * TFTPK_FLOW_PERIOD_NS +
			   min_t(u64, turn, NSEC_PER_SEC);
	flow->quiet = 0;
	tftpk_flow_set_rate(flow, rate);
}

static u64 tftpk_flow_delivered(const struct tftpk_macroflow *flow, u64 now_ns)
{
	return div64_u64(flow->bytes * NSEC_PER_SEC, now_ns - flow->period_ns);
}

/* Look for the rate from below: double it, until a queue fills. */
static void tftpk_flow_judge_start(struct tftpk_macroflow *flow, u64 now_ns,
				   u32 bytes)
{
	u64 rate = flow->rate;

	if (tftpk_flow_standing(flow) ||
	    (now_ns >= flow->settled_ns && tftpk_flow_loses(flow))) {
		/* Half as much was not. */
		flow->starting = false;
		tftpk_flow_lower(flow, rate / 2, now_ns, bytes);
		return;
	}
	flow->quiet = flow->waits ? 0 : flow->quiet + 1;
	/* Who waits does so at the rate before. */
	if (flow->waits && now_ns >= flow->grown_ns) {
		flow->grown_ns = now_ns + TFTPK_FLOW_PERIOD_NS +
				 tftpk_flow_until(flow, flow->tail);
		rate *= 2;
	}
	if (rate > TFTPK_FLOW_MAX || flow->quiet >= 4)
		tftpk_flow_open(flow, now_ns);
	else
		tftpk_flow_set_rate(flow, rate);
}

/* By how much the rate is lowered after losses: the part that was lost, within limits. */
static u64 tftpk_flow_cut(const struct tftpk_macroflow *flow)
{
	u64 lost = mul_u64_u32_div(flow->rate, flow->losses,
				   flow->losses + flow->acked);

	return clamp(lost, flow->rate / 8, flow->rate / 2);
}

/* A queue never gets empty. What it grew by in a period tells which rate is enough, and what
 * stands there is to be gone in another one.
 */
static void tftpk_flow_drain(struct tftpk_macroflow *flow, u32 us, u64 now_ns,
			     u32 bytes)
{
	u32 grown = us - min(us, flow->queue_us);
	u64 enough = div_u64(flow->rate * TFTPK_FLOW_PERIOD_US,
			     TFTPK_FLOW_PERIOD_US + grown);

	/* It does get shorter. */
	if (us + TFTPK_FLOW_STANDING_US < flow->queue_us)
		return;
	us = min(us, TFTPK_FLOW_PERIOD_US / 8);
	tftpk_flow_lower(flow, enough - div_u64(enough * us,
						TFTPK_FLOW_PERIOD_US),
			 now_ns, bytes);
	flow->top = enough;
	if (++flow->stood < TFTPK_FLOW_STANDS)
		return;
	flow->base_us = flow->least_us;
	flow->stood = 0;
}

/* Nothing speaks against a higher rate: the closer it is to what was too much, the less it
 * grows, and the longer that goes well, the more.
 */
static void tftpk_flow_raise(struct tftpk_macroflow *flow, u64 now_ns)
{
	u64 rate = flow->rate;

	flow->quiet++;
	rate += (flow->top - min(flow->top, rate)) / 8 +
		(rate >> (9 - min(flow->quiet / 4, 5))) +
		min_t(u64, flow->running * TFTPK_FLOW_MORE, rate / 64);
	if (rate > TFTPK_FLOW_MAX)
		tftpk_flow_open(flow, now_ns);
	else
		tftpk_flow_set_rate(flow, rate);
}

/* Follow the rate. */
static void tftpk_flow_judge_rate(struct tftpk_macroflow *flow, u64 now_ns,
				  u32 bytes)
{
	u32 us = tftpk_flow_standing(flow);

	flow->idle = flow->waits ? 0 : flow->idle + 1;
	if (tftpk_flow_loses(flow)) {
		if (now_ns >= flow->settled_ns)
			tftpk_flow_lower(flow, flow->rate - tftpk_flow_cut(flow),
					 now_ns, bytes);
	} else if (us) {
		tftpk_flow_drain(flow, us, now_ns, bytes);
	} else {
		flow->stood = 0;
		if (flow->waits)
			tftpk_flow_raise(flow, now_ns);
		else if (flow->idle >= TFTPK_FLOW_CALM)
			tftpk_flow_open(flow, now_ns);
	}
}

/* A period is over. */
static void tftpk_flow_judge(struct tftpk_macroflow *flow, u64 now_ns,
			     u32 bytes)
{
	if (!flow->rate) {
		if (now_ns >= flow->settled_ns && tftpk_flow_loses(flow) &&
		    flow->bytes) {
			tftpk_flow_set_rate(flow,
					    tftpk_flow_delivered(flow, now_ns));
			tftpk_flow_lower(flow, flow->rate, now_ns, bytes);
			return;
		}
		flow->quiet = flow->losses ? 0 : flow->quiet + 1;
		if (flow->quiet >= TFTPK_FLOW_CALM)
			WRITE_ONCE(flow->watched, false);
	} else if (flow->starting) {
		tftpk_flow_judge_start(flow, now_ns, bytes);
	} else {
		tftpk_flow_judge_rate(flow, now_ns, bytes);
	}
}

static void tftpk_flow_advance(struct tftpk_macroflow *flow, u64 now_ns,
			       u32 bytes)
{
	tftpk_flow_tick(flow, now_ns);
	if (now_ns < flow->period_ns + TFTPK_FLOW_PERIOD_NS)
		return;
	if (flow->samples && (!flow->base_us || flow->least_us < flow->base_us))
		flow->base_us = flow->least_us;
	tftpk_flow_judge(flow, now_ns, bytes);
	if (flow->samples >= TFTPK_FLOW_SAMPLES)
		flow->queue_us = flow->least_us - flow->base_us;
	tftpk_flow_begin_period(flow, now_ns);
}

/**
 * tftpk_macroflow_join() - count a transfer that begins to send
 * @flow: macroflow of its client
 * @crowd: how many of them begin with a low rate, or 0
 * @us: least round trip of its client, or 0
 * @now_ns: the time
 */
void tftpk_macroflow_join(struct tftpk_macroflow *flow, u32 crowd, u32 us,
			  u64 now_ns)
{
	if (++flow->running == crowd && !flow->rate && now_ns >= flow->open_ns) {
		tftpk_flow_watch(flow, now_ns);
		/* Others that have a rate may share the way, too. */
		tftpk_flow_set_rate(flow, TFTPK_FLOW_FIRST /
				    (1 + atomic_read(flow->rated)));
		flow->starting = true;
		/* What was lost before is no sign. */
		flow->settled_ns = now_ns + 2 * TFTPK_FLOW_PERIOD_NS;
		flow->grown_ns = now_ns + TFTPK_FLOW_PERIOD_NS;
		flow->clock_ns = now_ns;
	}
	if (us && (!flow->base_us || us < flow->base_us))
		flow->base_us = us;
}

/**
 * tftpk_macroflow_leave() - count a transfer no longer
 * @flow: macroflow that it joined
 */
void tftpk_macroflow_leave(struct tftpk_macroflow *flow)
{
	if (!--flow->running) {
		tftpk_flow_set_rate(flow, 0);
		flow->starting = false;
		flow->base_us = 0;
		WRITE_ONCE(flow->watched, false);
	}
}

/**
 * tftpk_macroflow_charge() - take a turn
 * @flow: macroflow
 * @bytes: of a packet
 * @n: packets that are to be sent; takes how many of them the turn has
 * @turn: takes the turn, for tftpk_macroflow_wait(), where it is not now
 * @now_ns: the time
 *
 * Turns come one after another, in the order in which they are taken.
 *
 * Return: nanoseconds until the turn comes. It need not be taken again.
 */
u64 tftpk_macroflow_charge(struct tftpk_macroflow *flow, u32 bytes, u32 *n,
			   u64 *turn, u64 now_ns)
{
	u64 wait;

	tftpk_flow_advance(flow, now_ns, bytes);
	if (!flow->rate)
		return 0;
	*n = min(*n, tftpk_flow_turn(flow, bytes));
	*turn = max(flow->tail, flow->clock);
	flow->tail = *turn + (u64)*n * bytes;
	wait = tftpk_flow_until(flow, *turn);
	if (wait)
		flow->waits++;
	return wait;
}

/**
 * tftpk_macroflow_wait() - has a turn come?
 * @flow: macroflow
 * @turn: that was taken
 * @now_ns: the time
 *
 * Return: 0, or nanoseconds until it comes, which may be more than it was.
 */
u64 tftpk_macroflow_wait(struct tftpk_macroflow *flow, u64 turn, u64 now_ns)
{
	tftpk_flow_tick(flow, now_ns);
	return tftpk_flow_until(flow, turn);
}

/**
 * tftpk_macroflow_note_ack() - blocks were acknowledged
 * @flow: macroflow that is watched
 * @n: how many
 * @bytes: of a packet
 * @us: round trip that this measured, or 0
 * @now_ns: the time
 */
void tftpk_macroflow_note_ack(struct tftpk_macroflow *flow, u32 n, u32 bytes,
			      u32 us, u64 now_ns)
{
	tftpk_flow_advance(flow, now_ns, bytes);
	flow->acked += n;
	flow->bytes += (u64)n * bytes;
	if (us) {
		flow->samples++;
		flow->least_us = min(flow->least_us, us);
	}
}

/**
 * tftpk_macroflow_note_loss() - a client lacks a block
 * @flow: macroflow
 * @reporter: hash of the client
 * @now_ns: the time
 */
void tftpk_macroflow_note_loss(struct tftpk_macroflow *flow, u32 reporter,
			       u64 now_ns)
{
	tftpk_flow_watch(flow, now_ns);
	flow->losses++;
	flow->reporters |= BIT_ULL(reporter % 64);
}
