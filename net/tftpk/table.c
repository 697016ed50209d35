// SPDX-License-Identifier: GPL-2.0
/*
 * How transfers are found: by client and port, and by id.
 */
#include <linux/jhash.h>
#include <linux/random.h>
#include <linux/rhashtable.h>
#include <linux/xarray.h>
#include <net/ipv6.h>

#include "transfer.h"

/* ---- by client and port ---- */

static struct rhashtable tftpk_table;

/* All by which many transfers may differ: also the address asked, of a server that has
 * a whole prefix, and the interface of clients with one link-local address. Six words,
 * once per ACK: the seed keeps the sum from being chosen.
 */
static u32 tftpk_key_hash(const void *data, u32 len, u32 seed)
{
	const struct tftpk_key *key = data;
	const u32 *client = (__force const u32 *)key->client.s6_addr32;
	const u32 words[] = {
		client[0], client[1], client[2], client[3],
		(u32)(__force u16)key->client_port << 16 ^ key->scope,
		((unsigned long)key->port >> 3) +
			(__force u32)key->local.s6_addr32[3] * (seed | 1),
	};

	/* The others are the same for all of IPv4. */
	if (ipv6_addr_v4mapped(&key->client))
		return jhash_3words(words[3], words[4], words[5], seed);
	return jhash2(words, ARRAY_SIZE(words), seed);
}

static bool tftpk_key_differs(const void *key, const void *other)
{
	const unsigned long *a = key, *b = other;
	unsigned long differ = 0;
	int i;

	/* Six words or eleven, once per ACK: memcmp() would be a call. */
	for (i = 0; i < sizeof(struct tftpk_key) / sizeof(*a); i++)
		differ |= a[i] ^ b[i];
	return differ != 0;
}

static int tftpk_key_compare(struct rhashtable_compare_arg *arg,
			     const void *node)
{
	return tftpk_key_differs(arg->key,
				 &((const struct tftpk_node *)node)->key);
}

static const struct rhashtable_params tftpk_table_params = {
	.head_offset		= offsetof(struct tftpk_node, head),
	.key_offset		= offsetof(struct tftpk_node, key),
	.key_len		= sizeof(struct tftpk_key),
	.hashfn			= tftpk_key_hash,
	.obj_cmpfn		= tftpk_key_compare,
	.automatic_shrinking	= true,
};

/**
 * tftpk_table_find() - the transfer of this key, as request or as identifier
 * @key: client, and the server's port
 *
 * Context: within rcu_read_lock(). Return: the transfer, which may have ended, or
 * NULL.
 */
struct tftpk_transfer *tftpk_table_find(const struct tftpk_key *key)
{
	struct tftpk_node *node;

	node = rhashtable_lookup(&tftpk_table, key, tftpk_table_params);
	if (!node)
		return NULL;
	return key->port->requests ?
		container_of(node, struct tftpk_transfer, peer.request) :
		container_of(node, struct tftpk_transfer, peer.tid);
}

/**
 * tftpk_table_find_tid() - the transfer that a packet belongs to
 * @key: client, and the transfer identifier
 *
 * Context: within rcu_read_lock(). Return: the transfer, which may have ended, or
 * NULL.
 */
struct tftpk_transfer *tftpk_table_find_tid(const struct tftpk_key *key)
{
	struct tftpk_transfer *t = rcu_dereference(key->port->newest);

	if (t && !tftpk_key_differs(key, &t->peer.tid.key))
		return t;
	if (key->port->requests && !key->port->listener->single_port)
		return NULL;
	return tftpk_table_find(key);
}

/* Insert the request into the table, if nothing has that key. */
static int tftpk_table_add_request(struct tftpk_transfer *t)
{
	int err;

	lockdep_assert_held(&t->lock);

	err = rhashtable_lookup_insert_fast(&tftpk_table, &t->peer.request.head,
					    tftpk_table_params);
	t->peer.request_hashed = !err;
	return err;
}

/**
 * tftpk_table_del_request() - take the request out of the table, if it is there
 * @t: transfer, locked
 */
void tftpk_table_del_request(struct tftpk_transfer *t)
{
	lockdep_assert_held(&t->lock);

	if (t->peer.request_hashed)
		rhashtable_remove_fast(&tftpk_table, &t->peer.request.head,
				       tftpk_table_params);
	t->peer.request_hashed = false;
}

/**
 * tftpk_table_sends_from() - would a client take what is sent for its transfer's?
 * @key: client, and the port that takes requests
 *
 * It would where the transfer sends from that port, too, and until it knows the
 * transfer's port.
 *
 * Context: softirq, within rcu_read_lock().
 */
bool tftpk_table_sends_from(const struct tftpk_key *key)
{
	struct tftpk_transfer *t = tftpk_table_find(key);

	return t && !READ_ONCE(t->dead) &&
	       (tftpk_single_port(t) || !tftpk_transfer_validated(t));
}

/* The port that is its identifier, of the pool. */
static struct tftpk_port *tftpk_table_port(const struct tftpk_transfer *t)
{
	const struct tftpk_port *port = t->peer.tid.key.port;

	return &port->listener->pool[port - port->listener->pool];
}

/* Insert the transfer by a port of the pool, if nothing has that key. */
static int tftpk_table_add_tid(struct tftpk_transfer *t,
			       const struct tftpk_port *port)
{
	int err;

	t->peer.tid.key.port = port;
	err = rhashtable_lookup_insert_fast(&tftpk_table, &t->peer.tid.head,
					    tftpk_table_params);
	if (err)
		return err;
	t->peer.tid_hashed = true;
	rcu_assign_pointer(tftpk_table_port(t)->newest, t);
	return 0;
}

/**
 * tftpk_table_add() - enter a new transfer into the table
 * @t: transfer, locked
 *
 * By its request, and by one of the pool's ports, at random, that this client
 * does not use yet. With a single port the request's key is the only one.
 *
 * Context: softirq. Return: 0, -EEXIST where a transfer has this request's key,
 * -EBUSY without a port, or another negative errno.
 */
int tftpk_table_add(struct tftpk_transfer *t)
{
	struct tftpk_listener *listener = t->peer.request.key.port->listener;
	u32 start = get_random_u32();
	int err, i;

	lockdep_assert_held(&t->lock);

	t->peer.ident = start >> 16;
	t->peer.hash = get_random_u32();
	err = tftpk_table_add_request(t);
	if (err)
		return err;
	t->peer.tid.key = t->peer.request.key;
	if (tftpk_single_port(t))
		return 0;
	for (i = 0; i < listener->pool_size; i++) {
		err = tftpk_table_add_tid(t, &listener->pool[(start + i) %
							     listener->pool_size]);
		if (!err)
			return 0;
		if (err != -EEXIST)
			break;
	}
	return -EBUSY;
}

/**
 * tftpk_table_add_known() - enter a transfer of another server into the table
 * @t: transfer, locked; its identifier is set
 *
 * Context: BH disabled. Return: 0, -EEXIST where a transfer has one of its keys, or
 * another negative errno.
 */
int tftpk_table_add_known(struct tftpk_transfer *t)
{
	int err;

	lockdep_assert_held(&t->lock);

	t->peer.ident = get_random_u32() >> 16;
	t->peer.hash = get_random_u32();
	err = tftpk_table_add_request(t);
	if (!err && !tftpk_single_port(t))
		err = tftpk_table_add_tid(t, t->peer.tid.key.port);
	return err;
}

/**
 * tftpk_table_make_way() - leave the request's place in the table
 * @t: transfer, locked
 *
 * The next request of this client and port begins another transfer. A dead
 * transfer leaves the table by its request. A live one goes on by its identifier,
 * and stays to be found by tftpk_transfer_end_former().
 *
 * Context: softirq.
 */
void tftpk_table_make_way(struct tftpk_transfer *t)
{
	tftpk_table_del_request(t);
	if (t->dead)
		return;
	WRITE_ONCE(t->peer.request.key.former, 1);
	tftpk_table_add_request(t);
}

/**
 * tftpk_table_del() - take a transfer out of the table
 * @t: transfer, locked
 */
void tftpk_table_del(struct tftpk_transfer *t)
{
	struct tftpk_port *port;

	tftpk_table_del_request(t);
	if (!t->peer.tid_hashed)
		return;
	port = tftpk_table_port(t);
	/* A newer one that comes between these is found by its key. */
	if (rcu_access_pointer(port->newest) == t)
		RCU_INIT_POINTER(port->newest, NULL);
	rhashtable_remove_fast(&tftpk_table, &t->peer.tid.head,
			       tftpk_table_params);
	t->peer.tid_hashed = false;
}

/* ---- by id ---- */

/**
 * tftpk_table_number() - give a new transfer an id, by which commands find it
 * @t: transfer; takes the id
 *
 * An id comes again when all others have been used, and then only if the transfer
 * that had it is gone.
 *
 * Context: softirq, tftpk_net.transfers locked. Return: 0 or a negative errno.
 */
int tftpk_table_number(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;
	int err;

	err = __xa_alloc_cyclic(&tn->transfers, &t->id, t, xa_limit_32b,
				&tn->next_transfer, GFP_ATOMIC | __GFP_NOWARN);
	if (err < 0)
		return err;
	if (tn->last_transfer)
		__xa_erase(&tn->transfers, tn->last_transfer);
	tn->last_transfer = 0;
	return 0;
}

/**
 * tftpk_table_unnumber() - have commands find a transfer no longer
 * @t: transfer
 *
 * The newest id keeps its place until there is a newer one, so that the nodes of
 * the table stay, and each 64 transfers take a new one, however few there are at
 * a time.
 *
 * Context: process or softirq.
 */
void tftpk_table_unnumber(struct tftpk_transfer *t)
{
	struct tftpk_net *tn = t->tn;

	xa_lock_bh(&tn->transfers);
	if (t->id == tn->next_transfer - 1) {
		/* Reserves it; nothing has to be allocated. */
		__xa_store(&tn->transfers, t->id, NULL, 0);
		tn->last_transfer = t->id;
	} else {
		__xa_erase(&tn->transfers, t->id);
	}
	xa_unlock_bh(&tn->transfers);
}

/**
 * tftpk_table_get() - some transfers, by their ids
 * @tn: namespace's server
 * @after: their ids are above this one, ascending
 * @last: and not above this one
 * @found: takes them, each with a reference
 * @n: room in @found
 *
 * Context: process, or BH disabled. Return: how many there are.
 */
u32 tftpk_table_get(struct tftpk_net *tn, u32 after, u32 last,
		    struct tftpk_transfer **found, u32 n)
{
	unsigned long id = after;
	struct tftpk_transfer *t;
	u32 i;

	xa_lock_bh(&tn->transfers);
	for (i = 0; i < n; i++) {
		t = xa_find_after(&tn->transfers, &id, last, XA_PRESENT);
		if (!t)
			break;
		/* What has an id has not dropped its own reference. */
		refcount_inc(&t->ref);
		found[i] = t;
	}
	xa_unlock_bh(&tn->transfers);
	return i;
}

/**
 * tftpk_table_init() - make the table
 *
 * Context: process. Return: 0 or a negative errno.
 */
int tftpk_table_init(void)
{
	BUILD_BUG_ON(sizeof(struct tftpk_key) % sizeof(long));
	BUILD_BUG_ON(__alignof__(struct tftpk_key) != sizeof(long));

	return rhashtable_init(&tftpk_table, &tftpk_table_params);
}

/**
 * tftpk_table_exit() - undo tftpk_table_init()
 *
 * All transfers have ended.
 */
void tftpk_table_exit(void)
{
	rhashtable_destroy(&tftpk_table);
}
