// SPDX-License-Identifier: GPL-2.0
/*
 * Admission: how many requests a source may send, how many bytes it is sent, in whose
 * name TIDs are guessed, and who has just been served. The number of records is
 * fixed, however many sources are forged.
 *
 * Rates are token buckets in the form of the generic cell rate algorithm (GCRA,
 * ITU-T I.371): instead of tokens, a record holds the theoretical arrival time
 * (TAT), when the bucket will be full again. Each packet moves the TAT by its cost,
 * and conforms if the TAT is not too far ahead of now.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/siphash.h>
#include <linux/slab.h>
#include <net/ipv6.h>

#include "transfer.h"

#define TFTPK_SOURCE_SETS	1024
#define TFTPK_SOURCE_WAYS	4
#define TFTPK_RECENT_SETS	1024
#define TFTPK_RECENT_WAYS	8
#define TFTPK_RECENT_MS		10000
#define TFTPK_ANSWERS		128	/* at once, and in a second */
#define TFTPK_GUESS_MS		10000	/* after a wrong guess of a TID */
#define TFTPK_GUESS_PORTS	64	/* for each block of a window */
#define TFTPK_GUESS_SOURCES	4	/* that are one forger's, if more than answer */
#define TFTPK_VALID_MS		600000	/* after a source was validated */
#define TFTPK_MINDING_MS	600000	/* after a client minded blocks ahead */
#define TFTPK_EVENT_MS		60000	/* between two events about a source */

/* A bucket holds a sixteenth of what may be sent in a second, and refills with the
 * rest in a second. So no second exceeds the rate by more than a packet.
 */
#define TFTPK_PACE_PARTS	16
#define TFTPK_EXPORT_NS		(NSEC_PER_SEC / TFTPK_PACE_PARTS)
#define TFTPK_PACE_NS		(NSEC_PER_SEC / (TFTPK_PACE_PARTS - 1))

/**
 * struct tftpk_rate - rates of a source
 * @tag: hash of the source
 * @blocks_ns: TAT of the first blocks that are sent to it unasked
 * @answers_ns: TAT of small answers: to read requests, and to other packets
 * @bytes_ns: TAT of the bytes that are sent to it, where they are bounded
 * @guess_ns: until when a forger seems to guess TIDs in its name
 * @valid_ns: until when a client of it is known to have got what was sent
 * @minding_ns: until when its clients get no blocks ahead of their ACKs
 * @event: jiffies of the last event that its bytes are bounded
 */
struct tftpk_rate {
	u64 tag;
	u64 blocks_ns;
	u64 answers_ns[2];
	u64 bytes_ns;
	u64 guess_ns;
	u64 valid_ns;
	u64 minding_ns;
	u32 event;
};

/**
 * struct tftpk_recent - a transfer that has just ended
 * @tag: hash of its key
 * @ended: jiffies when it did
 * @stored: of an upload that was stored, the number of its last block and TFTPK_STORED,
 *	else 0
 */
struct tftpk_recent {
	u32 tag;
	u32 ended;
	u32 stored;
};

/**
 * struct tftpk_limit - admission state of a namespace
 * @lock: protects all but @recent and @waiting
 * @key: keeps hashes from being guessed
 * @sources: a set-associative cache; a new record replaces the least used of its
 *	set, so forged sources push out records but never refuse a client
 * @recent: the same as @sources, of transfers that ended; written and read without a lock: a lost
 *	entry makes a late ACK look like a guess
 * @bytes_ns: TAT of the bytes that are sent to all bounded sources together
 * @waiting: transfers whose next block waits for a bucket
 * @guesses: by how many sources, in whose name TIDs were guessed, exceed those that
 *	were validated
 * @guesses_ns: until when that counts
 */
struct tftpk_limit {
	spinlock_t lock;	/* all but recent and waiting */
	siphash_key_t key;
	struct tftpk_rate sources[TFTPK_SOURCE_SETS][TFTPK_SOURCE_WAYS];
	struct tftpk_recent recent[TFTPK_RECENT_SETS][TFTPK_RECENT_WAYS];
	u64 bytes_ns;
	atomic_t waiting;
	u32 guesses;
	u64 guesses_ns;
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

	lockdep_assert_held(&tn->mutex);
	if (tn->limit)
		return 0;
	limit = kvzalloc(sizeof(*limit), GFP_KERNEL_ACCOUNT);
	if (!limit)
		return -ENOMEM;
	spin_lock_init(&limit->lock);
	get_random_bytes(&limit->key, sizeof(limit->key));
	tn->limit = limit;
	return 0;
}

/**
 * tftpk_limit_exit() - free admission state
 * @tn: namespace's server; no packet comes in any more
 */
void tftpk_limit_exit(struct tftpk_net *tn)
{
	kvfree(tn->limit);
}

/**
 * tftpk_limit_near() - is the source on the link or trusted?
 * @tn: namespace's server
 * @key: client
 * @iif: interface that its packet came in by
 *
 * Others have smaller limits: their packets may be forged from anywhere.
 *
 * Context: softirq or BH disabled, within rcu_read_lock().
 */
bool tftpk_limit_near(struct tftpk_net *tn, const struct tftpk_key *key,
		      int iif)
{
	return tftpk_trust_of(tn, &key->client) ||
	       tftpk_route_onlink(tn->net, key, iif);
}

/* When a record holds nothing any more. */
static u64 tftpk_rate_until(const struct tftpk_rate *s)
{
	return max3(max3(s->blocks_ns, s->bytes_ns, s->minding_ns),
		    max(s->answers_ns[0], s->answers_ns[1]),
		    max(s->guess_ns, s->valid_ns));
}

/* Find the record of a source. If there is none, replace the least used one of its
 * set. A source on the link or a trusted one is a single address. Another one is an
 * IPv4 address or an IPv6 network of 64 bits.
 */
static struct tftpk_rate *tftpk_rate_find_or_add(struct tftpk_limit *limit,
						 const struct tftpk_key *key,
						 bool near)
{
	struct in6_addr source = key->client;
	struct tftpk_rate *set, *s;
	u64 tag;
	int i;

	lockdep_assert_held(&limit->lock);

	if (!near && !ipv6_addr_v4mapped(&source))
		memset(&source.s6_addr32[2], 0, 8);
	tag = siphash(&source, sizeof(source), &limit->key);

	set = limit->sources[tag % TFTPK_SOURCE_SETS];
	s = set;
	for (i = 0; i < TFTPK_SOURCE_WAYS; i++) {
		if (set[i].tag == tag)
			return &set[i];
		if (tftpk_rate_until(&set[i]) < tftpk_rate_until(s))
			s = &set[i];
	}
	*s = (struct tftpk_rate) {
		.tag	= tag,
		.event	= (u32)jiffies - msecs_to_jiffies(TFTPK_EVENT_MS),
	};
	return s;
}

/* Charge a packet to a bucket. Returns whether the bucket held its cost. */
static bool tftpk_bucket_take(u64 *tat, u64 now, u64 cost, u32 burst)
{
	u64 full = max(*tat, now) + cost;

	if (full > now + burst * cost)
		return false;
	*tat = full;
	return true;
}

/**
 * tftpk_limit_answer() - charge a small answer to its source
 * @tn: namespace's server
 * @key: client
 * @near: so says tftpk_limit_near()
 * @kind: of answer
 *
 * An OACK or an ERROR is hardly larger than what it answers, and some clients ask for
 * dozens of files at once. So there may be many of them. Answers to requests have a
 * bucket of their own: forged packets of other kinds take no request's answer.
 *
 * Context: softirq, within rcu_read_lock(). Return: whether it may be sent; if not,
 * nothing is charged.
 */
bool tftpk_limit_answer(struct tftpk_net *tn, const struct tftpk_key *key,
			bool near, enum tftpk_reply kind)
{
	struct tftpk_limit *limit = tn->limit;
	u64 now = ktime_get_ns();
	struct tftpk_rate *s;
	bool admitted;

	if (!READ_ONCE(tn->settings.source_burst))
		return true;
	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, near);
	admitted = tftpk_bucket_take(&s->answers_ns[kind], now,
				     NSEC_PER_SEC / TFTPK_ANSWERS,
				     TFTPK_ANSWERS);
	spin_unlock(&limit->lock);
	return admitted;
}

/**
 * tftpk_limit_burst() - how many first blocks a source may be sent at once
 * @tn: namespace's server
 * @near: what tftpk_limit_near() says of it; others get a quarter
 *
 * Context: any. Return: blocks, 0 for any number.
 */
u32 tftpk_limit_burst(const struct tftpk_net *tn, bool near)
{
	u32 burst = READ_ONCE(tn->settings.source_burst);

	return near ? burst : DIV_ROUND_UP(burst, 4);
}

/**
 * tftpk_limit_block() - charge a first block to its source
 * @tn: namespace's server
 * @key: client, whose request is answered by a block at once
 * @near: so says tftpk_limit_near()
 *
 * Context: softirq or BH disabled, within rcu_read_lock(). Return: whether it may be
 * sent; if not, nothing is charged.
 */
bool tftpk_limit_block(struct tftpk_net *tn, const struct tftpk_key *key,
		       bool near)
{
	u32 burst = tftpk_limit_burst(tn, near);
	u64 cost = NSEC_PER_SEC / READ_ONCE(tn->settings.source_rate);
	struct tftpk_limit *limit = tn->limit;
	u64 now = ktime_get_ns();
	struct tftpk_rate *s;
	bool admitted;

	if (!burst)
		return true;

	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, near);
	admitted = tftpk_bucket_take(&s->blocks_ns, now, cost, burst);
	spin_unlock(&limit->lock);
	return admitted;
}

/* How long the next packet has to wait, in nanoseconds: until the bucket holds
 * anything, whatever the packet costs. So large packets have the same chance as
 * small ones. @tat is the bucket's, and @full the time in which it fills.
 */
static u64 tftpk_pace_wait(u64 tat, u64 full, u64 now)
{
	return tat > now + full ? tat - now - full : 0;
}

/* A random time in which as many packets go out as there are transfers that wait. */
static u64 tftpk_pace_spread(u64 cost, const atomic_t *waiting)
{
	return mul_u64_u32_shr(cost * atomic_read(waiting), get_random_u32(), 32);
}

/**
 * tftpk_limit_charge_export() - charge packets to the rate of an export
 * @export: export with a rate
 * @bytes: of the packets
 *
 * A bucket holds what may be sent in a sixteenth of a second, so that timers are good
 * enough. What is charged at once may exceed that: then all wait the longer.
 *
 * A transfer that has to wait asks again, as with tftpk_limit_charge_bytes().
 *
 * Context: softirq or BH disabled. No lock: the bucket moves by compare and exchange.
 *
 * Return: 0, or nanoseconds after which to ask again; then nothing is charged.
 */
u64 tftpk_limit_charge_export(struct tftpk_export *export, u32 bytes)
{
	u64 cost = div64_u64((u64)bytes * NSEC_PER_SEC,
			     (u64)export->options.max_rate * 1024);
	u64 now = ktime_get_ns(), wait;
	s64 tat = atomic64_read(&export->paced_ns);

	do {
		wait = tftpk_pace_wait(tat, TFTPK_EXPORT_NS, now);
		if (wait)
			return wait + tftpk_pace_spread(cost, &export->waiting);
	} while (!atomic64_try_cmpxchg(&export->paced_ns, &tat,
				       max_t(u64, tat, now) + cost));
	return 0;
}

/* The cost of @bytes in nanoseconds of refilling, at a rate in KiB per second. */
static u64 tftpk_pace_cost(u32 bytes, u32 rate)
{
	return div64_u64((u64)bytes * NSEC_PER_SEC * TFTPK_PACE_PARTS,
			 (u64)rate * 1024 * (TFTPK_PACE_PARTS - 1));
}

/**
 * tftpk_limit_charge_bytes() - charge a packet to an unvalidated source
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
u64 tftpk_limit_charge_bytes(struct tftpk_net *tn, const struct tftpk_key *key,
			     u32 bytes)
{
	struct tftpk_limit *limit = tn->limit;
	u64 one, all, now, wait;
	struct tftpk_rate *s;

	if (tftpk_trust_of(tn, &key->client))
		return 0;
	one = tftpk_pace_cost(bytes, READ_ONCE(tn->settings.untrusted_rate));
	all = tftpk_pace_cost(bytes, READ_ONCE(tn->settings.untrusted_total));

	spin_lock(&limit->lock);
	now = ktime_get_ns();
	s = tftpk_rate_find_or_add(limit, key, false);
	wait = max(tftpk_pace_wait(s->bytes_ns, TFTPK_PACE_NS, now),
		   tftpk_pace_wait(limit->bytes_ns, TFTPK_PACE_NS, now));
	if (!wait) {
		s->bytes_ns = max(s->bytes_ns, now) + one;
		limit->bytes_ns = max(limit->bytes_ns, now) + all;
	}
	spin_unlock(&limit->lock);
	if (wait)
		wait += tftpk_pace_spread(all, &limit->waiting);
	return wait;
}

/**
 * tftpk_limit_count_waiting() - count a transfer that waits for its source's rate
 * @tn: namespace's server
 * @waits: it begins to wait, or it no longer does
 *
 * Context: any.
 */
void tftpk_limit_count_waiting(struct tftpk_net *tn, bool waits)
{
	atomic_add(waits ? 1 : -1, &tn->limit->waiting);
}

/**
 * tftpk_limit_claim_event() - claim the event that a source is bounded
 * @tn: namespace's server
 * @key: client
 *
 * Context: softirq or BH disabled. Return: whether the caller is to send it: once a
 * minute for each source.
 */
bool tftpk_limit_claim_event(struct tftpk_net *tn, const struct tftpk_key *key)
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
 * tftpk_limit_note_guess() - note that a forger guessed a TID, wrongly
 * @tn: namespace's server
 * @key: client in whose name it was, neither on the link nor trusted
 *
 * Context: softirq.
 */
void tftpk_limit_note_guess(struct tftpk_net *tn, const struct tftpk_key *key)
{
	struct tftpk_limit *limit = tn->limit;
	u64 now = ktime_get_ns();
	struct tftpk_rate *s;

	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, false);
	if (limit->guesses_ns < now)
		limit->guesses = 0;
	/* A source counts once, so nobody alone makes many. */
	if (s->guess_ns < now) {
		limit->guesses++;
		limit->guesses_ns = now + (u64)TFTPK_GUESS_MS * NSEC_PER_MSEC;
	}
	s->guess_ns = now + (u64)TFTPK_GUESS_MS * NSEC_PER_MSEC;
	spin_unlock(&limit->lock);
}

/**
 * tftpk_limit_validated() - note that a client acknowledged its first block
 * @tn: namespace's server
 * @key: client, neither on the link nor trusted
 *
 * Context: softirq.
 */
void tftpk_limit_validated(struct tftpk_net *tn, const struct tftpk_key *key)
{
	struct tftpk_limit *limit = tn->limit;
	u64 now = ktime_get_ns();
	struct tftpk_rate *s;

	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, false);
	if (s->valid_ns < now && limit->guesses)
		limit->guesses--;
	s->valid_ns = now + (u64)TFTPK_VALID_MS * NSEC_PER_MSEC;
	spin_unlock(&limit->lock);
}

/**
 * tftpk_limit_note_minding() - note that a client had trouble with blocks ahead
 * @tn: namespace's server
 * @key: client
 * @near: so says tftpk_limit_near()
 *
 * Context: softirq or BH disabled.
 */
void tftpk_limit_note_minding(struct tftpk_net *tn, const struct tftpk_key *key,
			      bool near)
{
	struct tftpk_limit *limit = tn->limit;

	spin_lock(&limit->lock);
	tftpk_rate_find_or_add(limit, key, near)->minding_ns = ktime_get_ns() +
		(u64)TFTPK_MINDING_MS * NSEC_PER_MSEC;
	spin_unlock(&limit->lock);
}

/**
 * tftpk_limit_minds_ahead() - did a client of this source have trouble with blocks ahead?
 * @tn: namespace's server
 * @key: client
 * @near: so says tftpk_limit_near()
 *
 * Context: process.
 */
bool tftpk_limit_minds_ahead(struct tftpk_net *tn, const struct tftpk_key *key,
			     bool near)
{
	struct tftpk_limit *limit = tn->limit;
	bool minds;

	spin_lock_bh(&limit->lock);
	minds = tftpk_rate_find_or_add(limit, key, near)->minding_ns >=
		ktime_get_ns();
	spin_unlock_bh(&limit->lock);
	return minds;
}

/**
 * tftpk_limit_bounded() - are the bytes bounded that are sent to a client?
 * @key: client, and the port that takes requests
 * @near: so says tftpk_limit_near()
 *
 * They are where a forger could have windows sent to it, for an ACK each: with a
 * single port there is no TID to guess. After a wrong guess in the name of a source
 * the next one may be right. While there are guesses in the names of many sources,
 * that holds for every source that was not validated before.
 *
 * Context: softirq or BH disabled, within rcu_read_lock().
 */
bool tftpk_limit_bounded(const struct tftpk_key *key, bool near)
{
	const struct tftpk_listener *listener = key->port->listener;
	struct tftpk_limit *limit = listener->tn->limit;
	const struct tftpk_rate *s;
	u64 now = ktime_get_ns();
	bool bounded;

	if (near)
		return false;
	if (listener->single_port)
		return true;
	spin_lock(&limit->lock);
	s = tftpk_rate_find_or_add(limit, key, false);
	bounded = s->guess_ns >= now ||
		  (s->valid_ns < now && limit->guesses_ns >= now &&
		   limit->guesses > TFTPK_GUESS_SOURCES);
	spin_unlock(&limit->lock);
	return bounded;
}

/**
 * tftpk_limit_window() - largest window for a client
 * @listener: that it asked
 * @bounded: what tftpk_limit_bounded() says of it
 *
 * One guess in as many as the listener has ports is right. Windows are so small then
 * that guessing costs more than it yields.
 *
 * Context: any. Return: blocks.
 */
u32 tftpk_limit_window(const struct tftpk_listener *listener, bool bounded)
{
	if (!bounded)
		return TFTPK_WINDOW_MAX;
	if (listener->single_port)
		return 1;
	return max(listener->pool_size / TFTPK_GUESS_PORTS, 1U);
}

static struct tftpk_recent *tftpk_recent_set(struct tftpk_limit *limit, u32 tag)
{
	return limit->recent[tag % TFTPK_RECENT_SETS];
}

/* How long it is that the transfer ended, in jiffies. */
static u32 tftpk_recent_age(const struct tftpk_recent *r)
{
	return (u32)jiffies - READ_ONCE(r->ended);
}

/* Hash of a client and a TID that it may still send to. */
static u32 tftpk_recent_tag(const struct tftpk_limit *limit,
			    const struct tftpk_key *key)
{
	return siphash(key, sizeof(*key), &limit->key);
}

/**
 * tftpk_limit_note_ended() - note that a transfer ended; late packets may follow
 * @tn: namespace's server
 * @key: client and transfer identifier
 * @stored: see struct tftpk_recent
 *
 * Context: any.
 */
void tftpk_limit_note_ended(struct tftpk_net *tn, const struct tftpk_key *key,
			    u32 stored)
{
	u32 tag = tftpk_recent_tag(tn->limit, key);
	struct tftpk_recent *set = tftpk_recent_set(tn->limit, tag), *r = set;
	int i;

	for (i = 1; i < TFTPK_RECENT_WAYS; i++)
		if (tftpk_recent_age(&set[i]) > tftpk_recent_age(r))
			r = &set[i];
	WRITE_ONCE(r->ended, jiffies);
	WRITE_ONCE(r->stored, stored);
	WRITE_ONCE(r->tag, tag);
}

/**
 * tftpk_limit_recently_ended() - is a packet of a transfer that has just ended?
 * @tn: namespace's server
 * @key: client and transfer identifier
 * @stored: takes what tftpk_limit_note_ended() was told
 *
 * Context: any.
 */
bool tftpk_limit_recently_ended(struct tftpk_net *tn, const struct tftpk_key *key,
				u32 *stored)
{
	u32 tag = tftpk_recent_tag(tn->limit, key);
	struct tftpk_recent *set = tftpk_recent_set(tn->limit, tag);
	int i;

	for (i = 0; i < TFTPK_RECENT_WAYS; i++) {
		if (READ_ONCE(set[i].tag) != tag ||
		    tftpk_recent_age(&set[i]) >= msecs_to_jiffies(TFTPK_RECENT_MS))
			continue;
		*stored = READ_ONCE(set[i].stored);
		return true;
	}
	return false;
}
