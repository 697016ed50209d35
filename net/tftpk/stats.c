// SPDX-License-Identifier: GPL-2.0
/*
 * Counters, one set per CPU and network namespace.
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
		u64_stats_init(&per_cpu_ptr(tn->stats, cpu)->sync);
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
 * tftpk_stats_add() - add to a counter of this CPU
 * @tn: the namespace's server
 * @c: which counter
 * @n: how much
 *
 * Context: bottom halves disabled.
 */
void tftpk_stats_add(struct tftpk_net *tn, enum tftpk_counter c, u64 n)
{
	struct tftpk_stats *stats = this_cpu_ptr(tn->stats);

	u64_stats_update_begin(&stats->sync);
	u64_stats_add(&stats->count[c], n);
	u64_stats_update_end(&stats->sync);
}

/**
 * tftpk_stats_read() - sum the counters of all CPUs
 * @tn: the namespace's server
 * @count: __TFTPK_STAT_MAX sums
 */
void tftpk_stats_read(const struct tftpk_net *tn, u64 *count)
{
	int cpu, i;

	memset(count, 0, __TFTPK_STAT_MAX * sizeof(*count));
	for_each_possible_cpu(cpu) {
		const struct tftpk_stats *stats = per_cpu_ptr(tn->stats, cpu);

		for (i = 0; i < __TFTPK_STAT_MAX; i++) {
			unsigned int start;
			u64 n;

			do {
				start = u64_stats_fetch_begin(&stats->sync);
				n = u64_stats_read(&stats->count[i]);
			} while (u64_stats_fetch_retry(&stats->sync, start));
			count[i] += n;
		}
	}
	count[TFTPK_STAT_TRANSFERS_ACTIVE] = atomic_read(&tn->active);
}
