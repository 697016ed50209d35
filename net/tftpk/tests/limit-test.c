// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of admission: who may send how many requests, and who is trusted.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/inet.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>

#include "../limit.c"
#include "../trust.c"

struct limit_state {
	struct tftpk_net tn;
	struct tftpk_listener v4;
	struct tftpk_listener v6;
};

static void limit_key(struct kunit *test, const char *addr,
		      struct tftpk_key *key)
{
	struct limit_state *s = test->priv;
	__be32 v4;

	memset(key, 0, sizeof(*key));
	if (in4_pton(addr, -1, (u8 *)&v4, -1, NULL)) {
		ipv6_addr_set_v4mapped(v4, &key->client);
		key->port = &s->v4.main;
	} else {
		KUNIT_ASSERT_EQ(test, in6_pton(addr, -1, key->client.s6_addr,
					       -1, NULL), 1);
		key->port = &s->v6.main;
	}
	key->client_port = htons(4711);
}

/* Charge a first block, or an answer of that kind. */
static bool limit_charge(struct kunit *test, const char *addr, int kind)
{
	struct limit_state *s = test->priv;
	bool admitted, near;
	struct tftpk_key key;

	limit_key(test, addr, &key);
	local_bh_disable();
	rcu_read_lock();
	near = tftpk_limit_near(&s->tn, &key, LOOPBACK_IFINDEX);
	admitted = kind < 0 ? tftpk_limit_block(&s->tn, &key, near) :
			      tftpk_limit_answer(&s->tn, &key, near, kind);
	rcu_read_unlock();
	local_bh_enable();
	return admitted;
}

static bool limit_request(struct kunit *test, const char *addr)
{
	return limit_charge(test, addr, -1);
}

/* How many of a thousand pass. */
static u32 limit_count_kind(struct kunit *test, const char *addr, int kind)
{
	u32 i, passed = 0;

	for (i = 0; i < 1000; i++)
		passed += limit_charge(test, addr, kind);
	return passed;
}

static u32 limit_count(struct kunit *test, const char *addr)
{
	return limit_count_kind(test, addr, -1);
}

static int limit_change_trust(struct kunit *test, bool add, const char *addr,
			      u8 plen)
{
	struct limit_state *s = test->priv;
	struct tftpk_network network;
	struct tftpk_key key;
	int err;

	limit_key(test, addr, &key);
	tftpk_network_set(&network, &key.client, plen);
	mutex_lock(&s->tn.mutex);
	err = add ? tftpk_trust_add(&s->tn, &network) :
		    tftpk_trust_del(&s->tn, &network);
	mutex_unlock(&s->tn.mutex);
	return err;
}

static void limit_trust(struct kunit *test, const char *addr, u8 plen)
{
	KUNIT_ASSERT_EQ(test, limit_change_trust(test, true, addr, plen), 0);
}

/* ---- bursts ---- */

struct burst_case {
	const char *desc;
	const char *addr;
	const char *trust;
	u8 plen;
	u32 burst;
	u32 passed;
};

/* 127.0.0.1 and ::1 are on the link; to the others there is no route. */
static const struct burst_case burst_cases[] = {
	{ "on the link", "127.0.0.1", NULL, 0, 64, 64 },
	{ "on the link, v6", "::1", NULL, 0, 64, 64 },
	{ "elsewhere", "192.0.2.1", NULL, 0, 64, 16 },
	{ "elsewhere, v6", "2001:db8::1", NULL, 0, 64, 16 },
	{ "a quarter of little", "192.0.2.1", NULL, 0, 3, 1 },
	{ "a quarter, rounded up", "192.0.2.1", NULL, 0, 5, 2 },
	{ "one", "127.0.0.1", NULL, 0, 1, 1 },
	{ "no limit", "192.0.2.1", NULL, 0, 0, 1000 },
	{ "a trusted address", "192.0.2.1", "192.0.2.1", 128, 64, 64 },
	{ "a trusted network", "192.0.2.1", "192.0.2.0", 120, 64, 64 },
	{ "a trusted network, given by a host", "192.0.2.1", "192.0.2.77",
	  120, 64, 64 },
	{ "beside a trusted network", "192.0.3.1", "192.0.2.0", 120, 64, 16 },
	{ "beside a trusted address", "192.0.2.1", "192.0.2.3", 128, 64, 16 },
	{ "all of v4 is trusted", "192.0.2.1", "0.0.0.0", 96, 64, 64 },
	{ "all of v4 is not v6", "2001:db8::1", "0.0.0.0", 96, 64, 16 },
	{ "a trusted address, v6", "2001:db8::1", "2001:db8::1", 128, 64, 64 },
	{ "a trusted network, v6", "2001:db8::1", "2001:db8::", 32, 64, 64 },
	{ "beside a trusted network, v6", "2001:db9::1", "2001:db8::", 32, 64,
	  16 },
	{ "all of v6 is trusted", "2001:db8::1", "::", 0, 64, 64 },
	{ "all of v6 is not v4", "192.0.2.1", "::", 0, 64, 16 },
};

KUNIT_ARRAY_PARAM_DESC(burst, burst_cases, desc);

static void limit_burst_test(struct kunit *test)
{
	const struct burst_case *c = test->param_value;
	struct limit_state *s = test->priv;
	u64 begun = ktime_get_ns();
	u32 passed, seconds;

	s->tn.settings.source_burst = c->burst;
	if (c->trust)
		limit_trust(test, c->trust, c->plen);
	passed = limit_count(test, c->addr);
	/* None, unless the machine stood still. */
	seconds = div_u64(ktime_get_ns() - begun, NSEC_PER_SEC);
	KUNIT_EXPECT_GE(test, passed, c->passed);
	KUNIT_EXPECT_LE(test, passed, c->passed + seconds);
}

/* ---- who shares a budget ---- */

struct share_case {
	const char *desc;
	const char *first;
	const char *second;
	bool shared;
};

static const struct share_case share_cases[] = {
	{ "the same", "192.0.2.1", "192.0.2.1", true },
	{ "neighbours", "192.0.2.1", "192.0.2.2", false },
	{ "neighbours on the link", "127.0.0.1", "127.0.0.2", false },
	{ "a network of 64 bits", "2001:db8::1", "2001:db8::ffff:1", true },
	{ "neighbouring networks", "2001:db8::1", "2001:db8:0:1::1", false },
	{ "v4 and v6", "192.0.2.1", "2001:db8::1", false },
};

KUNIT_ARRAY_PARAM_DESC(share, share_cases, desc);

static void limit_share_test(struct kunit *test)
{
	const struct share_case *c = test->param_value;

	KUNIT_EXPECT_GT(test, limit_count(test, c->first), 0);
	KUNIT_EXPECT_FALSE(test, limit_request(test, c->first));
	KUNIT_EXPECT_EQ(test, limit_request(test, c->second), !c->shared);
}

/* Whoever waits may go on, one request for each that the rate allows. */
static void limit_rate_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	u64 begun, took;
	u32 passed;

	s->tn.settings.source_rate = 50;
	s->tn.settings.source_burst = 4;
	begun = ktime_get_ns();
	passed = limit_count(test, "127.0.0.1");
	KUNIT_EXPECT_GE(test, passed, 4);
	msleep(100);
	passed += limit_count(test, "127.0.0.1");
	took = ktime_get_ns() - begun;
	KUNIT_EXPECT_GE(test, passed, 4 + 4);
	KUNIT_EXPECT_LE(test, passed, 4 + div_u64(took * 50, NSEC_PER_SEC) + 1);
}

/* Forged sources by the thousand shut nobody out. */
static void limit_flood_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	struct tftpk_key key;
	u32 i;

	limit_key(test, "2001:db8::1", &key);
	local_bh_disable();
	rcu_read_lock();
	for (i = 0; i < 20000; i++) {
		key.client.s6_addr32[1] = htonl(i);
		KUNIT_EXPECT_TRUE(test,
				  tftpk_limit_block(&s->tn, &key, false));
	}
	rcu_read_unlock();
	local_bh_enable();
	KUNIT_EXPECT_EQ(test, limit_count(test, "192.0.2.1"), 16);
	KUNIT_EXPECT_EQ(test, limit_count(test, "127.0.0.1"), 64);
}

/* ---- small answers ---- */

/* Whatever is left for blocks, and each kind by itself. */
static void limit_answer_test(struct kunit *test)
{
	static const char * const addrs[] = { "192.0.2.1", "127.0.0.1" };
	u64 begun = ktime_get_ns();
	u32 i, passed, late;

	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		passed = limit_count_kind(test, addrs[i], TFTPK_REPLY_OTHER);
		late = div_u64((ktime_get_ns() - begun) * TFTPK_ANSWERS,
			       NSEC_PER_SEC) + 1;
		KUNIT_EXPECT_GE(test, passed, TFTPK_ANSWERS);
		KUNIT_EXPECT_LE(test, passed, TFTPK_ANSWERS + late);
		KUNIT_EXPECT_GE(test, limit_count_kind(test, addrs[i],
						       TFTPK_REPLY_REQUEST),
				TFTPK_ANSWERS);
		KUNIT_EXPECT_GE(test, limit_count(test, addrs[i]), 16);
	}
}

/* ---- guesses ---- */

/* In whose name somebody guesses, beyond a router, gets windows as small as the
 * pool is. Others do not.
 */
static u32 limit_window(struct kunit *test, const char *addr)
{
	struct limit_state *s = test->priv;
	struct tftpk_key key;
	bool near;
	u32 window;

	limit_key(test, addr, &key);
	local_bh_disable();
	rcu_read_lock();
	near = tftpk_limit_near(&s->tn, &key, LOOPBACK_IFINDEX);
	window = tftpk_limit_window(key.port->listener,
				    tftpk_limit_bounded(&key, near));
	rcu_read_unlock();
	local_bh_enable();
	return window;
}

static void limit_guess(struct kunit *test, const char *addr)
{
	struct limit_state *s = test->priv;
	struct tftpk_key key;

	limit_key(test, addr, &key);
	local_bh_disable();
	tftpk_limit_note_guess(&s->tn, &key);
	local_bh_enable();
}

static void limit_guess_test(struct kunit *test)
{
	struct limit_state *s = test->priv;

	s->v4.pool_size = 4 * TFTPK_GUESS_PORTS;
	s->v6.pool_size = 1;
	KUNIT_EXPECT_EQ(test, limit_window(test, "192.0.2.1"),
			TFTPK_WINDOW_MAX);
	limit_guess(test, "192.0.2.1");
	limit_guess(test, "2001:db8::1");
	KUNIT_EXPECT_EQ(test, limit_window(test, "192.0.2.1"), 4);
	KUNIT_EXPECT_EQ(test, limit_window(test, "2001:db8::2"), 1);
	KUNIT_EXPECT_EQ(test, limit_window(test, "192.0.2.2"),
			TFTPK_WINDOW_MAX);
	KUNIT_EXPECT_EQ(test, limit_window(test, "2001:db8:0:1::1"),
			TFTPK_WINDOW_MAX);
	KUNIT_EXPECT_EQ(test, limit_window(test, "127.0.0.1"),
			TFTPK_WINDOW_MAX);
	limit_trust(test, "192.0.2.0", 120);
	KUNIT_EXPECT_EQ(test, limit_window(test, "192.0.2.1"),
			TFTPK_WINDOW_MAX);

	/* With a single port nobody has to guess. */
	s->v6.single_port = true;
	KUNIT_EXPECT_EQ(test, limit_window(test, "2001:db8:0:1::1"), 1);
	KUNIT_EXPECT_EQ(test, limit_window(test, "::1"), TFTPK_WINDOW_MAX);
}

/* ---- the link ---- */

/* What comes in by another interface does not come from the link. */
static void limit_link_test(struct kunit *test)
{
	static const char * const addrs[] = { "127.0.0.1", "::1" };
	struct limit_state *s = test->priv;
	struct tftpk_key key;
	u32 i;

	local_bh_disable();
	rcu_read_lock();
	for (i = 0; i < ARRAY_SIZE(addrs); i++) {
		limit_key(test, addrs[i], &key);
		KUNIT_EXPECT_TRUE(test,
				  tftpk_limit_near(&s->tn, &key,
						   LOOPBACK_IFINDEX));
		KUNIT_EXPECT_TRUE(test, tftpk_limit_near(&s->tn, &key, 0));
		KUNIT_EXPECT_FALSE(test,
				   tftpk_limit_near(&s->tn, &key,
						    LOOPBACK_IFINDEX + 1));
	}
	rcu_read_unlock();
	local_bh_enable();
}

/* ---- what is sent to the untrusted ---- */

/* How long a packet to a source has to wait. */
static u64 limit_bytes(struct kunit *test, const char *addr, u32 bytes)
{
	struct limit_state *s = test->priv;
	struct tftpk_key key;
	u64 wait;

	limit_key(test, addr, &key);
	local_bh_disable();
	rcu_read_lock();
	wait = tftpk_limit_charge_bytes(&s->tn, &key, bytes);
	rcu_read_unlock();
	local_bh_enable();
	return wait;
}

/* How many packets of 1,024 bytes go out, of so many. Where no time passes it is
 * what the bucket holds; @rate is in packets per second.
 */
static void limit_sent(struct kunit *test, const char *addr, u32 n, u32 held,
		       u32 rate)
{
	u64 begun = ktime_get_ns();
	u32 i, sent = 0;

	for (i = 0; i < n; i++)
		sent += !limit_bytes(test, addr, 1024);
	KUNIT_EXPECT_GE(test, sent, held);
	KUNIT_EXPECT_LE(test, sent, held + 1 +
			div_u64((ktime_get_ns() - begun) * rate, NSEC_PER_SEC));
}

static void limit_bytes_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	char addr[] = "192.0.2.1";

	s->tn.settings.untrusted_rate = 64;
	s->tn.settings.untrusted_total = 4194304;
	limit_sent(test, "192.0.2.1", 100, 4, 64);
	/* It waits for what is paid after, and no longer. */
	KUNIT_EXPECT_LE(test, limit_bytes(test, "192.0.2.1", 1024),
			NSEC_PER_SEC / 60);
	limit_sent(test, "2001:db8::1", 100, 4, 64);
	/* What is larger than the bucket is paid for a second. */
	KUNIT_EXPECT_EQ(test, limit_bytes(test, "192.0.2.2", 65536), 0);
	KUNIT_EXPECT_GT(test, limit_bytes(test, "192.0.2.2", 1), 0);
	KUNIT_EXPECT_EQ(test, limit_bytes(test, "2001:db8:1::1", 65536), 0);
	KUNIT_EXPECT_GT(test, limit_bytes(test, "2001:db8:1::2", 1), 0);
	/* Trust lifts it. */
	limit_trust(test, "192.0.2.0", 120);
	for (addr[8] = '1'; addr[8] <= '9'; addr[8]++)
		KUNIT_EXPECT_EQ(test, limit_bytes(test, addr, 65536), 0);
}

/* Small packets do not keep large ones of the same source from going: these need
 * find no more in the bucket than others, and are paid after.
 */
static void limit_sizes_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	int i;

	s->tn.settings.untrusted_rate = 64;
	s->tn.settings.untrusted_total = 4194304;
	for (i = 0; i < 3; i++)
		KUNIT_EXPECT_EQ(test, limit_bytes(test, "192.0.2.1", 1024), 0);
	KUNIT_EXPECT_EQ(test, limit_bytes(test, "192.0.2.1", 65536), 0);
	/* For a second. */
	KUNIT_EXPECT_GT(test, limit_bytes(test, "192.0.2.1", 1), 0);
}

static void limit_total_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	u64 begun = ktime_get_ns(), alone, many;
	char addr[] = "2001:db8:0:1::1";
	u32 i, sent = 0;

	s->tn.settings.untrusted_rate = 1024;
	s->tn.settings.untrusted_total = 64;
	for (i = 0; i < 26; i++) {
		addr[11] = 'a' + i % 6;
		addr[9] = '1' + i / 6;
		sent += !limit_bytes(test, addr, 1024);
	}
	KUNIT_EXPECT_GE(test, sent, 4);
	KUNIT_EXPECT_LE(test, sent, 4 + 1 + div_u64((ktime_get_ns() - begun) *
						    64, NSEC_PER_SEC));
	/* The more wait, the longer. */
	alone = limit_bytes(test, addr, 1024);
	for (i = 0; i < 1000; i++)
		tftpk_limit_count_waiting(&s->tn, true);
	many = 0;
	for (i = 0; i < 20; i++)
		many = max(many, limit_bytes(test, addr, 1024));
	KUNIT_EXPECT_GT(test, many, alone + NSEC_PER_SEC);
	for (i = 0; i < 1000; i++)
		tftpk_limit_count_waiting(&s->tn, false);
	KUNIT_EXPECT_LE(test, limit_bytes(test, addr, 1024), NSEC_PER_SEC / 60);
}

static void limit_tell_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	struct tftpk_key key, other;

	limit_key(test, "192.0.2.1", &key);
	limit_key(test, "192.0.2.2", &other);
	local_bh_disable();
	KUNIT_EXPECT_TRUE(test, tftpk_limit_claim_event(&s->tn, &key));
	KUNIT_EXPECT_FALSE(test, tftpk_limit_claim_event(&s->tn, &key));
	KUNIT_EXPECT_TRUE(test, tftpk_limit_claim_event(&s->tn, &other));
	local_bh_enable();
	/* A request does not make it forget. */
	KUNIT_EXPECT_TRUE(test, limit_request(test, "192.0.2.1"));
	local_bh_disable();
	KUNIT_EXPECT_FALSE(test, tftpk_limit_claim_event(&s->tn, &key));
	local_bh_enable();
}

/* ---- lists ---- */

static void limit_trust_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	const char *addr = "192.0.2.1";
	struct tftpk_trust *trust;

	limit_trust(test, "192.0.2.77", 120);
	limit_trust(test, "2001:db8::", 32);
	/* The same network, however it is written */
	KUNIT_EXPECT_EQ(test, limit_change_trust(test, true, addr, 120), -EEXIST);
	KUNIT_EXPECT_EQ(test, limit_change_trust(test, true, addr, 128), 0);
	KUNIT_EXPECT_EQ(test, limit_change_trust(test, false, addr, 127), -ENOENT);
	KUNIT_EXPECT_EQ(test, limit_change_trust(test, false, addr, 120), 0);
	KUNIT_EXPECT_EQ(test, limit_change_trust(test, false, addr, 120), -ENOENT);
	mutex_lock(&s->tn.mutex);
	trust = list_first_entry(&s->tn.trusted, struct tftpk_trust, list);
	KUNIT_EXPECT_EQ(test, trust->network.plen, 32);
	trust = list_last_entry(&s->tn.trusted, struct tftpk_trust, list);
	KUNIT_EXPECT_EQ(test, trust->network.plen, 128);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&s->tn.trusted), 2);
	mutex_unlock(&s->tn.mutex);
}

/* Late packets are told from those of strangers. */
static void limit_late_test(struct kunit *test)
{
	struct limit_state *s = test->priv;
	struct tftpk_key key, other;
	u32 i, stored = 0;

	limit_key(test, "192.0.2.1", &key);
	KUNIT_EXPECT_FALSE(test, tftpk_limit_recently_ended(&s->tn, &key,
							   &stored));
	tftpk_limit_note_ended(&s->tn, &key,
			       TFTPK_STORED | 17);
	KUNIT_EXPECT_TRUE(test, tftpk_limit_recently_ended(&s->tn, &key,
							   &stored));

	other = key;
	other.client_port = htons(4712);
	KUNIT_EXPECT_FALSE(test, tftpk_limit_recently_ended(&s->tn, &other,
							    &stored));
	limit_key(test, "192.0.2.2", &other);
	KUNIT_EXPECT_FALSE(test, tftpk_limit_recently_ended(&s->tn, &other,
							    &stored));
	other = key;
	other.port = &s->v6.main;
	KUNIT_EXPECT_FALSE(test, tftpk_limit_recently_ended(&s->tn, &other,
							    &stored));

	/* A few hundred that end do not push it out. */
	other = key;
	for (i = 0; i < 500; i++) {
		other.client_port = htons(5000 + i);
		tftpk_limit_note_ended(&s->tn, &other, 0);
	}
	KUNIT_EXPECT_TRUE(test, tftpk_limit_recently_ended(&s->tn, &key,
							   &stored));
	KUNIT_EXPECT_EQ(test, stored, TFTPK_STORED | 17);
}

/* ---- state ---- */

/* A kernel that tests itself as it starts has no user space yet to do this. */
static int limit_suite_init(struct kunit_suite *suite)
{
	int err;

	rtnl_lock();
	err = dev_open(init_net.loopback_dev, NULL);
	rtnl_unlock();
	return err;
}

static int limit_init(struct kunit *test)
{
	struct limit_state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	int err;

	if (!s)
		return -ENOMEM;
	s->tn.net = &init_net;
	mutex_init(&s->tn.mutex);
	INIT_LIST_HEAD(&s->tn.trusted);
	/* So slow that it does not matter how long a test takes. */
	s->tn.settings.source_rate = 1;
	s->tn.settings.source_burst = 64;
	s->v4.name.family = AF_INET;
	s->v4.tn = &s->tn;
	s->v4.main.listener = &s->v4;
	s->v6.name.family = AF_INET6;
	s->v6.tn = &s->tn;
	s->v6.main.listener = &s->v6;
	mutex_lock(&s->tn.mutex);
	err = tftpk_limit_init(&s->tn);
	mutex_unlock(&s->tn.mutex);
	test->priv = s;
	return err;
}

static void limit_exit(struct kunit *test)
{
	struct limit_state *s = test->priv;

	if (s) {
		tftpk_trust_exit(&s->tn);
		tftpk_limit_exit(&s->tn);
	}
}

static struct kunit_case limit_cases[] = {
	KUNIT_CASE_PARAM(limit_burst_test, burst_gen_params),
	KUNIT_CASE_PARAM(limit_share_test, share_gen_params),
	KUNIT_CASE(limit_rate_test),
	KUNIT_CASE(limit_flood_test),
	KUNIT_CASE(limit_answer_test),
	KUNIT_CASE(limit_guess_test),
	KUNIT_CASE(limit_link_test),
	KUNIT_CASE(limit_bytes_test),
	KUNIT_CASE(limit_sizes_test),
	KUNIT_CASE(limit_total_test),
	KUNIT_CASE(limit_tell_test),
	KUNIT_CASE(limit_trust_test),
	KUNIT_CASE(limit_late_test),
	{}
};

static struct kunit_suite limit_suite = {
	.name		= "tftpk-limit",
	.suite_init	= limit_suite_init,
	.init		= limit_init,
	.exit		= limit_exit,
	.test_cases	= limit_cases,
};

kunit_test_suite(limit_suite);
