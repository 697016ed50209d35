// SPDX-License-Identifier: GPL-2.0
/*
 * What has to wait before it is sent, though the window has room: for the rate of an
 * unvalidated source, of an export, or of a crowd.
 */
#include <linux/jiffies.h>
#include <linux/math64.h>

#include "transfer.h"

/* A block that has to wait asks again within that time, in microseconds. */
#define TFTPK_HOLD_MAX		5000000

/**
 * tftpk_charge_note_bounded() - note that the source is sent less than it could be
 * @t: transfer, locked
 */
void tftpk_charge_note_bounded(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	if (!t->peer.held_back)
		tftpk_stats_inc(t->tn, TFTPK_A_STATS_TRANSFERS_BOUNDED);
	t->peer.held_back = true;
	t->peer.tell |= tftpk_limit_claim_event(t->tn, &t->peer.request.key);
}

/**
 * tftpk_charge_tell() - tell that a transfer is bounded, once
 * @t: transfer
 *
 * Context: process, the transfer's work.
 */
void tftpk_charge_tell(struct tftpk_transfer *t)
{
	bool tell;

	spin_lock_bh(&t->lock);
	tell = t->peer.tell;
	t->peer.tell = false;
	spin_unlock_bh(&t->lock);
	if (tell)
		tftpk_event_transfer(t, TFTPK_EVENT_TYPE_BOUNDED);
}

/* How long the next @n blocks have to wait for the rate of their export, or of their
 * source, in nanoseconds; 0 if they are charged. Who is bounded has windows of one block.
 */
static u64 tftpk_charge_rate(struct tftpk_transfer *t, u32 n)
{
	u32 bytes = tftpk_output_bytes(t);
	u64 wait = 0;

	if (t->peer.bounded)
		wait = tftpk_limit_charge_bytes(t->tn, &t->peer.request.key,
						bytes);
	if (t->peer.bounded && wait)
		tftpk_charge_note_bounded(t);
	if (t->peer.paced && !wait)
		wait = tftpk_limit_charge_export(t->source.export, n * bytes);
	return wait;
}

/**
 * tftpk_charge_blocks() - charge blocks to the rates that bound them
 * @t: transfer, locked, with such a rate, or with a turn
 * @n: blocks; takes how many of them may be sent now
 * @now_ns: the time
 *
 * While nothing is out that the client could answer, its silence does not count.
 *
 * Context: softirq or BH disabled. Return: false where they have to wait; the timer is armed
 * then, and asks again.
 */
bool tftpk_charge_blocks(struct tftpk_transfer *t, u32 *n, u64 now_ns)
{
	u64 wait = TFTPK_RTO_FIRST * (u64)NSEC_PER_USEC;

	lockdep_assert_held(&t->lock);

	if (!t->peer.flow) {
		wait = tftpk_charge_rate(t, *n);
		tftpk_transfer_hold(t, wait);
		if (!wait)
			return true;
	} else if (tftpk_turn_take(t, n, now_ns)) {
		return true;
	}
	if (t->window.high == t->window.acked + 1)
		t->progress = jiffies;
	tftpk_transfer_arm(t, min_t(u64, div_u64(wait, NSEC_PER_USEC),
				    TFTPK_HOLD_MAX));
	return false;
}
