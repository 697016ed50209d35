// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of blocks ahead of the ACKs of clients that asked for no window. What
 * becomes of whole transfers is in model-test.c.
 */
#include <kunit/test.h>

#include "../ahead.c"

#define MS	NSEC_PER_MSEC

/* ---- who gets any ---- */

struct most_case {
	const char *desc;
	u8 nopts;
	u8 opts[3];
	u16 req_blksize;
	u8 mode;
	u32 blksize;
	u32 most;
	bool all;
	u32 ahead;
};

#define OCTET	TFTPK_MODE_OCTET
#define BLKSIZE	TFTPK_OPT_BLKSIZE
#define TSIZE	TFTPK_OPT_TSIZE

static const struct most_case most_cases[] = {
	{ "iPXE", 2, { BLKSIZE, TSIZE }, 1432, OCTET, 1432, 15, false, 15 },
	{ "iPXE, small MTU", 2, { BLKSIZE, TSIZE }, 1432, OCTET, 1200, 15, false, 15 },
	{ "iPXE, lock step", 2, { BLKSIZE, TSIZE }, 1432, OCTET, 1432, 0, false, 0 },
	{ "GRUB", 2, { BLKSIZE, TSIZE }, 1024, OCTET, 1024, 15, false, 15 },
	{ "another order", 2, { TSIZE, BLKSIZE }, 1432, OCTET, 1432, 15, false, 0 },
	{ "another size", 2, { BLKSIZE, TSIZE }, 1408, OCTET, 1408, 15, false, 0 },
	{ "one more option", 3, { BLKSIZE, TSIZE, TFTPK_OPT_TIMEOUT }, 1432, OCTET,
	  1432, 15, false, 0 },
	{ "a window of one block", 3, { BLKSIZE, TSIZE, TFTPK_OPT_WINDOWSIZE }, 1432,
	  OCTET, 1432, 15, true, 0 },
	{ "no options", 0, {}, 0, OCTET, 512, 15, false, 0 },
	{ "no options, all", 0, {}, 0, OCTET, 512, 15, true, 15 },
	{ "text, all", 0, {}, 0, TFTPK_MODE_NETASCII, 512, 15, true, 0 },
	{ "large blocks", 1, { BLKSIZE }, 8192, OCTET, 8192, 15, true, 7 },
	{ "the largest blocks", 1, { BLKSIZE }, 65464, OCTET, 65464, 15, true, 0 },
};

KUNIT_ARRAY_PARAM_DESC(most, most_cases, desc);

static void ahead_most_test(struct kunit *test)
{
	const struct most_case *c = test->param_value;
	struct tftpk_request req = {
		.blksize = c->req_blksize,
		.mode = c->mode,
		.nopts = c->nopts,
	};

	memcpy(req.opts, c->opts, sizeof(c->opts));
	KUNIT_EXPECT_EQ(test, tftpk_ahead_most(&req, c->blksize, c->most, c->all),
			c->ahead);
}

/* ---- the window ---- */

struct ahead {
	struct kunit *test;
	struct tftpk_window w;
	struct tftpk_rtt rtt;
	u64 now_ns;
	u64 sent_ns[256];	/* by block */
};

/* Send what may be sent; returns the last block in flight. */
static u64 push(struct ahead *a)
{
	u32 i, room = tftpk_window_room(&a->w);

	for (i = 0; i < room; i++)
		a->sent_ns[(a->w.next + i) % ARRAY_SIZE(a->sent_ns)] = a->now_ns;
	if (room)
		tftpk_window_note_sent(&a->w, room, a->now_ns);
	return a->w.next - 1;
}

static enum tftpk_ack take(struct ahead *a, u64 block)
{
	return tftpk_ahead_ack(&a->w, &a->rtt, tftpk_window_wire(&a->w, block),
			       a->now_ns);
}

/* The client acknowledges each of the next @n blocks, a round trip after it was sent. */
static void acknowledge(struct ahead *a, u32 n)
{
	u64 block;

	while (n--) {
		block = a->w.acked + 1;
		a->now_ns = a->sent_ns[block % ARRAY_SIZE(a->sent_ns)] + 10 * MS;
		KUNIT_EXPECT_EQ(a->test, take(a, block), TFTPK_ACK_PROGRESS);
		push(a);
	}
}

/* A transfer of many blocks, @blocks of which are acknowledged. */
static struct ahead *begin(struct kunit *test, u8 most, u64 from, u32 blocks)
{
	struct ahead *a = kunit_kzalloc(test, sizeof(*a), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, a);
	a->test = test;
	a->now_ns = NSEC_PER_SEC;

	tftpk_window_init(&a->w, 512 * 1000000ULL, 512, 1, 0);
	a->w.ahead = most;
	a->w.acked = from;
	a->w.next = from + 1;
	a->w.high = from + 1;
	push(a);
	acknowledge(a, blocks);
	return a;
}

static void ahead_begin_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, TFTPK_AHEAD_AFTER - 1);

	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 1);
	acknowledge(a, 1);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 2);
	acknowledge(a, 200);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 16);

	a = begin(test, 0, 0, 200);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 1);
}

/* Blocks that wait somewhere are no gain. */
static void ahead_slow_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, TFTPK_AHEAD_AFTER);
	u32 i;

	for (i = 0; i < 50; i++) {
		a->now_ns += 25 * MS;
		take(a, a->w.acked + 1);
		push(a);
	}
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 2);
}

static void ahead_gap_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, 200);
	u64 high = a->w.high;

	/* Block 201 is lost: a copy of an ACK says nothing, two ACKs do. */
	KUNIT_EXPECT_EQ(test, take(a, 200), TFTPK_ACK_STALE);
	KUNIT_EXPECT_EQ(test, take(a, 200), TFTPK_ACK_RESEND);
	tftpk_ahead_resend(&a->w, a->now_ns);
	KUNIT_EXPECT_EQ(test, a->w.limit, 8);
	KUNIT_EXPECT_EQ(test, take(a, 200), TFTPK_ACK_STALE);
	KUNIT_EXPECT_EQ(test, take(a, 200), TFTPK_ACK_STALE);
	/* It had what came after that, but for block 206. */
	a->now_ns += 10 * MS;
	KUNIT_EXPECT_EQ(test, take(a, 205), TFTPK_ACK_RESEND);
	tftpk_ahead_resend(&a->w, a->now_ns);
	KUNIT_EXPECT_EQ(test, a->w.limit, 8);
	a->now_ns += 10 * MS;
	KUNIT_EXPECT_EQ(test, take(a, high - 1), TFTPK_ACK_PROGRESS);
	KUNIT_EXPECT_EQ(test, push(a), high + 7);
}

/* A client that keeps nothing gets all of it again, at once. */
static void ahead_go_back_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, 200);

	a->now_ns += 100 * MS;
	KUNIT_EXPECT_EQ(test, tftpk_ahead_recovery(&a->w, &a->rtt, true),
			TFTPK_RECOVERY_RESEND);
	tftpk_ahead_probe(&a->w, a->now_ns);
	a->now_ns += 10 * MS;
	KUNIT_EXPECT_EQ(test, take(a, 201), TFTPK_ACK_GAP);
	KUNIT_EXPECT_EQ(test, a->w.next, 202);
	KUNIT_EXPECT_EQ(test, push(a), 201 + 8);
	/* What it got before and drops does not count as reported. */
	KUNIT_EXPECT_EQ(test, take(a, 201), TFTPK_ACK_STALE);
	KUNIT_EXPECT_EQ(test, take(a, 201), TFTPK_ACK_STALE);
}

/* It pauses, and had everything. */
static void ahead_pause_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, 200);

	a->now_ns += 100 * MS;
	tftpk_ahead_probe(&a->w, a->now_ns);
	KUNIT_EXPECT_EQ(test, a->w.limit, 8);
	a->now_ns += 100 * MS;
	KUNIT_EXPECT_EQ(test, take(a, 201), TFTPK_ACK_PROGRESS);
	KUNIT_EXPECT_EQ(test, a->w.limit, 16);
}

/* Not even the copy arrives; then it lacks the rest. */
static void ahead_late_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, 200);

	a->now_ns += 100 * MS;
	tftpk_ahead_probe(&a->w, a->now_ns);
	a->now_ns += 300 * MS;
	KUNIT_EXPECT_EQ(test, tftpk_ahead_recovery(&a->w, &a->rtt, true),
			TFTPK_RECOVERY_TIMEOUT);
	tftpk_ahead_timeout(&a->w, &a->rtt);
	KUNIT_EXPECT_EQ(test, push(a), 201);
	a->now_ns += 10 * MS;
	KUNIT_EXPECT_EQ(test, take(a, 201), TFTPK_ACK_PROGRESS);
	push(a);
	acknowledge(a, 100);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 1);
}

/* The first block ahead is lost: that may happen once. */
static void ahead_minds_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, TFTPK_AHEAD_AFTER);

	acknowledge(a, 1);
	a->now_ns += 100 * MS;
	tftpk_ahead_probe(&a->w, a->now_ns);
	a->now_ns += 10 * MS;
	take(a, a->w.acked + 1);
	push(a);
	acknowledge(a, 100);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 1);
	KUNIT_EXPECT_TRUE(test, a->w.eager);
}

static void ahead_unsent_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 0, 200);

	KUNIT_EXPECT_EQ(test, take(a, a->w.high), TFTPK_ACK_STALE);
	acknowledge(a, 100);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 1);
}

/* Block 65536 has the number 0: what is sent around it is sent in lock step. */
static void ahead_wrap_test(struct kunit *test)
{
	struct ahead *a = begin(test, 15, 65000, 300);
	u32 i;

	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 16);
	acknowledge(a, 65535 - TFTPK_AHEAD_WRAP - 65300 + 20);
	for (i = 0; i < 2 * TFTPK_AHEAD_WRAP - 20; i++) {
		KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 1);
		acknowledge(a, 1);
	}
	acknowledge(a, 200);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&a->w), 16);
}

static struct kunit_case ahead_cases[] = {
	KUNIT_CASE_PARAM(ahead_most_test, most_gen_params),
	KUNIT_CASE(ahead_begin_test),
	KUNIT_CASE(ahead_slow_test),
	KUNIT_CASE(ahead_gap_test),
	KUNIT_CASE(ahead_go_back_test),
	KUNIT_CASE(ahead_pause_test),
	KUNIT_CASE(ahead_late_test),
	KUNIT_CASE(ahead_minds_test),
	KUNIT_CASE(ahead_unsent_test),
	KUNIT_CASE(ahead_wrap_test),
	{}
};

static struct kunit_suite ahead_suite = {
	.name = "tftpk-ahead",
	.test_cases = ahead_cases,
};

kunit_test_suite(ahead_suite);
