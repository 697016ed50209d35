// SPDX-License-Identifier: GPL-2.0
/*
 * matrix --list
 * matrix [--first N] [--blocks N] [--ahead N] [--seeds N] CLIENT
 * matrix [--first N] [--blocks N] [--ahead N] --trace DELAY,LOSS,SEED CLIENT
 *
 * What blocks ahead of the ACK gain a client of lock step, and what they cost it, by
 * simulation: window.c and ahead.c, a network, and the client's model.
 *
 * A cell is a delay, there and back, and a share of packets that are lost each way.
 * Losses are drawn by block and by which copy of it this is, so that lock step and
 * blocks ahead lose the same. Times are until the client has all of the file. --trace
 * prints what one transfer sends; what is in parentheses is lost.
 */
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/kernel.h>
#include <linux/time64.h>

#include "clients.h"
#include "window-model.h"

#define WIRE_US		12	/* a full packet at 1 Gbit/s */
#define BUSY_US		20	/* what a client does with one, where nothing is known */
#define BLOCKS_MAX	4096
#define HANG		30	/* seconds more than in lock step */

static const u32 delays_ms[] = { 0, 1, 5, 20, 50 };
static const double losses[] = { 0, 0.005, 0.02 };

/* One transfer. */
struct run {
	struct model model;
	struct client client;
	double loss;
	u32 seed;
	u64 wire_ns[2];		/* when each direction of the wire is free */
	u64 busy_ns;		/* when the client has handled what it got */
	u64 before_ns;		/* ... and the one before that */
	u16 sent[2][BLOCKS_MAX];
	u64 packets;		/* that arrived there */
	u64 done_ns;
};

static struct run run;
static bool trace;

static u64 arrival(struct model *m, bool ack, u64 block)
{
	bool lost = client_lost(run.loss, run.seed, ack, block,
				run.sent[ack][block % BLOCKS_MAX]++);

	if (trace)
		printf(lost ? "%.3f ms %s (%llu), limit %u\n" : "%.3f ms %s %llu, limit %u\n",
		       (m->now_ns - NSEC_PER_SEC) / 1e6, ack ? "         ACK" : "DATA",
		       (unsigned long long)block, m->window.limit);
	run.wire_ns[ack] = max(run.wire_ns[ack], m->now_ns) +
			   (ack ? 1 : WIRE_US) * NSEC_PER_USEC;
	if (lost)
		return U64_MAX;
	return run.wire_ns[ack] + m->c->delay_us * NSEC_PER_USEC;
}

static void send_ack(struct client *c, uint16_t number)
{
	struct model *m = c->context;

	m->acks_sent++;
	model_transmit(m, true, number);
}

static void note(struct model *m)
{
	m->received = run.client.have;
	m->client_ns = run.client.timer_ns;
	if (run.client.spoilt)
		model_fail(m, "the client took one block for another");
	if (client_done(&run.client) && !run.done_ns)
		run.done_ns = m->now_ns;
}

/* How long the client handles a packet: half of what it takes as a rule, and up to as
 * much again.
 */
static u64 cost_ns(const struct client_kind *kind)
{
	u64 share = client_hash(run.seed ^ client_hash(run.packets++)) % 1000;

	return (kind->busy_us ?: BUSY_US) * (500 + share);
}

/* It handles one packet after the other; so many may queue. */
static void data(struct model *m, const struct model_packet *packet)
{
	const struct client_kind *kind = run.client.kind;
	u64 now_ns = m->now_ns;

	/* The one before the last is not handled yet, so another one queues. */
	if (kind->room == 1 && run.before_ns > now_ns)
		return;
	run.before_ns = run.busy_ns;
	run.busy_ns = max(run.busy_ns, now_ns) + cost_ns(kind);
	m->now_ns = run.busy_ns;
	client_receive(&run.client, packet->block, m->now_ns);
	note(m);
	m->now_ns = now_ns;
}

static void timer(struct model *m)
{
	client_timer(&run.client, m->now_ns);
	note(m);
}

static const struct model_other other = { arrival, data, timer };

struct result {
	const char *failure;
	double seconds;
	u64 resent;
	u64 timeouts;
};

static struct result transfer(const struct client_kind *kind, u64 first, u32 blocks,
			      u16 ahead, u32 delay_ms, double loss, u32 seed)
{
	struct model_case c = {
		.first = first,
		.blocks = blocks,
		.windowsize = 1,
		.ahead = ahead,
		.delay_us = delay_ms * 500,
		.other = &other,
	};
	struct model *m = &run.model;

	memset(&run, 0, offsetof(struct run, model));
	memset(m, 0, offsetof(struct model, queue));
	memset(&run.loss, 0, sizeof(run) - offsetof(struct run, loss));
	m->c = &c;
	m->now_ns = NSEC_PER_SEC;
	m->last = first + blocks - 1;
	run.loss = loss;
	run.seed = seed;
	run.client.ack = send_ack;
	run.client.context = m;

	tftpk_window_init(&m->window, 8 * (m->last - 1), 8, 1, 0);
	m->window.ahead = ahead;
	m->window.acked = first - 1;
	m->window.next = first;
	m->window.high = first;
	/* The round trip of the OACK. */
	tftpk_rtt_sample(&m->rtt, 2 * c.delay_us + WIRE_US + BUSY_US);
	client_start(&run.client, kind, m->last, false, m->now_ns);
	run.client.have = first - 1;
	note(m);
	model_push(m);
	while (!m->failure && !run.done_ns) {
		if (++m->events > MODEL_EVENTS)
			model_fail(m, "it does not end");
		model_step(m);
	}
	if (m->failure && trace)
		printf("%s after %llu blocks of %u\n", m->failure,
		       (unsigned long long)(run.client.have - first + 1), blocks);
	return (struct result){
		.failure = m->failure,
		.seconds = (run.done_ns - NSEC_PER_SEC) / 1e9,
		.resent = m->data_sent > blocks ? m->data_sent - blocks : 0,
		.timeouts = m->timeouts,
	};
}

struct sum {
	double seconds;
	double resent;
	double timeouts;
};

static void add(struct sum *sum, const struct result *r)
{
	sum->seconds += r->seconds;
	sum->resent += r->resent;
	sum->timeouts += r->timeouts;
}

static void divide(struct sum *sum, u32 by)
{
	sum->seconds /= by;
	sum->resent /= by;
	sum->timeouts /= by;
}

/* One cell; is it no worse by more than a twentieth and two standard errors? For the
 * worst of clients, by no more than a timeout in all; for the others nothing is sent
 * twice if nothing is lost. Where numbers roll over some clients may fail in lock step.
 */
static bool cell(const struct client_kind *kind, u64 first, u32 blocks, u16 ahead,
		 u32 delay_ms, double loss, u32 seeds)
{
	struct sum off = {}, on = {};
	double squares = 0, mean = 0, error;
	u32 runs = loss > 0 ? seeds : 1;
	u32 failed[2] = {}, n = 0;
	bool fine;

	for (u32 seed = 0; seed < runs; seed++) {
		struct result a = transfer(kind, first, blocks, 0, delay_ms, loss, seed);
		struct result b = transfer(kind, first, blocks, ahead, delay_ms, loss, seed);
		double more = b.seconds - a.seconds;

		if (a.failure || b.failure || more > HANG) {
			failed[0] += !!a.failure;
			failed[1] += b.failure || more > HANG;
			if (b.failure || more > HANG)
				printf("# --trace %u,%g,%u: %s\n", delay_ms, loss, seed,
				       b.failure ?: "it took far longer");
			continue;
		}
		add(&off, &a);
		add(&on, &b);
		mean += more;
		squares += more * more;
		n++;
	}
	if (n) {
		divide(&off, n);
		divide(&on, n);
		mean /= n;
		squares /= n;
	}
	error = n > 1 ? sqrt(max(squares - mean * mean, 0.0) / (n - 1)) : 0;
	if (kind->worst)
		fine = mean <= 0.05 * off.seconds + TFTPK_RTO_FIRST / 1e6 &&
		       on.timeouts <= off.timeouts + 1;
	else
		fine = (mean <= 0.05 * off.seconds || mean <= 2 * error) &&
		       (loss > 0 || on.resent <= off.resent);
	fine &= failed[1] <= failed[0];
	printf("%-14s %2u ms %4.1f%%  %8.3f s %6.1f %5.1f  %8.3f s %6.1f %5.1f  %5.2f%s\n",
	       kind->name, delay_ms, loss * 100, off.seconds, off.resent, off.timeouts,
	       on.seconds, on.resent, on.timeouts, off.seconds / on.seconds,
	       fine ? "" : "  WORSE");
	if (failed[0] || failed[1])
		printf("# failed: %u in lock step, %u ahead\n", failed[0], failed[1]);
	return fine;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "first", required_argument, NULL, 'f' },
		{ "blocks", required_argument, NULL, 'b' },
		{ "seeds", required_argument, NULL, 's' },
		{ "ahead", required_argument, NULL, 'a' },
		{ "trace", required_argument, NULL, 't' },
		{ "list", no_argument, NULL, 'l' },
		{ }
	};
	u32 blocks = 700, seeds = 30, delay_ms;
	const struct client_kind *kind = NULL;
	bool fine = true;
	u16 ahead = 15;
	u64 first = 1;
	double loss;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'f':
			first = atoi(optarg);
			break;
		case 'b':
			blocks = atoi(optarg);
			break;
		case 's':
			seeds = atoi(optarg);
			break;
		case 'a':
			ahead = atoi(optarg);
			break;
		case 't':
			trace = sscanf(optarg, "%u,%lf,%u", &delay_ms, &loss, &seeds) == 3;
			break;
		case 'l':
			for (size_t i = 0; i < ARRAY_SIZE(client_kinds); i++)
				puts(client_kinds[i].name);
			return 0;
		default:
			return 2;
		}
	}
	if (optind + 1 == argc)
		kind = client_kind(argv[optind]);
	if (!kind || blocks >= BLOCKS_MAX) {
		fprintf(stderr, "usage: matrix [--first N] [--blocks N] [--ahead N] [--seeds N] CLIENT\n");
		return 2;
	}
	if (trace) {
		transfer(kind, first, blocks, ahead, delay_ms, loss, seeds);
		return 0;
	}
	printf("# client       delay  loss  lock step, resent, timeouts   ahead, resent, timeouts  gain\n");
	for (size_t d = 0; d < ARRAY_SIZE(delays_ms); d++)
		for (size_t l = 0; l < ARRAY_SIZE(losses); l++)
			fine &= cell(kind, first, blocks, ahead, delays_ms[d], losses[l], seeds);
	return !fine;
}
