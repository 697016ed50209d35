// SPDX-License-Identifier: GPL-2.0
/*
 * Admission: how many requests a source may send, which sources are trusted,
 * how many transfers a client has, which clients are unverified, and which have just been served. The number of
 * records is fixed, however many sources are forged.
 *
 * Rates are token buckets in the form of the generic cell rate algorithm (GCRA,
 * ITU-T I.371): instead of tokens, a record holds the theoretical arrival time
 * (TAT), when the bucket will be full again. Each packet moves the TAT by its cost,
 * and conforms if the TAT is not too far ahead of now.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/rculist.h>
#include <linux/rhashtable.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "transfer.h"

#define TFTPK_SOURCE_SETS	1024
#define TFTPK_SOURCE_WAYS	4
#define TFTPK_RECENT		1024
#define TFTPK_RECENT_MS		10000
#define TFTPK_GUESS_MS		10000	/* after a wrong guess of a TID */
#define TFTPK_GUESS_PORTS	64	/* for each block of a window */
#define TFTPK_EVENT_MS		60000	/* between two events about a source */

/* A bucket holds a sixteenth of what may be sent in a second, and refills with the
 * rest in a second. So no second exceeds the rate by more than a packet.
 */
#define TFTPK_PACE_PARTS	16
#define TFTPK_PACE_NS		(NSEC_PER_SEC / (TFTPK_PACE_PARTS - 1))

/**
 * struct tftpk_rate - rates of a source
 * @tag: hash of the source
 * @requests_ns: TAT of its requests
 * @bytes_ns: TAT of the bytes that are sent to it, where they are bounded
 * @event: jiffies of the last event that they are
 */
struct tftpk_rate {
	u64 tag;
	u64 requests_ns;
	u64 bytes_ns;
	u32 event;
};

/**
 * struct tftpk_recent - a transfer that has just ended
 * @tag: hash of its key
 * @until: jiffies when to forget it
 */
struct tftpk_recent {
	u32 tag;
	u32 until;
};

/**
 * struct tftpk_limit - admission state of a namespace
 * @lock: protects @sources, @bytes_ns and what @clients leads to
 * @key: keeps hashes from being guessed
 * @sources: a set-associative cache; a new record replaces the least used of its
 *	set, so forged sources push out records but never refuse a client
 * @clients: struct tftpk_peer, one for each client that has transfers
 * @recent: written and read without a lock; a lost entry costs a packet
 * @guess_ns: until when a forger seems to guess TIDs
 * @bytes_ns: TAT of the bytes that are sent to all bounded sources together
 * @waiting: transfers whose next block waits for a bucket
 */
struct tftpk_limit {
	spinlock_t lock;	/* sources, bytes_ns, clients */
	siphash_key_t key;
	struct tftpk_rate sources[TFTPK_SOURCE_SETS][TFTPK_SOURCE_WAYS];
	struct rhashtable clients;
	struct tftpk_recent recent[TFTPK_RECENT];
	u64 guess_ns;
	u64 bytes_ns;
	atomic_t waiting;
};

struct tftpk_trust {
	struct list_head list;
	struct in6_addr addr;
	u8 plen;	/* IPv4 prefixes start at 96 */
	struct rcu_head rcu;
};

static const struct rhashtable_params tftpk_clients_params = {
	.head_offset		= offsetof(struct tftpk_peer, client.head),
	.key_offset		= offsetof(struct tftpk_peer,
					   request.key.client),
	.key_len		= sizeof(struct in6_addr),
	.automatic_shrinking	= true,
};

/**
 * tftpk_limit_init() - make the admission state, before the first listener
 * @tn: namespace's server; its mutex is held
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int tftpk_limit_init(struct tftpk_net *tn)
{
	struct tftpk_limit *limit;
	int err;

	lockdep_assert_held(&tn->mutex);
	if (tn->limit)
		return 0;
	limit = kvzalloc(sizeof(*limit), GFP_KERNEL);
	if (!limit)
		return -ENOMEM;
	err = rhashtable_init(&limit->clients, &tftpk_clients_params);
	if (err) {
		kvfree(limit);
		return err;
	}
	spin_lock_init(&limit->lock);
	get_random_bytes(&limit->key, sizeof(limit->key));
	tn->limit = limit;
	return 0;
}

/**
 * tftpk_limit_exit() - free admission state and the list of trust
 * @tn: namespace's server; no packet comes in any more
 */
void tftpk_limit_exit(struct tftpk_net *tn)
{
	struct tftpk_trust *trust, *next;

	list_for_each_entry_safe(trust, next, &tn->trusted, list)
		kfree(trust);
	if (tn->limit)
		rhashtable_destroy(&tn->limit->clients);
	kvfree(tn->limit);
}

static bool tftpk_trusted(struct tftpk_net *tn, const struct in6_addr *addr)
{
	struct tftpk_trust *trust;

	list_for_each_entry_rcu(trust, &tn->trusted, list)
		/* Mapped IPv4 addresses belong to no IPv6 network. */
		if ((trust->plen >= 96 || !ipv6_addr_v4mapped(addr)) &&
		    ipv6_prefix_equal(addr, &trust->addr, trust->plen))
			return true;
	return false;
}

/**
 * tftpk_limit_known() - is the source on the link or trusted?
 * @tn: namespace's server
 * @key: client
 *
 * A router that filters by source address (BCP 38) lets no forgery of such a source
 * in. Others have smaller limits.
 *
 * Context: softirq or BH disabled, within rcu_read_lock().
 */
bool tftpk_limit_known(struct tftpk_net *tn, const struct tftpk_key *key)
{
	return tftpk_trusted(tn, &key->client) ||
	       tftpk_output_onlink(tn->net, key);
}

/* Find the record of a source. If there is none, replace the least used one of its
 * set. A source on the link or a trusted one is a single address. Another one is an
 * IPv4 address or an IPv6 network of 64 bits.
 */
static struct tftpk_rate *tftpk_rate_find_or_add(struct tftpk_limit *limit,
						 const struct tftpk_key *key,
						 bool known)
{
	struct in6_addr source = key->client;
	struct tftpk_rate *set, *s;
	u64 tag;
	int i;

	lockdep_assert_held(&limit->lock);

	if (!known && !ipv6_addr_v4mapped(&source))
		memset(&source.s6_addr32[2], 0, 8);
	tag = siphash(&source, sizeof(source), &limit->key);

	set = limit->sources[tag % TFTPK_SOURCE_SETS];
	s = set;
	for (i = 0; i < TFTPK_SOURCE_WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
		if (max(set[i].requests_ns, set[i].bytes_ns) <
		    max(s->requests_ns, s->bytes_ns))
			s = &set[i];
	}
	*s = (struct tftpk_rate) {
		.tag	= tag,
		.event	= (u32)jiffies - msecs_to_jiffies(TFTPK_EVENT_MS),
	};
	return s;
}

/**
 * tftpk_limit_request() - charge a request to its source
 * @tn: namespace's server
 * @key: client
 * @known: what tftpk_limit_known() says of it; others have a quarter of the burst
 *
 * Context: softirq, within rcu_read_lock(). Return: whether it is within the rate; if
 * not, nothing is charged.
 */
bool tftpk_limit_request(struct tftpk_net *tn, const struct tftpk_key *key,
			 bool known)
{
	u32 burst = READ_ONCE(tn->settings.source_burst);
	u64 cost = NSEC_PER_SEC / READ_ONCE(tn->settings.source_rate);
	struct tftpk_limit *limit = tn->limit;
	struct tftpk_rate *s;
	u64 now = ktime_get_ns();
	bool admitted;

	if (!burst)
		return true;
	if (!known)
		burst = DIV_ROUND_UP(burst, 4);

	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, known);
	s->requests_ns = max(s->requests_ns, now);
	admitted = s->requests_ns + cost <= now + burst * cost;
	if (admitted)
		s->requests_ns += cost;
	spin_unlock(&limit->lock);
	return admitted;
}

/* How long the next packet has to wait, in nanoseconds: until the bucket holds
 * anything, whatever the packet costs. So large packets have the same chance as
 * small ones. @tat is the bucket's.
 */
static u64 tftpk_pace_wait(u64 tat, u64 now)
{
	return tat > now + TFTPK_PACE_NS ? tat - now - TFTPK_PACE_NS : 0;
}

/* The cost of @bytes in nanoseconds of refilling, at a rate in KiB per second. */
static u64 tftpk_pace_cost(u32 bytes, u32 rate)
{
	return div64_u64((u64)bytes * NSEC_PER_SEC * TFTPK_PACE_PARTS,
			 (u64)rate * 1024 * (TFTPK_PACE_PARTS - 1));
}

/**
 * tftpk_limit_bytes() - charge a packet to an unvalidated source
 * @tn: namespace's server
 * @key: client at a single port, neither on the link nor trusted when it asked
 * @bytes: of the packet
 *
 * Block numbers are no secret. With a single port there is no TID to guess either, so
 * forged ACKs could have a whole file sent to a victim. These rates bound the bytes
 * to each source and to all of them. A source that became trusted has no bound.
 *
 * A transfer that has to wait asks again: the more of them wait, the later, at a
 * random time.
 *
 * Context: softirq or BH disabled, within rcu_read_lock().
 *
 * Return: 0, or nanoseconds after which to ask again; then nothing is charged.
 */
u64 tftpk_limit_bytes(struct tftpk_net *tn, const struct tftpk_key *key,
		      u32 bytes)
{
	struct tftpk_limit *limit = tn->limit;
	u64 one, all, now, wait;
	struct tftpk_rate *s;

	if (tftpk_trusted(tn, &key->client))
		return 0;
	one = tftpk_pace_cost(bytes, READ_ONCE(tn->settings.untrusted_rate));
	all = tftpk_pace_cost(bytes, READ_ONCE(tn->settings.untrusted_total));

	spin_lock(&limit->lock);
	now = ktime_get_ns();
	s = tftpk_rate_find_or_add(limit, key, false);
	wait = max(tftpk_pace_wait(s->bytes_ns, now),
		   tftpk_pace_wait(limit->bytes_ns, now));
	if (!wait) {
		s->bytes_ns = max(s->bytes_ns, now) + one;
		limit->bytes_ns = max(limit->bytes_ns, now) + all;
	}
	spin_unlock(&limit->lock);
	if (wait)
		wait += mul_u64_u32_shr(all * atomic_read(&limit->waiting),
					get_random_u32(), 32);
	return wait;
}

/**
 * tftpk_limit_waits() - count a transfer that waits for tftpk_limit_bytes()
 * @tn: namespace's server
 * @waits: it begins to wait, or it no longer does
 *
 * Context: any.
 */
void tftpk_limit_waits(struct tftpk_net *tn, bool waits)
{
	atomic_add(waits ? 1 : -1, &tn->limit->waiting);
}

/**
 * tftpk_limit_tell() - claim the event that a source is bounded
 * @tn: namespace's server
 * @key: client
 *
 * Context: softirq or BH disabled. Return: whether the caller is to send it: once a
 * minute for each source.
 */
bool tftpk_limit_tell(struct tftpk_net *tn, const struct tftpk_key *key)
{
	struct tftpk_limit *limit = tn->limit;
	struct tftpk_rate *s;
	bool claimed;

	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, false);
	claimed = (u32)jiffies - s->event >= msecs_to_jiffies(TFTPK_EVENT_MS);
	if (claimed)
		s->event = jiffies;
	spin_unlock(&limit->lock);
	return claimed;
}

/**
 * tftpk_limit_guessed() - note that a forger guessed a TID, wrongly
 * @tn: namespace's server
 *
 * Context: any.
 */
void tftpk_limit_guessed(struct tftpk_net *tn)
{
	WRITE_ONCE(tn->limit->guess_ns,
		   ktime_get_ns() + TFTPK_GUESS_MS * NSEC_PER_MSEC);
}

/**
 * tftpk_limit_window() - largest window for a client
 * @listener: that it asked
 * @known: what tftpk_limit_known() says of it
 *
 * A forger who guesses the TID can have windows sent to a victim, for an ACK each.
 * One guess in as many as the listener has ports is right. After a wrong guess,
 * other clients get windows so small that guessing costs more than it yields. With a
 * single port there is nothing to guess.
 *
 * Context: any. Return: blocks.
 */
u32 tftpk_limit_window(const struct tftpk_listener *listener, bool known)
{
	if (known)
		return TFTPK_WINDOW_MAX;
	if (listener->single_port)
		return 1;
	if (ktime_get_ns() >= READ_ONCE(listener->tn->limit->guess_ns))
		return TFTPK_WINDOW_MAX;
	return max(listener->pool_size / TFTPK_GUESS_PORTS, 1U);
}

/* Hash of a client and a TID that it may still send to. */
static u32 tftpk_recent_tag(const struct tftpk_limit *limit,
			    const struct tftpk_key *key)
{
	return siphash(key, sizeof(*key), &limit->key);
}

/**
 * tftpk_limit_ended() - note that a transfer ended; late packets may follow
 * @tn: namespace's server
 * @key: client and transfer identifier
 *
 * Context: any.
 */
void tftpk_limit_ended(struct tftpk_net *tn, const struct tftpk_key *key)
{
	u32 tag = tftpk_recent_tag(tn->limit, key);
	struct tftpk_recent *r = &tn->limit->recent[tag % TFTPK_RECENT];

	WRITE_ONCE(r->until, jiffies + msecs_to_jiffies(TFTPK_RECENT_MS));
	WRITE_ONCE(r->tag, tag);
}

/**
 * tftpk_limit_late() - does a packet belong to a transfer that has just ended?
 * @tn: namespace's server
 * @key: client and transfer identifier
 *
 * Context: any.
 */
bool tftpk_limit_late(struct tftpk_net *tn, const struct tftpk_key *key)
{
	u32 tag = tftpk_recent_tag(tn->limit, key);
	struct tftpk_recent *r = &tn->limit->recent[tag % TFTPK_RECENT];

	return READ_ONCE(r->tag) == tag &&
	       (s32)(READ_ONCE(r->until) - (u32)jiffies) > 0;
}

static struct tftpk_trust *tftpk_trust_find(struct tftpk_net *tn,
					    const struct in6_addr *addr,
					    u8 plen)
{
	struct tftpk_trust *trust;

	list_for_each_entry(trust, &tn->trusted, list)
		if (trust->plen == plen &&
		    ipv6_prefix_equal(&trust->addr, addr, plen))
			return trust;
	return NULL;
}

/**
 * tftpk_trust_add() - trust the sources of a network
 * @tn: namespace's server; its mutex is held
 * @addr: network
 * @plen: bits that count, 96 and more for IPv4
 *
 * Context: process. Return: 0, -EEXIST or -ENOMEM.
 */
int tftpk_trust_add(struct tftpk_net *tn, const struct in6_addr *addr, u8 plen)
{
	struct tftpk_trust *trust;

	lockdep_assert_held(&tn->mutex);

	if (tftpk_trust_find(tn, addr, plen))
		return -EEXIST;
	trust = kzalloc(sizeof(*trust), GFP_KERNEL);
	if (!trust)
		return -ENOMEM;
	ipv6_addr_prefix(&trust->addr, addr, plen);
	trust->plen = plen;
	list_add_tail_rcu(&trust->list, &tn->trusted);
	tn->generation++;
	return 0;
}

/**
 * tftpk_trust_del() - trust the sources of a network no more
 * @tn: namespace's server; its mutex is held
 * @addr: as it was added
 * @plen: as it was added
 *
 * Context: process. Return: 0 or -ENOENT.
 */
int tftpk_trust_del(struct tftpk_net *tn, const struct in6_addr *addr, u8 plen)
{
	struct tftpk_trust *trust;

	lockdep_assert_held(&tn->mutex);

	trust = tftpk_trust_find(tn, addr, plen);
	if (trust) {
		list_del_rcu(&trust->list);
		tn->generation++;
		kfree_rcu(trust, rcu);
	}
	return trust ? 0 : -ENOENT;
}

/**
 * tftpk_trust_nth() - the trusted networks, one by one
 * @tn: namespace's server; its mutex is held
 * @n: from 0 on
 * @plen: takes the bits that count
 *
 * Return: its address, or NULL where there is no such network.
 */
const struct in6_addr *tftpk_trust_nth(struct tftpk_net *tn, u32 n, u8 *plen)
{
	struct tftpk_trust *trust;

	lockdep_assert_held(&tn->mutex);
	list_for_each_entry(trust, &tn->trusted, list) {
		if (!n--) {
			*plen = trust->plen;
			return &trust->addr;
		}
	}
	return NULL;
}

/* ---- transfers of a client ---- */

static struct tftpk_client *tftpk_client_find(struct tftpk_limit *limit,
					      const struct tftpk_peer *peer)
{
	struct tftpk_peer *first;

	lockdep_assert_held(&limit->lock);

	first = rhashtable_lookup_fast(&limit->clients,
				       &peer->request.key.client,
				       tftpk_clients_params);
	return first ? &first->client : NULL;
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
	u32 n, max = READ_ONCE(t->tn->settings.max_per_client);
	struct tftpk_client *first, *client = &t->peer.client;
	struct tftpk_limit *limit = t->tn->limit;
	int err = 0;

	spin_lock(&limit->lock);
	first = tftpk_client_find(limit, &t->peer);
	n = first ? first->n : 0;
	if (former)
		n -= former->peer.client.counted;
	if (max && n >= max) {
		err = -EDQUOT;
	} else if (first) {
		list_add(&client->others, &first->others);
		first->n++;
	} else {
		INIT_LIST_HEAD(&client->others);
		client->n = 1;
		err = rhashtable_insert_fast(&limit->clients, &client->head,
					     tftpk_clients_params);
	}
	client->counted = !err;
	spin_unlock(&limit->lock);
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
	struct tftpk_limit *limit = t->tn->limit;

	spin_lock(&limit->lock);
	if (!client->counted)
		goto out;
	client->counted = false;
	first = tftpk_client_find(limit, &t->peer);
	if (first != client) {
		first->n--;
	} else if (list_empty(&client->others)) {
		rhashtable_remove_fast(&limit->clients, &client->head,
				       tftpk_clients_params);
	} else {
		first = list_first_entry(&client->others, struct tftpk_client,
					 others);
		first->n = client->n - 1;
		rhashtable_replace_fast(&limit->clients, &client->head,
					&first->head, tftpk_clients_params);
	}
	list_del(&client->others);
out:
	spin_unlock(&limit->lock);
}

/* ---- transfers whose client has not acknowledged a block ---- */

/**
 * tftpk_unverified_del() - take a transfer off the unverified list
 * @t: transfer, locked; its client is validated now, or it ends
 */
void tftpk_unverified_del(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unverified_lock);
	if (!list_empty(&t->peer.unverified)) {
		list_del_init(&t->peer.unverified);
		tn->n_unverified--;
	}
	spin_unlock(&tn->unverified_lock);
}

/**
 * tftpk_unverified_touch() - move a transfer to the tail of its list
 * @t: transfer, locked; it is evicted last
 */
void tftpk_unverified_touch(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unverified_lock);
	if (!list_empty(&t->peer.unverified))
		list_move_tail(&t->peer.unverified, &tn->unverified[t->peer.known]);
	spin_unlock(&tn->unverified_lock);
}

/**
 * tftpk_unverified_oldest() - take the oldest unverified transfer off its list
 * @t: not this one
 * @age: minimum age in jiffies
 *
 * Transfers whose source may be forged come first.
 *
 * Context: BH disabled, within rcu_read_lock(), tftpk_net.unverified_lock held.
 * Return: the transfer, or NULL.
 */
struct tftpk_transfer *tftpk_unverified_oldest(struct tftpk_transfer *t,
					       unsigned long age)
{
	struct tftpk_transfer *oldest;
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&tn->unverified_lock);

	oldest = list_first_entry_or_null(&tn->unverified[false],
					  struct tftpk_transfer,
					  peer.unverified);
	if (!oldest || oldest == t)
		oldest = list_first_entry_or_null(&tn->unverified[true],
						  struct tftpk_transfer,
						  peer.unverified);
	if (!oldest || oldest == t ||
	    time_before(jiffies, oldest->started + age))
		return NULL;
	list_del_init(&oldest->peer.unverified);
	tn->n_unverified--;
	return oldest;
}

/**
 * tftpk_unverified_add() - note an unverified transfer
 * @t: transfer, locked
 *
 * Context: softirq, within rcu_read_lock(). Return: the one to evict because
 * there are too many, or NULL.
 */
struct tftpk_transfer *tftpk_unverified_add(struct tftpk_transfer *t)
{
	struct tftpk_transfer *oldest = NULL;
	struct tftpk_net *tn = t->tn;

	lockdep_assert_held(&t->lock);

	spin_lock(&tn->unverified_lock);
	list_add_tail(&t->peer.unverified, &tn->unverified[t->peer.known]);
	if (++tn->n_unverified > READ_ONCE(tn->settings.max_unverified))
		oldest = tftpk_unverified_oldest(t, 0);
	spin_unlock(&tn->unverified_lock);
	return oldest;
}
