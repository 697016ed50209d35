// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of how many transfers a client has.
 */
#include <kunit/test.h>
#include <linux/inet.h>

#include "../client.c"

struct client_state {
	struct tftpk_net tn;
};

static void client_key(const char *addr, struct tftpk_key *key)
{
	ipv6_addr_set_v4mapped(in_aton(addr), &key->client);
}

#define CLIENTS_N	8

static struct tftpk_transfer *client_transfers(struct kunit *test)
{
	struct client_state *s = test->priv;
	struct tftpk_transfer *t;
	u32 i;

	t = kunit_kcalloc(test, CLIENTS_N, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	for (i = 0; i < CLIENTS_N; i++) {
		t[i].tn = &s->tn;
		client_key("192.0.2.1", &t[i].peer.request.key);
	}
	return t;
}

static int client_add(struct tftpk_transfer *t, struct tftpk_transfer *former)
{
	int err;

	local_bh_disable();
	rcu_read_lock();
	err = tftpk_client_add(t, former);
	rcu_read_unlock();
	local_bh_enable();
	return err;
}

static void client_del(struct tftpk_transfer *t)
{
	local_bh_disable();
	tftpk_client_del(t);
	local_bh_enable();
}

/* Whichever of them goes, as many may come. */
static void client_count_test(struct kunit *test)
{
	struct client_state *s = test->priv;
	struct tftpk_transfer *t = client_transfers(test);
	u32 gone, i;

	s->tn.settings.max_per_client = CLIENTS_N - 1;
	client_key("192.0.2.2", &t[CLIENTS_N - 1].peer.request.key);
	for (gone = 0; gone < CLIENTS_N - 1; gone++) {
		for (i = 0; i < CLIENTS_N; i++)
			KUNIT_EXPECT_EQ(test, client_add(&t[i], NULL), 0);
		client_del(&t[gone]);
		KUNIT_EXPECT_EQ(test, client_add(&t[gone], NULL), 0);
		client_del(&t[CLIENTS_N - 1]);
		client_key("192.0.2.1",
			   &t[CLIENTS_N - 1].peer.request.key);
		KUNIT_EXPECT_EQ(test, client_add(&t[CLIENTS_N - 1], NULL),
				-EDQUOT);
		/* It does not count, and does not go twice. */
		client_del(&t[CLIENTS_N - 1]);
		KUNIT_EXPECT_EQ(test, client_add(&t[CLIENTS_N - 1], NULL),
				-EDQUOT);
		client_key("192.0.2.2",
			   &t[CLIENTS_N - 1].peer.request.key);
		for (i = 0; i < CLIENTS_N; i++)
			client_del(&t[(gone + i) % CLIENTS_N]);
	}
	KUNIT_EXPECT_EQ(test, atomic_read(&s->tn.clients.nelems), 0);
}

/* One that replaces another is not one more, as long as that one counts. */
static void client_former_test(struct kunit *test)
{
	struct client_state *s = test->priv;
	struct tftpk_transfer *t = client_transfers(test);

	s->tn.settings.max_per_client = 1;
	KUNIT_EXPECT_EQ(test, client_add(&t[0], NULL), 0);
	KUNIT_EXPECT_EQ(test, client_add(&t[1], NULL), -EDQUOT);
	KUNIT_EXPECT_EQ(test, client_add(&t[1], &t[0]), 0);
	client_del(&t[0]);
	KUNIT_EXPECT_EQ(test, client_add(&t[2], &t[0]), -EDQUOT);
	KUNIT_EXPECT_EQ(test, client_add(&t[2], NULL), -EDQUOT);
	/* Set while there are some, it holds for the next. */
	s->tn.settings.max_per_client = 0;
	KUNIT_EXPECT_EQ(test, client_add(&t[2], NULL), 0);
	s->tn.settings.max_per_client = 2;
	KUNIT_EXPECT_EQ(test, client_add(&t[3], NULL), -EDQUOT);
	client_del(&t[1]);
	KUNIT_EXPECT_EQ(test, client_add(&t[3], NULL), 0);
	client_del(&t[2]);
	client_del(&t[3]);
}

static int client_init(struct kunit *test)
{
	struct client_state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	test->priv = s;
	INIT_LIST_HEAD(&s->tn.trusted);
	s->tn.settings.max_transfers = 1000;
	return tftpk_client_init(&s->tn);
}

static void client_exit(struct kunit *test)
{
	struct client_state *s = test->priv;

	if (s)
		tftpk_client_exit(&s->tn);
}

static struct kunit_case client_cases[] = {
	KUNIT_CASE(client_count_test),
	KUNIT_CASE(client_former_test),
	{}
};

static struct kunit_suite client_suite = {
	.name		= "tftpk-client",
	.init		= client_init,
	.exit		= client_exit,
	.test_cases	= client_cases,
};

kunit_test_suite(client_suite);
