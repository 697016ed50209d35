// SPDX-License-Identifier: GPL-2.0
/*
 * How many transfers a client has, its share of what all may have, and which clients
 * have not acknowledged a block.
 */
#include <linux/jiffies.h>
#include <linux/rhashtable.h>
#include <net/ipv6.h>

#include "transfer.h"

/* Questions that a client has at one time. */
#define TFTPK_CLIENT_QUESTIONS	16

static const struct rhashtable_params tftpk_clients_params = {
	.head_offset		= offsetof(struct tftpk_peer, client.head),
	.key_offset		= offsetof(struct tftpk_peer, client.addr),
	.key_len		= sizeof(struct in6_addr),
	.automatic_shrinking	= true,
};

/**
 * tftpk_client_init() - make the table of clients
 * @tn: namespace's server
 *
 * Context: process. Return: 0 or an errno.
 */
int tftpk_client_init(struct tftpk_net *tn)
{
	spin_lock_init(&tn->clients_lock);
	return rhashtable_init(&tn->clients, &tftpk_clients_params);
}

/**
 * tftpk_client_exit() - free the table of clients
 * @tn: namespace's server, without transfers
 *
 * Context: process.
 */
void tftpk_client_exit(struct tftpk_net *tn)
{
	rhashtable_destroy(&tn->clients);
}

/* What counts as one client: an address. Where there is no limit to what an address
 * may have, an IPv6 network of 64 bits beyond a router: who has one has them all.
 */
static void tftpk_client_addr(struct tftpk_transfer *t)
{
	struct in6_addr *addr = &t->peer.client.addr;

	*addr = t->peer.request.key.client;
	if (t->peer.near)
		return;
	if (!ipv6_addr_v4mapped(addr) &&
	    !READ_ONCE(t->tn->settings.max_per_client))
		memset(&addr->s6_addr32[2], 0, 8);
	/* Who forges an address of the link beyond a router takes nothing from it. */
	addr->s6_addr32[0] = ~addr->s6_addr32[0];
}

static struct tftpk_client *tftpk_client_first(const struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;
	struct tftpk_peer *first;

	lockdep_assert_held(&tn->clients_lock);

	first = rhashtable_lookup_fast(&tn->clients, &t->peer.client.addr,
				       tftpk_clients_params);
	return first ? &first->client : NULL;
}

/* May a client have so much of @max, of which @used is taken? Once three quarters are,
 * nobody has more than one, unless trusted: that may be many behind a NAT.
 */
static bool tftpk_client_share(const struct tftpk_transfer *t, long own,
			       long used, long max)
{
	return used <= max - max / 4 || own <= max / 4 ||
	       tftpk_trust_of(t->tn, &t->peer.request.key.client);
}

/**
 * tftpk_client_add() - count a new transfer as its client's
 * @t: transfer
 * @former: the one that it replaces, which does not count, or NULL
 *
 * One of them is in the table and keeps the count: nothing is allocated for a
 * client, and nobody walks all transfers.
 *
 * Context: softirq, within rcu_read_lock().
 *
 * Return: 0, -EDQUOT if the client has as many as it may, or another errno.
 */
int tftpk_client_add(struct tftpk_transfer *t,
		     const struct tftpk_transfer *former)
{
	struct tftpk_client *first, *client = &t->peer.client;
	struct tftpk_net *tn = t->tn;
	u32 n, max = READ_ONCE(tn->settings.max_per_client);
	int err = 0;

	tftpk_client_addr(t);
	spin_lock(&tn->clients_lock);
	first = tftpk_client_first(t);
	n = 1 + (first ? first->n : 0);
	if (former)
		n -= former->peer.client.counted;
	if ((max && n > max) ||
	    !tftpk_client_share(t, n, 1 + atomic_read(&tn->active),
				READ_ONCE(tn->settings.max_transfers))) {
		err = -EDQUOT;
	} else if (first) {
		list_add(&client->others, &first->others);
		first->n++;
	} else {
		INIT_LIST_HEAD(&client->others);
		client->n = 1;
		err = rhashtable_insert_fast(&tn->clients, &client->head,
					     tftpk_clients_params);
	}
	client->counted = !err;
	spin_unlock(&tn->clients_lock);
	return err;
}

/**
 * tftpk_client_del() - count a transfer no longer
 * @t: transfer, which ends, or does not begin
 *
 * Another one of the client takes its place in the table.
 *
 * Context: softirq or BH disabled.
 */
void tftpk_client_del(struct tftpk_transfer *t)
{
	struct tftpk_client *first, *client = &t->peer.client;
	struct tftpk_net *tn = t->tn;

	spin_lock(&tn->clients_lock);
	if (!client->counted)
		goto out;
	client->counted = false;
	first = tftpk_client_first(t);
	if (first != client) {
		first->n--;
	} else if (list_empty(&client->others)) {
		rhashtable_remove_fast(&tn->clients, &client->head,
				       tftpk_clients_params);
	} else {
		first = list_first_entry(&client->others, struct tftpk_client,
					 others);
		first->n = client->n - 1;
		first->pages = client->pages;
		first->questions = client->questions;
		rhashtable_replace_fast(&tn->clients, &client->head,
					&first->head, tftpk_clients_params);
	}
	list_del(&client->others);
out:
	spin_unlock(&tn->clients_lock);
}

/**
 * tftpk_client_reserve() - count pages as the client's
 * @t: transfer, locked; not dead
 * @pages: that it wants, taken out of tftpk_net.pinned already
 * @max: how many all may have
 *
 * Return: 0, or -EDQUOT if it would be more than its share.
 */
int tftpk_client_reserve(struct tftpk_transfer *t, u32 pages, long max)
{
	struct tftpk_net *tn = t->tn;
	struct tftpk_client *first;
	bool admitted;

	lockdep_assert_held(&t->lock);

	rcu_read_lock();
	spin_lock(&tn->clients_lock);
	first = tftpk_client_first(t);
	admitted = tftpk_client_share(t, first->pages + pages,
				      atomic_long_read(&tn->pinned), max);
	if (admitted)
		first->pages += pages;
	spin_unlock(&tn->clients_lock);
	rcu_read_unlock();
	return admitted ? 0 : -EDQUOT;
}

/**
 * tftpk_client_unreserve() - count pages as the client's no longer
 * @t: transfer, locked, that tftpk_client_del() was not called for
 * @pages: that it had
 */
void tftpk_client_unreserve(struct tftpk_transfer *t, u32 pages)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->clients_lock);
	tftpk_client_first(t)->pages -= pages;
	spin_unlock(&tn->clients_lock);
}

/**
 * tftpk_client_ask() - count a question to the agent as the client's
 * @t: transfer, locked, that tftpk_client_del() was not called for
 *
 * Return: 0, or -EDQUOT if the client has as many as it may.
 */
int tftpk_client_ask(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;
	struct tftpk_client *first;
	bool admitted;

	lockdep_assert_held(&t->lock);

	rcu_read_lock();
	spin_lock(&tn->clients_lock);
	first = tftpk_client_first(t);
	admitted = first->questions < TFTPK_CLIENT_QUESTIONS ||
		   (tftpk_trust_of(tn, &t->peer.request.key.client) &&
		    first->questions < U16_MAX);
	first->questions += admitted;
	spin_unlock(&tn->clients_lock);
	rcu_read_unlock();
	return admitted ? 0 : -EDQUOT;
}

/**
 * tftpk_client_forget() - count a question no longer
 * @t: transfer, locked, that tftpk_client_ask() admitted one of
 */
void tftpk_client_forget(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	rcu_read_lock();
	spin_lock(&tn->clients_lock);
	tftpk_client_first(t)->questions--;
	spin_unlock(&tn->clients_lock);
	rcu_read_unlock();
}

/**
 * tftpk_client_count() - how many transfers the client of one has
 * @t: transfer, locked, that tftpk_client_del() was not called for
 */
u32 tftpk_client_count(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;
	u32 n;

	lockdep_assert_held(&t->lock);

	rcu_read_lock();
	spin_lock(&tn->clients_lock);
	n = tftpk_client_first(t)->n;
	spin_unlock(&tn->clients_lock);
	rcu_read_unlock();
	return n;
}

/* ---- transfers whose client is not validated ---- */

/**
 * tftpk_unvalidated_del() - take a transfer off the unvalidated list
 * @t: transfer, locked; its client is validated now, or it ends
 */
void tftpk_unvalidated_del(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unvalidated_lock);
	if (!list_empty(&t->peer.unvalidated)) {
		list_del_init(&t->peer.unvalidated);
		tn->n_unvalidated--;
	}
	spin_unlock(&tn->unvalidated_lock);
}

/**
 * tftpk_unvalidated_touch() - move a transfer to the tail of its list
 * @t: transfer, locked; it is evicted last
 */
void tftpk_unvalidated_touch(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unvalidated_lock);
	if (!list_empty(&t->peer.unvalidated))
		list_move_tail(&t->peer.unvalidated,
			       &tn->unvalidated[t->peer.near]);
	spin_unlock(&tn->unvalidated_lock);
}

/**
 * tftpk_unvalidated_oldest() - take the oldest unvalidated transfer off its list
 * @t: not this one
 * @age: minimum age in jiffies
 *
 * Transfers whose source may be forged come first.
 *
 * Context: BH disabled, within rcu_read_lock(), tftpk_net.unvalidated_lock held.
 * Return: the transfer, or NULL.
 */
struct tftpk_transfer *tftpk_unvalidated_oldest(struct tftpk_transfer *t,
						unsigned long age)
{
	struct tftpk_transfer *oldest;
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&tn->unvalidated_lock);

	oldest = list_first_entry_or_null(&tn->unvalidated[false],
					  struct tftpk_transfer,
					  peer.unvalidated);
	if (!oldest || oldest == t)
		oldest = list_first_entry_or_null(&tn->unvalidated[true],
						  struct tftpk_transfer,
						  peer.unvalidated);
	if (!oldest || oldest == t ||
	    ktime_get_ns() - oldest->started_ns < jiffies_to_nsecs(age))
		return NULL;
	list_del_init(&oldest->peer.unvalidated);
	tn->n_unvalidated--;
	return oldest;
}

/**
 * tftpk_unvalidated_add() - note an unvalidated transfer
 * @t: transfer, locked
 *
 * Context: softirq, within rcu_read_lock(). Return: the one to evict because
 * there are too many, or NULL.
 */
struct tftpk_transfer *tftpk_unvalidated_add(struct tftpk_transfer *t)
{
	struct tftpk_transfer *oldest = NULL;
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unvalidated_lock);
	list_add_tail(&t->peer.unvalidated,
		      &tn->unvalidated[t->peer.near]);
	if (++tn->n_unvalidated > READ_ONCE(tn->settings.max_unverified))
		oldest = tftpk_unvalidated_oldest(t, 0);
	spin_unlock(&tn->unvalidated_lock);
	return oldest;
}
