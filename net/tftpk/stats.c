// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: one set for each CPU of each network namespace.
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

/**
 * tftpk_stats_read() - sum the counters of all CPUs
 * @tn: the namespace's server
 * @count: takes __TFTPK_A_STATS_MAX sums, by attribute
 */
void tftpk_stats_read(const struct tftpk_net *tn, u64 *count)
{
	u64 sum[__TFTPK_A_STATS_MAX];
	unsigned int start;
	int cpu, i;

	memset(count, 0, __TFTPK_A_STATS_MAX * sizeof(*count));
	for_each_possible_cpu(cpu) {
		const struct tftpk_stats *stats = per_cpu_ptr(tn->stats, cpu);

		do {
			start = u64_stats_fetch_begin(&stats->syncp);
			for (i = 0; i < __TFTPK_A_STATS_MAX; i++)
				sum[i] = READ_ONCE(stats->count[i]);
		} while (u64_stats_fetch_retry(&stats->syncp, start));
		for (i = 0; i < __TFTPK_A_STATS_MAX; i++)
			count[i] += sum[i];
	}
	/* Not counted, but looked at. */
	count[TFTPK_A_STATS_TRANSFERS_ACTIVE] = atomic_read(&tn->active);
}
