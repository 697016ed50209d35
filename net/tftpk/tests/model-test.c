// SPDX-License-Identifier: GPL-2.0
/*
 * Whole transfers over networks that lose, repeat and reorder, against a
 * simple receiver: every block arrives once and in order, no more than a
 * window is in flight, every transfer ends, and no fault of the network makes
 * the server send much more than there is.
 *
 * Uploads from a simple sender likewise: no fault makes the client send much more, and
 * none costs more time than it must.
 */
#include <kunit/test.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/vmalloc.h>

#include "rwindow-model.h"
#include "window-model.h"

static unsigned int seed = 1;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "first seed of the random transfers");

static unsigned int rounds = 8;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "random transfers of each kind");

#define LAN	.delay_us = 100
#define WAN	.delay_us = 20000
#define PATIENT	.retry_us = 5000000
#define IMPATIENT .retry_us = 250000

/* Clients that ask for no window, and how they take blocks ahead. */
#define IPXE	1, .ahead = 15, .keeps = true, .reack_old = true, .reack_all = true, \
		IMPATIENT
#define GRUB	1, .ahead = 15, .silent = true, .reack_old = true
#define ORDERLY	1, .ahead = 15, .reack_old = true, .reack_all = true, IMPATIENT

static const struct model_case cases[] = {
	/* Nothing goes wrong: no block is sent twice. */
	{ "lock step", 1, 500, 1, LAN, PATIENT, .limit = 1000 },
	{ "window of 4", 1, 500, 4, LAN, PATIENT, .limit = 1000 },
	{ "window of 64, far away", 1, 1000, 64, WAN, PATIENT, .limit = 1000 },
	{ "window of 300, far away", 1, 1000, 300, WAN, PATIENT, .limit = 1000 },
	{ "one block", 1, 1, 16, LAN, PATIENT, .limit = 1000 },
	{ "exactly a window", 1, 16, 16, LAN, PATIENT, .limit = 1000 },
	{ "a window and a block", 1, 17, 16, LAN, PATIENT, .limit = 1000 },
	{ "no delay at all", 1, 500, 16, PATIENT, .limit = 1000 },
	{ "rolling over", 65300, 500, 16, LAN, PATIENT, .limit = 1000 },
	{ "rolling over to 1", 65300, 500, 16, 1, LAN, PATIENT,
	  .limit = 1000 },

	{ "iPXE", 1, 1000, IPXE, LAN, .limit = 1000 },
	{ "iPXE, far away", 1, 1000, IPXE, WAN, .limit = 1000 },
	{ "iPXE, rolling over", 65000, 1000, IPXE, WAN, .limit = 1000 },
	{ "GRUB", 1, 1000, GRUB, LAN, .limit = 1000 },
	{ "GRUB, far away", 1, 1000, GRUB, WAN, .limit = 1000 },
	{ "GRUB, rolling over to 1", 65000, 1000, GRUB, WAN, .rollover = 1,
	  .limit = 1000 },

	/* Copies only, Sorcerer's Apprentice: never more than twice, and a
	 * window
	 */
	{ "copies, lock step", 1, 500, 1, LAN, PATIENT, .copies = 500 },
	{ "copies, lock step, re-ACKs", 1, 500, 1, LAN, PATIENT,
	  .copies = 500, .reack_old = true },
	{ "copies, window of 4", 1, 500, 4, LAN, PATIENT, .copies = 100 },
	{ "copies, window of 16", 1, 500, 16, LAN, PATIENT, .copies = 100 },
	{ "copies, window of 64, re-ACKs", 1, 1000, 64, WAN, PATIENT,
	  .copies = 100, .reack_old = true, .reack_all = true },
	{ "all twice, lock step, re-ACKs", 1, 500, 1, WAN, PATIENT,
	  .copies = 1000, .reack_old = true },
	{ "all twice, window of 4, re-ACKs", 1, 500, 4, WAN, PATIENT,
	  .copies = 1000, .reack_old = true },
	{ "all twice, window of 64, re-ACKs", 1, 1000, 64, WAN, PATIENT,
	  .copies = 1000, .reack_old = true, .reack_all = true },
	{ "all twice, rolling over, re-ACKs", 65300, 500, 16, WAN, PATIENT,
	  .copies = 1000, .reack_old = true },

	{ "all twice, iPXE", 1, 500, IPXE, WAN, .copies = 1000 },
	{ "copies, iPXE", 1, 500, IPXE, WAN, .copies = 100, .limit = 1300 },
	{ "all twice, GRUB", 1, 500, GRUB, WAN, .copies = 1000 },
	{ "copies, GRUB", 1, 500, GRUB, WAN, .copies = 100, .limit = 1300 },
	{ "all twice, in order", 1, 500, ORDERLY, WAN, .copies = 1000 },

	/* Loss only */
	{ "1% lost, iPXE", 1, 1000, IPXE, WAN, .loss = 10, .limit = 1050 },
	{ "5% lost, iPXE", 1, 1000, IPXE, WAN, .loss = 50, .limit = 1200 },
	{ "1% lost, GRUB", 1, 1000, GRUB, WAN, .loss = 10, .limit = 1200 },
	{ "5% lost, GRUB", 1, 1000, GRUB, WAN, .loss = 50, .limit = 1300 },
	{ "1% lost, in order", 1, 1000, ORDERLY, WAN, .loss = 10, .limit = 1200 },
	{ "5% lost, in order", 1, 1000, ORDERLY, WAN, .loss = 50, .limit = 1300 },
	{ "half lost, iPXE", 1, 50, IPXE, LAN, .loss = 500, .limit = 12000 },
	{ "1% lost, lock step", 1, 500, 1, LAN, IMPATIENT, .loss = 10,
	  .limit = 1200 },
	{ "1% lost, lock step, re-ACKs", 1, 500, 1, LAN, PATIENT, .loss = 10,
	  .reack_old = true, .limit = 1200 },
	{ "1% lost, window of 4", 1, 500, 4, WAN, PATIENT, .loss = 10,
	  .limit = 1500 },
	{ "1% lost, window of 16", 1, 1000, 16, WAN, PATIENT, .loss = 10,
	  .limit = 2000 },
	{ "1% lost, window of 16, re-ACKs", 1, 1000, 16, WAN, PATIENT,
	  .loss = 10, .reack_old = true, .reack_all = true, .limit = 2000 },
	{ "1% lost, window of 64", 1, 1000, 64, WAN, PATIENT, .loss = 10,
	  .limit = 4000 },
	{ "5% lost, window of 16", 1, 500, 16, WAN, IMPATIENT, .loss = 50,
	  .reack_old = true, .limit = 4000 },
	{ "20% lost, lock step", 1, 200, 1, LAN, IMPATIENT, .loss = 200,
	  .limit = 3000 },
	{ "20% lost, window of 4", 1, 200, 4, WAN, IMPATIENT, .loss = 200,
	  .reack_old = true, .limit = 6000 },
	{ "20% lost, window of 16", 1, 200, 16, WAN, PATIENT, .loss = 200,
	  .reack_old = true, .limit = 10000 },
	{ "half lost, lock step", 1, 50, 1, LAN, PATIENT, .loss = 500,
	  .reack_old = true, .limit = 12000 },
	{ "1% lost, rolling over", 65300, 500, 16, WAN, PATIENT, .loss = 10,
	  .limit = 2500 },
	{ "1% lost, rolling over to 1", 65300, 500, 16, 1, WAN, PATIENT,
	  .loss = 10, .limit = 2500 },

	/* Reordering only */
	{ "reordered, lock step", 1, 500, 1, LAN, PATIENT, .jitter = 50,
	  .jitter_us = 1000, .limit = 1500 },
	{ "reordered, window of 16", 1, 500, 16, LAN, PATIENT, .jitter = 20,
	  .jitter_us = 1000, .limit = 3000 },
	{ "reordered, window of 64, re-ACKs", 1, 1000, 64, WAN, PATIENT,
	  .jitter = 20, .jitter_us = 30000, .reack_old = true,
	  .reack_all = true, .limit = 5000 },
	{ "shuffled, window of 64", 1, 500, 64, WAN, PATIENT, .jitter = 500,
	  .jitter_us = 30000, .reack_old = true, .limit = 40000 },

	{ "reordered, iPXE", 1, 500, IPXE, WAN, .jitter = 20, .jitter_us = 1000,
	  .limit = 1100 },
	{ "shuffled, iPXE", 1, 500, IPXE, WAN, .jitter = 500, .jitter_us = 30000,
	  .limit = 1500 },
	{ "shuffled, GRUB", 1, 500, GRUB, WAN, .jitter = 500, .jitter_us = 30000,
	  .limit = 1500 },

	/* Round trips become longer: some are sent again until that is known */
	{ "longer, lock step", 1, 500, 1, LAN, PATIENT, .later_us = 75000,
	  .limit = 1010 },
	{ "longer, window of 4, re-ACKs", 1, 500, 4, .delay_us = 5000, PATIENT,
	  .later_us = 25000, .reack_last = true, .limit = 1020 },
	{ "longer, window of 16, re-ACKs", 1, 500, 16, .delay_us = 5000,
	  PATIENT, .later_us = 75000, .reack_old = true, .limit = 1050 },
	{ "longer, window of 64, re-ACKs", 1, 1000, 64, .delay_us = 5000,
	  PATIENT, .later_us = 750000, .reack_last = true, .limit = 1300 },
	{ "longer than all timeouts, window of 4, re-ACKs", 1, 500, 4,
	  .delay_us = 5000, .retry_us = 20000000, .later_us = 4000000,
	  .reack_last = true, .limit = 1200 },

	/* All at once */
	{ "bad, lock step", 1, 200, 1, WAN, IMPATIENT, .loss = 50,
	  .copies = 100, .jitter = 100, .jitter_us = 50000,
	  .reack_old = true, .limit = 4000 },
	{ "bad, window of 8", 1, 200, 8, WAN, IMPATIENT, .loss = 50,
	  .copies = 100, .jitter = 100, .jitter_us = 50000,
	  .reack_old = true, .limit = 8000 },
	{ "bad, window of 64", 1, 500, 64, WAN, PATIENT, .loss = 50,
	  .copies = 100, .jitter = 100, .jitter_us = 50000,
	  .reack_old = true, .reack_all = true, .limit = 25000 },
	{ "bad, window of 300", 1, 1000, 300, WAN, PATIENT, .loss = 50,
	  .copies = 100, .jitter = 100, .jitter_us = 50000,
	  .reack_old = true, .limit = 60000 },
	{ "bad, rolling over", 65400, 300, 16, WAN, IMPATIENT, .loss = 50,
	  .copies = 100, .jitter = 100, .jitter_us = 50000,
	  .reack_old = true, .limit = 10000 },
	{ "bad, rolling over to 1", 65400, 300, 16, 1, WAN, IMPATIENT,
	  .loss = 50, .copies = 100, .jitter = 100, .jitter_us = 50000,
	  .reack_old = true, .limit = 10000 },
};

KUNIT_ARRAY_PARAM_DESC(model, cases, desc);

static u32 draw(void *state)
{
	return prandom_u32_state(state);
}

static void model_test(struct kunit *test)
{
	const struct model_case *c = test->param_value;
	u64 sent = 0, timeouts = 0, worst = 0;
	struct model *m = test->priv;
	struct rnd_state state;
	const char *failure;
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		prandom_seed_state(&state, seed + i);
		failure = model_run(m, c, draw, &state);
		if (failure)
			KUNIT_FAIL(test,
				   "seed %u: %s: %llu of %u blocks received, %llu sent, %llu timeouts",
				   seed + i, failure,
				   m->received + 1 - c->first, c->blocks,
				   m->data_sent, m->timeouts);
		sent += m->data_sent;
		timeouts += m->timeouts;
		worst = max(worst, m->data_sent);
		cond_resched();
	}
	kunit_info(test, "seeds %u to %u: %llu sent for %u blocks, %llu at worst, %llu timeouts",
		   seed, seed + rounds - 1, div_u64(sent, max(rounds, 1U)),
		   c->blocks, worst, timeouts);
}

static int model_init(struct kunit *test)
{
	test->priv = vzalloc(sizeof(struct model));
	return test->priv ? 0 : -ENOMEM;
}

static void model_exit(struct kunit *test)
{
	vfree(test->priv);
}

/* ---- uploads ---- */

#define SPACED	.spacing_us = 12	/* 1 Gbit/s */
#define REPEATS	.repeats = true
#define RETRIES	.retry_us = 1000000

static const struct upload_case uploads[] = {
	/* Nothing goes wrong. */
	{ { "lock step", 1, 500, 1, LAN, RETRIES, .limit = 1000 }, SPACED, REPEATS,
	  .slower = 1000 },
	{ { "window of 16", 1, 500, 16, LAN, RETRIES, .limit = 1000 }, SPACED,
	  REPEATS, .slower = 1000 },
	{ { "window of 300, far away", 1, 1000, 300, WAN, RETRIES, .limit = 1000 },
	  SPACED, REPEATS, .slower = 1000 },
	{ { "one block", 1, 1, 16, LAN, RETRIES, .limit = 1000 }, SPACED,
	  .slower = 1000 },
	{ { "exactly a window", 1, 16, 16, LAN, RETRIES, .limit = 1000 }, SPACED,
	  .slower = 1000 },
	{ { "a window and a block", 1, 17, 16, LAN, RETRIES, .limit = 1000 },
	  SPACED, .slower = 1000 },
	{ { "stored slowly, lock step", 1, 17, 1, LAN, RETRIES, .limit = 1200 },
	  SPACED, REPEATS, .store_us = 3000000, .slower = 1000 },
	{ { "stored slowly, window of 4", 1, 17, 4, LAN, RETRIES, .limit = 1200 },
	  SPACED, REPEATS, .store_us = 3000000, .slower = 1000 },

	/* Rolling over; where it must be found out, in windows a few are sent again. */
	{ { "rolling over", 65300, 500, 16, LAN, RETRIES, .limit = 1000 }, SPACED,
	  REPEATS, .slower = 1000 },
	{ { "rolling over to 1", 65300, 500, 16, 1, LAN, RETRIES, .limit = 1000 },
	  SPACED, REPEATS, .slower = 1000 },
	{ { "rolling over, unknown", 65300, 500, 16, LAN, RETRIES, .limit = 1000 },
	  SPACED, REPEATS, .unknown = true, .slower = 1000 },
	{ { "rolling over to 1, unknown", 65300, 500, 16, 1, LAN, RETRIES,
	    .limit = 1080 }, SPACED, REPEATS, .unknown = true, .slower = 1080 },
	{ { "rolling over, unknown, lock step", 65300, 500, 1, LAN, RETRIES,
	    .limit = 1000 }, SPACED, REPEATS, .unknown = true, .slower = 1000 },
	{ { "rolling over to 1, unknown, lock step", 65300, 500, 1, 1, LAN, RETRIES,
	    .limit = 1000 }, SPACED, REPEATS, .unknown = true, .slower = 1000 },
	{ { "5% lost, rolling over, unknown", 65300, 500, 16, WAN, RETRIES,
	    .loss = 50, .limit = 2500 }, SPACED, REPEATS, .unknown = true },
	{ { "5% lost, rolling over to 1, unknown", 65300, 500, 16, 1, WAN, RETRIES,
	    .loss = 50, .limit = 2500 }, SPACED, REPEATS, .unknown = true },
	{ { "20% lost, rolling over, unknown, window of 2", 65500, 100, 2, WAN,
	    RETRIES, .loss = 200, .limit = 3000 }, SPACED, REPEATS,
	  .unknown = true },

	/* Copies only, Sorcerer's Apprentice: no ACK is sent twice. */
	{ { "copies, lock step", 1, 500, 1, LAN, RETRIES, .copies = 500,
	    .limit = 1000 }, SPACED, .slower = 1000 },
	{ { "copies, lock step, repeats", 1, 500, 1, LAN, RETRIES, .copies = 500,
	    .limit = 1700 }, SPACED, REPEATS, .slower = 1200 },
	{ { "copies, window of 16, repeats", 1, 500, 16, LAN, RETRIES,
	    .copies = 100, .limit = 1500 }, SPACED, REPEATS, .slower = 1200 },
	{ { "all twice, lock step, repeats", 1, 500, 1, WAN, RETRIES,
	    .copies = 1000, .limit = 2000 }, SPACED, REPEATS, .slower = 1200 },
	{ { "all twice, window of 16, repeats", 1, 500, 16, LAN, RETRIES,
	    .copies = 1000, .limit = 2000 }, SPACED, REPEATS, .slower = 1500 },
	{ { "all twice, window of 64, repeats", 1, 1000, 64, WAN, RETRIES,
	    .copies = 1000, .limit = 2000 }, SPACED, REPEATS, .slower = 1200 },

	/* A client that pauses gets few ACKs twice, and so sends few windows twice. */
	{ { "pauses, window of 16", 1, 2000, 16, LAN, RETRIES, .limit = 1020 },
	  SPACED, REPEATS, .pause_us = 30000, .slower = 1000 },
	{ { "long pauses, window of 16", 1, 2000, 16, LAN, RETRIES, .limit = 1040 },
	  SPACED, REPEATS, .pause_us = 100000, .slower = 1000 },
	{ { "very long pauses, window of 4", 1, 400, 4, LAN, RETRIES,
	    .limit = 1080 }, SPACED, REPEATS, .pause_us = 1000000,
	  .slower = 1000 },

	/* Loss only */
	{ { "1% lost, lock step", 1, 500, 1, LAN, RETRIES, .loss = 10,
	    .limit = 1060 }, SPACED, REPEATS },
	{ { "1% lost, window of 4", 1, 500, 4, WAN, RETRIES, .loss = 10,
	    .limit = 1100 }, SPACED, REPEATS, .slower = 1400 },
	{ { "1% lost, 8 MiB, window of 16", 1, 5745, 16, .delay_us = 10000, RETRIES,
	    .loss = 10, .limit = 1200 }, SPACED, REPEATS, .slower = 1350 },
	{ { "1% lost, 8 MiB, window of 16, farther", 1, 5745, 16, WAN, RETRIES,
	    .loss = 10, .limit = 1200 }, SPACED, REPEATS, .slower = 1300 },
	{ { "1% lost, 8 MiB, window of 16, deaf", 1, 5745, 16, WAN, RETRIES,
	    .loss = 10, .limit = 1200 }, SPACED, .slower = 2000 },
	{ { "1% lost, window of 64", 1, 2000, 64, WAN, RETRIES, .loss = 10,
	    .limit = 1800 }, SPACED, REPEATS, .slower = 2200 },
	{ { "5% lost, window of 16", 1, 1000, 16, WAN, RETRIES, .loss = 50,
	    .limit = 2200 }, SPACED, REPEATS, .slower = 3000 },
	{ { "20% lost, window of 4", 1, 200, 4, WAN, RETRIES, .loss = 200,
	    .limit = 2500 }, SPACED, REPEATS },
	{ { "20% lost, window of 16", 1, 200, 16, WAN, RETRIES, .loss = 200,
	    .limit = 8000 }, SPACED, REPEATS },
	{ { "half lost, lock step", 1, 50, 1, LAN, RETRIES, .loss = 500,
	    .limit = 8000 }, SPACED, REPEATS },

	/* Reordering only */
	{ { "reordered, lock step", 1, 500, 1, LAN, RETRIES, .jitter = 50,
	    .jitter_us = 1000, .limit = 1000 }, SPACED, REPEATS },
	{ { "reordered, window of 16", 1, 500, 16, WAN, RETRIES, .jitter = 20,
	    .jitter_us = 1000, .limit = 1500 }, SPACED, REPEATS,
	  .slower = 1500 },
	{ { "reordered, window of 64", 1, 1000, 64, WAN, RETRIES, .jitter = 20,
	    .jitter_us = 30000, .limit = 3500 }, SPACED, REPEATS,
	  .slower = 3000 },
	{ { "shuffled, window of 64", 1, 500, 64, WAN, RETRIES, .jitter = 500,
	    .jitter_us = 30000, .limit = 45000 }, SPACED, REPEATS },

	/* All at once */
	{ { "bad, lock step", 1, 200, 1, WAN, IMPATIENT, .loss = 50, .copies = 100,
	    .jitter = 100, .jitter_us = 50000, .limit = 3000 }, SPACED, REPEATS },
	{ { "bad, window of 8", 1, 200, 8, WAN, IMPATIENT, .loss = 50,
	    .copies = 100, .jitter = 100, .jitter_us = 50000, .limit = 4000 },
	  SPACED, REPEATS },
	{ { "bad, window of 64", 1, 500, 64, WAN, RETRIES, .loss = 50,
	    .copies = 100, .jitter = 100, .jitter_us = 50000, .limit = 20000 },
	  SPACED, REPEATS },
	{ { "bad, rolling over to 1, unknown", 65400, 300, 16, 1, WAN, IMPATIENT,
	    .loss = 50, .copies = 100, .jitter = 100, .jitter_us = 50000,
	    .limit = 6000 }, SPACED, REPEATS, .unknown = true },
	{ { "bad, rolling over, unknown", 65400, 300, 16, WAN, IMPATIENT,
	    .loss = 50, .copies = 100, .jitter = 100, .jitter_us = 50000,
	    .limit = 6000 }, SPACED, REPEATS, .unknown = true },
};

KUNIT_ARRAY_PARAM_DESC(upload, uploads, net.desc);

static void upload_test(struct kunit *test)
{
	const struct upload_case *c = test->param_value;
	u64 ideal_us = upload_ideal_us(c), sent = 0, us = 0;
	struct upload *u = test->priv;
	struct rnd_state state;
	const char *failure;
	unsigned int i;

	for (i = 0; i < rounds; i++) {
		prandom_seed_state(&state, seed + i);
		failure = upload_run(u, c, draw, &state);
		if (failure)
			KUNIT_FAIL(test,
				   "seed %u: %s: %llu of %u blocks received, %llu sent, %llu ACKs, %llu us of %llu",
				   seed + i, failure,
				   u->net.received + 1 - c->net.first,
				   c->net.blocks, u->net.data_sent,
				   u->net.acks_sent, upload_us(u), ideal_us);
		sent += u->net.data_sent;
		us += upload_us(u);
		cond_resched();
	}
	kunit_info(test, "seeds %u to %u: %llu sent for %u blocks, %llu us instead of %llu",
		   seed, seed + rounds - 1, div_u64(sent, max(rounds, 1U)),
		   c->net.blocks, div_u64(us, max(rounds, 1U)), ideal_us);
}

static int upload_init(struct kunit *test)
{
	test->priv = vzalloc(sizeof(struct upload));
	return test->priv ? 0 : -ENOMEM;
}

static struct kunit_case model_cases[] = {
	KUNIT_CASE_PARAM(model_test, model_gen_params),
	{}
};

static struct kunit_suite model_suite = {
	.name		= "tftpk-model",
	.init		= model_init,
	.exit		= model_exit,
	.test_cases	= model_cases,
};

static struct kunit_case upload_cases[] = {
	KUNIT_CASE_PARAM(upload_test, upload_gen_params),
	{}
};

static struct kunit_suite upload_suite = {
	.name		= "tftpk-upload-model",
	.init		= upload_init,
	.exit		= model_exit,
	.test_cases	= upload_cases,
};

kunit_test_suites(&model_suite, &upload_suite);
