// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of transfers' ids: they do not repeat, and a dump finds each once. Transfers
 * are found by client and port.
 */
#include <kunit/test.h>
#include <net/ipv6.h>

#include "../table.c"

#define TABLE_N		200

struct table_state {
	struct tftpk_net tn;
	struct tftpk_transfer t[TABLE_N];
};

static void table_number(struct kunit *test, u32 i)
{
	struct table_state *s = test->priv;
	int err;

	xa_lock_bh(&s->tn.transfers);
	err = tftpk_table_number(&s->t[i]);
	xa_unlock_bh(&s->tn.transfers);
	KUNIT_ASSERT_EQ(test, err, 0);
}

/* How many a dump finds, in batches of 7; all with ids that ascend. */
static u32 table_dump(struct kunit *test)
{
	struct table_state *s = test->priv;
	struct tftpk_transfer *found[7];
	u32 after = 0, got, i, n = 0;

	do {
		got = tftpk_table_get(&s->tn, after, U32_MAX, found,
				      ARRAY_SIZE(found));
		for (i = 0; i < got; i++) {
			KUNIT_EXPECT_GT(test, found[i]->id, after);
			KUNIT_EXPECT_EQ(test, refcount_read(&found[i]->ref), 2);
			refcount_dec(&found[i]->ref);
			after = found[i]->id;
		}
		n += got;
	} while (got);
	return n;
}

static u32 table_has(struct kunit *test, u32 id)
{
	struct table_state *s = test->priv;
	struct tftpk_transfer *found;
	u32 n = tftpk_table_get(&s->tn, id - 1, id, &found, 1);

	if (n) {
		KUNIT_EXPECT_EQ(test, found->id, id);
		refcount_dec(&found->ref);
	}
	return n;
}

static void table_dump_test(struct kunit *test)
{
	struct table_state *s = test->priv;
	u32 i;

	KUNIT_EXPECT_EQ(test, table_dump(test), 0);
	for (i = 0; i < TABLE_N; i++) {
		table_number(test, i);
		KUNIT_EXPECT_EQ(test, s->t[i].id, i + 1);
	}
	KUNIT_EXPECT_EQ(test, table_dump(test), TABLE_N);
	for (i = 0; i < TABLE_N; i += 2)
		tftpk_table_unnumber(&s->t[i]);
	KUNIT_EXPECT_EQ(test, table_dump(test), TABLE_N / 2);
	KUNIT_EXPECT_EQ(test, table_has(test, 3), 0);
	KUNIT_EXPECT_EQ(test, table_has(test, 4), 1);
	KUNIT_EXPECT_EQ(test, table_has(test, TABLE_N + 1), 0);
	for (i = 1; i < TABLE_N; i += 2)
		tftpk_table_unnumber(&s->t[i]);
	KUNIT_EXPECT_EQ(test, table_dump(test), 0);
}

/* An id that is free again is not the next one. */
static void table_again_test(struct kunit *test)
{
	struct table_state *s = test->priv;
	u32 i;

	for (i = 1; i < 1000; i++) {
		table_number(test, 0);
		KUNIT_EXPECT_EQ(test, s->t[0].id, i);
		KUNIT_EXPECT_EQ(test, table_dump(test), 1);
		tftpk_table_unnumber(&s->t[0]);
		KUNIT_EXPECT_EQ(test, table_has(test, i), 0);
		/* The nodes wait for the next one. */
		KUNIT_EXPECT_FALSE(test, xa_empty(&s->tn.transfers));
	}
}

static struct tftpk_transfer *table_find(const struct tftpk_transfer *t)
{
	struct tftpk_transfer *found;

	rcu_read_lock();
	found = tftpk_table_find_tid(&t->peer.tid.key);
	rcu_read_unlock();
	return found;
}

/* Transfers of one port are told apart, the one that is looked at first, too. */
static void table_port_test(struct kunit *test)
{
	struct table_state *s = test->priv;
	struct tftpk_listener *listener = kunit_kzalloc(test, sizeof(*listener),
							GFP_KERNEL);
	struct tftpk_transfer *t;
	u32 i;

	KUNIT_ASSERT_NOT_NULL(test, listener);
	KUNIT_ASSERT_EQ(test, tftpk_table_init(), 0);
	listener->pool_size = 1;
	listener->main.listener = listener;
	listener->main.requests = true;
	listener->pool[0].listener = listener;
	for (i = 0; i < 3; i++) {
		t = &s->t[i];
		spin_lock_init(&t->lock);
		t->peer.request.key.port = &listener->main;
		/* IPv4, IPv6, and the first address from another port */
		ipv6_addr_set_v4mapped(htonl(0xc0000201), &t->peer.request.key.client);
		if (i == 1)
			t->peer.request.key.client.s6_addr32[0] = htonl(0x20010db8);
		t->peer.request.key.client_port = htons(1000 + i / 2);
		spin_lock_bh(&t->lock);
		KUNIT_EXPECT_EQ(test, tftpk_table_add(t), 0);
		spin_unlock_bh(&t->lock);
		KUNIT_EXPECT_PTR_EQ(test,
				    rcu_access_pointer(listener->pool[0].newest), t);
	}
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_PTR_EQ(test, table_find(&s->t[i]), &s->t[i]);
	for (i = 3; i--;) {
		t = &s->t[i];
		spin_lock_bh(&t->lock);
		tftpk_table_del(t);
		spin_unlock_bh(&t->lock);
		KUNIT_EXPECT_NULL(test, rcu_access_pointer(listener->pool[0].newest));
		KUNIT_EXPECT_NULL(test, table_find(t));
		KUNIT_EXPECT_PTR_EQ(test, table_find(&s->t[0]), i ? &s->t[0] : NULL);
	}
	tftpk_table_exit();
}

/* Once all are used, they begin at 1, without those that are still in use. */
static void table_wrap_test(struct kunit *test)
{
	static const u32 ids[] = { 1, U32_MAX - 1, U32_MAX, 2, 3 };
	struct table_state *s = test->priv;
	u32 i;

	table_number(test, 0);
	s->tn.next_transfer = ids[1];
	for (i = 1; i < ARRAY_SIZE(ids); i++)
		table_number(test, i);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		KUNIT_EXPECT_EQ(test, s->t[i].id, ids[i]);
	KUNIT_EXPECT_EQ(test, table_dump(test), ARRAY_SIZE(ids));
	KUNIT_EXPECT_EQ(test, table_has(test, U32_MAX), 1);

	/* The very last one, when it has gone */
	s->tn.next_transfer = U32_MAX;
	tftpk_table_unnumber(&s->t[2]);
	table_number(test, 2);
	KUNIT_EXPECT_EQ(test, s->t[2].id, U32_MAX);
	tftpk_table_unnumber(&s->t[2]);
	KUNIT_EXPECT_EQ(test, table_has(test, U32_MAX), 0);
	table_number(test, 2);
	KUNIT_EXPECT_EQ(test, s->t[2].id, 4);
	KUNIT_EXPECT_EQ(test, table_dump(test), ARRAY_SIZE(ids));
}

/* ---- state ---- */

/* One client on many networks, or of many addresses of the server: no chain of them. */
static void table_hash_test(struct kunit *test)
{
	struct tftpk_key key = {};
	u32 i, k, hash[2 * TABLE_N];

	ipv6_addr_set(&key.client, htonl(0xfe800000), 0, 0, htonl(1));
	for (i = 0; i < TABLE_N; i++) {
		key.scope = i;
		key.local.s6_addr32[3] = 0;
		hash[i] = tftpk_key_hash(&key, sizeof(key), 1);
		key.scope = 0;
		key.local.s6_addr32[3] = htonl(i + 1);
		hash[TABLE_N + i] = tftpk_key_hash(&key, sizeof(key), 1);
	}
	for (i = 0; i < 2 * TABLE_N; i++)
		for (k = 0; k < i; k++)
			KUNIT_ASSERT_NE(test, hash[i], hash[k]);
}

static int table_init(struct kunit *test)
{
	struct table_state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	u32 i;

	if (!s)
		return -ENOMEM;
	xa_init_flags(&s->tn.transfers, XA_FLAGS_ALLOC1 | XA_FLAGS_LOCK_BH);
	for (i = 0; i < TABLE_N; i++) {
		refcount_set(&s->t[i].ref, 1);
		s->t[i].tn = &s->tn;
	}
	test->priv = s;
	return 0;
}

static void table_exit(struct kunit *test)
{
	struct table_state *s = test->priv;

	if (s)
		xa_destroy(&s->tn.transfers);
}

static struct kunit_case table_cases[] = {
	KUNIT_CASE(table_dump_test),
	KUNIT_CASE(table_again_test),
	KUNIT_CASE(table_wrap_test),
	KUNIT_CASE(table_port_test),
	KUNIT_CASE(table_hash_test),
	{}
};

static struct kunit_suite table_suite = {
	.name		= "tftpk-table",
	.init		= table_init,
	.exit		= table_exit,
	.test_cases	= table_cases,
};

kunit_test_suite(table_suite);
