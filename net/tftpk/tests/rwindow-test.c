// SPDX-License-Identifier: GPL-2.0
/*
 * Unit tests of the receive window.
 */
#include <kunit/test.h>

#include "../rwindow.c"

#define MS	NSEC_PER_MSEC
#define ACKED	(77ULL * NSEC_PER_SEC)

/* ---- what a DATA packet means ---- */

#define FINAL		BIT(0)
#define REPORTED	BIT(1)	/* the gap */
#define UNKNOWN		BIT(2)	/* rollover */
#define ENDED		BIT(3)	/* the last block taken was the final one */

struct look_case {
	const char *desc;
	u16 size;
	u8 rollover;
	u64 acked;
	u64 taken;
	u8 flags;
	u32 after_us;		/* the ACK; the round trip takes 1,000 us */
	u16 block;
	enum tftpk_data meaning;
};

static const struct look_case look_cases[] = {
	/* RFC 1350 section 2: lock step */
	{ "lock step, the first", 1, 0, 0, 0, 0, 1000, 1, TFTPK_DATA_WINDOW },
	{ "lock step, the only one", 1, 0, 0, 0, FINAL, 1000, 1,
	  TFTPK_DATA_LAST },
	{ "lock step, next", 1, 0, 7, 7, 0, 1000, 8, TFTPK_DATA_WINDOW },
	{ "lock step, the final one", 1, 0, 7, 7, FINAL, 1000, 8,
	  TFTPK_DATA_LAST },
	{ "lock step, repeated", 1, 0, 7, 7, 0, 50000, 7,
	  TFTPK_DATA_REPEATED },
	{ "lock step, repeated much later", 1, 0, 7, 7, 0, 5000000, 7,
	  TFTPK_DATA_REPEATED },
	{ "lock step, copied by the network", 1, 0, 7, 7, 0, 49999, 7,
	  TFTPK_DATA_STALE },
	{ "lock step, repeated before its ACK", 1, 0, 6, 7, 0, 5000000, 7,
	  TFTPK_DATA_STALE },
	{ "lock step, next before an ACK", 1, 0, 6, 7, 0, 5000000, 8,
	  TFTPK_DATA_STALE },
	{ "lock step, the one before", 1, 0, 7, 7, 0, 1000, 6,
	  TFTPK_DATA_STALE },
	{ "lock step, one ahead", 1, 0, 7, 7, 0, 1000, 9, TFTPK_DATA_STALE },
	{ "lock step, block 0", 1, 0, 0, 0, 0, 1000, 0, TFTPK_DATA_STALE },
	{ "lock step, block 0 later", 1, 0, 7, 7, 0, 1000, 0,
	  TFTPK_DATA_STALE },

	/* RFC 7440 section 4: windows */
	{ "the first of a window", 4, 0, 4, 4, 0, 1000, 5, TFTPK_DATA_TAKEN },
	{ "the last but one", 4, 0, 4, 6, 0, 1000, 7, TFTPK_DATA_TAKEN },
	{ "the last of a window", 4, 0, 4, 7, 0, 1000, 8, TFTPK_DATA_WINDOW },
	{ "the final one in a window", 4, 0, 4, 6, FINAL, 1000, 7,
	  TFTPK_DATA_LAST },
	{ "the final one ends a window", 4, 0, 4, 7, FINAL, 1000, 8,
	  TFTPK_DATA_LAST },
	{ "one missing", 4, 0, 4, 5, 0, 1000, 7, TFTPK_DATA_GAP },
	{ "the first missing", 4, 0, 4, 4, 0, 0, 6, TFTPK_DATA_GAP },
	{ "the very first missing", 4, 0, 0, 0, 0, 1000, 2, TFTPK_DATA_GAP },
	{ "all but the last missing", 4, 0, 4, 4, 0, 1000, 8,
	  TFTPK_DATA_GAP },
	{ "one missing before the final one", 4, 0, 4, 5, FINAL, 1000, 7,
	  TFTPK_DATA_GAP },
	{ "missing, as reported", 4, 0, 5, 5, REPORTED, 1000, 8,
	  TFTPK_DATA_STALE },
	{ "reported, here it is", 4, 0, 5, 5, REPORTED, 1000, 6,
	  TFTPK_DATA_TAKEN },
	{ "next window", 4, 0, 4, 5, 0, 1000, 9, TFTPK_DATA_STALE },
	{ "next window before an ACK", 4, 0, 4, 8, 0, 1000, 9,
	  TFTPK_DATA_STALE },
	{ "far ahead", 4, 0, 4, 5, 0, 1000, 20000, TFTPK_DATA_STALE },
	{ "far behind", 4, 0, 40000, 40000, 0, 1000, 10000,
	  TFTPK_DATA_STALE },
	{ "the last one once more", 4, 0, 8, 8, 0, 999999, 8,
	  TFTPK_DATA_STALE },
	{ "the last one much later", 4, 0, 8, 8, 0, 1000000, 8,
	  TFTPK_DATA_REPEATED },
	{ "an older one", 4, 0, 8, 8, 0, 999999, 6, TFTPK_DATA_STALE },
	{ "an older one much later", 4, 0, 8, 8, 0, 1000000, 6,
	  TFTPK_DATA_REPEATED },
	{ "part of a window much later", 4, 0, 4, 6, 0, 1000000, 5,
	  TFTPK_DATA_REPEATED },
	{ "a gap reported long ago", 4, 0, 5, 5, REPORTED, 1000000, 8,
	  TFTPK_DATA_REPEATED },
	{ "a window before its ACK", 4, 0, 4, 8, 0, 5000000, 8,
	  TFTPK_DATA_STALE },

	/* The end */
	{ "the final one again, stored", 4, 0, 7, 7, ENDED | FINAL, 50000, 7,
	  TFTPK_DATA_REPEATED },
	{ "the final one again, not stored", 4, 0, 4, 7, ENDED | FINAL,
	  5000000, 7, TFTPK_DATA_STALE },
	{ "the final one again, lock step", 1, 0, 7, 7, ENDED | FINAL, 50000,
	  7, TFTPK_DATA_REPEATED },
	{ "the final one copied by the network", 4, 0, 7, 7, ENDED | FINAL,
	  10, 7, TFTPK_DATA_STALE },
	{ "the one before it again", 4, 0, 7, 7, ENDED, 1000, 6,
	  TFTPK_DATA_STALE },
	{ "behind the end", 4, 0, 7, 7, ENDED, 1000, 8, TFTPK_DATA_STALE },
	{ "behind the end, with a gap", 4, 0, 7, 7, ENDED, 1000, 9,
	  TFTPK_DATA_STALE },

	/* Numbers that roll over to 0 */
	{ "0 follows", 4, 0, 65534, 65535, 0, 1000, 0, TFTPK_DATA_TAKEN },
	{ "0 follows in lock step", 1, 0, 65535, 65535, 0, 1000, 0,
	  TFTPK_DATA_WINDOW },
	{ "0 is missing", 4, 0, 65534, 65535, 0, 1000, 1, TFTPK_DATA_GAP },
	{ "1 ends the window", 4, 0, 65533, 65536, 0, 1000, 1,
	  TFTPK_DATA_WINDOW },
	{ "0 again", 1, 0, 65536, 65536, 0, 50000, 0, TFTPK_DATA_REPEATED },
	{ "from before", 4, 0, 65536, 65536, 0, 1000, 65535,
	  TFTPK_DATA_STALE },
	{ "1 before its window", 4, 0, 65532, 65535, 0, 1000, 1,
	  TFTPK_DATA_STALE },
	{ "the second time", 4, 0, 131070, 131071, 0, 1000, 0,
	  TFTPK_DATA_TAKEN },
	{ "beyond 32 bits", 4, 0, 1ULL << 40, (1ULL << 40) + 3, 0, 1000, 4,
	  TFTPK_DATA_WINDOW },

	/* Numbers that roll over to 1 */
	{ "1 follows", 4, 1, 65534, 65535, 0, 1000, 1, TFTPK_DATA_TAKEN },
	{ "1 follows in lock step", 1, 1, 65535, 65535, 0, 1000, 1,
	  TFTPK_DATA_WINDOW },
	{ "to 1, it is missing", 4, 1, 65534, 65535, 0, 1000, 2,
	  TFTPK_DATA_GAP },
	{ "to 1, 0 means nothing", 4, 1, 65534, 65535, 0, 1000, 0,
	  TFTPK_DATA_STALE },
	{ "to 1, 0 means nothing in lock step", 1, 1, 65535, 65535, 0, 1000,
	  0, TFTPK_DATA_STALE },
	{ "to 1, from before", 4, 1, 65536, 65536, 0, 1000, 65535,
	  TFTPK_DATA_STALE },
	{ "to 1, 0 before the first", 4, 1, 0, 0, 0, 1000, 0,
	  TFTPK_DATA_STALE },
	{ "to 1, beyond 32 bits", 4, 1, 65535ULL * 100000,
	  65535ULL * 100000 + 3, 0, 1000, 4, TFTPK_DATA_WINDOW },

	/* The client did not say which. */
	{ "unknown, 0 in lock step", 1, 0, 65535, 65535, UNKNOWN, 1000, 0,
	  TFTPK_DATA_WINDOW },
	{ "unknown, 1 in lock step", 1, 0, 65535, 65535, UNKNOWN, 1000, 1,
	  TFTPK_DATA_WINDOW },
	{ "unknown, 2 in lock step", 1, 0, 65535, 65535, UNKNOWN, 1000, 2,
	  TFTPK_DATA_STALE },
	{ "unknown, 1 before an ACK in lock step", 1, 0, 65534, 65535, UNKNOWN,
	  1000, 1, TFTPK_DATA_STALE },
	{ "unknown, 0", 4, 0, 65535, 65535, UNKNOWN, 1000, 0,
	  TFTPK_DATA_TAKEN },
	{ "unknown, 1", 4, 0, 65535, 65535, UNKNOWN, 1000, 1,
	  TFTPK_DATA_GAP },
	{ "unknown, 1 once more", 4, 0, 65535, 65535, UNKNOWN | REPORTED,
	  1000, 1, TFTPK_DATA_STALE },
	{ "unknown, 3", 4, 0, 65535, 65535, UNKNOWN | REPORTED, 1000, 3,
	  TFTPK_DATA_STALE },
	{ "unknown, 4, which shows it", 4, 0, 65535, 65535,
	  UNKNOWN | REPORTED, 1000, 4, TFTPK_DATA_GAP },
	{ "unknown, 5", 4, 0, 65535, 65535, UNKNOWN, 1000, 5,
	  TFTPK_DATA_STALE },
	{ "unknown, the window's end shows it", 4, 0, 65533, 65535, UNKNOWN,
	  1000, 2, TFTPK_DATA_GAP },
	{ "unknown, far from the end", 4, 0, 0, 0, UNKNOWN, 1000, 4,
	  TFTPK_DATA_GAP },

	/* No old number looks like a new one. */
	{ "the largest window", TFTPK_WINDOW_MAX, 0, 100000, 116383, 0, 1000,
	  50848, TFTPK_DATA_WINDOW },
	{ "the largest window, its end first", TFTPK_WINDOW_MAX, 0, 100000,
	  100000, 0, 1000, 50848, TFTPK_DATA_GAP },
	{ "the largest window, behind its end", TFTPK_WINDOW_MAX, 0, 100000,
	  100000, 0, 1000, 50849, TFTPK_DATA_STALE },
	{ "the largest window, the one before", TFTPK_WINDOW_MAX, 0, 116384,
	  116384, 0, 1000, 34465, TFTPK_DATA_STALE },
};

KUNIT_ARRAY_PARAM_DESC(look, look_cases, desc);

static void rwindow_look_test(struct kunit *test)
{
	const struct look_case *c = test->param_value;
	u64 now_ns = ACKED + c->after_us * (u64)NSEC_PER_USEC;
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000 };
	bool final = c->flags & FINAL;
	struct tftpk_rwindow w;
	enum tftpk_data data;

	memset(&w, 0xa5, sizeof(w));
	tftpk_rwindow_init(&w, c->size, c->rollover, !(c->flags & UNKNOWN),
			   ACKED);
	w.acked = c->acked;
	w.taken = c->taken;
	w.gap = c->flags & REPORTED;
	w.last = c->flags & ENDED ? c->taken : 0;
	data = tftpk_rwindow_look(&w, &rtt, c->block, final, now_ns);
	KUNIT_EXPECT_EQ(test, data, c->meaning);
	if (data < TFTPK_DATA_TAKEN)
		return;

	tftpk_rwindow_take(&w, &rtt, c->block, final, now_ns);
	KUNIT_EXPECT_EQ(test, w.taken, c->taken + 1);
	KUNIT_EXPECT_EQ(test, w.acked, c->acked);
	KUNIT_EXPECT_EQ(test, w.last, final ? c->taken + 1 : 0);
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wire(&w, w.taken), c->block);
	KUNIT_EXPECT_FALSE(test, w.gap);
	/* Once it is taken, it is no news. */
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_look(&w, &rtt, c->block, final,
						 now_ns), TFTPK_DATA_STALE);
}

/* ---- how numbers roll over ---- */

struct rollover_case {
	const char *desc;
	u16 size;
	u8 said;
	bool known;
	u16 blocks[12];		/* that follow upon 65535 */
	int n;
	u64 taken;
	u8 rollover;
};

static const struct rollover_case rollover_cases[] = {
	{ "said 0", 1, 0, true, { 1, 0, 1 }, 3, 65537, 0 },
	{ "said 1", 1, 1, true, { 0, 1, 2 }, 3, 65537, 1 },
	{ "lock step, 0", 1, 0, false, { 0, 1, 2 }, 3, 65538, 0 },
	{ "lock step, 1", 1, 0, false, { 1, 2, 3 }, 3, 65538, 1 },
	{ "what was not said does not count", 1, 1, false, { 0, 1, 2 }, 3,
	  65538, 0 },
	{ "window, 0", 4, 0, false, { 0, 1, 2, 3 }, 4, 65539, 0 },
	{ "window, 0 was lost", 4, 0, false, { 1, 2, 3, 0, 1, 2, 3 }, 7,
	  65539, 0 },
	{ "window, 0 was lost twice", 4, 0, false,
	  { 1, 2, 3, 1, 2, 3, 0, 1, 2, 3 }, 10, 65539, 0 },
	{ "window, 1", 4, 0, false, { 1, 2, 3, 4, 1, 2, 3, 4 }, 8, 65539, 1 },
	{ "window, 1 was lost", 4, 0, false, { 2, 3, 4, 1, 2, 3, 4 }, 7,
	  65539, 1 },
	{ "window, its end was lost", 4, 0, false,
	  { 1, 2, 3, 1, 2, 3, 4, 1, 2, 3, 4 }, 11, 65539, 1 },
};

KUNIT_ARRAY_PARAM_DESC(rollover, rollover_cases, desc);

static void rwindow_rollover_test(struct kunit *test)
{
	const struct rollover_case *c = test->param_value;
	struct tftpk_rtt rtt = {};
	struct tftpk_rwindow w;
	int i;

	tftpk_rwindow_init(&w, c->size, c->said, c->known, ACKED);
	w.taken = 65535;
	w.acked = 65535;
	for (i = 0; i < c->n; i++) {
		u64 now_ns = ACKED + i * MS;

		switch (tftpk_rwindow_look(&w, &rtt, c->blocks[i], false,
					   now_ns)) {
		case TFTPK_DATA_GAP:
			tftpk_rwindow_note_gap(&w, c->blocks[i], now_ns);
			tftpk_rwindow_note_acked(&w, now_ns);
			break;
		case TFTPK_DATA_WINDOW:
		case TFTPK_DATA_TAKEN:
			tftpk_rwindow_take(&w, &rtt, c->blocks[i], false,
					   now_ns);
			if (w.taken == w.acked + w.size)
				tftpk_rwindow_note_acked(&w, now_ns);
			break;
		default:
			break;
		}
	}
	KUNIT_EXPECT_EQ(test, w.taken, c->taken);
	KUNIT_EXPECT_EQ(test, w.rollover, c->rollover);
	KUNIT_EXPECT_TRUE(test, w.rollover_known);
}

/* ---- round-trip times ---- */

/* The first block behind a whole window, if that was acknowledged once */
static void rwindow_timed_test(struct kunit *test)
{
	struct tftpk_rtt rtt = {};
	struct tftpk_rwindow w;
	u16 block;

	tftpk_rwindow_init(&w, 2, 0, true, ACKED);
	tftpk_rwindow_take(&w, &rtt, 1, false, ACKED + 8 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 8000);
	tftpk_rwindow_take(&w, &rtt, 2, false, ACKED + 80 * MS);
	KUNIT_EXPECT_EQ(test, rtt.latest, 8000);
	tftpk_rwindow_note_acked(&w, ACKED + 100 * MS);
	tftpk_rwindow_take(&w, &rtt, 3, false, ACKED + 116 * MS);
	KUNIT_EXPECT_EQ(test, rtt.latest, 16000);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 9000);

	/* Not behind a part of one: the block may have been on its way. */
	tftpk_rwindow_note_acked(&w, ACKED + 120 * MS);
	tftpk_rwindow_take(&w, &rtt, 4, false, ACKED + 121 * MS);
	tftpk_rwindow_take(&w, &rtt, 5, false, ACKED + 122 * MS);
	/* Nor if there were two ACKs, either of which it may answer (Karn) */
	tftpk_rwindow_note_acked(&w, ACKED + 200 * MS);
	tftpk_rwindow_note_acked(&w, ACKED + 300 * MS);
	tftpk_rwindow_take(&w, &rtt, 6, false, ACKED + 301 * MS);
	KUNIT_EXPECT_EQ(test, rtt.latest, 16000);

	/* What takes very long counts as less. */
	tftpk_rwindow_take(&w, &rtt, 7, false, ACKED + 302 * MS);
	tftpk_rwindow_note_acked(&w, ACKED + 303 * MS);
	tftpk_rwindow_take(&w, &rtt, 8, false, 10 * ACKED);
	KUNIT_EXPECT_EQ(test, rtt.latest, TFTPK_RTT_MAX);

	/* The OACK once more */
	memset(&rtt, 0, sizeof(rtt));
	tftpk_rwindow_init(&w, 1, 0, true, ACKED);
	tftpk_rwindow_note_acked(&w, ACKED + 1000 * MS);
	KUNIT_EXPECT_EQ(test, w.acked, 0);
	tftpk_rwindow_take(&w, &rtt, 1, false, ACKED + 1001 * MS);
	KUNIT_EXPECT_EQ(test, rtt.srtt, 0);
	/* In lock step, each block is the first. */
	for (block = 2; block < 9; block++) {
		tftpk_rwindow_note_acked(&w, ACKED + block * 2000 * MS);
		tftpk_rwindow_take(&w, &rtt, block, false,
				   ACKED + (block * 2000 + 3) * MS);
		KUNIT_EXPECT_EQ(test, rtt.srtt, 3000);
	}
}

/* ---- silence ---- */

struct rwait_case {
	const char *desc;
	struct tftpk_rtt rtt;
	u16 size;
	u8 backoff;
	u64 last;
	u32 us;
};

static const struct rwait_case rwait_cases[] = {
	{ "before the first sample", {}, 4, 0, 0, 1000000 },
	{ "that, twice", {}, 4, 1, 0, 2000000 },
	{ "two round trips and variation", { 40000, 5000, 40000 }, 4, 0, 0,
	  85000 },
	{ "the floor", { 100, 50, 100 }, 4, 0, 0, 20000 },
	{ "the administrator's floor", { 100, 50, 100, .floor = 300000 }, 4,
	  0, 0, 300000 },
	{ "one that became longer", { 40000, 5000, 40000, .latest = 100000 },
	  4, 0, 0, 125000 },
	{ "once", { 100, 50, 100 }, 4, 1, 0, 40000 },
	{ "three times", { 100, 50, 100 }, 4, 3, 0, 160000 },
	{ "often", { 100, 50, 100 }, 4, TFTPK_BACKOFF_MAX, 0, 5000000 },
	{ "long round trips", { 4000000, 1000000, 4000000 }, 4, 0, 0,
	  5000000 },
	{ "long round trips, often", { 4000000, 1000000, 4000000 }, 4,
	  TFTPK_BACKOFF_MAX, 0, 5000000 },
	{ "never in lock step", { 40000, 5000, 40000 }, 1, 0, 0, 0 },
	{ "never in lock step, often", { 40000, 5000, 40000 }, 1, 5, 0, 0 },
	{ "never after the end", { 40000, 5000, 40000 }, 4, 0, 7, 0 },
};

KUNIT_ARRAY_PARAM_DESC(rwait, rwait_cases, desc);

static void rwindow_wait_test(struct kunit *test)
{
	const struct rwait_case *c = test->param_value;
	struct tftpk_rwindow w, before;
	u64 end_ns = ACKED + c->us * (u64)NSEC_PER_USEC;

	tftpk_rwindow_init(&w, c->size, 0, true, ACKED);
	w.backoff = c->backoff;
	w.last = c->last;
	w.gap = true;
	before = w;
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &c->rtt, ACKED), c->us);
	if (!c->us) {
		KUNIT_EXPECT_FALSE(test, tftpk_rwindow_timeout(&w, &c->rtt,
							       2 * ACKED));
		KUNIT_EXPECT_MEMEQ(test, &w, &before, sizeof(w));
		return;
	}
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &c->rtt, end_ns - MS),
			1000);
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &c->rtt, end_ns + MS), 1);
	KUNIT_EXPECT_FALSE(test, tftpk_rwindow_timeout(&w, &c->rtt,
						       end_ns - 1));
	KUNIT_EXPECT_MEMEQ(test, &w, &before, sizeof(w));
	KUNIT_EXPECT_TRUE(test, tftpk_rwindow_timeout(&w, &c->rtt, end_ns));
	KUNIT_EXPECT_FALSE(test, w.gap);
	KUNIT_EXPECT_EQ(test, w.backoff,
			min(c->backoff + 1, TFTPK_BACKOFF_MAX));
}

/* Silence begins with what was heard last, or with the ACK if that is later. */
static void rwindow_silence_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 100, .min = 100 };
	struct tftpk_rwindow w;

	tftpk_rwindow_init(&w, 4, 0, true, ACKED);
	tftpk_rwindow_take(&w, &rtt, 1, false, ACKED + 10 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &rtt, ACKED + 12 * MS),
			18000);
	tftpk_rwindow_note_stale(&w, &rtt, ACKED + 15 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &rtt, ACKED + 16 * MS),
			19000);
	tftpk_rwindow_note_gap(&w, 3, ACKED + 20 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &rtt, ACKED + 20 * MS),
			20000);
	tftpk_rwindow_note_acked(&w, ACKED + 30 * MS);
	KUNIT_EXPECT_EQ(test, tftpk_rwindow_wait(&w, &rtt, ACKED + 31 * MS),
			19000);
	KUNIT_EXPECT_FALSE(test, tftpk_rwindow_timeout(&w, &rtt,
						       ACKED + 40 * MS));
	KUNIT_EXPECT_TRUE(test, tftpk_rwindow_timeout(&w, &rtt,
						      ACKED + 50 * MS));
}

/* Backoff lasts until a round trip is measured, or the path turns out to be lossy. */
static void rwindow_backoff_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000 };
	struct tftpk_rwindow w;
	u64 now_ns = ACKED;
	int i;

	tftpk_rwindow_init(&w, 4, 0, true, now_ns);
	for (i = 0; i < 300; i++) {
		now_ns += 5 * NSEC_PER_SEC;
		KUNIT_EXPECT_TRUE(test, tftpk_rwindow_timeout(&w, &rtt, now_ns));
		tftpk_rwindow_note_acked(&w, now_ns);
		KUNIT_EXPECT_EQ(test, w.backoff, min(i + 1, TFTPK_BACKOFF_MAX));
	}
	tftpk_rwindow_take(&w, &rtt, 1, false, now_ns);
	KUNIT_EXPECT_EQ(test, w.backoff, TFTPK_BACKOFF_MAX);
	tftpk_rwindow_note_gap(&w, 3, now_ns);
	KUNIT_EXPECT_EQ(test, w.backoff, 0);
	KUNIT_EXPECT_TRUE(test, w.gap);
	tftpk_rwindow_note_acked(&w, now_ns);

	/* The report may be lost as well. */
	now_ns += 20 * MS;
	KUNIT_EXPECT_TRUE(test, tftpk_rwindow_timeout(&w, &rtt, now_ns));
	KUNIT_EXPECT_FALSE(test, w.gap);
	KUNIT_EXPECT_EQ(test, w.backoff, 1);
	for (i = 2; i < 6; i++)
		tftpk_rwindow_take(&w, &rtt, i, false, now_ns);
	tftpk_rwindow_note_acked(&w, now_ns);
	KUNIT_EXPECT_EQ(test, w.backoff, 1);
	tftpk_rwindow_take(&w, &rtt, 6, false, now_ns + 30 * MS);
	KUNIT_EXPECT_EQ(test, w.backoff, 0);
	KUNIT_EXPECT_EQ(test, rtt.latest, 30000);
}

/* Backoff ends, too, when old blocks come after silence, for then the client times out. */
static void rwindow_stale_test(struct kunit *test)
{
	struct tftpk_rtt rtt = { .srtt = 1000, .min = 1000 };
	struct tftpk_rwindow w;

	tftpk_rwindow_init(&w, 4, 0, true, ACKED);
	w.taken = 4;
	w.acked = 4;
	w.backoff = 1;
	tftpk_rwindow_take(&w, &rtt, 5, false, ACKED + 30 * MS);
	w.backoff = 1;
	/* Right behind another, it answers the second ACK. */
	tftpk_rwindow_note_stale(&w, &rtt, ACKED + 67 * MS);
	KUNIT_EXPECT_EQ(test, w.backoff, 1);
	tftpk_rwindow_note_stale(&w, &rtt, ACKED + 104 * MS);
	KUNIT_EXPECT_EQ(test, w.backoff, 1);
	KUNIT_EXPECT_EQ(test, w.heard_ns, ACKED + 104 * MS);
	tftpk_rwindow_note_stale(&w, &rtt, ACKED + 154 * MS);
	KUNIT_EXPECT_EQ(test, w.backoff, 0);
}

static struct kunit_case rwindow_test_cases[] = {
	KUNIT_CASE_PARAM(rwindow_look_test, look_gen_params),
	KUNIT_CASE_PARAM(rwindow_rollover_test, rollover_gen_params),
	KUNIT_CASE(rwindow_timed_test),
	KUNIT_CASE_PARAM(rwindow_wait_test, rwait_gen_params),
	KUNIT_CASE(rwindow_silence_test),
	KUNIT_CASE(rwindow_backoff_test),
	KUNIT_CASE(rwindow_stale_test),
	{}
};

static struct kunit_suite rwindow_suite = {
	.name		= "tftpk-rwindow",
	.test_cases	= rwindow_test_cases,
};

kunit_test_suite(rwindow_suite);
