// SPDX-License-Identifier: GPL-2.0
/*
 * Ending transfers by command, and with what they need: an export, a listener, the
 * namespace.
 */
#include <linux/sched.h>
#include <linux/wait_bit.h>
#include <net/ipv6.h>

#include "transfer.h"

/* So many are ended in one go, with BH disabled. */
#define TFTPK_KILL_BATCH	64

/* But for the id, by which it was found. */
static bool tftpk_transfer_matches(const struct tftpk_transfer *t,
				   const struct tftpk_match *match)
{
	const struct tftpk_key *key = &t->peer.request.key;

	return (!match->export || t->source.export == match->export) &&
	       (!match->listener || key->port->listener == match->listener) &&
	       (!match->client ||
		ipv6_addr_equal(&key->client, match->client)) &&
	       (!match->client_port ||
		key->client_port == match->client_port);
}

static bool tftpk_transfer_kill(struct tftpk_transfer *t,
				const struct tftpk_match *match,
				struct tftpk_out *out)
{
	bool killed = false;

	spin_lock(&t->lock);
	if (!t->dead && tftpk_transfer_matches(t, match)) {
		tftpk_transfer_fail(t, TFTPK_OUTCOME_KILLED,
				    TFTPK_ERR_UNDEFINED, "no longer served",
				    out);
		killed = true;
	}
	spin_unlock(&t->lock);
	return killed;
}

/**
 * tftpk_transfers_kill() - end transfers
 * @tn: namespace's server
 * @match: which ones
 *
 * Every client gets an ERROR. Whoever wants to see them gone makes new ones
 * impossible before, and waits after.
 *
 * Context: process; the configuration's mutex may be held.
 *
 * Return: how many there were.
 */
u32 tftpk_transfers_kill(struct tftpk_net *tn, const struct tftpk_match *match)
{
	u32 after = match->id ? match->id - 1 : 0, last = match->id ?: U32_MAX;
	struct tftpk_transfer *found[TFTPK_KILL_BATCH];
	struct tftpk_out out;
	u32 i, got, n = 0;

	do {
		tftpk_out_init(&out);
		local_bh_disable();
		rcu_read_lock();
		got = tftpk_table_get(tn, after, last, found,
				      TFTPK_KILL_BATCH);
		for (i = 0; i < got; i++) {
			n += tftpk_transfer_kill(found[i], match, &out);
			after = found[i]->id;
			tftpk_transfer_put(found[i]);
		}
		tftpk_output_send(tn->net, &out);
		rcu_read_unlock();
		local_bh_enable();
		cond_resched();
	} while (got == TFTPK_KILL_BATCH);
	return n;
}

/**
 * tftpk_transfers_close() - end all transfers of a namespace, for good
 * @tn: namespace's server
 *
 * Context: process.
 */
void tftpk_transfers_close(struct tftpk_net *tn)
{
	static const struct tftpk_match all;

	xa_lock_bh(&tn->transfers);
	tn->closing = true;
	xa_unlock_bh(&tn->transfers);

	tftpk_transfers_kill(tn, &all);
	wait_var_event(&tn->active, !atomic_read(&tn->active));
}
