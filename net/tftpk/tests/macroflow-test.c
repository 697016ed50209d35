// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the rate that transfers to a network share, among them of where it goes
 * when there is a link.
 */
#include <kunit/test.h>

#include "../macroflow.c"

#define MS	((u64)NSEC_PER_MSEC)
#define BYTES	1474
#define CROWD	16

struct state {
	struct tftpk_macroflow flow;
	atomic_t rated;
	u64 now;
};

static int macroflow_test_init(struct kunit *test)
{
	struct state *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);

	if (!s)
		return -ENOMEM;
	s->flow.rated = &s->rated;
	s->now = NSEC_PER_SEC;
	test->priv = s;
	return 0;
}

static void join(struct state *s, u32 n, u32 us)
{
	while (n--)
		tftpk_macroflow_join(&s->flow, CROWD, us, s->now);
}

/* A turn that is wanted. Returns how long it has to wait. */
static u64 charge(struct state *s, u32 n)
{
	u64 turn;

	return tftpk_macroflow_charge(&s->flow, BYTES, &n, &turn, s->now);
}

/* A period in which so many blocks are acknowledged, after so many microseconds, and so many
 * clients lack one. Somebody waits.
 */
static void period(struct state *s, u32 acked, u32 us, u32 losses, u32 reporters)
{
	u32 i;

	for (i = 0; i < 8; i++)
		tftpk_macroflow_note_ack(&s->flow, acked / 8, BYTES, us, s->now);
	for (i = 0; i < losses; i++)
		tftpk_macroflow_note_loss(&s->flow, i % reporters, s->now);
	for (i = 0; i < 1000 && !charge(s, 64); i++)
		;
	s->now += 50 * MS;
	tftpk_macroflow_note_ack(&s->flow, 0, BYTES, 0, s->now);
}

/* One in which nobody does. */
static void calm(struct state *s)
{
	s->now += 50 * MS;
	tftpk_macroflow_note_ack(&s->flow, 100, BYTES, 100, s->now);
}

/* A crowd whose start is over. Returns its rate. */
static u64 started(struct state *s, u32 n)
{
	join(s, n, 100);
	period(s, 400, 100, 0, 1);
	period(s, 400, 100, 100, 20);
	period(s, 400, 100, 100, 20);
	s->now += 2000 * MS;
	tftpk_macroflow_note_ack(&s->flow, 0, BYTES, 0, s->now);
	return s->flow.rate;
}

static void macroflow_few_test(struct kunit *test)
{
	struct state *s = test->priv;

	join(s, CROWD - 1, 100);
	KUNIT_EXPECT_FALSE(test, s->flow.watched);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
	KUNIT_EXPECT_EQ(test, charge(s, 1000000), 0);
	KUNIT_EXPECT_EQ(test, charge(s, 1000000), 0);
	/* One more is a crowd. */
	join(s, 1, 100);
	KUNIT_EXPECT_GT(test, s->flow.rate, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->rated), 1);
}

static void macroflow_turns_test(struct kunit *test)
{
	struct state *s = test->priv;
	u64 turn, later, each;
	u32 n = 64;
	int i;

	join(s, CROWD, 100);
	each = NSEC_PER_SEC * TFTPK_FLOW_TURN * BYTES / s->flow.rate;
	tftpk_macroflow_charge(&s->flow, BYTES, &n, &turn, s->now);
	KUNIT_EXPECT_EQ(test, n, TFTPK_FLOW_TURN);
	for (i = 1; i < 100; i++)
		later = charge(s, 64);
	KUNIT_EXPECT_LE(test, abs_diff(later, 99 * each), each);
	/* Less is sent than the turn has. */
	n = 1;
	tftpk_macroflow_charge(&s->flow, BYTES, &n, &turn, s->now);
	KUNIT_EXPECT_EQ(test, n, 1);
	KUNIT_EXPECT_EQ(test, tftpk_macroflow_wait(&s->flow, turn, s->now + later + each), 0);
	s->now += later + each;
	for (i = 0; i < 20; i++)
		later = charge(s, 64);
	/* A rate that is lowered holds for who waits already. */
	tftpk_flow_set_rate(&s->flow, s->flow.rate / 2);
	KUNIT_EXPECT_LE(test, abs_diff(charge(s, 64), 2 * (later + each)), 2 * each);
}

static void macroflow_leave_test(struct kunit *test)
{
	struct state *s = test->priv;
	u32 n;

	join(s, CROWD, 100);
	for (n = 0; n < CROWD; n++) {
		KUNIT_EXPECT_GT(test, s->flow.rate, 0);
		tftpk_macroflow_leave(&s->flow);
	}
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
	KUNIT_EXPECT_FALSE(test, s->flow.watched);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->rated), 0);
	KUNIT_EXPECT_EQ(test, charge(s, 64), 0);
}

/* Where nobody waits, or the rate has become that of no link, it is given up, for a while. */
static void macroflow_open_test(struct kunit *test)
{
	struct state *s = test->priv;
	int i;

	join(s, CROWD, 100);
	for (i = 0; i < 100 && s->flow.rate; i++)
		period(s, 400, 100, 0, 1);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
	KUNIT_EXPECT_LT(test, i, 20);
	for (i = 0; i < CROWD; i++)
		tftpk_macroflow_leave(&s->flow);
	join(s, CROWD, 100);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
	s->now += TFTPK_FLOW_OPEN_NS;
	join(s, 1, 100);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
}

static void macroflow_idle_test(struct kunit *test)
{
	struct state *s = test->priv;
	int i;

	join(s, CROWD, 100);
	for (i = 0; i < 4; i++)
		calm(s);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
}

struct loss_case {
	const char *desc;
	u32 losses;
	u32 reporters;
	u32 percent;	/* of the rate before */
};

static const struct loss_case loss_cases[] = {
	{ "none", 0, 1, 100 },
	{ "one client lies", 300, 1, 100 },
	{ "seven clients do", 300, 7, 100 },
	{ "few of so many", 6, 6, 100 },
	{ "one in forty", 10, 10, 87 },
	{ "a third", 200, 50, 66 },
	{ "nearly all", 4000, 50, 50 },
};

KUNIT_ARRAY_PARAM_DESC(loss, loss_cases, desc);

static void macroflow_loss_test(struct kunit *test)
{
	const struct loss_case *c = test->param_value;
	struct state *s = test->priv;
	u64 rate = started(s, 100);

	KUNIT_ASSERT_GT(test, rate, 0);
	period(s, 400, 100, c->losses, c->reporters);
	if (c->percent == 100)
		KUNIT_EXPECT_GE(test, s->flow.rate, rate);
	else
		KUNIT_EXPECT_EQ(test, div64_u64(s->flow.rate * 100, rate), c->percent);
	/* What is reported soon after is the same loss. */
	rate = s->flow.rate;
	period(s, 400, 100, c->losses, c->reporters);
	KUNIT_EXPECT_GE(test, s->flow.rate, rate);
}

static void macroflow_standing_test(struct kunit *test)
{
	struct state *s = test->priv;
	u64 rate = started(s, 100);

	/* Within what is no queue */
	period(s, 400, 1000, 0, 1);
	KUNIT_EXPECT_GE(test, s->flow.rate, rate);
	rate = s->flow.rate;
	period(s, 400, 2600, 0, 1);
	KUNIT_EXPECT_EQ(test, DIV_ROUND_CLOSEST_ULL(s->flow.rate * 100, rate), 92);
}

/* The client with the shortest round trips went away. */
static void macroflow_longer_test(struct kunit *test)
{
	struct state *s = test->priv;
	u64 rate = started(s, 100);
	int i;

	for (i = 0; i < 40; i++)
		period(s, 400, 20000, 0, 1);
	KUNIT_EXPECT_GT(test, s->flow.rate, rate / 3);
	period(s, 400, 30000, 0, 1);
	rate = s->flow.rate;
	period(s, 400, 30000, 0, 1);
	KUNIT_EXPECT_LT(test, s->flow.rate, rate);
}

/* Losses of few transfers: nobody waits. Of several: they do, and no more once that is over. */
static void macroflow_without_crowd_test(struct kunit *test)
{
	struct state *s = test->priv;
	int i;

	join(s, 4, 100);
	period(s, 400, 100, 100, 2);
	KUNIT_EXPECT_TRUE(test, s->flow.watched);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
	period(s, 400, 100, 100, 4);
	KUNIT_EXPECT_GT(test, s->flow.rate, 0);
	for (i = 0; i < TFTPK_FLOW_CALM + 1; i++)
		calm(s);
	KUNIT_EXPECT_EQ(test, s->flow.rate, 0);
	for (i = 0; i < TFTPK_FLOW_CALM + 1; i++)
		calm(s);
	KUNIT_EXPECT_FALSE(test, s->flow.watched);
}

struct link_case {
	const char *desc;
	u64 rate;
	u32 packets;
	u32 base_us;
};

static const struct link_case link_cases[] = {
	{ "10 Mbit/s, 100 packets", 1250000, 100, 100 },
	{ "100 Mbit/s, 100 packets", 12500000, 100, 100 },
	{ "200 Mbit/s, 100 packets", 25000000, 100, 100 },
	{ "200 Mbit/s, 100 packets, 20 ms", 25000000, 100, 20000 },
	{ "1 Gbit/s, 1000 packets", 125000000, 1000, 200 },
};

KUNIT_ARRAY_PARAM_DESC(link, link_cases, desc);

/* A link that carries so much, behind a queue with room for so many packets; always
 * somebody waits to send. After some seconds the rate is that of the link.
 */
static void macroflow_link_test(struct kunit *test)
{
	const struct link_case *c = test->param_value;
	u64 most = c->rate, sent = 0, queue = 0, carried = 0, lost = 0, drops = 0;
	struct state *s = test->priv;
	u64 room = c->packets * BYTES * 1000ULL;
	u32 ms, n;
	u64 done, all;

	join(s, 250, c->base_us);
	for (ms = 0; ms < 20000; ms++) {
		/* In thousandths of a byte. */
		queue += s->flow.rate ?: 4 * c->rate;
		done = min(queue, most);
		queue -= done;
		if (queue > room) {
			drops += queue - room;
			lost += ms >= 5000 ? queue - room : 0;
			queue = room;
		}
		sent += done;
		n = div_u64(sent, 1000 * BYTES);
		sent -= n * 1000ULL * BYTES;
		tftpk_macroflow_note_ack(&s->flow, n, BYTES, c->base_us +
					 div64_u64(queue * 1000, c->rate), s->now);
		carried += ms >= 5000 ? done : 0;
		for (; drops >= 1000 * BYTES; drops -= 1000 * BYTES)
			tftpk_macroflow_note_loss(&s->flow, get_random_u32(), s->now);
		for (n = 0; n < 1000 && !charge(s, 64); n++)
			;
		s->now += MS;
	}
	all = c->rate * 15000;
	kunit_info(test, "%llu%% carried, %llu of a million lost\n",
		   div64_u64(carried * 100, all), div64_u64(lost * 1000000, carried));
	KUNIT_EXPECT_GE(test, carried * 100, 95 * all);
	KUNIT_EXPECT_LE(test, lost * 500, carried);
}

static struct kunit_case macroflow_cases[] = {
	KUNIT_CASE(macroflow_few_test),
	KUNIT_CASE(macroflow_turns_test),
	KUNIT_CASE(macroflow_leave_test),
	KUNIT_CASE(macroflow_open_test),
	KUNIT_CASE(macroflow_idle_test),
	KUNIT_CASE_PARAM(macroflow_loss_test, loss_gen_params),
	KUNIT_CASE(macroflow_standing_test),
	KUNIT_CASE(macroflow_longer_test),
	KUNIT_CASE(macroflow_without_crowd_test),
	KUNIT_CASE_PARAM(macroflow_link_test, link_gen_params),
	{}
};

static struct kunit_suite macroflow_suite = {
	.name = "tftpk-macroflow",
	.init = macroflow_test_init,
	.test_cases = macroflow_cases,
};

kunit_test_suite(macroflow_suite);
