// SPDX-License-Identifier: GPL-2.0
/*
 * Counters and histograms: one set for each CPU of each network namespace.
 */
#include <linux/percpu.h>

#include "tftpk.h"

/**
 * tftpk_stats_init() - make the counters of a namespace
 * @tn: its server
 *
 * Context: process. Return: 0 or -ENOMEM.
 */
int tftpk_stats_init(struct tftpk_net *tn)
{
	int cpu;

	tn->stats = alloc_percpu(struct tftpk_stats);
	if (!tn->stats)
		return -ENOMEM;
	for_each_possible_cpu(cpu)
		u64_stats_init(&per_cpu_ptr(tn->stats, cpu)->syncp);
	return 0;
}

/**
 * tftpk_stats_exit() - free the counters of a namespace
 * @tn: its server
 */
void tftpk_stats_exit(struct tftpk_net *tn)
{
	free_percpu(tn->stats);
}

/* Microseconds, and bytes per second of the last one. The specification documents them,
 * and they never change: whoever compares two servers, or two years, relies on that.
 */
#define TFTPK_BOUNDS_WAIT \
	{ 100, 250, 500, 1000, 2500, 5000, 10000, 25000, 100000, 500000, 2000000 }

const u64 tftpk_bounds[__TFTPK_HISTOGRAM_MAX][TFTPK_BUCKETS - 1] = {
	[TFTPK_HISTOGRAM_FIRST_BLOCK] = TFTPK_BOUNDS_WAIT,
	[TFTPK_HISTOGRAM_ROUND_TRIP] = TFTPK_BOUNDS_WAIT,
	[TFTPK_HISTOGRAM_DURATION] = {
		10000, 50000, 100000, 500000, 1000000, 5000000, 10000000,
		30000000, 60000000, 300000000, 1800000000
	},
	[TFTPK_HISTOGRAM_RATE] = {
		10000, 50000, 100000, 500000, 1000000, 5000000, 10000000,
		50000000, 100000000, 500000000, 1000000000
	},
};

/**
 * tftpk_stats_observe() - count a transfer in a histogram
 * @tn: the namespace's server
 * @what: the histogram
 * @value: of the transfer
 *
 * Twice or thrice in a transfer's life, never by block.
 *
 * Context: any.
 */
void tftpk_stats_observe(struct tftpk_net *tn, enum tftpk_histogram what,
			 u64 value)
{
	int cell = TFTPK_HISTOGRAM_CELL(what), i = 0;

	while (i < TFTPK_BUCKETS - 1 && value > tftpk_bounds[what][i])
		i++;
	tftpk_stats_inc(tn, cell + i);
	tftpk_stats_add(tn, cell + TFTPK_BUCKETS, value);
}

/* Sum @n cells from @cell on of all CPUs. */
static void tftpk_stats_sum(const struct tftpk_net *tn, int cell, int n,
			    u64 *count)
{
	unsigned int start;
	int cpu, i;
	u64 value;

	memset(count, 0, n * sizeof(*count));
	for_each_possible_cpu(cpu) {
		const struct tftpk_stats *stats = per_cpu_ptr(tn->stats, cpu);

		for (i = 0; i < n; i++) {
			do {
				start = u64_stats_fetch_begin(&stats->syncp);
				value = READ_ONCE(stats->count[cell + i]);
			} while (u64_stats_fetch_retry(&stats->syncp, start));
			count[i] += value;
		}
	}
}

/**
 * tftpk_stats_read() - sum the counters of all CPUs
 * @tn: the namespace's server
 * @count: takes __TFTPK_A_STATS_MAX sums, by attribute
 */
void tftpk_stats_read(const struct tftpk_net *tn, u64 *count)
{
	tftpk_stats_sum(tn, 0, __TFTPK_A_STATS_MAX, count);
	/* Not counted, but looked at. */
	count[TFTPK_A_STATS_TRANSFERS_ACTIVE] = atomic_read(&tn->active);
	count[TFTPK_A_STATS_BYTES_PINNED] =
		(u64)atomic_long_read(&tn->pinned) << PAGE_SHIFT;
}

/**
 * tftpk_stats_read_histogram() - sum a histogram of all CPUs
 * @tn: the namespace's server
 * @what: the histogram
 * @count: takes its TFTPK_BUCKETS buckets, and the sum of what was observed
 */
void tftpk_stats_read_histogram(const struct tftpk_net *tn,
				enum tftpk_histogram what, u64 *count)
{
	tftpk_stats_sum(tn, TFTPK_HISTOGRAM_CELL(what), TFTPK_BUCKETS + 1, count);
}
