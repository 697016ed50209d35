// SPDX-License-Identifier: GPL-2.0
/*
 * Silence towards clients of other servers: several servers may have one address, and a change
 * of routes brings one of them the packets of another's transfers. An ERROR would end
 * what the other server may go on with. So its client hears nothing for a grace, in
 * which the routes may change back. After that it gets its ERROR and asks anew.
 *
 * The number of records is fixed. Where forged packets have taken all of a set, none
 * gives way: a newcomer gets its ERROR at once, as from other listeners. Or else who
 * pushes out records could keep a client waiting for as long as he likes.
 */
#include <linux/ktime.h>
#include <linux/siphash.h>
#include <linux/slab.h>

#include "silence.h"
#include "transfer.h"

#define TFTPK_SILENCE_SETS	1024
#define TFTPK_SILENCE_WAYS	8
#define TFTPK_SILENCE_S		10	/* and another grace: in it the ERROR is due */

/**
 * struct tftpk_silenced - a client that sent what belongs to no transfer
 * @tag: hash of the client and its port, and of the address that it sent to
 * @until_ns: when the record is worth nothing any more
 */
struct tftpk_silenced {
	u64 tag;
	u64 until_ns;
};

/**
 * struct tftpk_silence - those of a listener
 * @rcu: frees them
 * @lock: protects @records
 * @key: keeps hashes from being guessed
 * @records: a set-associative table; of sources that are neither on the link nor
 *	trusted, and of others
 */
struct tftpk_silence {
	struct rcu_head rcu;
	spinlock_t lock;	/* records */
	siphash_key_t key;
	struct tftpk_silenced records[2][TFTPK_SILENCE_SETS][TFTPK_SILENCE_WAYS];
};

/**
 * tftpk_silence_new() - make the records of a listener
 *
 * Context: process. Return: the records, or NULL.
 */
struct tftpk_silence *tftpk_silence_new(void)
{
	struct tftpk_silence *silence;

	silence = kvzalloc(sizeof(*silence), GFP_KERNEL_ACCOUNT);
	if (!silence)
		return NULL;
	spin_lock_init(&silence->lock);
	get_random_bytes(&silence->key, sizeof(silence->key));
	return silence;
}

/**
 * tftpk_silence_free() - free them, after an RCU grace period
 * @silence: records, or NULL
 *
 * Context: process.
 */
void tftpk_silence_free(struct tftpk_silence *silence)
{
	kvfree_rcu(silence, rcu);
}

/* How long the ERROR is due: clients ask less and less often. */
static u64 tftpk_silence_due(u64 grace)
{
	return grace + (u64)TFTPK_SILENCE_S * NSEC_PER_SEC;
}

/* The record of a client, or one that is worth nothing and has its tag now, or NULL
 * where its set is full.
 */
static struct tftpk_silenced *
tftpk_silence_find(struct tftpk_silence *silence, const struct tftpk_key *key,
		   bool near, u64 now)
{
	u64 tag = siphash(key, sizeof(*key), &silence->key);
	struct tftpk_silenced *set, *free = NULL;
	int i;

	lockdep_assert_held(&silence->lock);

	set = silence->records[near][tag % TFTPK_SILENCE_SETS];
	for (i = 0; i < TFTPK_SILENCE_WAYS; i++) {
		if (set[i].until_ns <= now)
			free = &set[i];
		else if (set[i].tag == tag)
			return &set[i];
	}
	if (free)
		free->tag = tag;
	return free;
}

/**
 * tftpk_silence_towards() - is a packet of no transfer to be met with silence?
 * @key: client, and the port that it sent to
 * @near: so says tftpk_limit_near()
 *
 * Context: softirq. Return: whether; if not, its ERROR is due.
 */
bool tftpk_silence_towards(const struct tftpk_key *key, bool near)
{
	const struct tftpk_listener *listener = key->port->listener;
	struct tftpk_silence *silence = listener->silence;
	u64 grace = (u64)listener->anycast * NSEC_PER_SEC;
	struct tftpk_silenced *s;
	u64 now = ktime_get_ns();
	bool silent = false;

	if (!silence)
		return grace;	/* at once, or never */
	spin_lock(&silence->lock);
	s = tftpk_silence_find(silence, key, near, now);
	if (s) {
		if (s->until_ns <= now)
			s->until_ns = now + grace + tftpk_silence_due(grace);
		silent = now + tftpk_silence_due(grace) < s->until_ns;
	}
	spin_unlock(&silence->lock);
	return silent;
}

/**
 * tftpk_silence_broken() - note that a client gets its ERROR
 * @key: client, and the port that it sent to
 * @near: so says tftpk_limit_near()
 *
 * What it sends later begins another silence: so it gets no ERROR for each of many
 * packets, whoever sent them.
 *
 * Context: softirq.
 */
void tftpk_silence_broken(const struct tftpk_key *key, bool near)
{
	const struct tftpk_listener *listener = key->port->listener;
	struct tftpk_silence *silence = listener->silence;
	struct tftpk_silenced *s;
	u64 now = ktime_get_ns();

	if (!silence)
		return;
	spin_lock(&silence->lock);
	s = tftpk_silence_find(silence, key, near, now);
	if (s)
		s->until_ns = now;
	spin_unlock(&silence->lock);
}
