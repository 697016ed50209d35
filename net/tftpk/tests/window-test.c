// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of windows, block numbers and round-trip times.
 */
#include <kunit/test.h>

#include "../window.c"

#define MS	NSEC_PER_MSEC

/* ---- numbers on the wire ---- */

struct wire_case {
	const char *desc;
	u8 rollover;
	u64 block;
	u16 wire;
};

static const struct wire_case wire_cases[] = {
	{ "before the first", 0, 0, 0 },
	{ "the first", 0, 1, 1 },
	{ "the highest", 0, 65535, 65535 },
	{ "0 follows", 0, 65536, 0 },
	{ "1 comes after 0", 0, 65537, 1 },
	{ "the highest of the second round", 0, 131071, 65535 },
	{ "the third round", 0, 131072, 0 },
	{ "beyond 32 bits", 0, 4294967296 + 77, 77 },
	{ "rollover 1, before the first", 1, 0, 0 },
	{ "rollover 1, the first", 1, 1, 1 },
	{ "rollover 1, the highest", 1, 65535, 65535 },
	{ "rollover 1, 1 follows", 1, 65536, 1 },
	{ "rollover 1, the highest of the second round", 1, 131070, 65535 },
	{ "rollover 1, the third round", 1, 131071, 1 },
	{ "rollover 1, beyond 32 bits", 1, 65535ULL * 100000 + 77, 77 },
};

KUNIT_ARRAY_PARAM_DESC(wire, wire_cases, desc);

static void window_wire_test(struct kunit *test)
{
	const struct wire_case *c = test->param_value;
	struct tftpk_window w;

	tftpk_window_init(&w, 1000, 512, 4, c->rollover);
	KUNIT_EXPECT_EQ(test, tftpk_window_wire(&w, c->block), c->wire);
}

/* ---- numbers that were never sent ---- */

struct unsent_case {
	const char *desc;
	u8 rollover;
	u64 acked;
	u64 high;
	u16 block;
	bool unsent;
};

static const struct unsent_case unsent_cases[] = {
	{ "the OACK's ACK", 0, 0, 1, 0, false },
	{ "block 1 before it was sent", 0, 0, 1, 1, true },
	{ "far ahead of it", 0, 0, 1, 32767, true },
	{ "as far behind as ahead", 0, 0, 1, 32768, true },
	{ "right behind the beginning", 0, 0, 1, 65535, true },
	{ "what is in flight", 0, 7, 9, 8, false },
	{ "what comes next", 0, 7, 9, 9, true },
	{ "what was acknowledged", 0, 7, 9, 7, false },
	{ "the first", 0, 7, 9, 1, false },
	{ "0 again", 0, 7, 9, 0, false },
	{ "before 0", 0, 7, 9, 65535, true },
	{ "across the highest, sent", 0, 65535, 65537, 0, false },
	{ "across the highest, not sent", 0, 65535, 65537, 1, true },
	{ "behind it", 0, 65537, 65538, 65535, false },
	{ "rollover 1, in flight", 1, 65535, 65537, 1, false },
	{ "rollover 1, next", 1, 65535, 65537, 2, true },
	{ "rollover 1, behind the highest", 1, 65536, 65537, 65535, false },
	{ "rollover 1, the OACK's ACK", 1, 0, 1, 0, false },
	{ "rollover 1, before the beginning", 1, 0, 1, 65535, true },
	{ "rollover 1, 0 again", 1, 7, 9, 0, false },
};

KUNIT_ARRAY_PARAM_DESC(unsent, unsent_cases, desc);

static void window_unsent_test(struct kunit *test)
{
	const struct unsent_case *c = test->param_value;
	struct tftpk_window w;

	tftpk_window_init(&w, 1 << 30, 512, 1, c->rollover);
	w.acked = c->acked;
	w.high = c->high;
	w.next = c->high;
	KUNIT_EXPECT_EQ(test, tftpk_window_unsent(&w, c->block), c->unsent);
}

/* ---- how many blocks a file has ---- */

struct blocks_case {
	const char *desc;
	u64 bytes;
	u32 blksize;
	u64 last;
};

static const struct blocks_case blocks_cases[] = {
	{ "empty", 0, 512, 1 },
	{ "one byte", 1, 512, 1 },
	{ "one byte less than a block", 511, 512, 1 },
	{ "one block", 512, 512, 2 },
	{ "one byte more than a block", 513, 512, 2 },
	{ "two blocks", 1024, 512, 3 },
	{ "small blocks", 8, 8, 2 },
	{ "large blocks", 65465, 65464, 2 },
	{ "more than the numbers", 32 * 1024 * 1024 + 1, 512, 65537 },
	{ "beyond 32 bits of bytes", 5ULL << 32, 1428, 15038401 },
	{ "beyond 32 bits of blocks", 1ULL << 40, 8, (1ULL << 37) + 1 },
};

KUNIT_ARRAY_PARAM_DESC(blocks, blocks_cases, desc);

static void window_blocks_test(struct kunit *test)
{
	const struct blocks_case *c = test->param_value;
	struct tftpk_window w;

	memset(&w, 0xa5, sizeof(w));
	tftpk_window_init(&w, c->bytes, c->blksize, 4, 0);
	KUNIT_EXPECT_EQ(test, w.last, c->last);
	KUNIT_EXPECT_EQ(test, w.acked, 0);
	KUNIT_EXPECT_EQ(test, w.next, 1);
	KUNIT_EXPECT_EQ(test, w.high, 1);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&w), 0);
	KUNIT_EXPECT_EQ(test, tftpk_window_room(&w), min(c->last, 4));
}

/* ---- what an ACK means ---- */

#define WENT_BACK	BIT(0)
#define RESENT_BEFORE	BIT(1)
#define PROBED	BIT(2)
#define DISORDER	BIT(3)

struct ack_case {
	const char *desc;
	u16 size;
	u8 rollover;
	u64 acked;
	u64 next;
	u64 high;
	u64 last;
	u8 flags;
	u32 after_us;		/* the flight; the round trip takes 1,000 us */
	u16 block;
	enum tftpk_ack meaning;
	u64 then_acked;
	u64 then_next;
	u64 recover;		/* end of what was sent before; 0: all */
};

static const struct ack_case ack_cases[] = {
	/* RFC 1350 section 2: lock step */
	{ "lock step", 1, 0, 0, 2, 2, 9, 0, 1000, 1,
	  TFTPK_ACK_PROGRESS, 1, 2 },
	{ "lock step, the final block", 1, 0, 8, 10, 10, 9, 0, 1000, 9,
	  TFTPK_ACK_DONE, 9, 10 },
	{ "lock step, the only block", 1, 0, 0, 2, 2, 1, 0, 1000, 1,
	  TFTPK_ACK_DONE, 1, 2 },
	{ "lock step, repeated", 1, 0, 3, 5, 5, 9, 0, 1000, 3,
	  TFTPK_ACK_STALE, 3, 5 },
	{ "lock step, repeated much later", 1, 0, 3, 5, 5, 9, 0, 5000000, 3,
	  TFTPK_ACK_STALE, 3, 5 },
	{ "lock step, repeated after a probe", 1, 0, 3, 5, 5, 9, PROBED, 3000,
	  3, TFTPK_ACK_STALE, 3, 5 },
	{ "lock step, the one before", 1, 0, 3, 5, 5, 9, 0, 1000, 2,
	  TFTPK_ACK_STALE, 3, 5 },
	{ "lock step, not sent yet", 1, 0, 3, 5, 5, 9, 0, 1000, 5,
	  TFTPK_ACK_STALE, 3, 5 },
	{ "lock step, beyond the end", 1, 0, 8, 10, 10, 9, 0, 1000, 10,
	  TFTPK_ACK_STALE, 8, 10 },
	{ "lock step, after a timeout", 1, 0, 3, 5, 5, 9, WENT_BACK, 1000, 4,
	  TFTPK_ACK_PROGRESS, 4, 5 },

	/* RFC 7440 section 4: windows */
	{ "the whole window", 4, 0, 4, 9, 9, 99, 0, 1000, 8,
	  TFTPK_ACK_PROGRESS, 8, 9 },
	{ "inside the window", 4, 0, 4, 9, 9, 99, 0, 1000, 6,
	  TFTPK_ACK_GAP, 6, 7 },
	{ "the first of the window", 4, 0, 4, 9, 9, 99, 0, 1000, 5,
	  TFTPK_ACK_GAP, 5, 6 },
	{ "all but the last of the window", 4, 0, 4, 9, 9, 99, 0, 1000, 7,
	  TFTPK_ACK_GAP, 7, 8 },
	{ "the first is missing", 4, 0, 4, 9, 9, 99, 0, 1000, 4,
	  TFTPK_ACK_GAP, 4, 5 },
	{ "the very first is missing", 4, 0, 0, 5, 5, 99, 0, 1000, 0,
	  TFTPK_ACK_GAP, 0, 1 },
	{ "a window of which a part was sent", 8, 0, 4, 7, 7, 99, 0, 1000, 6,
	  TFTPK_ACK_PROGRESS, 6, 7 },
	{ "the final block", 4, 0, 7, 10, 10, 9, 0, 1000, 9,
	  TFTPK_ACK_DONE, 9, 10 },
	{ "all but the final block", 4, 0, 7, 10, 10, 9, 0, 1000, 8,
	  TFTPK_ACK_GAP, 8, 9 },
	{ "the next window's first", 4, 0, 4, 9, 9, 99, 0, 1000, 9,
	  TFTPK_ACK_STALE, 4, 9 },
	{ "far ahead", 4, 0, 4, 9, 9, 99, 0, 1000, 20000,
	  TFTPK_ACK_STALE, 4, 9 },
	{ "the window before", 4, 0, 40, 45, 45, 99, 0, 1000, 36,
	  TFTPK_ACK_STALE, 40, 45 },
	{ "far behind", 4, 0, 40000, 40005, 40005, 65000, 0, 1000, 10000,
	  TFTPK_ACK_STALE, 40000, 40005 },

	/* Sorcerer's Apprentice, RFC 1123 section 4.2.3.1 */
	{ "a copy that comes along at once", 4, 0, 4, 9, 9, 99, 0, 0, 4,
	  TFTPK_ACK_DISORDER, 4, 9 },
	{ "less than half a round trip", 4, 0, 4, 9, 9, 99, 0, 499, 4,
	  TFTPK_ACK_DISORDER, 4, 9 },
	{ "half a round trip", 4, 0, 4, 9, 9, 99, 0, 500, 4,
	  TFTPK_ACK_GAP, 4, 5 },
	{ "repeated once more while in doubt", 4, 0, 4, 9, 9, 99, DISORDER,
	  1000, 4, TFTPK_ACK_STALE, 4, 9 },
	{ "repeated when nothing is in flight", 4, 0, 4, 5, 5, 99, 0, 1000, 4,
	  TFTPK_ACK_STALE, 4, 5 },
	{ "repeated after this flight was sent twice", 4, 0, 4, 9, 9, 99,
	  WENT_BACK, 1000, 4, TFTPK_ACK_DISORDER, 4, 9 },
	{ "repeated after the last flight was sent twice", 4, 0, 4, 9, 9, 99,
	  RESENT_BEFORE, 1000, 4, TFTPK_ACK_DISORDER, 4, 9 },
	{ "repeated in answer to a probe", 4, 0, 4, 9, 9, 99, PROBED, 1000, 4,
	  TFTPK_ACK_GAP, 4, 5 },
	{ "repeated in answer to a probe of a flight sent twice", 4, 0, 4, 9,
	  9, 99, WENT_BACK | RESENT_BEFORE | PROBED, 1000, 4, TFTPK_ACK_GAP, 4, 5 },
	{ "inside a window sent twice, too soon", 8, 0, 4, 13, 13, 99, WENT_BACK,
	  999, 6, TFTPK_ACK_PROGRESS, 6, 13 },
	{ "inside a window sent twice, a round trip later", 8, 0, 4, 13, 13,
	  99, WENT_BACK, 1000, 6, TFTPK_ACK_GAP, 6, 7 },
	{ "the end of what a window sent twice held before", 8, 0, 4, 13, 13,
	  99, WENT_BACK, 5000, 8, TFTPK_ACK_PROGRESS, 8, 13, 9 },

	/* After going back, what went out before may be acknowledged. */
	{ "went back, beyond what was sent again", 8, 0, 4, 7, 13, 99,
	  WENT_BACK, 1000, 9, TFTPK_ACK_PROGRESS, 9, 10 },
	{ "went back, all of what was sent again", 8, 0, 4, 7, 13, 99,
	  WENT_BACK, 1000, 6, TFTPK_ACK_PROGRESS, 6, 7 },
	{ "went back, all that was ever sent", 8, 0, 4, 5, 13, 99, WENT_BACK,
	  1000, 12, TFTPK_ACK_PROGRESS, 12, 13 },
	{ "went back, the final block", 8, 0, 4, 5, 10, 9, WENT_BACK, 1000, 9,
	  TFTPK_ACK_DONE, 9, 5 },
	{ "went back, never sent", 8, 0, 4, 7, 13, 99, WENT_BACK, 1000, 13,
	  TFTPK_ACK_STALE, 4, 7 },

	/* Numbers that roll over to 0 */
	{ "rolling over", 4, 0, 65534, 65539, 65539, 99999, 0, 1000, 2,
	  TFTPK_ACK_PROGRESS, 65538, 65539 },
	{ "rolling over in lock step", 1, 0, 65535, 65537, 65537, 99999, 0,
	  1000, 0, TFTPK_ACK_PROGRESS, 65536, 65537 },
	{ "rolling over, a gap before", 4, 0, 65534, 65539, 65539, 99999, 0,
	  1000, 65535, TFTPK_ACK_GAP, 65535, 65536 },
	{ "rolling over, a gap at it", 4, 0, 65534, 65539, 65539, 99999, 0,
	  1000, 0, TFTPK_ACK_GAP, 65536, 65537 },
	{ "rolling over, a gap behind", 4, 0, 65534, 65539, 65539, 99999, 0,
	  1000, 1, TFTPK_ACK_GAP, 65537, 65538 },
	{ "rolling over, repeated", 4, 0, 65536, 65541, 65541, 99999, 0, 1000,
	  0, TFTPK_ACK_GAP, 65536, 65537 },
	{ "rolled over, from before", 4, 0, 65537, 65540, 65540, 99999, 0,
	  1000, 65535, TFTPK_ACK_STALE, 65537, 65540 },
	{ "rolling over, not sent yet", 4, 0, 65534, 65539, 65539, 99999, 0,
	  1000, 3, TFTPK_ACK_STALE, 65534, 65539 },
	{ "rolling over the second time", 4, 0, 131070, 131075, 131075, 999999,
	  0, 1000, 2, TFTPK_ACK_PROGRESS, 131074, 131075 },
	{ "rolling over at the final block", 4, 0, 65534, 65537, 65537, 65536,
	  0, 1000, 0, TFTPK_ACK_DONE, 65536, 65537 },

	/* Numbers that roll over to 1 */
	{ "to 1", 4, 1, 65534, 65539, 65539, 99999, 0, 1000, 3,
	  TFTPK_ACK_PROGRESS, 65538, 65539 },
	{ "to 1 in lock step", 1, 1, 65535, 65537, 65537, 99999, 0, 1000, 1,
	  TFTPK_ACK_PROGRESS, 65536, 65537 },
	{ "to 1, a gap before", 4, 1, 65534, 65539, 65539, 99999, 0, 1000,
	  65535, TFTPK_ACK_GAP, 65535, 65536 },
	{ "to 1, a gap at it", 4, 1, 65534, 65539, 65539, 99999, 0, 1000, 1,
	  TFTPK_ACK_GAP, 65536, 65537 },
	{ "to 1, 0 means nothing", 4, 1, 65534, 65539, 65539, 99999, 0, 1000,
	  0, TFTPK_ACK_STALE, 65534, 65539 },
	{ "to 1, from before", 4, 1, 65537, 65540, 65540, 99999, 0, 1000,
	  65535, TFTPK_ACK_STALE, 65537, 65540 },
	{ "to 1, repeated", 4, 1, 65536, 65541, 65541, 99999, 0, 1000, 1,
	  TFTPK_ACK_GAP, 65536, 65537 },
	{ "to 1 the second time", 4, 1, 131068, 131073, 131073, 999999, 0,
	  1000, 2, TFTPK_ACK_PROGRESS, 131072, 131073 },
	{ "to 1, 0 before the first block", 4, 1, 0, 5, 5, 99, 0, 1000, 0,
	  TFTPK_ACK_GAP, 0, 1 },

	/* No old number looks like a new one. */
	{ "the largest window", TFTPK_WINDOW_MAX, 0, 100000, 116385, 116385,
	  999999, 0, 1000, 50848, TFTPK_ACK_PROGRESS, 116384, 116385 },
	{ "the largest window, the block before", TFTPK_WINDOW_MAX, 0, 100000,
	  116385, 116385, 999999, 0, 1000, 34463, TFTPK_ACK_STALE, 100000,
	  116385 },
	{ "the largest window, as far behind as it is long", TFTPK_WINDOW_MAX,
	  0, 100000, 116385, 116385, 999999, 0, 1000, 18080, TFTPK_ACK_STALE,
	  100000, 116385 },
};

KUNIT_ARRAY_PARAM_DESC(ack, ack_cases, desc);

static void window_ack_test(struct kunit *test)
{
	const struct ack_case *c = test->param_value;
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000, .backoff = 3 };
	u64 sent_ns = 77 * NSEC_PER_SEC;
	u64 now_ns = sent_ns + c->after_us * (u64)NSEC_PER_USEC;
	struct tftpk_window w;

	tftpk_window_init(&w, 1, 8, c->size, c->rollover);
	w.acked = c->acked;
	w.next = c->next;
	w.high = c->high;
	w.last = c->last;
	w.flight_ns = sent_ns;
	w.went_back = c->flags & WENT_BACK;
	w.resent_before = c->flags & RESENT_BEFORE;
	w.probed = c->flags & PROBED;
	w.disorder = c->flags & DISORDER;
	w.recover = c->recover ?: c->high;

	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, c->block, now_ns),
			c->meaning);
	KUNIT_EXPECT_EQ(test, w.acked, c->then_acked);
	KUNIT_EXPECT_EQ(test, w.high, c->high);
	if (c->meaning != TFTPK_ACK_DONE)
		KUNIT_EXPECT_EQ(test, w.next, c->then_next);
	/* No round trip was measured: the backoff stays. */
	KUNIT_EXPECT_EQ(test, rtt.backoff, 3);
	/* In doubt, the window goes back unless more comes. */
	if (c->meaning == TFTPK_ACK_DISORDER || w.next > w.acked + 1)
		KUNIT_EXPECT_EQ(test, w.disorder,
				c->meaning != TFTPK_ACK_STALE ||
				c->flags & DISORDER);
}

/* ---- what may be sent ---- */

struct room_case {
	const char *desc;
	u16 size;
	u64 acked;
	u64 next;
	u64 last;
	u32 room;
};

static const struct room_case room_cases[] = {
	{ "a new transfer", 1, 0, 1, 9, 1 },
	{ "a new window", 8, 0, 1, 9, 8 },
	{ "a full window", 8, 0, 9, 9, 0 },
	{ "half a window", 8, 4, 9, 99, 4 },
	{ "the end is near", 8, 4, 5, 9, 5 },
	{ "the end was sent", 8, 4, 10, 9, 0 },
	{ "only the final block", 8, 8, 9, 9, 1 },
	{ "the largest window", TFTPK_WINDOW_MAX, 1000, 1001, 999999,
	  TFTPK_WINDOW_MAX },
	{ "beyond 32 bits", 8, 1ULL << 40, (1ULL << 40) + 1, 1ULL << 41, 8 },
};

KUNIT_ARRAY_PARAM_DESC(room, room_cases, desc);

static void window_room_test(struct kunit *test)
{
	const struct room_case *c = test->param_value;
	struct tftpk_window w;

	tftpk_window_init(&w, 1, 8, c->size, 0);
	w.acked = c->acked;
	w.next = c->next;
	w.high = c->next;
	w.last = c->last;
	KUNIT_EXPECT_EQ(test, tftpk_window_room(&w), c->room);
}

/* Sending in parts fills the window, and says what was sent before. */
static void window_sent_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 8, 0);
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 3, 1 * MS), 0);
	KUNIT_EXPECT_EQ(test, w.next, 4);
	KUNIT_EXPECT_EQ(test, w.high, 4);
	KUNIT_EXPECT_EQ(test, w.flight_ns, 1 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&w), 3);
	KUNIT_EXPECT_EQ(test, tftpk_window_room(&w), 5);

	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 5, 2 * MS), 0);
	KUNIT_EXPECT_EQ(test, w.flight_ns, 1 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_room(&w), 0);

	tftpk_window_timeout(&w, &rtt);
	KUNIT_EXPECT_EQ(test, rtt.backoff, 1);
	KUNIT_EXPECT_EQ(test, w.next, 1);
	KUNIT_EXPECT_EQ(test, w.high, 9);
	KUNIT_EXPECT_EQ(test, tftpk_window_inflight(&w), 0);
	KUNIT_EXPECT_EQ(test, tftpk_window_room(&w), 8);

	/* The part of the window that memory sufficed for, then the rest */
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 6, 1000 * MS), 6);
	KUNIT_EXPECT_EQ(test, w.flight_ns, 1000 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 4, 1010 * MS),
			TFTPK_ACK_GAP);
	KUNIT_EXPECT_EQ(test, tftpk_window_room(&w), 8);
	/* 5 to 8 once more, 9 to 12 for the first time */
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 8, 1010 * MS), 4);
	KUNIT_EXPECT_EQ(test, w.high, 13);
	/* Nothing is nothing. */
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 0, 1011 * MS), 0);
	KUNIT_EXPECT_EQ(test, w.high, 13);
	KUNIT_EXPECT_EQ(test, w.next, 13);
}

/* A loss is made good once: what the copies provoke is not taken for more. */
static void window_echo_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000 };
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, 0);
	/* 1 was lost: the client repeats its ACK for 2, 3 and 4. */
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 1 * MS),
			TFTPK_ACK_GAP);
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 4, 1 * MS), 4);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 1 * MS),
			TFTPK_ACK_DISORDER);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 1 * MS),
			TFTPK_ACK_STALE);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 4, 2 * MS),
			TFTPK_ACK_PROGRESS);
	/* 5 to 8 are on their way when echoes of 1 to 4 come in. */
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 4, 2 * MS), 0);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 4, 3 * MS),
			TFTPK_ACK_DISORDER);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 8, 3 * MS),
			TFTPK_ACK_PROGRESS);
	KUNIT_EXPECT_FALSE(test, w.disorder);
	/* That is over: the next repetition is a report again. */
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 4, 3 * MS), 0);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 8, 4 * MS),
			TFTPK_ACK_GAP);
}

/* A probe makes the next repetition count, once. */
static void window_probe_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000 };
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, 0);
	tftpk_window_timeout(&w, &rtt);
	tftpk_window_note_sent(&w, 4, 200 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 201 * MS),
			TFTPK_ACK_DISORDER);
	tftpk_window_probe(&w, &rtt, true, 202 * MS);
	KUNIT_EXPECT_EQ(test, w.next, 5);
	/* What stays in doubt is decided by the timer. */
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 203 * MS),
			TFTPK_ACK_STALE);
	tftpk_window_go_back(&w);
	tftpk_window_note_sent(&w, 4, 203 * MS);
	tftpk_window_probe(&w, &rtt, true, 203 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 204 * MS),
			TFTPK_ACK_GAP);
	tftpk_window_note_sent(&w, 4, 204 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 0, 205 * MS),
			TFTPK_ACK_DISORDER);
	/* An answer that tells more than was asked */
	tftpk_window_probe(&w, &rtt, true, 205 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 4, 206 * MS),
			TFTPK_ACK_PROGRESS);
	KUNIT_EXPECT_FALSE(test, w.probed);
	KUNIT_EXPECT_FALSE(test, w.disorder);
}

/* ---- round-trip times ---- */

/* The last block of a burst is timed, from its first transmission. */
static void rtt_timed_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, 1000 * MS);
	tftpk_window_ack(&w, &rtt, 4, 1030 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 30000);
	KUNIT_EXPECT_EQ(test, rtt.min, 30000);

	/* The same ACK again times nothing. */
	tftpk_window_note_sent(&w, 4, 1030 * MS);
	tftpk_window_ack(&w, &rtt, 4, 1031 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 30000);
}

/* Karn's rule: an ACK of what was sent twice may be of either. */
static void rtt_karn_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, 1000 * MS);
	tftpk_window_timeout(&w, &rtt);
	tftpk_window_note_sent(&w, 4, 2000 * MS);
	tftpk_window_ack(&w, &rtt, 4, 2001 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 0);

	/* Nor does a probed block give a time. */
	tftpk_window_note_sent(&w, 4, 3000 * MS);
	tftpk_window_probe(&w, &rtt, true, 3000 * MS);
	tftpk_window_ack(&w, &rtt, 8, 3001 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 0);

	/* What is new after what is repeated does. */
	tftpk_window_note_sent(&w, 4, 4000 * MS);
	tftpk_window_ack(&w, &rtt, 10, 4001 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 0);
	KUNIT_EXPECT_EQ(test, tftpk_window_note_sent(&w, 4, 4001 * MS), 2);
	tftpk_window_ack(&w, &rtt, 14, 4011 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 10000);
}

struct sample_case {
	const char *desc;
	u32 samples[8];		/* 0 ends them */
	u32 srtt;
	u32 rttvar;
	u32 min;
};

/* RFC 6298 section 2: the first sample R gives SRTT = R, RTTVAR = R / 2; from
 * then on RTTVAR = 3/4 RTTVAR + 1/4 |SRTT - R'|, SRTT = 7/8 SRTT + 1/8 R'.
 */
static const struct sample_case sample_cases[] = {
	{ "the first", { 8000 }, 8000, 4000, 8000 },
	{ "the same again", { 8000, 8000 }, 8000, 3000, 8000 },
	{ "a longer one", { 8000, 16000 }, 9000, 5000, 8000 },
	{ "a shorter one", { 16000, 8000 }, 15000, 8000, 8000 },
	{ "the same for long",
	  { 8000, 8000, 8000, 8000, 8000, 8000, 8000, 8000 }, 8000, 536,
	  8000 },
	{ "a microsecond", { 1 }, 1, 0, 1 },
	{ "microseconds", { 1, 1, 1 }, 1, 0, 1 },
	{ "a minute", { 60000000 }, 60000000, 30000000, 60000000 },
	{ "a minute and a microsecond", { 60000000, 1 }, 52500001, 37499999,
	  1 },
};

KUNIT_ARRAY_PARAM_DESC(sample, sample_cases, desc);

static void rtt_sample_test(struct kunit *test)
{
	const struct sample_case *c = test->param_value;
	struct tftpk_rtt rtt = {};
	int i;

	for (i = 0; i < ARRAY_SIZE(c->samples) && c->samples[i]; i++)
		tftpk_rtt_sample(&rtt, c->samples[i]);
	/* Integers round: by one microsecond a sample at most. */
	KUNIT_EXPECT_LE(test, abs((int)(rtt.srtt - c->srtt)), i);
	KUNIT_EXPECT_LE(test, abs((int)(rtt.rttvar - c->rttvar)), i);
	KUNIT_EXPECT_EQ(test, rtt.min, c->min);
}

/* No round trip is measured as none, which means that there was no sample. */
static void rtt_zero_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	int i;

	for (i = 0; i < 100; i++) {
		tftpk_rtt_sample(&rtt, 0);
		KUNIT_ASSERT_GE(test, rtt.srtt, 1);
	}
	KUNIT_EXPECT_EQ(test, rtt.min, 1);
}

struct rto_case {
	const char *desc;
	struct tftpk_rtt rtt;
	u32 utimeout;
	u32 rto;
};

static const struct rto_case rto_cases[] = {
	{ "before the first sample", { 0, 0, 0, 0 }, 0, 1000000 },
	{ "the floor", { 100, 50, 100, 0 }, 0, 200000 },
	{ "SRTT and four times RTTVAR", { 100000, 50000, 100000, 0 }, 0,
	  300000 },
	{ "the ceiling", { 4000000, 2000000, 4000000, 0 }, 0, 5000000 },
	{ "backing off once", { 100, 50, 100, 1 }, 0, 400000 },
	{ "backing off twice", { 100, 50, 100, 2 }, 0, 800000 },
	{ "backing off to the ceiling", { 100, 50, 100, 5 }, 0, 5000000 },
	{ "backing off as far as it goes", { 60000000, 30000000, 1, 8 }, 0,
	  5000000 },
	{ "backing off before the first sample", { 0, 0, 0, 1 }, 0, 2000000 },
	{ "the client's timeout delays nothing", { 100, 50, 100, 0 }, 10000000,
	  200000 },
	{ "the client's timeout caps the backoff", { 100, 50, 100, 3 },
	  1000000, 1000000 },
	{ "the client's timeout raises the ceiling", { 100, 50, 100, 6 },
	  10000000, 10000000 },
	{ "a round trip raises the ceiling",
	  { 100, 50, 100, 6, .latest = 8000000 }, 0, 10000000 },
	{ "a round trip raises the client's ceiling",
	  { 100, 50, 100, 3, .latest = 1600000 }, 1000000, 1600000 },
	{ "a round trip delays nothing",
	  { 100, 50, 100, 0, .latest = 8000000 }, 0, 200000 },
	{ "the client's timeout below the floor", { 100, 50, 100, 3 }, 10000,
	  200000 },
	{ "a long timeout of the client", { 100, 50, 100, 8 }, 255000000,
	  51200000 },
	{ "a timeout of a second before the first sample", { 0, 0, 0, 0 },
	  1000000, 1000000 },
};

KUNIT_ARRAY_PARAM_DESC(rto, rto_cases, desc);

static void rtt_rto_test(struct kunit *test)
{
	const struct rto_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, tftpk_rtt_rto(&c->rtt, c->utimeout, TFTPK_RTO_MIN),
			c->rto);
}

/* Timeouts double, eight times at most; the next sample puts an end to that. */
/* ---- the wait, and what comes after it ---- */

struct recovery_case {
	const char *desc;
	u32 unsent;		/* blocks that the window allows besides */
	bool disorder;
	bool probed;
	bool validated;
	u8 backoff;
	enum tftpk_recovery wanted;
};

static const struct recovery_case recovery_cases[] = {
	{ "all in flight", .validated = true, .wanted = TFTPK_RECOVERY_PROBE },
	{ "probed", .validated = true, .probed = true,
	  .wanted = TFTPK_RECOVERY_TIMEOUT },
	{ "backed off", .validated = true, .backoff = 1,
	  .wanted = TFTPK_RECOVERY_TIMEOUT },
	{ "in doubt", .validated = true, .disorder = true,
	  .wanted = TFTPK_RECOVERY_GO_BACK },
	{ "in doubt and probed", .validated = true, .disorder = true,
	  .probed = true, .wanted = TFTPK_RECOVERY_GO_BACK },
	{ "cut short", .validated = true, .unsent = 2,
	  .wanted = TFTPK_RECOVERY_UNSENT },
	{ "cut short and in doubt", .validated = true, .unsent = 2,
	  .disorder = true, .wanted = TFTPK_RECOVERY_UNSENT },
	{ "unvalidated", .wanted = TFTPK_RECOVERY_PROBE },
	{ "unvalidated and probed", .probed = true,
	  .wanted = TFTPK_RECOVERY_PROBE },
	{ "unvalidated and backed off", .probed = true, .backoff = 2,
	  .wanted = TFTPK_RECOVERY_PROBE },
};

KUNIT_ARRAY_PARAM_DESC(recovery, recovery_cases, desc);

static void window_recovery_test(struct kunit *test)
{
	const struct recovery_case *c = test->param_value;
	struct tftpk_rtt rtt = { .srtt = 1000, .backoff = c->backoff };
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4 - c->unsent, MS);
	w.disorder = c->disorder;
	w.probed = c->probed;
	KUNIT_EXPECT_EQ(test, tftpk_window_recovery(&w, &rtt, c->validated),
			c->wanted);
}

/* An unvalidated client is asked less and less often. */
static void window_probe_backoff_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, MS);
	tftpk_window_probe(&w, &rtt, false, 2 * MS);
	KUNIT_EXPECT_EQ(test, rtt.backoff, 0);
	tftpk_window_probe(&w, &rtt, false, 2 * MS);
	KUNIT_EXPECT_EQ(test, rtt.backoff, 1);
	tftpk_window_probe(&w, &rtt, true, 2 * MS);
	KUNIT_EXPECT_EQ(test, rtt.backoff, 1);
}

/* The shortest of probe, doubt and timeout counts. */
static void window_wait_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 40000, .rttvar = 1000 };
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), 81000);
	w.disorder = true;
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), 44000);
	w.disorder = false;
	w.probed = true;
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), TFTPK_RTO_MIN);
	rtt.backoff = 3;
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), 8 * TFTPK_RTO_MIN);
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 300000), 300000);
}

static void rtt_backoff_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .rttvar = 0, .min = 1000 };
	struct tftpk_window w;
	int i;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	for (i = 0; i < 20; i++) {
		KUNIT_EXPECT_EQ(test, tftpk_rtt_rto(&rtt, U32_MAX, TFTPK_RTO_MIN),
				TFTPK_RTO_MIN << min(i, 8));
		tftpk_window_note_sent(&w, 4, i * NSEC_PER_SEC);
		tftpk_window_timeout(&w, &rtt);
	}
	KUNIT_EXPECT_EQ(test, rtt.backoff, 8);
	tftpk_window_note_sent(&w, 4, i * NSEC_PER_SEC);
	tftpk_window_ack(&w, &rtt, 4, i * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.backoff, 8);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_probe_wait(&rtt, 4), 0);
	tftpk_window_note_sent(&w, 4, i * NSEC_PER_SEC);
	tftpk_window_ack(&w, &rtt, 8, i * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.backoff, 0);
}

/* Silence is noticed before the timeout, but not before a round trip. */
static void rtt_probe_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	u32 us;

	KUNIT_EXPECT_EQ(test, tftpk_rtt_probe_wait(&rtt, 1), 0);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_probe_wait(&rtt, 4), 0);
	for (us = 1; us < 10 * USEC_PER_SEC; us *= 3) {
		memset(&rtt, 0, sizeof(rtt));
		tftpk_rtt_sample(&rtt, us);
		KUNIT_EXPECT_GE(test, tftpk_rtt_probe_wait(&rtt, 4), 2 * us);
		KUNIT_EXPECT_GE(test, tftpk_rtt_probe_wait(&rtt, 4),
				TFTPK_PROBE_MIN);
		/* Lock step leaves time for a slow disk. */
		KUNIT_EXPECT_GE(test, tftpk_rtt_probe_wait(&rtt, 1),
				TFTPK_PROBE_LONE);
		if (us > TFTPK_PROBE_LONE)
			KUNIT_EXPECT_LE(test, tftpk_rtt_probe_wait(&rtt, 1),
					rtt.srtt + 4 * rtt.rttvar);
	}
}

/* What was sent twice gives no sample, but says what a round trip took at most. */
static void rtt_last_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	struct tftpk_window w;

	tftpk_window_init(&w, 512 * 100, 512, 4, 0);
	tftpk_rtt_sample(&rtt, 1000);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_due(&rtt, 4), TFTPK_PROBE_MIN);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_disorder_wait(&rtt), TFTPK_PROBE_MIN);

	tftpk_window_note_sent(&w, 4, 1 * NSEC_PER_SEC);
	tftpk_window_probe(&w, &rtt, true, 1 * NSEC_PER_SEC);
	tftpk_window_ack(&w, &rtt, 4, 3 * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 1000);
	KUNIT_EXPECT_EQ(test, rtt.latest, 2000000);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_due(&rtt, 4), 2500000);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_disorder_wait(&rtt), TFTPK_DISORDER_MAX);

	/* To have waited did not help: what was lost is lost each time. */
	tftpk_window_note_sent(&w, 4, 3 * NSEC_PER_SEC);
	tftpk_window_probe(&w, &rtt, true, 3 * NSEC_PER_SEC);
	tftpk_window_ack(&w, &rtt, 8, 6 * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.latest, 0);
	KUNIT_EXPECT_EQ(test, tftpk_rtt_due(&rtt, 4), TFTPK_PROBE_MIN);
	tftpk_window_note_sent(&w, 4, 6 * NSEC_PER_SEC);
	tftpk_window_probe(&w, &rtt, true, 6 * NSEC_PER_SEC);
	tftpk_window_ack(&w, &rtt, 12, 8 * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.latest, 2000000);

	tftpk_window_note_sent(&w, 4, 8 * NSEC_PER_SEC);
	tftpk_window_timeout(&w, &rtt);
	tftpk_window_note_sent(&w, 4, 9 * NSEC_PER_SEC);
	/* A part of them says nothing of those that were sent last. */
	tftpk_window_ack(&w, &rtt, 14, 100 * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.latest, 2000000);
	tftpk_window_ack(&w, &rtt, 16, 100 * NSEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.latest, TFTPK_RTT_MAX);

	tftpk_window_note_sent(&w, 4, 100 * NSEC_PER_SEC);
	tftpk_window_ack(&w, &rtt, 20, 100 * NSEC_PER_SEC + 500 * NSEC_PER_USEC);
	KUNIT_EXPECT_EQ(test, rtt.latest, 500);
	tftpk_rtt_sample(&rtt, 20 * USEC_PER_SEC);
	KUNIT_EXPECT_EQ(test, rtt.latest, TFTPK_RTT_MAX);
}

/* ---- clients that pause ---- */

struct pause_case {
	const char *desc;
	u32 rtt_us;
	u32 pause_us;
	u32 longer;		/* each one by that many percent */
	u32 every;		/* blocks from one to the next */
	u32 lose;		/* the block that is lost, and each so many later */
	u32 needless;		/* copies, at most */
	u32 recovered_us;	/* when a lost block arrives, at most */
	u32 first_lose;		/* only so many blocks, and no pause before that */
};

static const struct pause_case pause_cases[] = {
	{ "10 of 150 ms", 300, 150000, 0, 20, .needless = 1 },
	{ "30 of 60 ms", 300, 60000, 0, 6, .needless = 1 },
	{ "far away", 20000, 150000, 0, 20, .needless = 1 },
	{ "of a second", 300, 1000000, 0, 20, .needless = 1 },
	{ "of 3 s", 300, 3000000, 0, 20, .needless = 2 },
	{ "of 3 s, seldom", 300, 3000000, 0, 90, .needless = 2 },
	{ "of 150 ms, seldom", 300, 150000, 0, 90, .needless = 2 },
	{ "ever longer", 300, 60000, 40, 20, .needless = 2 },
	{ "ever longer, seldom", 300, 60000, 40, 90, .needless = 2 },
	{ "shorter than a probe takes", 300, 40000, 0, 5, .needless = 0 },
	{ "none, and losses", 300, 0, 0, 0, 40, 0, 61000 },
	{ "none, and many losses", 300, 0, 0, 0, 5, 0, 140000 },
	{ "of 60 ms, and more losses", 300, 60000, 0, 31, 5, 40, 140000 },
	{ "of 60 ms, after losses", 300, 60000, 0, 20, 5, 4, 140000, 500 },
	{ "none, and losses far away", 40000, 0, 0, 0, 40, 0, 140000 },
};

KUNIT_ARRAY_PARAM_DESC(pause, pause_cases, desc);

/* A client in lock step, and the timer of the server, which is late by up to two
 * ticks. It gets 1,000 blocks.
 */
static void window_pause_test(struct kunit *test)
{
	const struct pause_case *c = test->param_value;
	u64 now = NSEC_PER_SEC, due, acked, arrives;
	u32 pause = c->pause_us, needless = 0, i;
	struct tftpk_rtt rtt = {};
	struct tftpk_window w;

	tftpk_window_init(&w, 8 * 1000, 8, 1, 0);
	tftpk_rtt_sample(&rtt, c->rtt_us);
	for (i = 1; i <= 1000; i++) {
		bool pauses = c->every && i > c->first_lose && i % c->every == 0;
		bool lost = c->lose && i % c->lose == 0 &&
			    (!c->first_lose || i <= c->first_lose);
		u64 sent = now;

		tftpk_window_note_sent(&w, 1, now);
		acked = lost ? U64_MAX : now + (c->rtt_us +
			(pauses ? pause : 0)) * (u64)NSEC_PER_USEC;
		for (;;) {
			due = now + tftpk_window_wait(&w, &rtt, 0) *
				    (u64)NSEC_PER_USEC + 8 * MS;
			if (acked <= due)
				break;
			now = due;
			if (tftpk_window_recovery(&w, &rtt, true) ==
			    TFTPK_RECOVERY_PROBE) {
				tftpk_window_probe(&w, &rtt, true, now);
			} else {
				tftpk_window_timeout(&w, &rtt);
				tftpk_window_note_sent(&w, 1, now);
			}
			arrives = now + c->rtt_us * (u64)NSEC_PER_USEC;
			needless += !lost;
			if (lost)
				acked = min(acked, arrives);
		}
		now = acked;
		tftpk_window_ack(&w, &rtt, i, now);
		KUNIT_ASSERT_EQ(test, w.acked, i);
		if (lost)
			KUNIT_EXPECT_LE(test, now - sent, c->recovered_us *
					(u64)NSEC_PER_USEC);
		if (pauses)
			pause = min_t(u32, pause + pause / 100 * c->longer,
				      4 * USEC_PER_SEC - 1000);
	}
	KUNIT_EXPECT_LE(test, needless, c->needless);
}

/* A patient server still hears a client that is not: its repeated ACK reports a loss,
 * if it comes late enough.
 */
static void window_min_wait_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000,
				 .min_wait = TFTPK_RTO_MAX };
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 1, 0);
	tftpk_window_note_sent(&w, 1, 1000 * MS);
	tftpk_window_ack(&w, &rtt, 1, 1001 * MS);
	tftpk_window_note_sent(&w, 1, 1001 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), TFTPK_RTO_MAX);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 1, 1010 * MS),
			TFTPK_ACK_STALE);
	KUNIT_EXPECT_EQ(test, tftpk_window_ack(&w, &rtt, 1, 1100 * MS),
			TFTPK_ACK_DISORDER);
	KUNIT_EXPECT_LE(test, tftpk_window_wait(&w, &rtt, 0), TFTPK_RTO_MIN);
	KUNIT_EXPECT_EQ(test, tftpk_window_recovery(&w, &rtt, true),
			TFTPK_RECOVERY_GO_BACK);
}

/* What the administrator has set counts in any case. */
static void window_floor_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000, .floor = 700000 };
	struct tftpk_window w;

	tftpk_window_init(&w, 8000, 8, 4, 0);
	tftpk_window_note_sent(&w, 4, MS);
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), 700000);
	w.disorder = true;
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), 700000);
	rtt.floor = 7000000;
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 1000000), 7000000);
	rtt.floor = 1000;
	w.disorder = false;
	KUNIT_EXPECT_EQ(test, tftpk_window_wait(&w, &rtt, 0), TFTPK_PROBE_MIN);
}

static struct kunit_case window_cases[] = {
	KUNIT_CASE_PARAM(window_wire_test, wire_gen_params),
	KUNIT_CASE_PARAM(window_unsent_test, unsent_gen_params),
	KUNIT_CASE_PARAM(window_blocks_test, blocks_gen_params),
	KUNIT_CASE_PARAM(window_ack_test, ack_gen_params),
	KUNIT_CASE_PARAM(window_room_test, room_gen_params),
	KUNIT_CASE(window_sent_test),
	KUNIT_CASE(window_echo_test),
	KUNIT_CASE(window_probe_test),
	KUNIT_CASE_PARAM(window_recovery_test, recovery_gen_params),
	KUNIT_CASE(window_probe_backoff_test),
	KUNIT_CASE(window_wait_test),
	KUNIT_CASE(rtt_timed_test),
	KUNIT_CASE(rtt_karn_test),
	KUNIT_CASE_PARAM(rtt_sample_test, sample_gen_params),
	KUNIT_CASE(rtt_zero_test),
	KUNIT_CASE_PARAM(rtt_rto_test, rto_gen_params),
	KUNIT_CASE(rtt_backoff_test),
	KUNIT_CASE(rtt_probe_test),
	KUNIT_CASE(rtt_last_test),
	KUNIT_CASE_PARAM(window_pause_test, pause_gen_params),
	KUNIT_CASE(window_min_wait_test),
	KUNIT_CASE(window_floor_test),
	{}
};

static struct kunit_suite window_suite = {
	.name		= "tftpk-window",
	.test_cases	= window_cases,
};

kunit_test_suite(window_suite);
